"""Changes of the configuration while runs are live: every run, lock and backoff finds a place in the new one."""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.board_records import Header, ServiceState
from bot.core.model.events import Configured
from bot.core.model.facts import FactKind
from bot.core.model.messages import Unconfigured
from bot.core.model.pipeline import Lane
from bot.core.model.replaced import replace
from bot.core.model.run import End, Ending, Run, Status
from bot.core.model.stage_messages import PipelineConfigured
from bot.core.rules import fast_lane, verifications
from bot.core.rules.cleanup import leave
from bot.core.rules.decision import Decision
from bot.core.rules.queue import find_place, start_run
from bot.core.rules.requests import apply_mode
from bot.core.rules.stage_locks import open_lock

#: How many changes of a configuration its fact lists.
CHANGES_LISTED = 50


def configure(decision: Decision, event: Configured) -> None:
    """Put the new configuration in force, then find a place for every run, lock and backoff of the old one.

    A configuration earlier than that of the board is ignored: it comes from a process that has not taken up the new
    one.
    """
    board, before = decision.board, decision.board.header.mode
    header = _header(board.header, event, decision.now)
    if header == board.header or event.revision.since < board.header.revision.since:
        return
    board.put(header)
    decision.tell(FactKind.CONFIGURED, _configured(board, event), by=event.by or None)
    steps = set(board.jobs().values())
    for run in sorted(board.runs.values(), key=lambda r: r.queue_number):
        _place(decision, run.key)
    for state in [board.service(service.name) for service in board.pipeline.services]:
        if state.interrupted_head:
            _start_interrupted(decision, state)
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
        board.drop(unmanaged)  # nothing would report its end; if its job has another name now, the build is seen as new
    for build in [past for past in board.past.values() if past.key.rpartition("/")[0] not in jobs]:
        board.drop(build)
    verifications.configure_verifications(decision)
    apply_mode(decision, before)


def _header(before: Header, event: Configured, now: float) -> Header:
    """Return the header with the new configuration. `now`: the birth of the board, if it has none yet."""
    mode = event.mode or before.mode
    asked = event.mode or before.configured_mode
    header = replace(before, pipeline=event.pipeline, mode=mode, configured_mode=asked, revision=event.revision)
    if not header.born:
        header = replace(header, born=now, unproven=True)
    if mode is not before.mode:
        header = replace(header, mode_by="the configuration", mode_why="its mode was changed")
    return header


def _place(decision: Decision, key: str) -> None:
    """End a run whose service is gone, and queue a waiting run before the first stage that it has not passed.

    So a run that waited for a removed stage continues, and comes back to it if the stage is put back in time.
    """
    board = decision.board
    run = board.runs.get(key)
    if run is None or run.status is Status.ENDING:
        return  # a newer run that found its place may have replaced it (F6)
    if board.pipeline.service(run.service) is None:
        _interrupt(decision, run)
        return
    if run.holds_slot or run.retrying:
        return  # a running build ends first; then the next step is decided
    if run.status is Status.WAITING and fast_lane.next_step(board.pipeline, run.lane, run.passed) != run.step:
        find_place(decision, run)
    elif run.status is Status.FAILED and run.step not in board.steps():
        decision.end(run, Ending(End.FAILED, Unconfigured(str(run.step))))


def _interrupt(decision: Decision, run: Run) -> None:
    """End a run whose service is gone. Remember the head of main, unless it has failed: then only a fix goes on."""
    board = decision.board
    state = board.service(run.service)
    head = state.history.head
    if head is not None and head.sha == run.sha and run.status is not Status.FAILED:
        board.put(replace(state, interrupted_head=run.sha))
    leave(decision, run, Ending(End.DROPPED, Unconfigured(run.service)))


def _start_interrupted(decision: Decision, state: ServiceState) -> None:
    """Start the head again whose run ended when its service left the configuration, unless main has moved since.

    Its former run may still wait for the end of its build. The new one carries the merges before it, as any head does,
    on the main lane: the locks of the service opened when it left.
    """
    head = state.history.head
    decision.board.put(replace(state, interrupted_head=""))
    if head is not None and head.sha == state.interrupted_head:
        start_run(decision, state.key, head, Lane.MAIN)


def _configured(board: Board, event: Configured) -> PipelineConfigured:
    pipeline, digest = board.pipeline, event.revision.digest
    stages = tuple(stage.name for stage in pipeline.stages)
    changes = event.changes[:CHANGES_LISTED]
    return PipelineConfigured(pipeline.name, stages, len(pipeline.services), board.header.mode, digest, changes)
