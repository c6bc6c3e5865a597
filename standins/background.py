"""Runs work in background threads and reports each exception to threading.excepthook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_loudly(action: Callable[[], object]) -> None:
    """Run the action and report its exception, so that the thread stays alive for its next work."""
    try:
        action()
    except Exception:  # every exception is reported in full
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


class Background:
    """A pool of threads that exists from `start()` to `stop()`; it refuses work outside of that time."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name = threads, name
        self._pool: ThreadPoolExecutor | None = None

    @property
    def running(self) -> bool:
        return self._pool is not None

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)

    def stop(self) -> None:
        """Wait for running work and drop the work that has not begun."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, action: Callable[..., object], *arguments: Any) -> bool:
        """Queue the action; return False if the pool is not running. `stop()` may still drop it."""
        pool = self._pool
        if pool is None:
            return False
        try:
            pool.submit(run_loudly, lambda: action(*arguments))
        except RuntimeError:  # stop() ran between the check and the call
            return False
        return True
