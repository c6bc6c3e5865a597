"""A change of the configuration while runs are live: nothing is lost, whoever has no place any more is told so."""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.model.events import Configured
from bot.core.model.facts import FactKind
from bot.core.model.run import End, Ending, Status
from bot.core.rules import fast_lane, pull_requests
from bot.core.rules.decision import Decision
from bot.core.rules.leaving import leave
from bot.core.rules.merges import find_place
from bot.core.rules.modes import mode_changed
from bot.core.rules.stage_locks import open_lock


def configured(decision: Decision, event: Configured) -> None:
    """Take the new configuration, then find a place for every run, lock and trouble of the old one."""
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
    decision.tell(FactKind.CONFIGURED, f"{event.pipeline.name} is configured: {_summary(decision)}")
    steps = set(board.jobs().values())
    for run in sorted(board.runs.values(), key=lambda r: r.queue_number):
        _place(decision, run.key)
    for lock in sorted(board.locks.values(), key=lambda k: (k.since, k.key)):
        gone = board.pipeline.stage(lock.stage) is None
        orphan = lock.service is not None and board.pipeline.service(lock.service) is None
        if gone or orphan:
            what = lock.stage if gone else lock.service
            open_lock(decision, lock, f"{what} is no longer configured", by="configuration")
    for backoff in [t for t in board.backoffs.values() if t.step not in steps]:
        board.drop(backoff)
    jobs = {f"{job.controller}/{job.name}" for job in board.jobs()}
    for unmanaged in [
        f for f in board.unmanaged.values() if f.step not in steps or f.key.rpartition("/")[0] not in jobs
    ]:
        board.drop(unmanaged)  # nobody would tell of its end; under another name of its job it is seen anew
    for build in [past for past in board.past.values() if past.key.rpartition("/")[0] not in jobs]:
        board.drop(build)
    pull_requests.configured(decision)
    mode_changed(decision, before)


def _place(decision: Decision, key: str) -> None:
    """A run whose service is gone ends; one that waits does so before the first stage that it has not passed.

    So whoever waited for a stage that was removed goes on, and comes back to it if it is put back in time.
    """
    board = decision.board
    run = board.runs.get(key)
    if run is None or run.status is Status.ENDING:
        return  # a newer one that found its place may have replaced it (F6)
    if board.pipeline.service(run.service) is None:
        leave(decision, run, sentences.unconfigured(run))
        return
    if run.holds_slot or run.retrying:
        return  # a running build is waited for; what comes after it is decided when it has ended
    if run.status is Status.WAITING and fast_lane.next_step(board.pipeline, run) != run.step:
        find_place(decision, run)
    elif run.status is Status.FAILED and run.step not in board.steps():
        decision.end(run, Ending(End.FAILED, f"{run.step} is no longer configured"))


def _summary(decision: Decision) -> str:
    pipeline = decision.board.pipeline
    stages = " → ".join(stage.name for stage in pipeline.stages)
    return f"{stages}; {len(pipeline.services)} services; {decision.board.header.mode}"
