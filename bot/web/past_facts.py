"""What happened in the last day of a pipeline, for whoever moves through its past: locks, and the decisions around a
moment. Moments are in milliseconds since the epoch; the id of a fact begins with the one at which it was committed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.model.facts import FactKind
from bot.core.model.stage_state import Lock
from bot.store.codec import RecordedFact
from bot.store.records import Records

#: How many locks and unlocks one pipeline is marked with at most: the latest.
MOST = 400
_KINDS = (FactKind.STAGE_LOCKED, FactKind.STAGE_UNLOCKED)


@dataclass(frozen=True, slots=True)
class LockFact:
    """A lock of a stage was put up or opened."""

    at: int
    stage: str
    lock: str
    locked: bool


@dataclass(frozen=True, slots=True)
class LockTime:
    """How long a lock stood, within what is looked at."""

    stage: str
    begin: int
    end: int


class LockFacts:
    """The locks of the last day, kept up with the log: what was read once is not read again. Safe between threads."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._marks: deque[LockFact] = deque(maxlen=MOST)
        self._after = ""

    def since(self, begin: int) -> list[LockFact]:
        """The marks from a moment on, oldest first. A moment before that of an earlier call has the marks of that."""
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
    """How long each lock stood between two moments. `standing`: the locks that stand now."""
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
    """The decisions of a moment and those next to it: when they were made; None: there are none."""

    present: int | None
    previous: int | None
    next: int | None


def around(records: Records, moment: int) -> FactTimes:
    """Of a moment: when the decision that led to its board was made, and the ones before and after it."""
    present = _at(records.facts(f"{moment + 1}-0", 1).facts)
    previous = None if present is None else _at(records.facts(f"{present}-0", 1).facts)
    return FactTimes(present, previous, _at(records.facts_after(f"{moment}-{2**64 - 1}", 1)))


def _at(facts: list[tuple[str, RecordedFact]]) -> int | None:
    return next((moment_of(identity) for identity, _ in facts), None)


def moment_of(identity: str) -> int:
    """When a fact was committed, by its id."""
    return int(identity.partition("-")[0])
