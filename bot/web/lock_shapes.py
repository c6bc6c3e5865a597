"""The JSON of the reports of locks. Types only; times in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from typing_extensions import TypedDict

from bot.reporting.lock_report import LeftOut


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
