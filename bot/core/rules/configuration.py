"""A change of the configuration while runs are live, and a board that lost its state: nothing is lost silently."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.core.model.board import Board
from bot.core.model.effects import Notify
from bot.core.model.events import Configured, FirstStart, StateLost
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message, StartsAgain, Unconfigured
from bot.core.model.pipeline import Lane
from bot.core.model.run import End, Ending, Run, Status
from bot.core.model.stage_messages import ClosedAfterLoss, LossNotice, LostRun, PipelineConfigured, StateWasLost
from bot.core.model.stage_state import Lock
from bot.core.rules import fast_lane, verifications
from bot.core.rules.cleanup import leave
from bot.core.rules.decision import Decision
from bot.core.rules.queue import find_place, start_run
from bot.core.rules.requests import apply_mode
from bot.core.rules.stage_locks import lock_stage, open_lock


def configure(decision: Decision, event: Configured) -> None:
    """Take the new configuration, then find a place for every run, lock and backoff of the old one."""
    board = decision.board
    before = board.header.mode
    mode = event.mode or before
    asked = event.mode or board.header.configured_mode
    header = replace(board.header, pipeline=event.pipeline, mode=mode, configured_mode=asked)
    if not header.born:
        header = replace(header, born=decision.now, unproven=True)
    if mode is not before:
        header = replace(header, mode_by="the configuration", mode_why="its mode was changed")
    if board.header == header:
        return
    board.put(header)
    decision.tell(FactKind.CONFIGURED, _configured(board))
    steps = set(board.jobs().values())
    for run in sorted(board.runs.values(), key=lambda r: r.queue_number):
        _place(decision, run.key)
    for lock in sorted(board.locks.values(), key=lambda k: (k.since, k.key)):
        gone = board.pipeline.stage(lock.stage) is None
        orphan = lock.service is not None and board.pipeline.service(lock.service) is None
        if gone or orphan:
            what = Unconfigured((lock.service or "") if orphan and not gone else lock.stage)
            open_lock(decision, lock, what, by="configuration")
    for backoff in [t for t in board.backoffs.values() if t.step not in steps]:
        board.drop(backoff)
    jobs = {f"{job.controller}/{job.name}" for job in board.jobs()}
    for unmanaged in [
        f for f in board.unmanaged.values() if f.step not in steps or f.key.rpartition("/")[0] not in jobs
    ]:
        board.drop(unmanaged)  # nobody would tell of its end; under another name of its job it is seen anew
    for build in [past for past in board.past.values() if past.key.rpartition("/")[0] not in jobs]:
        board.drop(build)
    verifications.configure_verifications(decision)
    apply_mode(decision, before)


def _place(decision: Decision, key: str) -> None:
    """A run whose service is gone ends; one that waits does so before the first stage that it has not passed.

    So whoever waited for a stage that was removed goes on, and comes back to it if it is put back in time.
    """
    board = decision.board
    run = board.runs.get(key)
    if run is None or run.status is Status.ENDING:
        return  # a newer one that found its place may have replaced it (F6)
    if board.pipeline.service(run.service) is None:
        leave(decision, run, Ending(End.DROPPED, Unconfigured(run.service)))
        return
    if run.holds_slot or run.retrying:
        return  # a running build is waited for; what comes after it is decided when it has ended
    if run.status is Status.WAITING and fast_lane.next_step(board.pipeline, run) != run.step:
        find_place(decision, run)
    elif run.status is Status.FAILED and run.step not in board.steps():
        decision.end(run, Ending(End.FAILED, Unconfigured(str(run.step))))


def _configured(board: Board) -> PipelineConfigured:
    pipeline = board.pipeline
    stages = tuple(stage.name for stage in pipeline.stages)
    return PipelineConfigured(pipeline.name, stages, len(pipeline.services), board.header.mode)


# -- state that was lost ---------------------------------------------------------------------------------------


#: Who holds the locks that are put up because state was lost.
BY = "Interlock"
#: How many runs, locks and so on a notice lists.
LISTED = 20
#: For how long a loss is shown after the last of its locks was opened, in seconds since it was found.
SHOWN = 86_400.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss that people must still know of: when it was found (seconds since the epoch), how, which stages wait."""

    at: float
    why: str
    locked: tuple[str, ...]


def lock_key(stage: str) -> str:
    """The key of the lock that closes a stage because state was lost."""
    return f"{stage}/lost"


def loss(board: Board, now: float) -> Loss | None:
    """The loss that is to be shown: while one of its locks stands, and for a day."""
    header = board.header
    if header.lost is None:
        return None
    locked = tuple(s.name for s in board.pipeline.stages if lock_key(s.name) in board.locks)
    return Loss(header.lost, header.lost_why, locked) if locked or now < header.lost + SHOWN else None


def remembered(board: Board, why: str) -> StateLost:
    """What a worker that has run since before the loss remembers: this was its copy of the board."""
    live = [run for run in board.runs.values() if run.status not in (Status.ENDING, Status.FAILED)]
    live.sort(key=lambda run: (run.created, run.queue_number))
    locks = sorted(board.locks.values(), key=lambda lock: (lock.since, lock.key))
    return StateLost(
        why,
        locked=tuple(
            (lock.stage, lock.reason) for lock in locks if not lock.freeze and lock.key != lock_key(lock.stage)
        ),
        services=tuple(replace(state, asked=()) for _, state in sorted(board.services.items())),
        runs=tuple(run for run in live if not run.taken_out),
        mode=board.header.mode,
        mode_by=board.header.mode_by,
        mode_why=board.header.mode_why,
    )


def recover_lost_state(decision: Decision, event: StateLost) -> None:
    """Take back what is remembered, close every stage that locks, tell people; once for each loss."""
    board = decision.board
    if board.header.lost is not None:
        return
    header = replace(board.header, lost=decision.now, lost_why=event.why, unproven=False)
    if event.mode is not None:
        header = replace(header, mode=event.mode, mode_by=event.mode_by, mode_why=event.mode_why)
    board.put(header)
    decision.tell(FactKind.STATE_LOST, StateWasLost(event.why), by=BY)
    closed = [stage.name for stage in board.pipeline.stages if stage.locks]
    for stage in closed:
        _close(decision, stage, [why for where, why in event.locked if where == stage])
    again = _start_again(decision, event)
    about = _notice(board, event, closed, again)
    decision.do(Notify("stuck", board.pipeline.stages[0].name, about, f"state-lost/{decision.now:.3f}"))


def begin(decision: Decision, _: FirstStart) -> None:
    """Jenkins shows nothing of ours from before: nothing was lost."""
    board = decision.board
    if board.header.unproven:
        board.put(replace(board.header, unproven=False))


def _close(decision: Decision, stage: str, before: list[Message]) -> None:
    """One lock beside those that there may be; it tells what was known to have locked the stage before."""
    reason = ClosedAfterLoss(tuple(before[:LISTED]))
    lock_stage(decision, Lock(lock_key(stage), stage, reason, BY, decision.now))


def _start_again(decision: Decision, event: StateLost) -> list[Run]:
    """For each service the newest commit that was on its way starts again: it carries those before it."""
    board = decision.board
    for state in event.services:
        if board.pipeline.service(state.key) is not None and board.service(state.key).history.head is None:
            board.put(state)
    newest = {run.service: run for run in event.runs if board.pipeline.service(run.service) is not None}
    started: list[Run] = []
    for service, run in newest.items():
        if board.service(service).history.find(run.sha) is None or board.of_commit(service, run.sha):
            continue
        new = start_run(decision, service, run.position, Lane.MAIN, merge=run.merge)
        decision.note(new, StartsAgain(new.key, run.key, run.step))
        started.append(new)
    return started


def _notice(board: Board, event: StateLost, closed: list[str], again: list[Run]) -> LossNotice:
    return LossNotice(
        board.pipeline.name,
        event.why,
        tuple(closed),
        event.locked[:LISTED],
        tuple(LostRun(run.who, run.step, str(run.status)) for run in event.runs[:LISTED]),
        len(event.runs),
        tuple(run.who for run in again[:LISTED]),
    )
