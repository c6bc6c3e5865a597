"""The locks of a pipeline's last day, and the decisions around a moment, for the page of the past.

Moments are in milliseconds since the epoch; the id of a fact begins with the moment of its commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.model.facts import FactKind
from bot.core.model.stage_state import Lock
from bot.store.codec import RecordedFact
from bot.store.records import Records

#: The most locks and unlocks that are marked for one pipeline; the latest ones are kept.
MOST = 400
_KINDS = (FactKind.STAGE_LOCKED, FactKind.STAGE_UNLOCKED)


@dataclass(frozen=True, slots=True)
class LockFact:
    """The locking or unlocking of a stage."""

    at: int
    stage: str
    lock: str
    locked: bool


@dataclass(frozen=True, slots=True)
class LockTime:
    """The time that a lock stood, within the viewed period."""

    stage: str
    begin: int
    end: int


class LockFacts:
    """The locks of the last day, updated from the log; nothing is read twice. Safe between threads."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._marks: deque[LockFact] = deque(maxlen=MOST)
        self._after = ""

    def since(self, begin: int) -> list[LockFact]:
        """Return the marks from a moment on, oldest first.

        A moment before that of an earlier call gets the marks of that call.
        """
        with self._lock:
            after = self._after or f"{max(begin - 1, 0)}-0"
            for last, facts in self._records.facts_forward(_KINDS, after):
                self._after = last
                self._marks.extend(_mark(*each) for each in facts)
            while self._marks and self._marks[0].at < begin:
                self._marks.popleft()
            return list(self._marks)


def _mark(identity: str, recorded: RecordedFact) -> LockFact:
    fact = recorded.fact
    stage = fact.step.stage if fact.step is not None else ""
    return LockFact(moment_of(identity), stage, fact.lock or stage, fact.kind is FactKind.STAGE_LOCKED)


def spans(marks: Iterable[LockFact], standing: Iterable[Lock], begin: int, end: int) -> list[LockTime]:
    """Return how long each lock stood between two moments. `standing`: the locks that stand now."""
    found, stood = [], {lock.key: (lock.stage, begin) for lock in standing if lock.since * 1_000 < begin}
    for mark in marks:
        if mark.locked:
            stood[mark.lock] = (mark.stage, mark.at)
        else:
            _, since = stood.pop(mark.lock, (mark.stage, begin))
            found.append(LockTime(mark.stage, since, mark.at))
    return found + [LockTime(stage, since, end) for stage, since in stood.values()]


@dataclass(frozen=True, slots=True)
class FactTimes:
    """The times of the decisions at and next to a moment; None: there is no such decision."""

    present: int | None
    previous: int | None
    next: int | None


def around(records: Records, moment: int) -> FactTimes:
    """Return the times of the decision that led to the board of a moment, and of those before and after it."""
    present = _at(records.facts(f"{moment + 1}-0", 1).facts)
    previous = None if present is None else _at(records.facts(f"{present}-0", 1).facts)
    return FactTimes(present, previous, _at(records.facts_after(f"{moment}-{2**64 - 1}", 1)))


def _at(facts: list[tuple[str, RecordedFact]]) -> int | None:
    return next((moment_of(identity) for identity, _ in facts), None)


def moment_of(identity: str) -> int:
    """Return the time of a fact's commit, from its id."""
    return int(identity.partition("-")[0])
