"""The locks of a stage, rules L1 to L3: their closing, their opening, and the immediate results (F8, F9, F12).

`reconsider` applies new proofs and force-pushes to runs and locks.

The same rules for people: docs/locks.md, which also names the functions of L4 to L7; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model.events import ContainmentKnown, HeadSeen, Merged
from bot.core.model.facts import FactKind
from bot.core.model.history import Position
from bot.core.model.messages import LockedSinceMoved, Message, StepPassed, Who
from bot.core.model.pipeline import Lane, Step, Track
from bot.core.model.replaced import replace
from bot.core.model.run import Buildable, End, Ending, Run, Status
from bot.core.model.stage_messages import CalledBack, ClosedNow, StageLocked, StageUnlocked
from bot.core.model.stage_state import Lock, Version
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.cleanup import (
    clean_up,
    drop,
    drop_unmerged,
    dropped,
    leave,
    newest_fix,
    superseded,
    withdraw,
)
from bot.core.rules.containment import ask_containment
from bot.core.rules.decision import Decision
from bot.core.rules.queue import leave_lane, send_fast

# -- locking ---------------------------------------------------------------------------------------------------


def lock_by_failure(decision: Decision, run: Run, why: Message, ended: float | None, *, taken_back: bool) -> None:
    """L1 Locking. A stage with policy `lock` locks itself when a run fails in it.

    The failed run has freed its slot, and stays as the holder of the lock. `ended`: when the failing build ended, in
    epoch seconds by Jenkins' clock; None: not known. `taken_back`: a person has cancelled its build. A cancelled repeat
    proves nothing new about the stage, so the lock keeps the reason that it had (L5).
    """
    stage = run.step.stage
    held = decision.board.locks.get(f"{stage}/{run.key}")
    lock = Lock(
        key=f"{stage}/{run.key}",
        stage=stage,
        reason=held.reason if held is not None and taken_back else why,
        by=run.key,
        since=held.since if held else decision.now,
        run=run.key,
        service=run.service,
        position=run.position,
        build=held.build if held is not None and taken_back else run.attempt.build,
    )
    lock_stage(decision, lock)
    head = fast_lane.head_enters(decision.board, lock, ended)
    if head is not None:
        send_fast(decision, run.service, head, why=LockedSinceMoved(stage))


def lock_stage(decision: Decision, lock: Lock) -> None:
    """L2 A set of locks. A stage has a set of locks, each opened separately, and is open when the set is empty.

    Adds one lock. The notice, the banner and the recall of runs that have not started (L3) follow in the same decision.
    """
    board = decision.board
    again = lock.key in board.locks
    board.put(lock)
    told = StageLocked(lock.stage, lock.reason)
    where = Step(lock.stage)
    decision.tell(
        FactKind.STAGE_LOCKED, told, step=where, holder=lock.run, service=lock.service, by=lock.by, lock=lock.key
    )
    if not again:
        decision.locked.append(lock)
    recall(decision, lock.stage)


def recall(decision: Decision, stage: str) -> None:
    """L3 Keeping out. Call back the admitted runs that may not enter now and whose build has not started."""
    for run in decision.board.inside(Step(stage)):
        if (
            run.status is Status.STARTING
            and run.attempt.cancelled_by is None
            and fast_lane.kept_out(decision.board, stage, run)
        ):
            recall_build(decision, run, ClosedNow(stage))


def recall_build(decision: Decision, run: Buildable, why: Message) -> None:
    """Call back an admitted run or verification: it is at the head of its queue once Jenkins has confirmed."""
    recalled = decision.update(run, status=Status.RECALLED)
    tell_called_back(decision, recalled, why)
    withdraw(decision, recalled, abort=False)


def tell_called_back(decision: Decision, run: Buildable, why: Message) -> None:
    """Record that an admitted run or verification is called back before its build has started."""
    told = CalledBack(run.step, why, run.who)
    decision.tell(FactKind.RUN_RECALLED, told, run)
    decision.note(run, replace(told, who=None))


# -- opening ---------------------------------------------------------------------------------------------------


def passed_stage(decision: Decision, run: Run) -> None:
    """Record that a run has passed its step; clean up and open locks if that follows (F8, F9).

    A stage may have locks without a lock policy: of a person, or from before its policy was changed.
    """
    board, step = decision.board, run.step
    stage = board.pipeline.stage(step.stage)
    real = stage is not None and step.track is Track.REAL
    locks = real and stage is not None and (stage.locks or bool(board.locks_of(stage.name)))
    stage_versions.passed(board, run, decision.now, cleans_up=locks and run.lane is Lane.FAST)
    if locks and run.lane is Lane.FAST:
        clean_up(decision, run.service)
    if locks:
        open_passed(decision, run.service)
    live = board.runs.get(run.key)
    if real and live is not None and stage_versions.off_main(board, run.service, run.position):
        drop(decision, live)


def go_on_cleaning(decision: Decision, services: Sequence[str]) -> None:
    """Continue the clean-ups that were under way before this decision, and open locks after the last part (F9)."""
    for service in services:
        if service in decision.board.clean_ups:
            clean_up(decision, service)
            open_passed(decision, service)


def open_passed(decision: Decision, service: str) -> None:
    """F9: open the service's locks that the version in their stage opens, once all that it contains is removed.

    Where containment is unknown, ask GitHub.
    """
    if service in decision.board.clean_ups or not decision.board.locks_held_by(service):
        return
    for found in decision.board.versions_of(service):
        version = stage_versions.opens(found)
        if version is None:
            continue
        for lock, opens, base in list(fast_lane.opened_by(decision.board, version, found.step.stage, service)):
            if opens:
                why = StepPassed(found.step, Who(service, version.position.sha))
                _replace_holder(decision, lock, version, base)
                open_lock(decision, lock, why, by=version.run)
            elif opens is None:
                ask_containment(decision, service, base=base.sha, head=version.position.sha)


def _replace_holder(decision: Decision, lock: Lock, version: Version, base: Position) -> None:
    """End the failed run that holds the lock as superseded by the run that passed, on either lane.

    If a force-push dropped its commit, the run ends as dropped.
    """
    holder = decision.board.runs.get(lock.run or "")
    if holder is not None and holder.status is Status.FAILED and holder.key != version.run:
        contained = base == lock.position
        ending = superseded(version.run, version.position.sha, "F9") if contained else dropped(holder)
        leave(decision, holder, ending)


def open_lock(decision: Decision, lock: Lock, why: Message, *, by: str) -> None:
    """L2 A set of locks. Open one lock; the stage is open when it was the last.

    The banner, the lane and the notices follow in the same decision (F9, F12).
    """
    board = decision.board
    board.drop(lock)
    left = len(board.locks_of(lock.stage))
    told = StageUnlocked(lock.stage, why, left)
    where = Step(lock.stage)
    decision.tell(
        FactKind.STAGE_UNLOCKED, told, step=where, holder=lock.run, service=lock.service, by=by, lock=lock.key
    )
    decision.unlocked.append((lock, why))
    holder = board.runs.get(lock.run) if lock.run else None
    if holder is not None and holder.status is Status.FAILED:
        decision.end(holder, Ending(End.FAILED, lock.reason))
    elif holder is not None and holder.retrying:
        decision.update(holder, retrying=False)  # it holds no lock any more, so other locks count for it (L4)
    if lock.service is not None:
        leave_lane(decision, lock.service, opener=by)


def reconsider(decision: Decision, event: HeadSeen | ContainmentKnown | Merged) -> None:
    """Apply a new proof to all runs and locks of the service that wait for one."""
    service = event.service
    clean_up(decision, service)
    open_passed(decision, service)
    drop_unmerged(decision, service)
    for run in decision.board.fast_runs(service):
        if run.key in decision.board.runs:
            newest_fix(decision, decision.board.runs[run.key])


def reconsider_if_forced(decision: Decision, event: Merged) -> None:
    """Reconsider after a force-push: it proves what is off main. Other pushes prove facts about new commits alone."""
    if event.forced:
        reconsider(decision, event)
