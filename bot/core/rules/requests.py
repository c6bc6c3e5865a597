"""The requests of people: lock, unlock, retry, cancel, move, fast lane, mode.

Each is done, or refused with a reason.

The questions `why_not_...` return that reason, or None. The rules here ask them, and so does the API, before it stores
a request.

When a pipeline stops observing, the withdrawals that were decided meanwhile are sent.
"""

from __future__ import annotations

from itertools import takewhile

from bot.core.model.board import Board
from bot.core.model.events import (
    CancelAsked,
    FastLaneAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    TakenOut,
    UnlockAsked,
)
from bot.core.model.facts import FactKind
from bot.core.model.history import Position
from bot.core.model.messages import (
    AskedBy,
    Cancelled,
    Message,
    Phrase,
    Phrased,
    RunEnding,
    RunMoved,
    RunRetried,
    Verbatim,
)
from bot.core.model.pipeline import Lane, Mode, Track
from bot.core.model.refusals import No, NoSuchStage, NotClosedBy, Refusal, SeveralLocks
from bot.core.model.replaced import replace
from bot.core.model.run import Buildable, End, Ending, Moved, Run, Status
from bot.core.model.stage_messages import ModeChanged, UnlockedBy, WasTakenOut
from bot.core.model.stage_state import Lock
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.builds import give_back
from bot.core.rules.cleanup import leave, may_abort, withdraw
from bot.core.rules.decision import Decision
from bot.core.rules.freezes import lift
from bot.core.rules.queue import send_fast
from bot.core.rules.stage_locks import lock_stage, open_lock, recall_build


def refuse(decision: Decision, by: str, why: Message, run: Run | None = None) -> None:
    """Record that a request is refused, with the reason."""
    decision.tell(FactKind.REQUEST_REFUSED, why, run, by=by)


def _no_stage(board: Board, name: str) -> NoSuchStage:
    """Return the refusal for an unknown stage, with the stages that exist."""
    return NoSuchStage(board.pipeline.name, name, tuple(stage.name for stage in board.pipeline.stages))


# -- locks (L2) ------------------------------------------------------------------------------------------------


def why_not_lock(board: Board, event: LockAsked) -> Message | None:
    """L2 A set of locks. Return why a person cannot close the stage: it does not exist; None: they can."""
    return None if board.pipeline.stage(event.stage) is not None else _no_stage(board, event.stage)


def lock(decision: Decision, event: LockAsked) -> None:
    """L2 A set of locks. Close a stage by a person's lock, besides its other locks."""
    board = decision.board
    no = why_not_lock(board, event)
    if no is not None:
        refuse(decision, event.by, no)
        return
    number = board.counters.next_lock
    board.put(replace(board.counters, next_lock=number + 1))
    lock_stage(
        decision,
        Lock(
            key=f"{event.stage}/{number}",
            stage=event.stage,
            reason=Verbatim(event.reason),
            by=event.by,
            since=decision.now,
            let_fixes_in=event.let_fixes_in,
            until=event.until,
        ),
    )


def why_not_unlock(board: Board, event: UnlockAsked) -> Message | None:
    """L2 A set of locks. Return why no lock is opened: there is none, or one of several was not named."""
    closing, opened = board.locks_of(event.stage), _meant(board, event)
    if not opened:
        return NotClosedBy(event.stage, event.lock, tuple(closing))
    return SeveralLocks(event.stage, tuple(opened)) if len(opened) > 1 and not event.every else None


def _meant(board: Board, event: UnlockAsked) -> list[Lock]:
    return [lock for lock in board.locks_of(event.stage) if event.lock in (None, lock.key)]


def unlock(decision: Decision, event: UnlockAsked) -> None:
    """L2 A set of locks. Open one lock of a stage or all; a failed run that held one ends as failed (L1).

    One of several must be named, or all asked for, because opening one too many may cost a fix its lane.
    """
    no = why_not_unlock(decision.board, event)
    if no is not None:
        refuse(decision, event.by, no)
        return
    for lock in _meant(decision.board, event):
        if lock.key in decision.board.locks:
            lift(decision, lock, event.by)
            open_lock(decision, lock, UnlockedBy(event.by, event.reason), by=event.by)


# -- retry (L4, F7) --------------------------------------------------------------------------------------------


def why_not_retry(board: Board, event: RetryAsked) -> Message | None:
    """L4 Retry. Return why the failed build cannot be repeated, for example after a newer commit; None: it can."""
    run = board.runs.get(event.run)
    if run is None:
        return Refusal(No.NOT_LIVE, event.run)
    if run.status is not Status.FAILED:
        return Refusal(No.NOT_FAILED, run.key, run.who, step=run.step, status=str(run.status))
    if stage_versions.off_main(board, run.service, run.position):
        return Refusal(No.OFF_MAIN, run.key, run.who)
    newer = _in_its_stage(board, run)
    return None if newer is None else Refusal(No.FIX_IS_THERE, run.key, run.who, head=newer, step=run.step)


def _in_its_stage(board: Board, run: Run) -> str | None:
    """Return the commit of the service that is in or past the stage where the run failed; None: there is none.

    It is a fix, or contains the run's commit. A fix that the run itself contains, such as one that failed further on,
    does not count.
    """
    if run.step.track is Track.FAST:
        return None
    history = board.service(run.service).history
    others = [
        r
        for r in board.fast_runs(run.service)
        if r.key != run.key and r.status is not Status.ENDING and not history.contains(run.position, r.position)
    ]
    fixes = [r for r in others if (r.holds_slot and r.step == run.step) or run.step in r.passed]
    if fixes:
        return fixes[0].sha
    ahead = fast_lane.backwards(board, run)
    return ahead.position.sha if ahead is not None and ahead.contains else None


def retry(decision: Decision, event: RetryAsked) -> None:
    """L4 Retry. `retry` repeats the failed build of a run in the stage where it failed, without a new commit."""
    no = why_not_retry(decision.board, event)
    if no is not None:
        refuse(decision, event.by, no, decision.board.runs.get(event.run))
        return
    run = decision.board.runs[event.run]
    told = RunRetried(event.by, run.step, event.reason, run.who)
    decision.tell(FactKind.RUN_RETRIED, told, run, by=event.by)
    decision.note(run, replace(told, who=None))
    holds = any(lock.run == run.key for lock in decision.board.locks_of(run.step.stage))
    decision.waits(run, run.step, queue_number=run.queue_number, retrying=holds, retried=0)


# -- cancel (L5) -----------------------------------------------------------------------------------------------


def why_not_cancel(board: Board, event: CancelAsked) -> Message | None:
    """L5 Cancelling. Return why the run cannot be cancelled: it is gone, or leaves already; None: it can."""
    run = board.runs.get(event.run)
    if run is None:
        return Refusal(No.NOT_LIVE, event.run)
    leaves = run.status is Status.ENDING or (run.holds_slot and run.attempt.cancelled_by is not None)
    return Refusal(No.LEAVES_ALREADY, event.run) if leaves else None


def cancel(decision: Decision, event: CancelAsked) -> None:
    """L5 Cancelling. A build that is cancelled in a stage that locks counts as one that was aborted.

    Anywhere else the run leaves without an effect on the stage.
    """
    no = why_not_cancel(decision.board, event)
    if no is not None:
        refuse(decision, event.by, no, decision.board.runs.get(event.run))
        return
    run = decision.board.runs[event.run]
    stage = decision.board.pipeline.stage(run.step.stage)
    why = Cancelled(event.by, event.reason)
    if run.holds_slot and stage is not None and stage.locks and run.step.track is Track.REAL:
        run = decision.update_attempt(run, cancelled_by=event.by)
        decision.tell(FactKind.RUN_LEAVING, RunEnding(why, run.step), run, by=event.by)
        decision.note(run, why)
        withdraw(decision, run, abort=True)
    else:
        leave(decision, run, Ending(End.CANCELLED, why), abort=True)


# -- the front of the queue (L7) -------------------------------------------------------------------------------


def why_not_move(board: Board, event: MoveAsked) -> Message | None:
    """L7 Moving. Return why the run cannot move to the front: it does not wait, or another must go first."""
    run = board.runs.get(event.run)
    if run is None:
        return Refusal(No.NOT_LIVE, event.run)
    if run.status is not Status.WAITING:
        return Refusal(No.NOT_WAITING, run.key, run.who, step=run.step, status=str(run.status))
    if run.retrying or run.lane is Lane.FAST:
        return Refusal(No.GOES_FIRST, run.key, run.who)
    passed = _would_pass(board, run)
    if not passed:
        return Refusal(No.FRONT_ALREADY, run.key, run.who, step=run.step)
    older = next((other for other in passed if _must_go_first(board, other, run)), None)
    if older is None:
        return None
    return Refusal(No.OLDER_GOES_FIRST, older.key, run.who, step=run.step, head=older.sha)


def _would_pass(board: Board, run: Run) -> list[Run]:
    """Return the main-lane runs that wait before it. Fixes and retries have a rank of their own."""
    before = takewhile(lambda other: other.key != run.key, board.queue(run.step))
    return [other for other in before if other.queue_rank == run.queue_rank]


def _must_go_first(board: Board, other: Run, run: Run) -> bool:
    """F11: return whether `other` is, or may be, an older commit of the service, at a stage that rolls out."""
    if other.service != run.service or not stage_versions.rolls_out(board.pipeline, run.step):
        return False
    return board.service(run.service).history.contains(other.position, run.position) is not True


def move(decision: Decision, event: MoveAsked) -> None:
    """L7 Moving. A person moves a waiting run to the front of the main lane's queue for its step.

    It enters under the same conditions as every run: not while the stage is locked, full or paused.
    """
    no = why_not_move(decision.board, event)
    if no is not None:
        refuse(decision, event.by, no, decision.board.runs.get(event.run))
        return
    run = decision.board.runs[event.run]
    told = RunMoved(event.by, run.step, event.reason, run.who)
    moved = decision.update(run, moved=Moved(decision.board.queue_number(), event.by, event.reason))
    decision.tell(FactKind.RUN_MOVED, told, moved, by=event.by)
    decision.note(moved, replace(told, who=None))


# -- fast lane (F1) --------------------------------------------------------------------------------------------


def why_not_fast_lane(board: Board, event: FastLaneAsked) -> Message | None:
    """F1: return why the head of main of the service cannot take the fast lane now; None: it can."""
    head = board.service(event.service).history.head
    if event.stage is not None and board.pipeline.stage(event.stage) is None:
        return _no_stage(board, event.stage)
    if board.pipeline.service(event.service) is None or head is None:
        return Refusal(No.NO_COMMIT_KNOWN, service=event.service)
    if stage_versions.has_failed(board, event.service, head.sha):
        return _head(No.HEAD_HAS_FAILED, event, head)
    live = [r for r in board.of_commit(event.service, head.sha) if r.status is not Status.ENDING and not r.taken_out]
    if event.stage is None and not fast_lane.is_open(board, event.service):
        return Refusal(No.LANE_IS_CLOSED, service=event.service)
    if not live and stage_versions.is_through(board, event.service, head.sha):
        return _head(No.HEAD_IS_THROUGH, event, head)
    if any(r.lane is Lane.FAST and event.stage in (None, *r.permits) for r in live):
        return _head(No.HEAD_IS_FAST, event, head)
    return None


def _head(no: No, event: FastLaneAsked, head: Position) -> Refusal:
    return Refusal(no, service=event.service, head=head.sha)


def send_head_fast(decision: Decision, event: FastLaneAsked) -> None:
    """F1: put the head of main on the fast lane once, into `stage` even if others have locked it."""
    head = decision.board.service(event.service).history.head
    no = why_not_fast_lane(decision.board, event)
    if no is not None:
        refuse(decision, event.by, no)
    elif head is not None:
        send_fast(decision, event.service, head, why=AskedBy(event.by, event.reason), permit=event.stage)


# -- modes -----------------------------------------------------------------------------------------------------


def change_mode(decision: Decision, event: ModeAsked) -> None:
    """Set the mode of the pipeline; when it stops observing, the withdrawals held back until then are sent."""
    board = decision.board
    before = board.header.mode
    board.put(replace(board.header, mode=event.mode, mode_by=event.by, mode_why=event.reason))
    told = ModeChanged(event.by, before, event.mode, event.reason)
    decision.tell(FactKind.MODE_CHANGED, told, by=event.by)
    apply_mode(decision, before)


_WHY = {
    Mode.PAUSE: Phrased(Phrase.PAUSED),
    Mode.OBSERVE: Phrased(Phrase.OBSERVES),
    Mode.RUN: Phrased(Phrase.OBSERVED),
}


def apply_mode(decision: Decision, before: Mode) -> None:
    """Apply a changed mode: call back builds not yet in Jenkins' queue, or send withdrawals that were held back."""
    board = decision.board
    mode = board.header.mode
    if mode is before:
        return
    everything: list[Buildable] = [*board.runs.values(), *board.verifications.values()]
    for built in sorted(everything, key=lambda built: (built.queue_number, built.key)):
        if before is Mode.OBSERVE and _is_leaving(built):
            _send_withdrawal(decision, built)
        elif built.status is Status.STARTING and built.attempt.queue_item is None and not _is_leaving(built):
            _call_back(decision, built, _WHY[mode])


def _is_leaving(built: Buildable) -> bool:
    """Return whether its build must end, or was called back already."""
    if not built.holds_slot:
        return False
    leaves = built.status in (Status.ENDING, Status.RECALLED)
    return leaves or built.attempt.timed_out or built.attempt.cancelled_by is not None


def _call_back(decision: Decision, built: Buildable, why: Message) -> None:
    """Call back a build that is asked for, perhaps not sent yet, and not known to be in Jenkins' queue."""
    if decision.board.job_of(built) is None:
        give_back(decision, built)
    else:
        recall_build(decision, built, why)


def _send_withdrawal(decision: Decision, built: Buildable) -> None:
    if decision.board.job_of(built) is None and built.attempt.build is None:
        give_back(decision, built)  # its stage is no longer configured: nothing was sent, and nothing will be
        return
    withdraw(decision, built, abort=_is_aborted(decision, built))


def _is_aborted(decision: Decision, built: Buildable) -> bool:
    return built.taken_out or built.attempt.timed_out or (built.status is Status.ENDING and may_abort(decision, built))


# -- dead letters and parked deliveries --------------------------------------------------------------------------------


def note_taken_out(decision: Decision, event: TakenOut) -> None:
    """Record who retried or dropped a dead letter or a parked delivery. That is done already."""
    is_letter = event.what == "dead-letter"
    kind = FactKind.DEAD_LETTER_TAKEN_OUT if is_letter else FactKind.PARKED_DELIVERY_TAKEN_OUT
    told = WasTakenOut(event.by, event.what, event.name, event.again, event.reason)
    decision.tell(kind, told, by=event.by)
