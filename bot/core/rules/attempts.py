"""May this build still do its work? What a job asks before it rolls out (docs/jenkins.md: "Asking before a roll-out").

A trigger that got no answer may arrive long after it was given up, and then runs beside the next attempt. Only the
build itself can stop that before anything is changed. Nothing said here names people or titles: whoever can reach the
web process may ask.
"""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.run import Run, Status, Step


def no_longer(board: Board, run: str, stage: str, attempt: int, version: str = "", build: int | None = None) -> str:
    """Why nobody waits for the build of this attempt any more, as a sentence; empty: it is the present one.

    `version` and `build` as the build knows them; empty, None: it does not say.
    """
    live = board.runs.get(run)
    if live is None:
        return "its run is not on the board: it has ended, or was never there"
    if version not in ("", live.version):
        return "its run belongs to an older installation of Interlock"
    if live.step != Step(stage):
        return f"its run is at {live.step} now"
    if live.attempt != attempt:
        return f"attempt {attempt} was given up: attempt {live.attempt} is the present one"
    return _without_slot(live) or _other_build(live, build)


def _without_slot(run: Run) -> str:
    if run.status is Status.WAITING:
        return f"attempt {run.attempt} was given up: its run waits to enter {run.step} again"
    if run.status is Status.FAILED:
        return f"attempt {run.attempt} has failed already"
    # One that is called back because its stage locked, and starts all the same, finishes as usual (L3).
    return "its run is on its way out" if run.status is Status.ENDING or run.cancelled_by is not None else ""


def _other_build(run: Run, build: int | None) -> str:
    if run.build is None or build in (None, run.build):
        return ""
    return f"build #{run.build} is that of attempt {run.attempt}"
