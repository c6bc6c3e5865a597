"""What the commands share: say where one listens, and wait for the signal to stop."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import Any


def announce(urls: dict[str, Any]) -> None:
    """One JSON line on standard output: whoever started us waits for it."""
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()


def until_stopped() -> None:
    """Returns at SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
