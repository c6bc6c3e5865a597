"""Work in the background whose mistakes are heard: an exception reaches threading.excepthook, never nowhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_loudly(action: Callable[[], object]) -> None:
    """Runs the action; reports what it raises and goes on, so that a thread with more to do stays alive."""
    try:
        action()
    except Exception:  # whatever it is, it is reported in full
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


class Background:
    """A pool of threads, there from `start()` to `stop()`; what is submitted outside of that is refused."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name = threads, name
        self._pool: ThreadPoolExecutor | None = None

    @property
    def running(self) -> bool:
        return self._pool is not None

    def start(self) -> None:
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)

    def stop(self) -> None:
        """Waits for what has begun; what has not is dropped."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, action: Callable[..., object], *arguments: Any) -> bool:
        """Whether it will be done, unless `stop()` comes first; False if not running."""
        pool = self._pool
        if pool is None:
            return False
        try:
            pool.submit(run_loudly, lambda: action(*arguments))
        except RuntimeError:  # stop() came between the look and the call
            return False
        return True
