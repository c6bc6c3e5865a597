"""Where a run stands: small questions about its way and its commit, that several rules of the fast lane share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.pipeline import Lane, Pipeline, Track
from bot.core.model.run import Run, Status, Step

if TYPE_CHECKING:
    from bot.core.model.board import Board
    from bot.core.model.history import CommitHistory, Position


def rolls_out(pipeline: Pipeline, step: Step) -> bool:
    """Whether a build of this step changes what is there: a real stage from the first that locks on, and the last."""
    return step.track is Track.REAL and pipeline.index(step.stage) >= pipeline.rolls_out_at


def fixes(board: Board, service: str) -> list[Run]:
    """What is on its way to open the locks of a service, oldest first: its fast runs, and a build that is repeated."""
    holders = (board.runs.get(lock.run or "") for lock in board.locks_held_by(service))
    repeated = [run for run in holders if run is not None and run.retrying and run.lane is Lane.MAIN]
    runs = {run.key: run for run in (*repeated, *board.fast_runs(service))}.values()
    coming = [run for run in runs if run.status not in (Status.FAILED, Status.ENDING)]
    return sorted(coming, key=lambda run: (run.created, run.queue_number))


def in_fast_part(pipeline: Pipeline, step: Step) -> bool:
    """Whether a fast run in this step uses what the lane is about: its own jobs, or the real stages at its end."""
    return step.track is Track.FAST or pipeline.index(step.stage) >= pipeline.rejoins_at


def has_started_fast_part(pipeline: Pipeline, run: Run) -> bool:
    """Whether a fast job of the run was asked for (F6): from then on nothing replaces it, started or not."""
    if any(in_fast_part(pipeline, step) for step in run.passed):
        return True
    return (run.holds_slot or run.status is Status.FAILED) and in_fast_part(pipeline, run.step)


def at_first_fast_job(board: Board, run: Run) -> bool:
    """Whether the run waits for the first job that only the fast lane has for it (F6)."""
    return (
        run.lane is Lane.FAST
        and run.status is Status.WAITING
        and in_fast_part(board.pipeline, run.step)
        and not has_started_fast_part(board.pipeline, run)
    )


def in_real_stage(pipeline: Pipeline, run: Run) -> bool:
    """Whether a fast run is or was in a stage that it enters for real (F12)."""
    rejoins = pipeline.rejoins_at
    been = any(s.track is Track.REAL and pipeline.index(s.stage) >= rejoins for s in run.passed)
    inside = run.step.track is Track.REAL and pipeline.index(run.step.stage) >= rejoins and run.holds_slot
    return been or inside


def has_mended(board: Board, run: Run) -> bool:
    """Whether the run has passed all that it is on the fast lane for: what its service has locked, what was opened
    for it (F1). It is no fix any more, only on its way."""
    stages = {lock.stage for lock in board.locks_held_by(run.service)} | set(run.permits)
    return bool(stages) and all(Step(stage) in run.passed for stage in stages)


def off_main(board: Board, service: str, position: Position) -> bool | None:
    """Whether a force-push took the commit off main: a forced head, later than it, lacks it, and main stands on that.

    None: GitHub has to be asked (`proofs.ask_about_main`). What came back to main is on it, itself or in a later head,
    even if nobody told of the force-push that brought it back.
    """
    state = board.service(service)
    if not state.forced_heads:
        return False
    history, latest = state.history, state.history.latest(position)
    later = [forced_head for forced_head in state.forced_heads if forced_head.segment > latest.segment]
    later = [forced_head for forced_head in later if not _came_back(history, forced_head, latest)]
    lacking = [forced_head for forced_head in later if history.contains(forced_head, latest) is False]
    if lacking:
        return True if _stands_on(history, lacking, latest) else None
    return None if any(history.contains(forced_head, latest) is None for forced_head in later) else False


def _stands_on(history: CommitHistory, lacking: list[Position], latest: Position) -> bool:
    """Whether main is proven to lack the commit as well: it was asked about, or only pushes followed one that lacks it.

    What stands on that by a detour (a lost push, another force-push) may have got the commit back on it.
    """
    head = history.head
    return head is not None and (
        history.contains(head, latest) is False or any(forced_head.segment == head.segment for forced_head in lacking)
    )


def may_be_off_main(board: Board, run: Run) -> bool:
    """Whether our head lacks the commit, and GitHub has still to say that main stands at that head."""
    state = board.service(run.service)
    head = state.history.head
    return (
        head is not None and state.unconfirmed_head == head.sha and state.history.contains(head, run.position) is False
    )


def drops(history: CommitHistory, forced_head: Position, position: Position) -> bool:
    """Whether the forced head `force` came after `place` and is proven to lack it, and main has not got it back."""
    latest = history.latest(position)
    lacks = forced_head.segment > latest.segment and history.contains(forced_head, latest) is False
    return lacks and not _came_back(history, forced_head, latest)


def _came_back(history: CommitHistory, forced_head: Position, position: Position) -> bool:
    """Whether a later push, or our head, contains the commit: it was back on main after the force-push."""
    if history.head is not None and history.contains(history.head, position):
        return True
    pushed = {root.segment for root in history.roots if root.segment > forced_head.segment}
    tips = {each.segment: each for each in history.positions if each.segment in pushed}
    return any(history.contains(tip, position) for tip in tips.values())
