"""Compute the figures of a history from its facts, in the same way for a simulation and for a recording.

Times in seconds since the epoch, durations in seconds. Waiting is divided by cause as in `bot.statistics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Message, RetriedAutomatically, RunFailed, Superseded
from bot.core.model.pipeline import Outcome, Track
from bot.core.model.run import End
from bot.core.model.stage_messages import Frozen, StageLocked, StageUnlocked
from bot.core.rules.decision import END_FACTS
from bot.forecast.spread import quantile
from bot.statistics.fold import fold
from bot.statistics.parts import Cause, MeasuredRun
from bot.statistics.statistics import Statistics
from bot.statistics.waiting import settle

TimedFact = tuple[float, Fact]

#: The ending of a run, by the kind of its fact.
ENDS = {fact: end for end, fact in END_FACTS.items()}
#: The outcomes of builds that were cut off.
_CUT_OFF = (Outcome.ABORTED, Outcome.TIMEOUT)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """The figures of one run. `turn`: it is the n-th run of its commit, from 1: its identity in other histories."""

    key: str
    service: str
    sha: str
    turn: int
    began: float
    #: How it ended, and when; None: it was still on its way.
    end: End | None
    ended: float | None
    #: When its commit was in production, by this run or the one that superseded it; None: not, or not known.
    delivered: float | None
    waits: Mapping[Cause, float]
    built: float

    @property
    def lead(self) -> float | None:
        """The lead time: from the merge until the commit was in production, in seconds."""
        return None if self.delivered is None else self.delivered - self.began


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a history: of the runs that began, and of the events, from `since` to `until`."""

    since: float
    until: float
    runs: tuple[RunFigures, ...]
    #: The number of builds that started, by step, such as `acceptance` or `fast acceptance`.
    builds: Mapping[str, int]
    #: The number of builds that were cut off, or were running when their run ended.
    aborted: int
    #: How long each stage was closed by a lock of a failure or a person, and by a freeze.
    locked: Mapping[str, float]
    frozen: Mapping[str, float]

    def ended(self, end: End | None) -> int:
        """Return how many runs ended in this way; None: how many were still on their way."""
        return sum(run.end is end for run in self.runs)

    def lead(self, share: float) -> float | None:
        """Return the lead time that `share` of the delivered commits did not exceed; None if none was delivered."""
        leads = sorted(run.lead for run in self.runs if run.lead is not None)
        return quantile(leads, share) if leads else None

    def waited(self, cause: Cause) -> float:
        """Return how long all runs together waited because of this cause."""
        return sum(run.waits.get(cause, 0.0) for run in self.runs)


def figures(
    facts: Iterable[TimedFact], until: float, since: float = 0.0, older: Collection[str] = frozenset()
) -> Figures:
    """Compute the figures of a history; the facts must be in the order in which they were decided.

    Facts before `since` are read but not counted, nor are the runs that began then. Runs with the keys `older`, which
    had begun before the first fact, are not counted either.
    """
    tally = _Tally(since, older)
    for at, fact in facts:
        if at > until:
            break
        tally.add(at, fact)
    return tally.figures(until)


def failed_build(why: Message) -> RunFailed | None:
    """Return the failure in the message of a build's fact, or None if it did not fail."""
    if isinstance(why, RetriedAutomatically):
        return failed_build(why.failed)
    return why if isinstance(why, RunFailed) else None


@dataclass(slots=True)
class _SeenRun:
    """The state of a run so far; `carried_by`: the key of the run that superseded it."""

    sha: str
    turn: int
    building: bool = False
    end: End | None = None
    ended: float | None = None
    carried_by: str = ""


@dataclass(slots=True)
class _Closed:
    """The locks of a closed stage by key, and since when it is closed without a break."""

    keys: set[str] = field(default_factory=set)
    since: float = 0.0


class _Tally:
    """The counter of facts, which takes one after the other."""

    def __init__(self, since: float, older: Collection[str]) -> None:
        self._since = since
        self._older = frozenset(older)
        self._statistics = Statistics()
        self._runs: dict[str, _SeenRun] = {}
        self._turns: Counter[tuple[str, str]] = Counter()
        self._builds: Counter[str] = Counter()
        self._aborted = 0
        self._closed: dict[tuple[str, bool], _Closed] = {}
        self._sums: dict[tuple[str, bool], float] = {}

    def add(self, at: float, fact: Fact) -> None:
        """Count one more fact."""
        if fact.step is not None and fact.step.track is Track.VERIFY:
            return
        fold(self._statistics, at, fact)
        if fact.kind is FactKind.STAGE_LOCKED:
            self._lock(at, fact)
        elif fact.kind is FactKind.STAGE_UNLOCKED:
            self._unlock(at, fact)
        elif (run := self._run(fact)) is not None:
            self._count(at, fact, run)

    def _run(self, fact: Fact) -> _SeenRun | None:
        """Return the run of a fact, or None if it has ended or is unknown; a new run begins when it is queued."""
        if fact.run is None or fact.service is None or fact.sha is None:
            return None
        run = self._runs.get(fact.run)
        if fact.kind is FactKind.RUN_QUEUED and (run is None or run.end is not None):
            self._turns[fact.service, fact.sha] += 1
            run = self._runs[fact.run] = _SeenRun(fact.sha, self._turns[fact.service, fact.sha])
        return run if run is None or run.end is None else None

    def _count(self, at: float, fact: Fact, run: _SeenRun) -> None:
        counts = at >= self._since
        if fact.kind is FactKind.BUILD_STARTED:
            self._builds[str(fact.step)] += counts
            run.building = True
        elif fact.kind in (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED):
            why = failed_build(fact.why)
            self._aborted += counts and why is not None and why.outcome in _CUT_OFF
            self._builds[str(fact.step)] += counts and not run.building  # its start was not seen
            run.building = False
        elif fact.kind in ENDS:
            self._aborted += counts and run.building
            run.building, run.end, run.ended = False, ENDS[fact.kind], at
            run.carried_by = fact.why.by if isinstance(fact.why, Superseded) else ""

    # -- locks -------------------------------------------------------------------------------------------------------

    def _lock(self, at: float, fact: Fact) -> None:
        if fact.step is None:
            return
        freeze = isinstance(fact.why, StageLocked) and isinstance(fact.why.reason, Frozen)
        closed = self._closed.setdefault((fact.step.stage, freeze), _Closed())
        if not closed.keys:
            closed.since = at
        closed.keys.add(_lock_key(fact))

    def _unlock(self, at: float, fact: Fact) -> None:
        if fact.step is None:
            return
        everything = isinstance(fact.why, StageUnlocked) and fact.why.left == 0
        for freeze in (False, True):
            name = (fact.step.stage, freeze)
            closed = self._closed.get(name)
            if closed is None or not closed.keys:
                continue
            closed.keys.discard(_lock_key(fact))
            if everything:
                closed.keys.clear()
            if not closed.keys:
                self._sums[name] = self._sums.get(name, 0.0) + self._counted(closed, at)

    def _counted(self, closed: _Closed, until: float) -> float:
        return max(0.0, until - max(closed.since, self._since))

    # -- at the end --------------------------------------------------------------------------------------------------

    def figures(self, until: float) -> Figures:
        """Return the figures of all facts so far."""
        for name, closed in self._closed.items():
            if closed.keys:
                self._sums[name] = self._sums.get(name, 0.0) + self._counted(closed, until)
        return Figures(
            self._since,
            until,
            tuple(self._run_figures(until)),
            dict(self._builds),
            self._aborted,
            {stage: seconds for (stage, freeze), seconds in sorted(self._sums.items()) if not freeze},
            {stage: seconds for (stage, freeze), seconds in sorted(self._sums.items()) if freeze},
        )

    def _run_figures(self, until: float) -> Iterable[RunFigures]:
        for key, seen in self._runs.items():
            run = self._statistics.run(key)
            if run is None or run.began < self._since or key in self._older:
                continue
            if seen.end is None:
                run = self._up_to_now(key, run, until)
            yield RunFigures(
                key, run.service, seen.sha, seen.turn, run.began, seen.end, seen.ended,
                self._delivered(key), dict(run.waits), run.built,
            )  # fmt: skip

    def _up_to_now(self, key: str, run: MeasuredRun, until: float) -> MeasuredRun:
        """Return a run on its way with its present waiting added."""
        found = self._statistics.change(f"run/{key}", run)
        settle(self._statistics, until, found)
        return found

    def _delivered(self, key: str) -> float | None:
        """Return when the commit of a run was in production, by the run itself or by one that superseded it."""
        passed: set[str] = set()
        while key in self._runs and key not in passed:
            passed.add(key)
            run = self._runs[key]
            if run.end is End.DELIVERED:
                return run.ended
            key = run.carried_by
        return None


def _lock_key(fact: Fact) -> str:
    """Return the key of a lock; facts of older versions have only its holder."""
    return fact.lock or fact.run or ""
