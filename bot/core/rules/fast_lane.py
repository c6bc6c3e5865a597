"""The fast lane: rules F1 to F12 as small functions. They answer questions; queue, cleanup and stage_locks act.

The fix of a service whose run locked a stage passes the queues, but skips no stage: it goes through the fast lane's own
jobs and ends in the real stages. When it has passed, the runs that it contains are removed and the lock opens.

The same rules for people: docs/fast-lane.md; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.board_records import ServiceState
from bot.core.model.pipeline import FastLaneStart, Lane, Pipeline, Step, Track
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import Lock, Version
from bot.core.rules import freeze_windows, stage_versions
from bot.core.rules.stage_versions import RunAhead, drops, rolls_out

if TYPE_CHECKING:
    from bot.core.model.board import Board
    from bot.core.model.history import Position


# -- F1 to F3: the start and the route of a fast run -----------------------------------------------------------


def is_open(board: Board, service: str) -> bool:
    """F1 Opening. The fast lane is open to a service while it holds an automatic lock."""
    return bool(board.locks_held_by(service))


def merge_enters(board: Board, service: str) -> bool:
    """F2 Entry. While the lane is open, each new merge of the service starts a fast run at the head of main."""
    manual = board.pipeline.fast_lane.start is FastLaneStart.MANUAL
    return is_open(board, service) and not manual


def head_enters(board: Board, lock: Lock, ended: float | None) -> Position | None:
    """F2 Entry. With `on-failure` the lock itself starts one, if main has moved to a commit that has not failed.

    With `on-fix` a head that was merged after the end of the failing build (`ended`, in epoch seconds; None: not known)
    is the fix as well: its merge preceded the news of the failure. Returns that head; None: no run starts.
    """
    start = board.pipeline.fast_lane.start
    if lock.service is None or start is FastLaneStart.MANUAL:
        return None
    head = board.service(lock.service).history.head
    if head is None or lock.position is None or head.sha == lock.position.sha:
        return None
    if stage_versions.has_failed(board, lock.service, head.sha):
        return None
    runs = board.of_commit(lock.service, head.sha)
    if any(run.taken_out for run in runs):
        return None  # a person has cancelled it
    if start is FastLaneStart.ON_FAILURE:
        return head
    merged = [run.created for run in runs if run.status is not Status.ENDING]
    return head if merged and ended is not None and merged[-1] > ended else None


def route(pipeline: Pipeline, lane: Lane) -> tuple[Step, ...]:
    """F3 Same stages. A fast run passes what everyone passes: the fast lane's own jobs first, then the real stages."""
    real, rejoins = pipeline.real_steps, pipeline.rejoins_at
    return real if lane is Lane.MAIN or rejoins == len(real) else pipeline.fast_steps + real[rejoins:]


def next_step(pipeline: Pipeline, lane: Lane, passed: Collection[Step]) -> Step | None:
    """F3 Same stages. Return the first step of its route that a run has not passed; None: it has passed all."""
    for step in route(pipeline, lane):
        if not has_passed(pipeline, passed, step):
            return step
    return None


def has_passed(pipeline: Pipeline, passed: Collection[Step], step: Step) -> bool:
    """F3 Same stages. Before the stage where the fast lane rejoins, either job of a stage counts.

    From there on only the real job counts; it also counts for the fast step, if a run has changed to the fast lane.
    """
    tracks = [each.track for each in passed if each.stage == step.stage]
    if not tracks or step.track in tracks:
        return bool(tracks)
    return step.track is Track.FAST or pipeline.index(step.stage) < pipeline.rejoins_at


# -- F4 to F7: the competition for places ----------------------------------------------------------------------


def overtakes(run: Run) -> bool:
    """F4 Overtaking. A fast run waits in no main-lane queue, only for a free slot.

    The order of a queue follows the same rule: `bot.core.model.indexes.queue_key`.
    """
    return run.lane is Lane.FAST


def lets_in(board: Board, stage: str, run: Run) -> bool:
    """F5 The lock lets it in. A fast run enters a locked stage if its service holds one of the locks there.

    A manual lock forbids it unless it lets fixes in; where only such locks are left, any fast run may enter.
    """
    return _let_in(counting(board, stage, run), stage, run)


def _let_in(locks: Collection[Lock], stage: str, run: Run) -> bool:
    if not overtakes(run) or _close_to_fixes(locks):
        return False
    holds_one = stage in run.permits or any(lock.service == run.service for lock in locks)
    return holds_one or all(not lock.automatic for lock in locks)  # the remaining locks all let fixes in


def kept_out(board: Board, stage: str, run: Run) -> bool:
    """L3 Keeping out. No main-lane run enters a locked stage.

    A retry of the build that locked it may enter (L4), and so may a fix (F5). The lock of a freeze does not count for
    runs that the freeze excepts (W2).
    """
    locks = counting(board, stage, run)
    return _close_to_fixes(locks) if run.retrying else bool(locks) and not _let_in(locks, stage, run)


def keeps_out_all(board: Board, step: Step) -> bool:
    """L3 Keeping out. Return whether no run in a queue may enter: the first is neither a retry nor a fix.

    The lock of a freeze does not count, because the freeze may except any of them.
    """
    if not board.locks or step.track is not Track.REAL or all(lock.freeze for lock in board.locks_of(step.stage)):
        return False
    first = next(board.queue(step), None)
    return first is not None and first.lane is Lane.MAIN and not first.retrying


def closed_to_fixes(board: Board, stage: str, run: Run) -> bool:
    """L4 Retry. A manual lock that lets no fixes in keeps out a retry too: a person closed the stage on purpose."""
    return _close_to_fixes(counting(board, stage, run))


def _close_to_fixes(locks: Collection[Lock]) -> bool:
    return any(not lock.automatic and not lock.let_fixes_in for lock in locks)


def counting(board: Board, stage: str, run: Run) -> list[Lock]:
    """Return the locks of a stage that count for a run: all except those of freezes that except it (W2)."""
    return [
        lock for lock in board.locks_of(stage) if not lock.freeze or freeze_windows.exception(board, lock, run) is None
    ]


def replaced_by(board: Board, newer: Run) -> list[Run]:
    """F6 Newest fix. A newer fix, once built, replaces an older one whose first fast job is not asked for yet.

    Returns the older fixes that `newer` replaces now.
    """
    if not at_first_fast_job(board, newer):
        return []
    history = board.service(newer.service).history
    return [
        older
        for older in board.fast_runs(newer.service)
        if older.key != newer.key
        and older.status not in (Status.ENDING, Status.FAILED)
        and not has_started_fast_part(board.pipeline, older)
        and history.contains(newer.position, older.position)
    ]


def fix_ahead(board: Board, run: Run) -> Run | None:
    """F6 Newest fix. Return the older fix on its way that `run` must wait behind; None: there is none.

    A fix that has passed all its locked stages does not count (`has_mended`).
    """
    if not at_first_fast_job(board, run):
        return None
    others = (r for r in board.fast_runs(run.service) if r.key != run.key and r.status is not Status.FAILED)
    coming = (r for r in others if has_started_fast_part(board.pipeline, r) and not has_mended(board, r))
    return next((r for r in coming if not _is_shut_out(board, r, run)), None)


def _is_shut_out(board: Board, older: Run, newer: Run) -> bool:
    """Return whether locks keep the older fix out and let the newer one in, for example by a permit (F1)."""
    stage, at_lock = older.step.stage, older.status is Status.WAITING and older.step.track is Track.REAL
    return at_lock and kept_out(board, stage, older) and not kept_out(board, stage, newer)


def failure_keeps_run(run: Run) -> bool:
    """F7 A failing fix. Lock and lane stay, and the failed fix stays on the board, so that it can be retried."""
    return run.lane is Lane.FAST


# -- F8 to F12: after a fast run has passed --------------------------------------------------------------------


def cleaned_up_by(board: Board, run: Run) -> tuple[Version, bool | None] | None:
    """F8 Clean-up. When a fast run has passed a stage that locks, the runs of its service that it contains go.

    Returns the version that removes `run` (True), or may remove it (None: ask GitHub).
    """
    unproven: Version | None = None
    for found in board.versions_of(run.service):
        if found.fix is None or not _may_be_removed(board.pipeline, found.step, run):
            continue
        contained = stage_versions.covers(board, found.fix, run)
        if contained:
            return found.fix, True
        if contained is None:
            unproven = unproven or found.fix
    return (unproven, None) if unproven else None


def _may_be_removed(pipeline: Pipeline, mended: Step, run: Run) -> bool:
    """F10 Nobody restarts. Overtaken runs of other services keep their place and their running builds.

    F8 also spares a run that is rolling out beyond the passed stage: half a roll-out is worse than an old one.
    """
    if run.status is Status.ENDING:
        return False
    rolls = stage_versions.is_rolling_out(pipeline, run)
    return not (rolls and pipeline.index(run.step.stage) > pipeline.index(mended.stage))


class LockOpening(NamedTuple):
    """A lock and whether it opens; None: the proof is missing that the passed run contains `base`."""

    lock: Lock
    opens: bool | None
    base: Position


def opened_by(board: Board, version: Version, stage: str, service: str) -> Iterator[LockOpening]:
    """F9 Opening the lock. A lock opens when a run that contains the failed commit has passed the stage after it.

    Yields the service's locks of the stage, each with the answer for `version`, the whole version that is in it.
    """
    for lock in board.locks_of(stage):
        if lock.service == service and lock.position is not None:
            yield _opening(board.service(service), version, lock, lock.position)


def _opening(state: ServiceState, version: Version, lock: Lock, failed: Position) -> LockOpening:
    """F9 Opening the lock. Where a force-push dropped the failed commit, containing the new head counts as well."""
    bases = [failed, *(forced_head for forced_head in state.forced_heads if drops(state, forced_head, failed))]
    answers = {base: state.history.contains(version.position, base) for base in bases}
    for base, contained in answers.items():
        if contained is not False:
            return LockOpening(lock, contained, base)
    return LockOpening(lock, opens=False, base=failed)


def backwards(board: Board, run: Run) -> RunAhead | None:
    """F11 Never backwards. No run enters a stage that rolls out and has, or had, a commit that contains it.

    Returns the run that was there with such a commit, or may have been; None: there is none, or nothing is rolled out.
    """
    return stage_versions.ahead(board, run, run.step) if rolls_out(board.pipeline, run.step) else None


def one_at_a_time(board: Board, run: Run) -> Run | None:
    """F11 Never backwards. Return the other run of the service that `run` waits for: one rolls out at a time."""
    return stage_versions.inside(board, run, run.step) if rolls_out(board.pipeline, run.step) else None


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


# -- questions that several rules share ------------------------------------------------------------------------


def fixes(board: Board, service: str) -> list[Run]:
    """Return the runs on their way to open the locks of a service, oldest first: its fast runs and repeated builds."""
    coming = board.fast_runs(service)
    for lock in board.locks_held_by(service):
        holder = board.runs.get(lock.run or "")
        if holder is not None and holder.retrying and holder not in coming:
            coming.append(holder)
    coming = [run for run in coming if run.status not in (Status.FAILED, Status.ENDING)]
    return sorted(coming, key=lambda run: (run.created, run.queue_number)) if len(coming) > 1 else coming


def in_fast_part(pipeline: Pipeline, step: Step) -> bool:
    """Return whether the step is one of the fast lane's own jobs or a real stage at the end of a fast run."""
    return step.track is Track.FAST or _is_for_real(pipeline, step)


def _is_for_real(pipeline: Pipeline, step: Step) -> bool:
    """Return whether the step is a real stage at the end of a fast run."""
    return step.track is Track.REAL and pipeline.index(step.stage) >= pipeline.rejoins_at


def has_started_fast_part(pipeline: Pipeline, run: Run) -> bool:
    """Return whether a fast job of the run was asked for (F6): from then on no newer fix replaces it."""
    if any(in_fast_part(pipeline, step) for step in run.passed):
        return True
    return (run.holds_slot or run.status is Status.FAILED) and in_fast_part(pipeline, run.step)


def at_first_fast_job(board: Board, run: Run) -> bool:
    """Return whether the run waits for its first fast job (F6)."""
    return (
        run.lane is Lane.FAST
        and run.status is Status.WAITING
        and in_fast_part(board.pipeline, run.step)
        and not has_started_fast_part(board.pipeline, run)
    )


def in_real_stage(pipeline: Pipeline, run: Run) -> bool:
    """Return whether a fast run is or was in a real stage at the end of its route (F12)."""
    inside = run.holds_slot and _is_for_real(pipeline, run.step)
    return inside or any(_is_for_real(pipeline, step) for step in run.passed)


def has_mended(board: Board, run: Run) -> bool:
    """Return whether the run has passed every stage that its service has locked or that was opened for it (F1).

    Then it is no fix any more.
    """
    stages = {lock.stage for lock in board.locks_held_by(run.service)} | set(run.permits)
    return bool(stages) and all(Step(stage) in run.passed for stage in stages)
