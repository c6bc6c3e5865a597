"""The statistics of one pipeline in Redis: folded from the log of facts now and then, and up to date for every reader.

A worker stores what the facts since the last time have changed (`advance`). A reader takes what is stored and folds the
facts that came since in its own memory (`current`), so that it never waits for a worker. Both read the log alone: a
turn costs nothing more, and facts that are folded by two processes at once are stored by one of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, cast

from pydantic import TypeAdapter
from redis import Redis

from bot.statistics.fold import fold
from bot.statistics.parts import PART_FAMILIES, Part
from bot.statistics.statistics import Statistics
from bot.store.keys import Keys
from bot.store.records import PAGE, Records
from bot.store.scripts import Scripts

#: The field that says up to which fact the stored parts go.
CURSOR = "cursor"
#: How many facts are folded in one go at most: the log may hold that many at the first start.
MOST = 20_000
#: How long a reader goes on with its own copy before it takes over what the workers have stored, in seconds.
RELOAD = 300.0

_ADAPTERS: dict[str, TypeAdapter[Any]] = {family: TypeAdapter(kind) for family, kind in PART_FAMILIES.items()}


class StatisticsStore:
    """The statistics of one pipeline, as stored and as this process reads them. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys, records: Records) -> None:
        self._redis = redis
        self._keys = keys
        self._records = records
        self._scripts = Scripts(redis)
        self._lock = threading.Lock()
        self._copy: Statistics | None = None
        #: What this process stored last; it goes on from there, unless another process has stored since.
        self._storing = threading.Lock()
        self._stored: Statistics | None = None
        self._loaded = 0.0

    def load(self) -> Statistics:
        """What is stored. Raises RedisError if the store cannot be reached."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.statistics))
        cursor = rows.pop(CURSOR.encode(), b"0-0").decode()
        return Statistics({key.decode(): load_part(key.decode(), text) for key, text in rows.items()}, cursor)

    def current(self) -> Statistics:
        """The statistics up to the last fact. They stay as they are, and are to be read only. Raises RedisError."""
        with self._lock:
            if self._copy is None or time.monotonic() - self._loaded > RELOAD:
                self._copy, self._loaded = self.load(), time.monotonic()
            carried_on = self._copy.fork()
            if self._fold(carried_on):
                self._copy = carried_on
            return self._copy

    def advance(self, also: Callable[[Statistics], None] | None = None) -> int:
        """Store what the facts since the last time have changed, and what `also` changes; returns how many they were.

        If another process has stored newer ones meanwhile, nothing is stored: its work is as good. Raises RedisError,
        or OtherSchema if the state is of another version.
        """
        with self._storing:
            statistics, self._stored = self._stored or self.load(), None
            before = statistics.cursor
            count = self._fold(statistics)
            if also is not None:
                also(statistics)
            if self._store(before, statistics):
                self._stored = statistics
            return count

    def _store(self, before: str, statistics: Statistics) -> bool:
        """Store what has changed since the cursor `before`; False if somebody else came first."""
        changes = statistics.take_changes()
        if not changes and statistics.cursor == before:
            return True
        rows = [[key, "" if part is None else dump_part(key, part)] for key, part in changes.items()]
        args = [before, statistics.cursor, json.dumps(rows)]
        return bool(self._scripts.run("statistics", [self._keys.statistics], args, fence=self._keys))

    def _fold(self, statistics: Statistics) -> int:
        count = 0
        while count < MOST:
            rows = self._records.facts_after(statistics.cursor, PAGE)
            for identity, recorded in rows:
                fold(statistics, recorded.at, recorded.fact)
                statistics.cursor = identity
            count += len(rows)
            if len(rows) < PAGE:
                break
        return count


def dump_part(key: str, part: Part) -> str:
    """A part as JSON."""
    return _ADAPTERS[key.partition("/")[0]].dump_json(part, exclude_defaults=True).decode()


def load_part(key: str, text: bytes | str) -> Part:
    """The part kept under `key`. Raises pydantic.ValidationError if it is not of our making."""
    part: Part = _ADAPTERS[key.partition("/")[0]].validate_json(text)
    return part
