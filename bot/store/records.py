"""Read what is stored beside the board: the fact log, the history of ended runs, a loss of state, and repairs.

Only the repairs are also written here; commits write the others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from bot.core.model.board_records import Header
from bot.core.model.facts import FactKind
from bot.core.model.run import verified_pull
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Ended
from bot.core.rules.state_lost import Loss, found_in_banners, lock_key
from bot.store.codec import RecordedFact, load_ended, load_record, load_recorded_fact
from bot.store.keys import Keys
from bot.store.store import HEADER, STORY_KEPT

#: The most entries on one page.
PAGE = 200
#: The number of facts that `facts_back` and `facts_forward` read at a time.
BACK = 1_000
#: The words for each kind of repair: singular and plural.
WORDS = {
    "push": ("push to main", "pushes to main"),
    "rewound": ("force-push to main", "force-pushes to main"),
    "build": ("change of a build", "changes of builds"),
}
_LAST = " last"


@dataclass(frozen=True, slots=True)
class FactPage:
    """Facts with their ids, newest first. Pass `next` as `before` to get the next page; it is None at the end."""

    facts: list[tuple[str, RecordedFact]]
    next: str | None


class Records:
    """The fact log and the history of one pipeline."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        #: The index of the ended runs in this process' memory, for searches.
        self.index = EndedRunIndex(redis, keys)

    def facts(self, before: str | None = None, limit: int = 50) -> FactPage:
        """Return a page of the log, newest first; `before` is the `next` of the page before it."""
        limit = max(1, min(limit, PAGE))
        end = f"({before}" if before else "+"
        facts = _facts(self._redis.xrevrange(self._keys.facts, max=end, min="-", count=limit))
        return FactPage(facts, facts[-1][0] if len(facts) == limit else None)

    def facts_after(self, after: str, limit: int = PAGE) -> list[tuple[str, RecordedFact]]:
        """Return the facts after the one with id `after` (`0-0`: from the oldest on), oldest first."""
        return _facts(self._redis.xrange(self._keys.facts, min=f"({after}", max="+", count=limit))

    def facts_from(self, at: float) -> Iterator[RecordedFact]:
        """Yield the facts that were decided from a moment on (epoch seconds), oldest first; reads them by pages."""
        after = f"{max(0, int(at * 1000) - 1)}-0"
        while rows := self.facts_after(after, PAGE):
            after = rows[-1][0]
            yield from (recorded for _, recorded in rows if recorded.at >= at)

    def facts_back(
        self, kinds: Collection[FactKind], stages: Collection[str], page: int = BACK
    ) -> Iterator[tuple[float, list[RecordedFact]]]:
        """Yield, page by page and newest first, when the oldest fact of the page was decided, and its matching facts.

        A fact matches if it has one of these kinds and is about one of these stages. Only facts whose text contains
        both are decoded.
        """
        texts = [f'"kind":"{kind}"'.encode() for kind in kinds], [f'"stage":{json.dumps(s)}'.encode() for s in stages]
        end = "+"
        while rows := cast("list[Any]", self._redis.xrevrange(self._keys.facts, max=end, min="-", count=page)):
            raw = [fields[b"f"] for _, fields in rows]
            likely = [text for text in raw if all(any(part in text for part in parts) for parts in texts)]
            found = [recorded for recorded in map(load_recorded_fact, likely) if recorded.fact.kind in kinds]
            about = [each for each in found if each.fact.step is not None and each.fact.step.stage in stages]
            yield load_recorded_fact(raw[-1]).at, about
            end = f"({rows[-1][0].decode()}"

    def facts_forward(
        self, kinds: Collection[FactKind], after: str, page: int = BACK
    ) -> Iterator[tuple[str, list[tuple[str, RecordedFact]]]]:
        """Yield, page by page and oldest first, the last id of the page and its facts of these kinds; begins after the
        fact with id `after`."""
        texts = [f'"kind":"{kind}"'.encode() for kind in kinds]
        while rows := cast("list[Any]", self._redis.xrange(self._keys.facts, min=f"({after}", max="+", count=page)):
            likely = [(identity, fields) for identity, fields in rows if any(part in fields[b"f"] for part in texts)]
            after = rows[-1][0].decode()
            yield after, [each for each in _facts(likely) if each[1].fact.kind in kinds]

    def has_fact(self, identity: str) -> bool:
        """Return whether the fact with this id is still kept."""
        return bool(self._redis.xrange(self._keys.facts, min=identity, max=identity, count=1))

    def await_fact(self, after: str, milliseconds: int) -> None:
        """Wait until there is a fact after the one with id `after`, but at most this many milliseconds."""
        self._redis.xread({self._keys.facts: after}, count=1, block=milliseconds)

    def facts_of(self, run: str) -> list[tuple[str, RecordedFact]]:
        """Return the facts of a run or a verification from the last `STORY_KEPT` turns about it, oldest first.

        They are kept as long as the run itself; those of verifications for the last `VERIFIED_KEPT` of these.
        """
        stories = self._keys.stories
        number = int(cast("bytes | None", self._redis.hget(stories, run)) or 0)
        fields = [f"{run}#{n}" for n in range(max(1, number - STORY_KEPT + 1), number + 1)]
        rows = cast("list[bytes | None]", self._redis.hmget(stories, fields)) if fields else []
        lines = [line for row in rows if row is not None for line in row.split(b"\n")]
        return [(lines[n].decode(), load_recorded_fact(lines[n + 1])) for n in range(0, len(lines), 2)]

    def verified(self, service: str | None, pull: int) -> list[str]:
        """Return the verifications of a pull request whose facts are kept, latest first. `service` None: of any."""
        keys = cast("list[bytes]", self._redis.zrevrange(self._keys.verified, 0, -1))
        named = ((key.decode(), verified_pull(key.decode())) for key in keys)
        return [key for key, of in named if of is not None and of[1] == pull and service in (None, of[0])]

    def ended(self, offset: int = 0, limit: int = 50) -> tuple[list[Ended], int]:
        """Return a page of ended runs, the last to end first, and how many are kept in all."""
        limit = max(1, min(limit, PAGE))
        total = int(self._redis.zcard(self._keys.ended_order))
        keys: Any = self._redis.zrevrange(self._keys.ended_order, offset, offset + limit - 1)
        rows = self._redis.hmget(self._keys.ended, keys) if keys else []
        return [load_ended(row) for row in rows if row is not None], total

    def ended_by(self, at: float, live: Container[str], limit: int) -> tuple[list[Ended], int]:
        """Return the runs that had ended by a moment (seconds since the epoch), the last first, and how many are kept.

        `live`: the runs that were on the board at that moment. They are left out although their stored end may be
        earlier: it is the time of the delivery that led to it, which may have waited to be decided.
        """
        order, most = self._keys.ended_order, limit + PAGE
        keys = cast("list[bytes]", self._redis.zrevrangebyscore(order, at, "-inf", start=0, num=most))
        gone = [key.decode() for key in keys if key.decode() not in live]
        total = int(self._redis.zcount(order, "-inf", at)) - (len(keys) - len(gone))
        return list(self.ended_runs(gone[:limit]).values()) if gone else [], total

    def ended_runs(self, keys: Sequence[str]) -> dict[str, Ended]:
        """Return those of these runs that have ended and are still kept, by key."""
        rows = cast("list[bytes | None]", self._redis.hmget(self._keys.ended, list(keys))) if keys else []
        return {key: load_ended(row) for key, row in zip(keys, rows, strict=True) if row is not None}

    def ended_run(self, run: str) -> Ended | None:
        """Return an ended run, or None if it is unknown or no longer kept."""
        row = self._redis.hget(self._keys.ended, run)
        return None if row is None else load_ended(row)


def _facts(rows: Any) -> list[tuple[str, RecordedFact]]:
    return [(identity.decode(), load_recorded_fact(fields[b"f"])) for identity, fields in rows]


def stored_loss(redis: Redis, keys: Keys) -> Loss | None:
    """Return the loss of state of which a lock is still there; None if there was none or people have opened all its
    locks. Raises RedisError."""
    text = cast("bytes | None", redis.hget(keys.board, HEADER))
    if text is None or b'"lost":' not in text:
        return None
    header = cast(Header, load_record(HEADER, text))
    stages = [stage.name for stage in header.pipeline.stages]
    there = redis.hmget(keys.board, [f"lock/{lock_key(stage)}" for stage in stages])
    locked = tuple(stage for stage, lock in zip(stages, there, strict=True) if lock is not None)
    if header.lost is None or not locked:
        return None
    rows = redis.hscan_iter(keys.board, match="lock/*", count=1_000)
    locks = (cast(Lock, load_record(field.decode(), text)) for field, text in rows)
    return Loss(header.lost, header.lost_why, locked, found_in_banners(locks))


@dataclass(frozen=True, slots=True)
class Repair:
    """The repairs of one kind: how many in all, and when the last one was (seconds since the epoch)."""

    kind: str
    count: int
    last: float | None

    @property
    def words(self) -> str:
        """Count and kind in words, such as `3 pushes to main`."""
        one, several = WORDS.get(self.kind, (self.kind, self.kind))
        return f"{self.count} {one if self.count == 1 else several}"


class Repairs:
    """The repairs of one pipeline by kind, such as `push`: a push to main whose webhook never arrived."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def count(self, kind: str) -> None:
        """Count one more repair of this kind."""
        seconds, _ = self._redis.time()
        with self._redis.pipeline() as pipe:
            pipe.hincrby(self._keys.repairs, kind, 1)
            pipe.hset(self._keys.repairs, kind + _LAST, seconds)
            pipe.execute()

    def all(self) -> dict[str, int]:
        """Return how many repairs of each kind there were in all."""
        return {repair.kind: repair.count for repair in self.found()}

    def found(self) -> list[Repair]:
        """Return the repairs, sorted by kind."""
        rows = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.repairs))
        found = {name.decode(): int(value) for name, value in rows.items()}
        kinds = sorted(name for name in found if not name.endswith(_LAST))
        return [Repair(kind, found[kind], found.get(kind + _LAST)) for kind in kinds]

    def shapes(self) -> list[dict[str, Any]]:
        """Return the repairs as plain values, for the page, the API and the CLI."""
        return [{"kind": r.kind, "count": r.count, "last": r.last, "words": r.words} for r in self.found()]


# -- an index of the ended runs in memory, so that a search does not read the whole history ----------------------------
# The history is bounded (`Store.ended_kept`), and so is the index: about 600 bytes a run. It is read once, in pieces;
# after that each search asks the store only for the runs that have ended since.

#: The number of ended runs that are read at once.
PIECE = 500


@dataclass(frozen=True, slots=True)
class EndedRow:
    """The fields of an ended run that searches use; `created` and `at` (when it ended) in seconds since the epoch."""

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
    #: The run that superseded it, if any.
    by: str | None


class EndedRunIndex:
    """The ended runs of one pipeline, the last to end first. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._lock = threading.Lock()
        self._rows: tuple[EndedRow, ...] = ()

    def rows(self) -> Sequence[EndedRow]:
        """Return all ended runs that are kept, after adding the new ones. Raises RedisError."""
        with self._lock:
            total = int(self._redis.zcard(self._keys.ended_order))
            rows = self._with_new(self._rows, total)
            if len(rows) != total:  # two ended at the same time, or the store went back to an older state
                rows = tuple(self._read(total))
            self._rows = rows
            return rows

    def _with_new(self, known: tuple[EndedRow, ...], total: int) -> tuple[EndedRow, ...]:
        """Return the known rows, preceded by those that have ended since, and cut to the `total` that are kept."""
        if not known:
            return ()
        new: list[EndedRow] = []
        for row in self._read(total):
            if row == known[0]:
                return (*new, *known)[:total]
            new.append(row)
        return tuple(new)

    def _read(self, total: int) -> Iterator[EndedRow]:
        """Yield rows from the store, the last to end first. The first piece is small, because usually few are new."""
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
