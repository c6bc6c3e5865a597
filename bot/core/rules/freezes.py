"""The acts of freezes, rules W1 to W3: their locks begin and end by the clock, people lift them or let runs through.

`freeze_windows` has the questions.
"""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.events import FreezesPlanned, LetThroughAsked, PullLabelled
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze, LiftedFreeze, PullLabels
from bot.core.model.messages import AskedBy, Message
from bot.core.model.refusals import No, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Merge, Status
from bot.core.model.stage_messages import FreezeEnded, FreezesChanged, LetThrough
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Decision
from bot.core.rules.freeze_windows import wanted
from bot.core.rules.stage_locks import lock_stage, open_lock, recall

#: How many labels of one pull request are kept.
LABELS = 20


def plan_freezes(decision: Decision, event: FreezesPlanned) -> None:
    """Take the freezes and their next windows. `keep_freezes` changes the locks in the same decision (W3).

    Freezes of a configuration earlier than that of the board are ignored.
    """
    board = decision.board
    before = board.header.freezes
    if before == event.freezes or event.revision.since < board.header.revision.since:
        return
    freezes = {freeze.name: freeze for freeze in event.freezes}
    lifted = tuple(lift for each in board.header.lifted if (lift := _still_lifted(each, freezes, decision.now)))
    board.put(replace(board.header, freezes=event.freezes, lifted=lifted))
    if [_meaning(freeze) for freeze in before] != [_meaning(freeze) for freeze in event.freezes]:
        decision.tell(FactKind.FREEZES_PLANNED, FreezesChanged(tuple(freezes)))


def _meaning(freeze: Freeze) -> Freeze:
    """Return the freeze without its windows, which are planned anew as time passes."""
    return replace(freeze, windows=())


def _still_lifted(lift: LiftedFreeze, freezes: dict[str, Freeze], now: float) -> LiftedFreeze | None:
    """Return the lift with the end of the window in force, even if that was moved; None: it is over."""
    freeze = freezes.get(lift.freeze)
    window = freeze.window(now) if freeze is not None else None
    return replace(lift, until=window.ends) if window is not None and now < lift.until else None


def keep_freezes(decision: Decision) -> None:
    """W1 Freezing. While a freeze window of a stage is in force, a lock stands there that ends with the window.

    Locks that are due are put up and those that are over are opened, also if no event was decided at their times.
    """
    board = decision.board
    standing = {lock.key: lock for lock in board.locks.values() if lock.freeze}
    if not standing and not board.header.freezes:
        return
    due = {lock.key: lock for lock in wanted(board, decision.now)}
    for key, lock in sorted(standing.items()):
        if key not in due:
            over = lock.until is not None and lock.until <= decision.now
            open_lock(decision, lock, FreezeEnded(lock.freeze, changed=not over), by=lock.by)
        elif lock != (moved := replace(due[key], since=lock.since)):
            board.put(moved)
    for key, lock in sorted(due.items()):
        if key not in standing:
            lock_stage(decision, lock)
    _forget_lifts(decision)


def _forget_lifts(decision: Decision) -> None:
    header = decision.board.header
    lifted = tuple(lift for lift in header.lifted if decision.now < lift.until)
    if lifted != header.lifted:
        decision.board.put(replace(header, lifted=lifted))


def lift(decision: Decision, lock: Lock, by: str) -> None:
    """W3 Lifting. Unlocking a freeze lifts the rest of its present window in that stage; the next one comes."""
    if not lock.freeze or lock.until is None:
        return
    header = decision.board.header
    lifted = LiftedFreeze(lock.freeze, lock.stage, lock.until, by)
    decision.board.put(replace(header, lifted=(*header.lifted, lifted)))


# -- exceptions (W2) ---------------------------------------------------------------------------------------------


def why_not_let_through(board: Board, event: LetThroughAsked) -> Message | None:
    """W2 Exceptions. Return why a person cannot let the run through; None: they can.

    The run is gone or let through already, or no freeze lets single runs through.
    """
    run = board.runs.get(event.run)
    if run is None or run.status is Status.ENDING:
        return Refusal(No.NOT_LIVE, event.run)
    if not any(freeze.role for freeze in board.header.freezes):
        return Refusal(No.NOBODY_LET_THROUGH, run.key, run.who, step=run.step)
    return Refusal(No.LET_THROUGH_ALREADY, run.key, run.who) if run.let_through is not None else None


def let_through(decision: Decision, event: LetThroughAsked) -> None:
    """W2 Exceptions. A person lets one run through the freezes that allow it, until the run ends."""
    no = why_not_let_through(decision.board, event)
    run = decision.board.runs.get(event.run)
    if no is not None or run is None:
        decision.tell(FactKind.REQUEST_REFUSED, no or Refusal(No.NOT_LIVE, event.run), run, by=event.by)
        return
    changed = decision.update(run, let_through=AskedBy(event.by, event.reason))
    told = LetThrough(event.by, event.reason, run.who)
    decision.tell(FactKind.RUN_EXCEPTED, told, changed, by=event.by)
    decision.note(changed, replace(told, who=None))


def label_pull(decision: Decision, event: PullLabelled) -> None:
    """W2 Exceptions. The labels of a merged pull request have changed: the runs that carry it have them from now on.

    A run that was admitted because of a label, and has not started, is called back when the label is removed (L3).
    """
    board = decision.board
    for run in board.of_service(event.service):
        if event.labels.pull in run.merge.pulls:
            merge = labelled(run.merge, event.labels)
            if merge != run.merge:
                decision.update(run, merge=merge)
                recall(decision, run.step.stage)


def labelled(merge: Merge, labels: PullLabels | None) -> Merge:
    """Return the merge with the labels of one of its pull requests; older labels than the known ones are ignored."""
    if labels is None:
        return merge
    known = next((each for each in merge.labels if each.pull == labels.pull), None)
    if (known is None and not labels.names) or (known is not None and labels.at < known.at):
        return merge
    others = tuple(each for each in merge.labels if each.pull != labels.pull)
    return replace(merge, labels=(*others, replace(labels, names=labels.names[:LABELS])))
