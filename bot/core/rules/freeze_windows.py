"""Freeze windows, rules W1 to W3: questions about their locks and exceptions, and the record of an exception.

`freezes` acts. The same rules for people: docs/freezes.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.core.model.board import Board
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.indexes import queue_key
from bot.core.model.messages import Message
from bot.core.model.pipeline import Step, Track
from bot.core.model.replaced import replace
from bot.core.model.run import Run, Status
from bot.core.model.stage_messages import ExceptedByLabel, ExceptedByService, FreezePassed, Frozen, LetThrough
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Decision

#: The holder of the locks of freezes.
BY = "Interlock"
#: The part of the key of such a lock between the stage and the name of the freeze.
_OF_FREEZES = "freeze-"


def lock_key(stage: str, freeze: str) -> str:
    """Return the key of the lock of a freeze."""
    return f"{stage}/{_OF_FREEZES}{freeze}"


def is_freeze_lock(key: str | None) -> bool:
    """Return whether this is the key of a freeze's lock."""
    return key is not None and key.partition("/")[2].startswith(_OF_FREEZES)


def wanted(board: Board, now: float) -> Iterator[Lock]:
    """W1 Freezing. While a freeze window of a stage is in force, a lock stands there that ends with the window."""
    for freeze in board.header.freezes:
        window = freeze.window(now)
        for stage in freeze.stages if window is not None else ():
            if (
                window is not None
                and board.pipeline.stage(stage) is not None
                and not _lifted(board, freeze, stage, now)
            ):
                yield _lock(freeze, stage, window, now)


def _lock(freeze: Freeze, stage: str, window: FreezeWindow, now: float) -> Lock:
    return Lock(
        lock_key(stage, freeze.name),
        stage,
        Frozen(freeze.name, window.ends, freeze.time_zone),
        BY,
        now,
        until=window.ends,
        freeze=freeze.name,
    )


def _lifted(board: Board, freeze: Freeze, stage: str, now: float) -> bool:
    """W3 Lifting. Unlocking a freeze lifts the rest of its present window in that stage; the next one comes."""
    lifts = (lift for lift in board.header.lifted if (lift.freeze, lift.stage) == (freeze.name, stage))
    return any(now < lift.until for lift in lifts)


def closes_next(board: Board, step: Step, now: float) -> float | None:
    """Return when the next freeze window of the step begins, in seconds since the epoch; None: none is known.

    Exceptions do not count, because they may have changed by then and are checked again (W2).
    """
    if step.track is not Track.REAL:
        return None
    windows = (freeze.following(now) for freeze in board.header.freezes if step.stage in freeze.stages)
    return min((window.begins for window in windows if window is not None), default=None)


# -- exceptions --------------------------------------------------------------------------------------------------


def exception(board: Board, lock: Lock, run: Run) -> Message | None:
    """W2 Exceptions. A freeze keeps out fixes and retries as well, but not the runs that it excepts.

    Returns why the freeze that holds the lock excepts the run: its service, a label, a person; None: it does not, or
    the lock belongs to no freeze.
    """
    freeze = next((each for each in board.header.freezes if each.name == lock.freeze), None) if lock.freeze else None
    return None if freeze is None else _exception(freeze, run)


def _exception(freeze: Freeze, run: Run) -> Message | None:
    if run.service in freeze.services:
        return ExceptedByService(run.service)
    by_label = _label(freeze, run)
    if by_label is not None:
        return by_label
    by = run.let_through
    return LetThrough(by.by, by.reason) if freeze.role and by is not None else None


def _label(freeze: Freeze, run: Run) -> Message | None:
    counts = {label.casefold() for label in freeze.labels}
    for labels in run.merge.labels if counts else ():
        for name in labels.names:
            if name.casefold() in counts:
                return ExceptedByLabel(name, labels.pull)
    return None


def open_from(board: Board, step: Step, run: Run, at: float) -> float:
    """Return the first time, `at` or later, at which no known freeze keeps the run out of a step.

    Future windows count too.
    """
    if step.track is not Track.REAL:
        return at
    freezes = [freeze for freeze in board.header.freezes if step.stage in freeze.stages and not _exception(freeze, run)]
    while ends := [w.ends for f in freezes if (w := f.window(at)) and not _lifted(board, f, step.stage, at)]:
        at = max(ends)
    return at


def last_freeze(locks: Sequence[Lock]) -> Frozen | None:
    """Return the freeze that ends last, if nothing but freezes closes the stages; else None."""
    reasons = [lock.reason for lock in locks if isinstance(lock.reason, Frozen)]
    return max(reasons, key=lambda reason: reason.until, default=None) if len(reasons) == len(locks) else None


def is_frozen(board: Board, stage: str) -> bool:
    """Return whether a freeze closes the stage now."""
    return any(lock.freeze for lock in board.locks_of(stage))


def excepted(board: Board, step: Step) -> Iterator[Run]:
    """Yield the runs that wait for a frozen step and that a freeze may except, in the order of the queue.

    The others stay out and are not looked at, so a long queue costs nothing.
    """
    keys = set(board.may_be_excepted(step))
    services = {service for freeze in board.header.freezes for service in freeze.services}
    for service in services & board.services_waiting(step):
        keys |= {run.key for run in board.of_service(service)}
    waiting = (run for run in map(board.runs.__getitem__, keys) if run.status is Status.WAITING and run.step == step)
    return iter(sorted(waiting, key=queue_key))


def tell_excepted(decision: Decision, run: Run) -> None:
    """W2 Exceptions. A run that enters a frozen stage is recorded with the exception of the freeze."""
    for lock in decision.board.locks_of(run.step.stage) if run.step.track is Track.REAL else ():
        because = exception(decision.board, lock, run)
        if because is not None:
            told = FreezePassed(run.step, lock.freeze, because, run.who)
            decision.tell(FactKind.RUN_EXCEPTED, told, run)
            decision.note(run, replace(told, who=None))
