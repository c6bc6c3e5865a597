"""The fast lane: rules F1 to F12, one small function each. Questions only; `decide` acts on the answers.

The fix of a service whose run locked a stage passes everyone, but skips nothing: it goes through the fast lane's own
jobs and ends in the real stages. When it has passed, what it contains is removed and the lock opens.
The same rules for people: docs/fast-lane.md; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from bot.core.pipeline import FastLaneStart, Lane, Pipeline, Track
from bot.core.run import Lock, Passage, Run, ServiceState, Status, Step
from bot.core.standing import at_first_fast_job, drops, has_mended, has_passed, has_started_fast_part, in_real_stage

if TYPE_CHECKING:
    from bot.core.ancestry import Place
    from bot.core.board import Board


# -- F1 to F3: how a fast run comes to be, and where it goes ---------------------------------------------------


def is_open(board: Board, service: str) -> bool:
    """F1 Opening. The fast lane is open to a service while it holds an automatic lock."""
    return bool(board.locks_held_by(service))


def merge_enters(board: Board, service: str) -> bool:
    """F2 Entry. While the lane is open, each new merge of the service starts a fast run at the head of main."""
    manual = board.pipeline.fast_lane.start is FastLaneStart.MANUAL
    return is_open(board, service) and not manual


def head_enters(board: Board, lock: Lock) -> Place | None:
    """F2 Entry. With `on-failure` the lock itself starts one, if main has moved to a commit that has not failed."""
    if board.pipeline.fast_lane.start is not FastLaneStart.ON_FAILURE or lock.service is None:
        return None
    state = board.service(lock.service)
    head = state.chain.head
    if head is None or head == lock.place or head.sha in state.failed or has_passed(board, lock.service, head):
        return None
    cancelled = any(run.taken_out for run in board.of_commit(lock.service, head.sha))
    return None if cancelled else head


def route(pipeline: Pipeline, lane: Lane) -> list[Step]:
    """F3 Same stages. A fast run passes what everyone passes: the fast lane's own jobs first, then the real stages."""
    real = [Step(stage.name) for stage in pipeline.stages]
    rejoins = pipeline.rejoins_at
    if lane is Lane.MAIN or rejoins == len(real):
        return real
    ahead = takewhile(lambda at: at[1].fast_job or at[0] < rejoins, enumerate(pipeline.stages))
    fast = [Step(stage.name, Track.FAST if stage.fast_job else Track.REAL) for _, stage in ahead]
    return fast + real[rejoins:]


def next_step(pipeline: Pipeline, run: Run) -> Step | None:
    """F3 Same stages. The first step of its route that the run has not passed; None: it has passed them all.

    Before the stage where the fast lane rejoins, either job of a stage counts; from there on only the real one does.
    """
    rejoins = pipeline.rejoins_at
    passed = {step.stage: step for step in run.passed if pipeline.index(step.stage) < rejoins}
    done = set(run.passed)
    for step in route(pipeline, run.lane):
        swapped = Step(step.stage)  # the real job satisfies the fast one for a run that was promoted
        if step not in done and step.stage not in passed and not (step.track is Track.FAST and swapped in done):
            return step
    return None


# -- F4 to F7: how it competes ---------------------------------------------------------------------------------


def overtakes(run: Run) -> bool:
    """F4 Overtaking. A fast run waits in no main-lane queue, only for a free slot."""
    return run.lane is Lane.FAST


def lets_in(board: Board, stage: str, run: Run) -> bool:
    """F5 The lock lets it in. A fast run enters a locked stage if its service holds one of the locks there.

    A manual lock forbids it unless it lets fixes in; where only such locks are left, any fast run may enter.
    """
    locks = board.locks_of(stage)
    forbidden = any(not lock.automatic and not lock.let_fixes_in for lock in locks)
    holds_one = stage in run.permits or any(lock.service == run.service for lock in locks)
    only_manual = all(not lock.automatic for lock in locks)  # those that are left all let fixes in
    return overtakes(run) and not forbidden and (holds_one or only_manual)


def kept_out(board: Board, stage: str, run: Run) -> bool:
    """F5 The lock lets it in. Whether the locks of a stage keep this run out; a retry is let in by L4."""
    locks = board.locks_of(stage)
    if run.retrying:
        return any(not lock.automatic and not lock.let_fixes_in for lock in locks)
    return bool(locks) and not lets_in(board, stage, run)


def replaced_by(board: Board, newer: Run) -> list[Run]:
    """F6 Newest fix. A newer fix, once built, replaces an older one whose first fast job is not asked for yet.

    The older fixes that `newer` replaces now.
    """
    if not at_first_fast_job(board, newer):
        return []
    chain = board.service(newer.service).chain
    return [
        older
        for older in board.fast_runs(newer.service)
        if older.key != newer.key
        and older.status not in (Status.ENDING, Status.FAILED)
        and not has_started_fast_part(board.pipeline, older)
        and chain.contains(newer.place, older.place)
    ]


def fix_ahead(board: Board, run: Run) -> Run | None:
    """F6 Newest fix. The older fix on its way that `run` must wait behind; one that has mended all is none any more."""
    if not at_first_fast_job(board, run):
        return None
    others = (r for r in board.fast_runs(run.service) if r.key != run.key and r.status is not Status.FAILED)
    coming = (r for r in others if has_started_fast_part(board.pipeline, r) and not has_mended(board, r))
    return next((r for r in coming if not _is_shut_out(board, r, run)), None)


def _is_shut_out(board: Board, older: Run, newer: Run) -> bool:
    """Whether the older fix stands before locks that keep it out and let the newer one in, as a permit does (F1)."""
    stage, at_lock = older.step.stage, older.status is Status.WAITING and older.step.track is Track.REAL
    return at_lock and kept_out(board, stage, older) and not kept_out(board, stage, newer)


def failure_keeps_run(run: Run) -> bool:
    """F7 A failing fix. Lock and lane stay, and the failed fix stays on the board, so that it can be retried."""
    return run.lane is Lane.FAST


# -- F8 to F12: what happens when it has passed ----------------------------------------------------------------


def cleaned_up_by(board: Board, run: Run) -> tuple[Passage, bool | None] | None:
    """F8 Clean-up. When a fast run has passed a stage that locks, the runs of its service that it contains go.

    The passage that removes `run` (True), or may remove it (None: ask GitHub).
    """
    chain = board.service(run.service).chain
    doubt: Passage | None = None
    for passage in board.service(run.service).passages:
        if not _may_be_removed(board.pipeline, passage, run):
            continue
        contained = chain.contains(passage.place, run.place)
        if contained:
            return passage, True
        if contained is None:
            doubt = doubt or passage
    return (doubt, None) if doubt else None


def _may_be_removed(pipeline: Pipeline, passage: Passage, run: Run) -> bool:
    """F10 Nobody restarts. Overtaken runs of other services keep their place and their running builds.

    Nor is a run removed (F8) that is rolling out beyond the passed stage: half a roll-out is worse than an old one.
    """
    if passage.lane is not Lane.FAST or run.key == passage.run or run.status is Status.ENDING:
        return False
    beyond = pipeline.index(run.step.stage) > pipeline.index(passage.stage)
    rolling_out = run.step.track is Track.REAL and (run.holds_slot or run.status is Status.FAILED)
    return not (beyond and rolling_out)


class Opening(NamedTuple):
    """A lock and whether it opens: None means that the proof is missing that the passed run contains `base`."""

    lock: Lock
    opens: bool | None
    base: Place


def opened_by(board: Board, passage: Passage, service: str) -> Iterator[Opening]:
    """F9 Opening the lock. A lock opens when a run that contains the failed commit has passed the stage after it.

    The locks that a passage may open.
    """
    for lock in board.locks_of(passage.stage):
        if lock.service == service and lock.place is not None and lock.order < passage.order:
            yield _opening(board.service(service), passage, lock, lock.place)


def _opening(state: ServiceState, passage: Passage, lock: Lock, failed: Place) -> Opening:
    """F9 Opening the lock. Where a force-push dropped the failed commit, containing the new head counts as well."""
    bases = [failed, *(force for force in state.forces if drops(state.chain, force, failed))]
    answers = {base: state.chain.contains(passage.place, base) for base in bases}
    for base, contained in answers.items():
        if contained is not False:
            return Opening(lock, contained, base)
    return Opening(lock, opens=False, base=failed)


class Backwards(NamedTuple):
    """The run (or commit) that is ahead, and whether it contains the one that wants to enter."""

    run: str
    place: Place
    contains: bool | None


def backwards(board: Board, run: Run, stage: str) -> Backwards | None:
    """F11 Never backwards. No run enters a lock-policy stage that a run containing it is in or has passed.

    The run that contains `run`, or may contain it.
    """
    state = board.service(run.service)
    ahead = [(other.key, other.place) for other in board.inside(Step(stage)) if _is_in(other, run)]
    ahead += [(p.run, p.place) for p in state.passages if p.stage == stage and p.run != run.key]
    doubt: Backwards | None = None
    for key, place in ahead:
        contains = state.chain.contains(place, run.place)
        if contains:
            return Backwards(key, place, contains=True)
        if contains is None:
            doubt = doubt or Backwards(key, place, contains=None)
    return doubt


def _is_in(other: Run, run: Run) -> bool:
    return other.service == run.service and other.key != run.key and other.status is not Status.ENDING


def leavers(board: Board, service: str, opener: str) -> list[Run]:
    """F12 Leaving the lane. When the service's last lock opens, fast runs not in a real stage join the main lane."""
    if is_open(board, service):
        return []
    return [
        run
        for run in board.fast_runs(service)
        if run.key != opener
        and not run.permits
        and run.status not in (Status.ENDING, Status.FAILED)
        and not in_real_stage(board.pipeline, run)
    ]
