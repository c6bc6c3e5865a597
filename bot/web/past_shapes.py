"""The JSON of the board at a moment of the past. Types only; times in seconds since the epoch."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from bot.web.board_shapes import StepShape, StoredLockShape, WholePipelineShape
from bot.web.lock_shapes import StageFreezeShape


class PastStageShape(StepShape):
    """A stage as it was: its job, its locks, and its fast job."""

    name: str
    policy: Literal["lock", "report"]
    locks: list[StoredLockShape]
    closes: StageFreezeShape | None
    """The freeze window that was to close the stage next."""
    fast: StepShape | None


class PastViewShape(WholePipelineShape):
    """A whole pipeline as it was."""

    stages: list[PastStageShape]


class PastBoardShape(TypedDict):
    """The board at a moment, and when something was decided next to it."""

    pipeline: str
    at: float
    """The moment that is shown."""
    decided: float | None
    """When the last decision before it was made; null: the log does not go back so far, as below."""
    previous: float | None
    """When the decision before that was made."""
    next: float | None
    """When the next decision was made."""
    known_since: float | None
    """The earliest moment of which the board is recorded."""
    rules_changed: bool
    """Whether this version of Interlock decides otherwise what led to this board: it may have been another one."""
    board: PastViewShape
