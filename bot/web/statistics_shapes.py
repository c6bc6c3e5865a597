"""The API's JSON of the statistics. Types only.

Times are seconds since the epoch, durations are seconds. The text below a field is its description in the
documentation.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from bot.statistics.parts import Foretold
from bot.statistics.periods import LeadTimeVerdict


class NumbersShape(TypedDict):
    """The sums of several weeks, or services (docs/statistics.md). Medians and rates are null if nothing is known."""

    ended: dict[str, int]
    delivered: int
    lead: float | None
    waits: dict[str, float]
    built: float
    builds: int
    failure_rate: float | None
    restore: float | None
    locks: int
    locked: float
    cost: float
    held: int
    """The number of runs that waited for these locks, each counted once for each lock."""
    aborted: int
    """The number of builds that ran when their run was removed or cancelled, and were not finished."""


class WeekShape(NumbersShape):
    """One week."""

    week: str


class ServiceNumbersShape(NumbersShape):
    """One service; the empty name has the locks of people."""

    service: str


class StageNumbersShape(TypedDict):
    """One stage."""

    stage: str
    builds: int
    failure_rate: float | None
    locks: int
    locked: float
    cost: float


class StepTimeShape(TypedDict):
    """The time of all runs in one step: the waiting times by cause, and the builds."""

    step: str
    """A stage, or its job on the fast lane: `fast pre-production`."""
    waits: dict[str, float]
    built: float


class StandingLockShape(TypedDict):
    """A lock that stands, with its cost so far in run-seconds."""

    stage: str
    service: str | None
    since: float
    cost: float


class FailingTestShape(TypedDict):
    """A test that failed in the last 30 days."""

    service: str
    test: str
    failed: int
    passed: int
    """The number of times that its build passed on a retry without a new commit."""
    locks: int
    """The number of locks caused by its failure, alone or with other tests, that have opened; `locked`: how long they
    stood."""
    locked: float
    cost: float
    flaky: bool


class PeriodShape(TypedDict):
    """The runs and locks that began and ended under one configuration. Averages are null if no run has ended."""

    since: float
    until: float
    ended: int
    delivered: int
    lead: float | None
    lead_p90: float | None
    waiting: float | None
    """The average of each run; `waits`: the same by cause."""
    waits: dict[str, float | None]
    built: float | None
    locks: int
    locks_per_100: float | None
    """The number for each 100 runs that ended."""
    locked: float
    cost: float
    aborted: int


class KeyChangeShape(TypedDict):
    """One key of the pipeline file that a change of the configuration concerned."""

    key: str
    before: str
    after: str


class ConfigurationEffectShape(TypedDict):
    """The numbers before and after a change of the configuration."""

    at: float
    by: str
    changes: list[KeyChangeShape]
    before: PeriodShape
    after: PeriodShape
    straddling: int
    """The number of runs that had begun before the change and ended after it; they count on neither side."""
    verdict: LeadTimeVerdict
    """Whether the lead times before and after differ by more than chance explains."""


class EstimateErrorShape(TypedDict):
    """The errors of the last estimates of a kind, and the share whose range held the truth."""

    kind: Foretold
    count: int
    error: float | None
    inside: float | None
    ahead: float | None


class StatisticsShape(TypedDict):
    """The numbers of the last weeks, by week, service and stage."""

    service: str | None
    weeks: list[WeekShape]
    all: NumbersShape
    services: list[ServiceNumbersShape]
    stages: list[StageNumbersShape]
    steps: list[StepTimeShape]
    """The steps that took most time first. Empty if one service is asked for."""
    standing: list[StandingLockShape]
    tests: list[FailingTestShape]
    changes: list[ConfigurationEffectShape]
    """The last changes of the configuration, newest first. Empty if one service is asked for."""
    estimates: list[EstimateErrorShape]
    at: float


class WeekFiguresShape(TypedDict):
    """The content of the report of a week: its numbers, those of the week before, and what stood out in it."""

    week: str
    begins: float
    ends: float
    numbers: NumbersShape
    before: NumbersShape
    services: list[ServiceNumbersShape]
    """The services whose locks cost most."""
    tests: list[FailingTestShape]
    """The tests that failed in the week."""
    steps: list[StepTimeShape]
    standing: list[StandingLockShape]
    """The locks that stand now."""
    changes: list[ConfigurationEffectShape]
    """The changes of the configuration since the week began."""


class PlannedReportShape(TypedDict):
    """A planned report: its week, and when it is sent."""

    week: str
    at: float


class WeekReportShape(TypedDict):
    """The report of a week."""

    subject: str
    text: str
    figures: WeekFiguresShape
    next: PlannedReportShape | None
    """The next report that people get; null: the pipeline file plans none."""
    at: float
