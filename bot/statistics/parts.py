"""The parts of the statistics: small values, each stored by itself under its key. Times and durations in seconds.

Every list is bounded: old entries go when new ones come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

#: How many durations of one step and service are kept, of the last builds.
DURATIONS_KEPT = 30
#: How many of the last locks of a stage are kept.
LOCKS_KEPT = 50
#: How many runs that have ended are kept, with what they waited for.
RUNS_KEPT = 2_000
#: How many runs that waited for a lock are remembered with it.
HELD_KEPT = 500
#: How many lead times of one service are kept for each week, and times to restore.
WEEK_KEPT = 100
#: How many failures of one test are kept, and locks that it caused.
FAILURES_KEPT = 50
#: So often a test must have failed before it may be called flaky.
FLAKY_FROM = 3
#: How many lead times are kept of the runs under one configuration, and of how many configurations.
PERIOD_KEPT, PERIODS_KEPT = 500, 6
#: How many estimates of each kind are compared with what happened.
ERRORS_KEPT = 300


class Cause(StrEnum):
    """What a run waited for. `docs/statistics.md` says how each is told from the others."""

    CAPACITY = "capacity"  # a slot, or its turn
    LOCK = "lock"  # a locked stage to open
    FREEZE = "freeze"  # a freeze window to end
    JENKINS = "jenkins"  # Jenkins to start its build, or to take builds again
    PERSON = "person"  # a paused pipeline; a failed run: a fix, a retry or an unlock
    PROOF = "proof"  # GitHub to say which commit contains which


class Foretold(StrEnum):
    """What is estimated."""

    ENTERS = "enters"  # when a waiting run enters its step
    PASSES = "passes"  # when a run passes its step
    OPENS = "opens"  # when the lock of a stage opens


def keep(values: list[float], value: float, most: int) -> None:
    """Add a value; the oldest goes where there are more than `most`."""
    values.append(value)
    if len(values) > most:
        del values[: len(values) - most]


@dataclass(slots=True)
class SaidEstimate:
    """An estimate that will be compared with what happens; said at `at`."""

    at: float
    middle: float
    low: float
    high: float


@dataclass(slots=True)
class MeasuredRun:
    """A run, on its way or ended: since when it waits or is built, and what it has waited for so far."""

    service: str
    began: float
    fast: bool = False
    #: The step that it waits for or is in.
    step: str = ""
    #: Since when: at most one of them is set.
    queued: float | None = None
    admitted: float | None = None
    started: float | None = None
    failed: float | None = None
    #: What the clock of its step, and the proofs of its service, showed when it was queued.
    locked_before: float = 0.0
    backoff_before: float = 0.0
    paused_before: float = 0.0
    proof_before: float = 0.0
    frozen_before: float = 0.0
    frozen_alone_before: float = 0.0
    #: The freezes of its step except it (W2): it does not wait for them.
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
    """A lock that stands: its holder (None: a person), and what its share of the cost of its stage was at its start."""

    holder: str | None
    service: str | None
    since: float
    share_before: float
    said: SaidEstimate | None = None
    #: Its key on the board; empty where an older version locked the stage.
    key: str = ""
    #: The runs that have waited for its stage while it stood, each with when that began.
    held: dict[str, float] = field(default_factory=dict)
    #: Whether it is that of a freeze.
    freeze: bool = False
    #: The tests whose failure caused it.
    tests: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StepClock:
    """How long a step has been closed, and by what: sums that only grow, so that differences say how long of a wait.

    One cause counts at a time: a paused pipeline before a Jenkins that takes no build before a lock.
    """

    at: float
    #: How many runs of the main lane wait for the step.
    waiting: int = 0
    paused: bool = False
    backoff: bool = False
    locks: list[StandingLock] = field(default_factory=list)
    paused_sum: float = 0.0
    backoff_sum: float = 0.0
    locked_sum: float = 0.0
    #: Of that, while a freeze closed the stage, and while nothing else did.
    frozen_sum: float = 0.0
    frozen_alone_sum: float = 0.0
    #: Runs that waited, times seconds, while the stage was locked; and the same divided by the locks that stood.
    cost_sum: float = 0.0
    share_sum: float = 0.0


@dataclass(slots=True)
class ProofClock:
    """For how long GitHub was being asked about the commits of a service: the sum, and since when it is asked now."""

    asked: int = 0
    since: float = 0.0
    sum: float = 0.0


@dataclass(slots=True)
class StepDurations:
    """How long the last builds of a service took in a step, and how long Jenkins took to start them."""

    passed: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


@dataclass(slots=True)
class StepOutcomes:
    """How the builds of a step ended, of all services, since the statistics began."""

    passed: int = 0
    failed: int = 0


@dataclass(slots=True)
class PastLock:
    """An automatic lock that has opened: whose, when, how long it stood, and its cost in run-seconds."""

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
    """What a lock of a person or of a failure came to, for its report: how long it stood, its cost in run-seconds.

    Kept until the report is stored.
    """

    stage: str
    since: float
    opened: float
    cost: float
    held: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class ServiceWeek:
    """One week of one service: what ended in it. Manual locks have no service: they are in the week of `""`."""

    ends: dict[str, int] = field(default_factory=dict)
    #: By stage: builds that passed, and that failed.
    passed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0
    #: From the merge to the last stage, of the last delivered runs.
    leads: list[float] = field(default_factory=list)
    #: How long the last automatic locks stood.
    restores: list[float] = field(default_factory=list)
    #: By stage, of the locks that opened in the week: how long they stood, and run-seconds that runs waited for them.
    locked: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    #: By stage: how many locks opened. How many runs waited for them, each counted once for each lock.
    locks: dict[str, int] = field(default_factory=dict)
    held: int = 0
    #: Builds that ran when their run was removed or cancelled, and that were not finished.
    aborted: int = 0


@dataclass(slots=True)
class StepWeek:
    """One week of one step, of all services: the waits for it and the builds in it that ended in the week."""

    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0


@dataclass(slots=True)
class ConfigurationPeriod:
    """What happened under one configuration, from its change to the next: runs and locks that began and ended in it.

    `since`: when it was put in force, by whom (`by`), and what that changed: key, value before, value after. The first
    period has no change: it begins with the statistics.
    """

    since: float
    by: str = ""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    #: When the next change was put in force; 0: it is in force.
    until: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)
    #: From the merge to the last stage, of the last delivered runs.
    leads: list[float] = field(default_factory=list)
    waits: dict[Cause, float] = field(default_factory=dict)
    built: float = 0.0
    aborted: int = 0
    #: The locks that opened; how long they stood, and their cost in run-seconds.
    locks: int = 0
    locked: float = 0.0
    cost: float = 0.0
    #: Runs that had begun under the configuration before: they count on neither side.
    straddling: int = 0


@dataclass(slots=True)
class FailingTest:
    """When a test failed, and when the same commit passed on a retry after it had failed."""

    failed: list[float] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    #: The locks that have opened of those that its failure caused, alone or with others.
    locks: list[PastLock] = field(default_factory=list)

    def since(self, at: float, until: float = inf) -> FailingTest:
        """What happened after `at`, and not after `until`."""
        return FailingTest(
            [each for each in self.failed if at < each <= until],
            [each for each in self.passed if at < each <= until],
            [lock for lock in self.locks if at < lock.opened <= until],
        )

    @property
    def flaky(self) -> bool:
        """Whether it fails by chance: it failed several times, and the same commit passed on a retry half the time."""
        return len(self.failed) >= FLAKY_FROM and len(self.passed) * 2 >= len(self.failed)


@dataclass(slots=True)
class EstimateErrors:
    """What became of the estimates of one kind: how far each was off, and whether the truth lay in its range (1, 0)."""

    errors: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    #: How long it was until then, when the estimate was said.
    ahead: list[float] = field(default_factory=list)


@dataclass(slots=True)
class StatisticsTotals:
    """Sums since the statistics began, for programs to compute rates from. Keys: `step cause`, `stage service`."""

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

#: How the key of each kind of part begins.
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
