"""The JSON of what closes stages: freezes, the reports of locks, and what changed before a lock.

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
    """Both by the clocks of its time zone."""


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
    """A freeze: what it closes when, and whom it excepts."""

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
    """What a lock has cost: the runs that waited for its stage, times seconds."""

    run_seconds: float
    words: str


class LockReportLineShape(TypedDict):
    """One line of the timeline of a lock: a fact."""

    at: float
    what: str
    run: str
    """The run that it is about; empty if it is about none."""


class LockOutcomeShape(TypedDict):
    """What became of a lock."""

    lock: str
    """The key of the lock."""
    stage: str
    since: float
    opened: float | None
    """Null while it stands."""
    cause: str
    by: str
    """The failed run that held it, or the person."""
    run: str | None
    service: str | None
    build: int | None
    end: str
    """Why it was opened; empty while it stands."""
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
    """What is missing because it would be too much: other `runs` that waited, later `facts`, further `lines`."""
    markdown: str
    """The same for people."""


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
    """What changed in a stage before its lock."""

    service: str
    passed: bool
    before: str | None
    """The commit that was there before it."""
    sha: str
    short: str
    run: str
    lane: Lane | None
    """The lane it came on; null where only the log knows of it."""
    since: float
    title: str
    author: str
    pull: int | None
    link: str | None
    pull_link: str | None
    compare: str | None


class LockChangesShape(TypedDict):
    """A lock with what changed in its stage since the service that holds it passed there last, newest first."""

    lock: str
    stage: str
    service: str | None
    baseline: VersionShape | None
    """What that service had passed there last."""
    changes: list[ChangeShape]
    count: int
    """How many changes there are; the newest are listed."""
    known_since: float
    """Since when no version is missing. Of what came before, only the latest version of each service is known."""
    reason: str
    by: str
    locked_since: float
    automatic: bool
    run: str | None
