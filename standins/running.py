"""Shared parts of the stand-in commands: print the address, and wait for the signal to stop."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import Any


def announce(urls: dict[str, Any]) -> None:
    """Print one JSON line to standard output; the process that started this one waits for it."""
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()


def until_stopped() -> None:
    """Block until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
