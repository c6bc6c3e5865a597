"""What one process knows of the finished runs, so that a search looks through memory and not through the store.

The history is bounded (`Store.ended_kept`), so this is too: some 600 bytes a run. It is read once, in pieces; after
that each look asks the store only for what has ended since.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from bot.core.rules.decision import Ended
from bot.store.codec import load_ended
from bot.store.keys import Keys

#: How many finished runs are read at once.
PIECE = 500


@dataclass(frozen=True, slots=True)
class EndedRow:
    """What a finished run is found by; `created` and `at` (when it ended) in seconds since the epoch."""

    run: str
    service: str
    sha: str
    title: str
    author: str
    pulls: tuple[int, ...]
    lane: str
    stage: str
    end: str
    created: float
    at: float
    #: The run that replaced it.
    by: str | None


class EndedRunIndex:
    """The finished runs of one pipeline, the last to end first. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._lock = threading.Lock()
        self._rows: tuple[EndedRow, ...] = ()

    def rows(self) -> Sequence[EndedRow]:
        """All that are kept. Raises RedisError."""
        with self._lock:
            total = int(self._redis.zcard(self._keys.ended_order))
            rows = self._with_new(self._rows, total)
            if len(rows) != total:  # two ended in one moment, or the store went back to an older state
                rows = tuple(self._read(total))
            self._rows = rows
            return rows

    def _with_new(self, known: tuple[EndedRow, ...], total: int) -> tuple[EndedRow, ...]:
        """What is known, with what has ended since before it, and without what the history has forgotten since."""
        if not known:
            return ()
        new: list[EndedRow] = []
        for row in self._read(total):
            if row == known[0]:
                return (*new, *known)[:total]
            new.append(row)
        return tuple(new)

    def _read(self, total: int) -> Iterator[EndedRow]:
        """From the store, the last to end first; a small piece at first, for mostly little is new."""
        start, size = 0, 20
        while start < total:
            keys: Any = self._redis.zrevrange(self._keys.ended_order, start, start + size - 1)
            if not keys:
                return
            found: Any = self._redis.hmget(self._keys.ended, keys)
            yield from (_row(load_ended(text)) for text in found if text is not None)
            start, size = start + size, PIECE


def _row(ended: Ended) -> EndedRow:
    run = ended.run
    return EndedRow(
        run.key,
        run.service,
        run.sha,
        run.merge.title,
        run.merge.author,
        run.merge.pulls or ((run.merge.pull,) if run.merge.pull is not None else ()),
        str(run.lane),
        run.step.stage,
        str(ended.ending.end),
        run.created,
        ended.at,
        ended.ending.by,
    )
