"""The API's JSON of locks and freezes: freezes, lock reports, and the changes before a lock.

Types only; times in seconds since the epoch, durations in seconds.
"""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from bot.core.model.pipeline import Lane
from bot.reporting.lock_report import LeftOut


class FreezeWindowShape(TypedDict):
    """One window of a freeze, in seconds since the epoch."""

    begins: float
    ends: float
    words: str
    """Begin and end by the clocks of its time zone."""


class StageFreezeShape(FreezeWindowShape):
    """The next freeze window of a stage."""

    freeze: str
    sentence: str


class LiftedShape(TypedDict):
    """A stage in which a person has lifted the present window of a freeze."""

    stage: str
    until: float
    by: str


class FreezeShape(TypedDict):
    """A freeze: its stages, its windows and its exceptions."""

    name: str
    stages: list[str]
    time_zone: str
    in_force: bool
    windows: list[FreezeWindowShape]
    """The window in force and the next ones."""
    labels: list[str]
    services: list[str]
    role: str | None
    """The role that lets single runs through."""
    lifted: list[LiftedShape]


class FreezesShape(TypedDict):
    """The freezes of a pipeline."""

    pipeline: str
    at: float
    freezes: list[FreezeShape]


class LockDurationShape(TypedDict):
    """How long a lock stood, or has stood so far."""

    seconds: float
    words: str


class LockCostShape(TypedDict):
    """The cost of a lock: the runs that waited for its stage, times seconds."""

    run_seconds: float
    words: str


class LockReportLineShape(TypedDict):
    """One line of the timeline of a lock: a fact."""

    at: float
    what: str
    run: str
    """The run that the fact is about; empty if none."""


class LockOutcomeShape(TypedDict):
    """The outcome of a lock."""

    lock: str
    """The key of the lock."""
    stage: str
    since: float
    opened: float | None
    """Null while the lock stands."""
    cause: str
    by: str
    """The failed run that held it, or the person."""
    run: str | None
    service: str | None
    build: int | None
    end: str
    """The reason for opening it; empty while it stands."""
    opened_by: str | None
    fix: str | None
    """The run that mended the stage; null if a person or its end time opened it."""
    duration: LockDurationShape
    cost: LockCostShape
    held: list[str]
    """The runs of the main lane that waited for the stage meanwhile, at most 500."""


class LockReportListShape(TypedDict):
    """The locks that opened last, the newest first."""

    reports: list[LockOutcomeShape]


class LockReportShape(LockOutcomeShape):
    """The report of a lock."""

    timeline: list[LockReportLineShape]
    left_out: list[LeftOut]
    """The parts that are left out because they would be too much: other `runs` that waited, later `facts`, further
    `lines`."""
    markdown: str
    """The report as Markdown."""


class VersionShape(TypedDict):
    """A commit that is, or was, in a stage."""

    sha: str
    short: str
    run: str
    lane: Lane
    since: float
    link: NotRequired[str | None]
    """The commit at GitHub."""
    href: NotRequired[str]
    """The page of its run, below the address of the server."""


class ChangeShape(TypedDict):
    """A change in a stage before its lock."""

    service: str
    passed: bool
    before: str | None
    """The commit that was there before it."""
    sha: str
    short: str
    run: str
    lane: Lane | None
    """The lane it came on; null if only the log has the change."""
    since: float
    title: str
    author: str
    pull: int | None
    link: str | None
    pull_link: str | None
    compare: str | None


class LockChangesShape(TypedDict):
    """A lock with the changes in its stage since its holder's service last passed there, newest first."""

    lock: str
    stage: str
    service: str | None
    baseline: VersionShape | None
    """The version of that service that had passed there last."""
    changes: list[ChangeShape]
    count: int
    """The number of changes; the newest are listed."""
    known_since: float
    """The time since which no version is missing. From before it only the latest version of each service is known."""
    reason: str
    by: str
    locked_since: float
    automatic: bool
    run: str | None
