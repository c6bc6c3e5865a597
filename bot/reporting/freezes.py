"""The freezes of a board as plain values with words: windows, the next closing, and the state of a closed stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.core.model.board import Board
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Pipeline
from bot.core.model.stage_state import Lock
from bot.core.rules.freeze_windows import last_freeze
from bot.reporting.sentences import local_moment

Shape = dict[str, Any]

#: The number of windows that are listed of each freeze.
LISTED = 3
#: How long before a window its stage announces the closing, in seconds.
AHEAD = 7 * 86_400.0


def freezes(board: Board, now: float) -> list[Shape]:
    """Return every freeze with the window in force and the next ones, its exceptions, and where it was lifted."""
    return [_freeze(board, freeze, now) for freeze in board.header.freezes]


def closes(board: Board, stage: str, now: float) -> Shape | None:
    """Return the next window that closes a stage, if it begins within a week."""
    found = [
        (window, freeze)
        for freeze in board.header.freezes
        if stage in freeze.stages and (window := freeze.following(now)) is not None and window.begins <= now + AHEAD
    ]
    if not found:
        return None
    window, freeze = min(found, key=lambda each: each[0].begins)
    sentence = f"closes {local_moment(window.begins, freeze.time_zone)} (freeze {freeze.name})"
    return {"freeze": freeze.name, **_window(freeze, window), "sentence": sentence}


def closed(locks: Sequence[Lock]) -> str:
    """Return how a stage with these locks is closed.

    `locked`; or, if only freezes close it, until when, in the time zone of the freeze.
    """
    frozen = last_freeze(locks)
    return "locked" if frozen is None else f"frozen until {local_moment(frozen.until, frozen.time_zone)}"


def stages_locked(board: Board, pipeline: Pipeline) -> list[str]:
    """Return the stages that a failure or a person has closed, and not a freeze alone."""
    locks = ((stage.name, board.locks_of(stage.name)) for stage in pipeline.stages)
    return [name for name, found in locks if found and last_freeze(found) is None]


def _freeze(board: Board, freeze: Freeze, now: float) -> Shape:
    coming = [window for window in freeze.windows if window.ends > now][:LISTED]
    lifted = [each for each in board.header.lifted if each.freeze == freeze.name and now < each.until]
    return {
        "name": freeze.name,
        "stages": list(freeze.stages),
        "time_zone": freeze.time_zone,
        "in_force": freeze.window(now) is not None,
        "windows": [_window(freeze, window) for window in coming],
        "labels": list(freeze.labels),
        "services": list(freeze.services),
        "role": freeze.role or None,
        "lifted": [{"stage": each.stage, "until": each.until, "by": each.by} for each in lifted],
    }


def _window(freeze: Freeze, window: FreezeWindow) -> Shape:
    begins, ends = (local_moment(at, freeze.time_zone) for at in (window.begins, window.ends))
    return {"begins": window.begins, "ends": window.ends, "words": f"{begins} to {ends}"}
