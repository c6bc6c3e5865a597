"""What follows when the store was found empty though this pipeline had run: close what locks, and say so.

Nobody knows then what is broken in an environment, so every stage that locks gets a lock that only a person opens.
What a worker still remembers is used: where main stood, and which runs were on their way. What Jenkins still shows (a
banner, builds of ours) proves at least that something was lost. A first start has neither: nothing is locked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.effects import Notify
from bot.core.model.events import FirstStart, StateLost
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Lane
from bot.core.model.run import Lock, Run, Status
from bot.core.rules.decision import Decision
from bot.core.rules.merges import start_run
from bot.core.rules.stage_locks import lock_stage

#: Who holds the locks that are put up because state was lost, and why.
BY = "Interlock"
REASON = "state was lost: look, then unlock"
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

    @property
    def sentence(self) -> str:
        """What to show."""
        stages = ", ".join(self.locked)
        todo = f"look, then unlock {stages}" if stages else "its stages have been unlocked"
        return f"state was lost: {self.why}; {todo}"


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
        locked=tuple((lock.stage, lock.reason) for lock in locks if lock.key != lock_key(lock.stage)),
        services=tuple(replace(state, asked=()) for _, state in sorted(board.services.items())),
        runs=tuple(run for run in live if not run.taken_out),
        mode=board.header.mode,
        mode_by=board.header.mode_by,
        mode_why=board.header.mode_why,
    )


def state_lost(decision: Decision, event: StateLost) -> None:
    """Take back what is remembered, close every stage that locks, tell people; once for each loss."""
    board = decision.board
    if board.header.lost is not None:
        return
    header = replace(board.header, lost=decision.now, lost_why=event.why, unproven=False)
    if event.mode is not None:
        header = replace(header, mode=event.mode, mode_by=event.mode_by, mode_why=event.mode_why)
    board.put(header)
    decision.tell(FactKind.STATE_LOST, f"state was lost: {event.why}", by=BY)
    closed = [stage.name for stage in board.pipeline.stages if stage.locks]
    for stage in closed:
        _close(decision, stage, [why for where, why in event.locked if where == stage])
    again = _start_again(decision, event)
    subject = f"{board.pipeline.name}: state was lost"
    text = "\n".join(_notice(event, closed, again)) + "\n"
    decision.do(Notify("stuck", board.pipeline.stages[0].name, subject, text, f"state-lost/{decision.now:.3f}"))


def first_start(decision: Decision, _: FirstStart) -> None:
    """Jenkins shows nothing of ours from before: nothing was lost."""
    board = decision.board
    if board.header.unproven:
        board.put(replace(board.header, unproven=False))


def _close(decision: Decision, stage: str, before: list[str]) -> None:
    """One lock beside those that there may be; it tells what was known to have locked the stage before."""
    known = f" (it was locked: {'; '.join(before[:LISTED])})" if before else ""
    lock_stage(decision, Lock(lock_key(stage), stage, f"{REASON}{known}", BY, decision.now))


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
        new = start_run(decision, service, run.position, Lane.MAIN, pull=run.pull, title=run.title, author=run.author)
        decision.note(new, f"starts again as {new.key}: state was lost while {run.key} was in {run.step}")
        started.append(new)
    return started


def _notice(event: StateLost, closed: list[str], again: list[Run]) -> list[str]:
    lines = [f"What Interlock had stored is gone: {event.why}."]
    if closed:
        lines.append(f"Closed until a person has looked: {', '.join(closed)}.")
    lines += [f"  {stage} was locked: {why}" for stage, why in event.locked[:LISTED]]
    if event.runs:
        lines.append("On their way were:")
        lines += [f"  {sentences.name(run)}, in {run.step} ({run.status})" for run in event.runs[:LISTED]]
        more = len(event.runs) - LISTED
        lines += [f"  and {more} more"] if more > 0 else []
    if again:
        lines.append(f"Started again from the first stage: {', '.join(sentences.name(run) for run in again[:LISTED])}.")
    else:
        lines.append("Nothing was started again: the next merge to a service carries what was on its way.")
    lines.append("Look in Jenkins at what is rolled out; then: interlock unlock STAGE --reason '...'")
    return lines
