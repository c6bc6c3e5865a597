"""The parts of the statistics: small values, each stored under its own key. Times and durations are in seconds.

Every list is bounded: new entries replace the oldest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

#: The most durations of one step and service: those of the last builds.
DURATIONS_KEPT = 30
#: The most past locks of a stage.
LOCKS_KEPT = 50
#: The most ended runs, with their waiting.
RUNS_KEPT = 2_000
#: The most runs that are stored with a lock for which they waited.
HELD_KEPT = 500
#: The most lead times of one service in a week, and the most times to restore.
WEEK_KEPT = 100
#: The most failures of one test, and the most locks that it caused.
FAILURES_KEPT = 50
#: The number of failures from which on a test may count as flaky.
FLAKY_FROM = 3
#: The most lead times of the runs under one configuration, and the most configurations.
PERIOD_KEPT, PERIODS_KEPT = 500, 6
#: The most errors of estimates of each kind.
ERRORS_KEPT = 300


class Cause(StrEnum):
    """The cause of waiting. `docs/statistics.md` says how the causes are distinguished."""

    CAPACITY = "capacity"  # for a slot, or for its place in the queue
    LOCK = "lock"  # for a locked stage to open
    FREEZE = "freeze"  # for a freeze window to end
    JENKINS = "jenkins"  # for Jenkins to start its build, or to accept builds again
    PERSON = "person"  # for a person: in a paused pipeline, or a failed run for a fix, a retry or an unlock
    PROOF = "proof"  # for GitHub to answer which commit contains which


class Foretold(StrEnum):
    """The kinds of estimates."""

    ENTERS = "enters"  # when a waiting run enters its step
    PASSES = "passes"  # when a run passes its step
    OPENS = "opens"  # when the lock of a stage opens


def keep(values: list[float], value: float, most: int) -> None:
    """Add a value, and delete the oldest if there are more than `most`."""
    values.append(value)
    if len(values) > most:
        del values[: len(values) - most]


@dataclass(slots=True)
class SaidEstimate:
    """An estimate, made at `at`, that will be compared with the time of the event."""

    at: float
    middle: float
    low: float
    high: float


@dataclass(slots=True)
class MeasuredRun:
    """A measured run, on its way or ended: since when it waits or is built, and its waiting so far by cause."""

    service: str
    began: float
    fast: bool = False
    #: The step for which it waits or in which it is.
    step: str = ""
    #: Since when it is in this state; at most one of them is set.
    queued: float | None = None
    admitted: float | None = None
    started: float | None = None
    failed: float | None = None
    #: The sums of the clock of its step, and of the proof clock of its service, when it was queued.
    locked_before: float = 0.0
    backoff_before: float = 0.0
    paused_before: float = 0.0
    proof_before: float = 0.0
    frozen_before: float = 0.0
    frozen_alone_before: float = 0.0
    #: Whether it has an exception from the freezes of its step (W2): it does not wait for them.
    excepted: bool = False
    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0
    #: The tests that failed in the last build of the present step.
    failed_tests: list[str] = field(default_factory=list)
    said: dict[Foretold, SaidEstimate] = field(default_factory=dict)
    #: When it ended; 0 while it is on its way.
    ended: float = 0.0


@dataclass(slots=True)
class StandingLock:
    """A lock that has not opened: its holder (None: a person), and `StepClock.share_sum` at its beginning."""

    holder: str | None
    service: str | None
    since: float
    share_before: float
    said: SaidEstimate | None = None
    #: Its key on the board; empty if an older version locked the stage.
    key: str = ""
    #: The runs that have waited for its stage because of it, each with when that began.
    held: dict[str, float] = field(default_factory=dict)
    #: Whether it is the lock of a freeze.
    freeze: bool = False
    #: The tests whose failure caused it.
    tests: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StepClock:
    """The clock of a step: how long it has been closed, by cause. The sums only grow, and their difference over a wait
    says how much of it each cause made up.

    One cause counts at a time: first a paused pipeline, then a Jenkins that refuses builds, then a lock.
    """

    at: float
    #: The number of runs of the main lane that wait for the step.
    waiting: int = 0
    paused: bool = False
    backoff: bool = False
    locks: list[StandingLock] = field(default_factory=list)
    paused_sum: float = 0.0
    backoff_sum: float = 0.0
    locked_sum: float = 0.0
    #: The part of `locked_sum` during which a freeze closed the stage, and during which only freezes did.
    frozen_sum: float = 0.0
    frozen_alone_sum: float = 0.0
    #: The number of waiting runs times seconds while the stage was locked; and the same divided by the number of locks.
    cost_sum: float = 0.0
    share_sum: float = 0.0


@dataclass(slots=True)
class ProofClock:
    """The proof clock of a service: how long questions to GitHub about its commits were open, and since when now."""

    asked: int = 0
    since: float = 0.0
    sum: float = 0.0


@dataclass(slots=True)
class StepDurations:
    """The durations of the last builds of a service in a step, and how long Jenkins took to start them."""

    passed: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


@dataclass(slots=True)
class StepOutcomes:
    """The number of passed and failed builds of a step, of all services, since the statistics began."""

    passed: int = 0
    failed: int = 0


@dataclass(slots=True)
class PastLock:
    """An automatic lock that has opened: its service, when it opened, how long it lasted, its cost in run-seconds."""

    service: str
    opened: float
    seconds: float
    cost: float


@dataclass(slots=True)
class PastLocks:
    """The last automatic locks of one stage, oldest first."""

    locks: list[PastLock] = field(default_factory=list)


@dataclass(slots=True)
class LockAccount:
    """The account of a lock that has opened, for its lock report: since when it existed, its cost in run-seconds, and
    the runs that waited for it.

    Kept until the report is stored.
    """

    stage: str
    since: float
    opened: float
    cost: float
    held: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class ServiceWeek:
    """One week of one service: the runs, builds and locks that ended in it. Manual locks belong to the service `""`."""

    ends: dict[str, int] = field(default_factory=dict)
    #: The number of builds that passed, and that failed, by stage.
    passed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0
    #: The lead times of the last delivered runs: from the merge to the end of the last stage.
    leads: list[float] = field(default_factory=list)
    #: How long the last automatic locks lasted.
    restores: list[float] = field(default_factory=list)
    #: How long the locks that opened in the week lasted, and their cost in run-seconds, by stage.
    locked: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    #: The number of locks that opened, by stage; and of the runs that waited for them, counted once for each lock.
    locks: dict[str, int] = field(default_factory=dict)
    held: int = 0
    #: The number of builds that were running when their run was removed or cancelled.
    aborted: int = 0


@dataclass(slots=True)
class StepWeek:
    """One week of one step, of all services: the waiting for it and the builds in it that ended in the week."""

    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0


@dataclass(slots=True)
class ConfigurationPeriod:
    """A period under one configuration, from one change to the next: the runs and locks that began and ended in it.

    `since`: when it was put in force; `by`: the person who did; `changes`: key, value before, value after. The first
    period has no change: it begins with the statistics.
    """

    since: float
    by: str = ""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    #: When the next change was put in force; 0: this configuration is still in force.
    until: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    #: The lead times of the last delivered runs: from the merge to the end of the last stage.
    leads: list[float] = field(default_factory=list)
    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0
    aborted: int = 0
    #: The number of locks that opened, how long they lasted, and their cost in run-seconds.
    locks: int = 0
    locked: float = 0.0
    cost: float = 0.0
    #: The number of runs that had begun under the former configuration: they count on neither side.
    straddling: int = 0


@dataclass(slots=True)
class FailingTest:
    """The times when a test failed, and when the same commit passed on a retry after it had failed."""

    failed: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    #: The opened locks that its failure caused, alone or with other tests.
    locks: list[PastLock] = field(default_factory=list)

    def since(self, at: float, until: float = inf) -> FailingTest:
        """Return the part after `at` and up to `until`."""
        return FailingTest(
            [each for each in self.failed if at < each <= until],
            [each for each in self.passed if at < each <= until],
            [lock for lock in self.locks if at < lock.opened <= until],
        )

    @property
    def flaky(self) -> bool:
        """Whether it is flaky: it failed several times, and half the time the same commit passed on a retry."""
        return len(self.failed) >= FLAKY_FROM and len(self.passed) * 2 >= len(self.failed)


@dataclass(slots=True)
class EstimateErrors:
    """The errors of the estimates of one kind, and whether the real time was in the range of each (1 or 0)."""

    errors: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    #: How long before the event each estimate was made.
    ahead: list[float] = field(default_factory=list)


@dataclass(slots=True)
class StatisticsTotals:
    """Sums since the statistics began, from which programs compute rates. Keys: `step cause`, `stage service`."""

    paused: bool = False
    waits: dict[str, float] = field(default_factory=dict)
    locked: dict[str, float] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    #: The key of the present `ConfigurationPeriod`; empty: none has begun.
    period: str = ""


Part = (
    MeasuredRun
    | StepClock
    | ProofClock
    | StepDurations
    | StepOutcomes
    | PastLocks
    | LockAccount
    | ServiceWeek
    | StepWeek
    | ConfigurationPeriod
    | FailingTest
    | EstimateErrors
    | StatisticsTotals
)

#: The beginning of the key of each kind of part.
PART_FAMILIES: dict[str, type] = {
    "run": MeasuredRun,
    "clock": StepClock,
    "proof": ProofClock,
    "durations": StepDurations,
    "outcomes": StepOutcomes,
    "locks": PastLocks,
    "account": LockAccount,
    "week": ServiceWeek,
    "step": StepWeek,
    "period": ConfigurationPeriod,
    "test": FailingTest,
    "errors": EstimateErrors,
    "totals": StatisticsTotals,
}
