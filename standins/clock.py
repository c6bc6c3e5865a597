"""A clock that tests can move forward, with timers: `advance(300)` makes five minutes pass at once."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from standins.background import run_loudly


class Timer:
    """A scheduled call; `cancel()` prevents it."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[], None]) -> None:
        self.due = due
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Clock:
    """The stand-in's time in seconds since 1970, with timers that run on one thread of their own."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def now(self) -> float:
        return time.time() + self._offset

    def now_ms(self) -> int:
        return int(self.now() * 1000)

    def advance(self, seconds: float) -> None:
        """Move time forward; timers that become due run at once, in order."""
        with self._changed:
            self._offset += seconds
            self._changed.notify()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run `action` on the timer thread in `seconds`. The action must take the locks that it needs."""
        timer = Timer(self.now() + max(0.0, seconds), action)
        with self._changed:
            heapq.heappush(self._heap, (timer.due, next(self._order), timer))
            if self._heap[0][2] is timer:
                self._changed.notify()
        return timer

    def start(self) -> None:
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def _run(self) -> None:
        while (action := self._next()) is not None:
            run_loudly(action)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopping:
                wait = self._heap[0][0] - self.now() if self._heap else None
                if wait is not None and wait <= 0:
                    action = heapq.heappop(self._heap)[2].action
                    if action is not None:
                        return action
                    continue
                self._changed.wait(wait)
            return None
