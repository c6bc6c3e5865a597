"""What the API tells of freezes."""

from __future__ import annotations

from typing_extensions import TypedDict


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
