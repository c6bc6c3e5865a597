"""Makes `time.sleep` work where libfaketime moves the clock.

Python 3.11 sleeps with `clock_nanosleep` until a moment of the monotonic clock. libfaketime 0.9.10, told to leave that
clock alone, answers EINVAL to it, always (seen with Debian's package). `select` sleeps as well, and is left alone.
"""

import select
import time


def _sleep(seconds: float, /) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep  # type: ignore[assignment]
