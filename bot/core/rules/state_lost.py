"""The recovery of a lost board: close every stage that locks, put back what is known, and tell people.

The known state comes from a worker that ran before the loss (`remembered`), or from traces in Jenkins
(`bot.core.rules.traces`). Either may be wrong or outdated, so it closes stages and starts the head of main, but opens
nothing. No older commit gets on top of a newer one (F11), because the stage versions are put back too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.effects import Notify
from bot.core.model.events import FirstStart, StateLost
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message, StartsAgain, Who
from bot.core.model.pipeline import Lane
from bot.core.model.replaced import replace
from bot.core.model.run import Run, Status
from bot.core.model.stage_messages import ClosedAfterLoss, FoundInBanner, LossNotice, LostRun, StateWasLost
from bot.core.model.stage_state import Lock
from bot.core.model.traces import BuildTrace, LockTrace
from bot.core.rules import fast_lane, traces
from bot.core.rules.decision import Decision
from bot.core.rules.queue import start_run
from bot.core.rules.stage_locks import lock_stage, open_passed

#: The holder of the locks after a loss.
BY = "Interlock"
#: How many runs, locks and so on a notice lists.
LISTED = 20
#: For how long a loss is shown at least, in seconds since it was found.
SHOWN = 86_400.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss as people see it: when it was found (seconds since the epoch), how, and the stages still closed by it.

    `found`: stage and reason of each lock that was read from a banner. A person who opens the lock of the loss and
    leaves these has confirmed them.
    """

    at: float
    why: str
    locked: tuple[str, ...]
    found: tuple[tuple[str, Message], ...] = ()


def lock_key(stage: str) -> str:
    """Return the key of the lock that closes a stage after a loss."""
    return f"{stage}/lost"


def loss(board: Board, now: float) -> Loss | None:
    """Return the loss to show: while one of its locks stands, and for a day; else None."""
    header = board.header
    if header.lost is None:
        return None
    locked = tuple(s.name for s in board.pipeline.stages if lock_key(s.name) in board.locks)
    if not locked and now >= header.lost + SHOWN:
        return None
    return Loss(header.lost, header.lost_why, locked, found_in_banners(board.locks.values()) if locked else ())


def found_in_banners(locks: Iterable[Lock]) -> tuple[tuple[str, Message], ...]:
    """Return stage and reason of each lock that was read from a banner, the oldest first."""
    rows = sorted(locks, key=lambda lock: (lock.since, lock.key))
    return tuple((lock.stage, lock.reason.reason) for lock in rows if isinstance(lock.reason, FoundInBanner))


def remembered(board: Board, why: str) -> StateLost:
    """Return what a worker remembers from before the loss; `board`: its replica of the board."""
    live = [run for run in board.runs.values() if run.status not in (Status.ENDING, Status.FAILED)]
    live.sort(key=lambda run: (run.created, run.queue_number))
    locks = sorted(board.locks.values(), key=lambda lock: (lock.since, lock.key))
    stood = [lock for lock in locks if not lock.freeze and lock.key != lock_key(lock.stage)]
    failed = [run for lock in stood if (run := board.runs.get(lock.run or "")) and run.status is Status.FAILED]
    return StateLost(
        why,
        locked=tuple((lock.stage, lock.reason) for lock in stood),
        services=tuple(replace(state, asked=()) for _, state in sorted(board.services.items())),
        runs=tuple(run for run in live if not run.taken_out),
        mode=board.header.mode,
        mode_by=board.header.mode_by,
        mode_why=board.header.mode_why,
        locks=tuple(map(_trace, stood)),
        holders=tuple(failed),
        versions=tuple(version for _, version in sorted(board.versions.items())),
    )


def _trace(lock: Lock) -> LockTrace:
    sha = lock.position.sha if lock.position is not None else ""
    whose = (lock.run or "", lock.service or "", sha, lock.build)
    return LockTrace(lock.stage, lock.reason, lock.by, lock.since, lock.until, lock.let_fixes_in, *whose)


def begin(decision: Decision, _: FirstStart) -> None:
    """Record that Jenkins shows no builds of ours from before, so no state was lost."""
    board = decision.board
    if board.header.unproven:
        board.put(replace(board.header, unproven=False))


def recover_lost_state(decision: Decision, event: StateLost) -> None:
    """Put back what is known, close every stage that locks, tell people; once for each loss."""
    board = decision.board
    if board.header.lost is not None:
        return
    header = replace(board.header, lost=decision.now, lost_why=event.why, unproven=False)
    if event.mode is not None:
        header = replace(header, mode=event.mode, mode_by=event.mode_by, mode_why=event.mode_why)
    board.put(header)
    decision.tell(FactKind.STATE_LOST, StateWasLost(event.why), by=BY)
    for state in event.services:
        if board.pipeline.service(state.key) is not None and board.service(state.key).history.head is None:
            board.put(state)
    traces.put_back_services(board, event)
    traces.put_back_versions(board, event)
    locks = traces.put_back_locks(decision, event)
    stand = {(lock.stage, _original(lock.reason)) for lock in locks}
    only_told = tuple(each for each in event.locked if each not in stand)
    closed = [stage.name for stage in board.pipeline.stages if stage.locks]
    for stage in closed:
        _close(decision, stage, [why for where, why in only_told if where == stage])
    for service in sorted({lock.service for lock in locks if lock.service}):
        open_passed(decision, service)  # a known lock may be older than a version that has passed since (F9)
    again = [*_start_again(decision, event), *traces.start_heads(decision, event)]
    surveyed = traces.survey(decision, event)
    about = _notice(board, replace(event, locked=only_told), closed, again, locks, surveyed)
    decision.notify([Notify("stuck", board.pipeline.stages[0].name, about, f"state-lost/{decision.now:.3f}")])


def _original(reason: Message) -> Message:
    return reason.reason if isinstance(reason, FoundInBanner) else reason


def _close(decision: Decision, stage: str, before: list[Message]) -> None:
    """Add the lock of the loss to a stage; its reason lists what else is known to have locked it before."""
    reason = ClosedAfterLoss(tuple(before[:LISTED]))
    lock_stage(decision, Lock(lock_key(stage), stage, reason, BY, decision.now))


def _start_again(decision: Decision, event: StateLost) -> list[Run]:
    """Start the newest live commit of each service again: it carries those before it. Return the new runs."""
    board = decision.board
    newest = {run.service: run for run in event.runs if board.pipeline.service(run.service) is not None}
    started: list[Run] = []
    for service, run in newest.items():
        if board.service(service).history.find(run.sha) is None or board.of_commit(service, run.sha):
            continue
        lane = run.lane if fast_lane.merge_enters(board, service) else Lane.MAIN
        new = start_run(decision, service, run.position, lane, merge=run.merge)
        decision.note(new, StartsAgain(new.key, run.key, run.step))
        started.append(new)
    return started


def _notice(
    board: Board, event: StateLost, closed: list[str], again: list[Run], locks: list[Lock], surveyed: int
) -> LossNotice:
    return LossNotice(
        board.pipeline.name,
        event.why,
        tuple(closed),
        event.locked[:LISTED],
        tuple(LostRun(run.who, run.step, str(run.status)) for run in event.runs[:LISTED]),
        len(event.runs),
        tuple(run.who for run in again[:LISTED]),
        tuple((lock.stage, lock.reason) for lock in locks[:LISTED]),
        tuple(map(_going, [trace for trace in event.builds if trace.result is None][:LISTED])),
        event.silent[:LISTED],
        surveyed,
    )


def _going(trace: BuildTrace) -> LostRun:
    what = "in Jenkins' queue" if trace.number is None else f"build #{trace.number} runs"
    return LostRun(Who(trace.service, trace.sha), trace.step, what)
