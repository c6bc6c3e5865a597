"""The locks of a stage, rules L1 to L3: how they close it, how they open, and what follows at once (F8, F9, F12).

What new proofs or a force-push change is looked at from here too: `reconsider`.
The same rules for people: docs/locks.md, which also names the functions of L4 to L7; a test holds the two together.
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
    epoch seconds by Jenkins' clock, if that is known. `taken_back`: a person has cancelled its build. Of a repeated
    build that tells nothing new about the stage, so the lock keeps the reason that it had (L5).
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

    Close it by one more lock: people are told, the banner goes up, the not yet started come back (L3).
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
    """L3 Keeping out. Locking calls back the admitted runs that may not enter now and whose build has not started."""
    for run in decision.board.inside(Step(stage)):
        if (
            run.status is Status.STARTING
            and run.attempt.cancelled_by is None
            and fast_lane.kept_out(decision.board, stage, run)
        ):
            recall_build(decision, run, ClosedNow(stage))


def recall_build(decision: Decision, run: Buildable, why: Message) -> None:
    """Call back an admitted run or verification: at the head of its queue again once Jenkins has confirmed."""
    recalled = decision.update(run, status=Status.RECALLED)
    tell_called_back(decision, recalled, why)
    withdraw(decision, recalled, abort=False)


def tell_called_back(decision: Decision, run: Buildable, why: Message) -> None:
    """Say that an admitted run or verification is called back before its build has started."""
    told = CalledBack(run.step, why, run.who)
    decision.tell(FactKind.RUN_RECALLED, told, run)
    decision.note(run, replace(told, who=None))


# -- opening ---------------------------------------------------------------------------------------------------


def passed_stage(decision: Decision, run: Run) -> None:
    """A run has passed its step: note what is there now; clean up and open what it opens (F8, F9).

    A stage may have locks though it locks no more: of a person, or from before its policy was changed.
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
    """The next part of the clean-ups that were under way before this decision, and what follows the last (F9)."""
    for service in services:
        if service in decision.board.clean_ups:
            clean_up(decision, service)
            open_passed(decision, service)


def open_passed(decision: Decision, service: str) -> None:
    """F9: open the service's locks that what is in their stage opens, once all that it contains is removed.

    Where containment is not known, ask.
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
    """The failed run that holds the lock ends as superseded by the run that passed, whatever its lane."""
    holder = decision.board.runs.get(lock.run or "")
    if holder is not None and holder.status is Status.FAILED and holder.key != version.run:
        contained = base == lock.position
        ending = superseded(version.run, version.position.sha, "F9") if contained else dropped(holder)
        leave(decision, holder, ending)


def open_lock(decision: Decision, lock: Lock, why: Message, *, by: str) -> None:
    """L2 A set of locks. Each lock is opened separately; the stage is open when it was the last.

    The rest follows in the same decision: the banner, the lane, people (F9, F12).
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
        decision.update(holder, retrying=False)  # it holds nothing any more: other locks count for it (L4)
    if lock.service is not None:
        leave_lane(decision, lock.service, opener=by)


def reconsider(decision: Decision, event: HeadSeen | ContainmentKnown | Merged) -> None:
    """A new proof is there: everything of the service that waited for one is looked at again."""
    service = event.service
    clean_up(decision, service)
    open_passed(decision, service)
    drop_unmerged(decision, service)
    for run in decision.board.fast_runs(service):
        if run.key in decision.board.runs:
            newest_fix(decision, decision.board.runs[run.key])


def reconsider_if_forced(decision: Decision, event: Merged) -> None:
    """A force-push proves what is off main now; any other push proves only what it brought, which is new."""
    if event.forced:
        reconsider(decision, event)
