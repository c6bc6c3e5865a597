"""A change of the configuration while runs are live: nothing is lost, whoever has no place any more is told so."""

from __future__ import annotations

from dataclasses import replace

from bot.core import lanes, sentences
from bot.core.decision import Decision
from bot.core.events import Configured
from bot.core.facts import FactKind
from bot.core.leaving import leave
from bot.core.locking import open_lock, show_banner
from bot.core.merges import queue
from bot.core.run import End, Ending, Run, Status


def configured(decision: Decision, event: Configured) -> None:
    """Take the new configuration, then find a place for every run, lock and trouble of the old one."""
    board = decision.board
    mode = event.mode or board.header.mode
    if board.header.pipeline == event.pipeline and board.header.mode is mode:
        return
    board.put(replace(board.header, pipeline=event.pipeline, mode=mode))
    decision.tell(FactKind.CONFIGURED, f"{event.pipeline.name} is configured: {_summary(decision)}")
    steps = set(board.steps())
    for run in list(board.runs.values()):
        _place(decision, run)
    for lock in list(board.locks.values()):
        gone = board.pipeline.stage(lock.stage) is None
        orphan = lock.service is not None and board.pipeline.service(lock.service) is None
        if gone or orphan:
            what = lock.stage if gone else lock.service
            open_lock(decision, lock, f"{what} is no longer configured", by="configuration")
    for trouble in [t for t in board.troubles.values() if t.step not in steps]:
        board.drop(trouble)
    for stranger in [f for f in board.foreign.values() if f.step not in steps]:
        board.drop(stranger)
    for stage in {lock.stage for lock in board.locks.values()}:
        show_banner(decision, stage)


def _place(decision: Decision, run: Run) -> None:
    """A run whose service or stage is gone: it ends, or goes on at the next stage that there is."""
    board = decision.board
    if run.status is Status.ENDING:
        return
    if board.pipeline.service(run.service) is None:
        leave(decision, run, sentences.unconfigured(run))
        return
    if run.holds_slot or run.step in board.steps():
        return  # a running build is waited for; what comes after it is decided when it has ended
    if run.status is Status.FAILED:
        decision.end(run, Ending(End.FAILED, f"{run.step} is no longer configured"))
        return
    step = lanes.next_step(board.pipeline, run)
    if step is None:
        decision.end(run, Ending(End.DELIVERED, f"{sentences.name(run)} has passed every stage that is configured"))
    else:
        queue(decision, run, step)


def _summary(decision: Decision) -> str:
    pipeline = decision.board.pipeline
    stages = " → ".join(stage.name for stage in pipeline.stages)
    return f"{stages}; {len(pipeline.services)} services; {decision.board.header.mode}"
