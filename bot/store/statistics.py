"""Store the statistics of one pipeline: folded from the log of facts at intervals, and up to date for every reader.

A worker stores the parts that new facts have changed (`advance`). A reader loads the stored parts and folds the facts
since then in its own memory (`current`), so that it never waits for a worker. Both read only the log, so a turn costs
nothing extra. If two processes fold the same facts, one of them stores the result.
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

#: The field with the id of the last fact that the stored parts include.
CURSOR = "cursor"
#: The most facts that are folded in one call: at the first start the log may be that long.
MOST = 20_000
#: How long a reader uses its own copy before it loads the stored parts again, in seconds.
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
        #: The statistics that this process stored last; it continues from them unless another one has stored since.
        self._storing = threading.Lock()
        self._stored: Statistics | None = None
        self._loaded = 0.0

    def load(self) -> Statistics:
        """Return the stored statistics. Raises RedisError if the store cannot be reached."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.statistics))
        cursor = rows.pop(CURSOR.encode(), b"0-0").decode()
        return Statistics({key.decode(): load_part(key.decode(), text) for key, text in rows.items()}, cursor)

    def current(self) -> Statistics:
        """Return the statistics up to the last fact. The result never changes, and callers must not change it. Raises
        RedisError."""
        with self._lock:
            if self._copy is None or time.monotonic() - self._loaded > RELOAD:
                self._copy, self._loaded = self.load(), time.monotonic()
            carried_on = self._copy.fork()
            if self._fold(carried_on):
                self._copy = carried_on
            return self._copy

    def advance(self, also: Callable[[Statistics], None] | None = None) -> int:
        """Fold the facts since the last call, apply `also`, and store the changed parts; returns the number of facts.

        Stores nothing if another process has stored newer statistics meanwhile, which are as good. Raises RedisError,
        or OtherSchema if another version wrote the state.
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
        """Store the parts that changed since the cursor `before`; False if another process has stored meanwhile."""
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
    """Convert a part to JSON."""
    return _ADAPTERS[key.partition("/")[0]].dump_json(part, exclude_defaults=True).decode()


def load_part(key: str, text: bytes | str) -> Part:
    """Return the part stored under `key`. Raises pydantic.ValidationError if the text is not a valid part."""
    part: Part = _ADAPTERS[key.partition("/")[0]].validate_json(text)
    return part
