"""Logging what goes on for long once, and not each time that it is found again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable


class Once:
    """What this process said last of each matter. Safe to share between threads; of too many matters the oldest is
    forgotten, and said again."""

    def __init__(self, most: int = 10_000) -> None:
        self._said: OrderedDict[Hashable, object] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def is_new(self, matter: Hashable, state: object) -> bool:
        """Whether this state of a matter differs from what was said of it last; from now on it is what was said."""
        with self._lock:
            known = self._said.get(matter)
            self._said[matter] = state
            self._said.move_to_end(matter)
            if len(self._said) > self._most:
                self._said.popitem(last=False)
            return known is None or known != state

    def is_over(self, matter: Hashable) -> bool:
        """The matter is settled; whether anything had been said of it."""
        with self._lock:
            return self._said.pop(matter, None) is not None
