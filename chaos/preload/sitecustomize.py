"""Makes `time.sleep` work where libfaketime moves the clock.

Python 3.11 sleeps with `clock_nanosleep` until a time of the monotonic clock. libfaketime 0.9.10 always answers EINVAL
to it if it must not change that clock (seen with Debian's package). `select` sleeps as well, and libfaketime does not
change it.
"""

import select
import time


def _sleep(seconds: float, /) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]
