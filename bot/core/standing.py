"""Where a run stands: small questions about its way and its commit, that several rules of the fast lane share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.pipeline import Lane, Pipeline, Track
from bot.core.run import Run, Status, Step

if TYPE_CHECKING:
    from bot.core.ancestry import Chain, Place
    from bot.core.board import Board


def rolls_out(pipeline: Pipeline, step: Step) -> bool:
    """Whether a build of this step changes what is there: a real stage from the first that locks on, and the last."""
    return step.track is Track.REAL and pipeline.index(step.stage) >= pipeline.rolls_out_at


def fixes(board: Board, service: str) -> list[Run]:
    """What is on its way to open the locks of a service, oldest first: its fast runs, and a build that is repeated."""
    holders = (board.runs.get(lock.run or "") for lock in board.locks_held_by(service))
    repeated = [run for run in holders if run is not None and run.retrying and run.lane is Lane.MAIN]
    runs = {run.key: run for run in (*repeated, *board.fast_runs(service))}.values()
    coming = [run for run in runs if run.status not in (Status.FAILED, Status.ENDING)]
    return sorted(coming, key=lambda run: (run.created, run.seat))


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


def off_main(board: Board, service: str, place: Place) -> bool | None:
    """Whether a force-push took the commit off main: a forced head, later than it, lacks it, and main stands on that.

    None: GitHub has to be asked (`proofs.ask_about_main`). What came back to main is on it, itself or in a later head,
    even if nobody told of the force-push that brought it back.
    """
    state = board.service(service)
    if not state.forces:
        return False
    chain, latest = state.chain, state.chain.latest(place)
    later = [force for force in state.forces if force.segment > latest.segment]
    later = [force for force in later if not _came_back(chain, force, latest)]
    lacking = [force for force in later if chain.contains(force, latest) is False]
    if lacking:
        return True if _stands_on(chain, lacking, latest) else None
    return None if any(chain.contains(force, latest) is None for force in later) else False


def _stands_on(chain: Chain, lacking: list[Place], latest: Place) -> bool:
    """Whether main is proven to lack the commit as well: it was asked about, or only pushes followed one that lacks it.

    What stands on that by a detour (a lost push, another force-push) may have got the commit back on it.
    """
    head = chain.head
    return head is not None and (
        chain.contains(head, latest) is False or any(force.segment == head.segment for force in lacking)
    )


def may_be_off_main(board: Board, run: Run) -> bool:
    """Whether our head lacks the commit, and GitHub has still to say that main stands at that head."""
    state = board.service(run.service)
    head = state.chain.head
    return head is not None and state.doubt == head.sha and state.chain.contains(head, run.place) is False


def drops(chain: Chain, force: Place, place: Place) -> bool:
    """Whether the forced head `force` came after `place` and is proven to lack it, and main has not got it back."""
    latest = chain.latest(place)
    lacks = force.segment > latest.segment and chain.contains(force, latest) is False
    return lacks and not _came_back(chain, force, latest)


def _came_back(chain: Chain, force: Place, place: Place) -> bool:
    """Whether a later push, or our head, contains the commit: it was back on main after the force-push."""
    if chain.head is not None and chain.contains(chain.head, place):
        return True
    pushed = {root.segment for root in chain.roots if root.segment > force.segment}
    tips = {each.segment: each for each in chain.places if each.segment in pushed}
    return any(chain.contains(tip, place) for tip in tips.values())
