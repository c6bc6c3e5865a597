"""How a run comes to be, which lane it takes (F1, F2, F12), and for which step it queues."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model import messages
from bot.core.model.effects import FindPull
from bot.core.model.facts import FactKind
from bot.core.model.history import Position
from bot.core.model.pipeline import Lane, Outcome, Step
from bot.core.model.run import NO_MERGE, End, Ending, Merge, Run, Status, version_stamp
from bot.core.model.stage_messages import OnMainLaneAgain
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.cleanup import leave, newest_fix, superseded
from bot.core.rules.containment import ask_whether_contained
from bot.core.rules.decision import Decision, run_failed

#: What puts a new merge on the fast lane (F2).
HOLDS_LOCK = messages.Phrased(messages.Phrase.HOLDS_LOCK)


def start_run(
    decision: Decision,
    service: str,
    position: Position,
    lane: Lane,
    *,
    merge: Merge = NO_MERGE,
    permit: str | None = None,
    why: messages.Message = HOLDS_LOCK,
) -> Run:
    """Put a new run of a commit at the start of its lane; `why`: what puts it on the fast lane."""
    board = decision.board
    state = board.service(service)
    number = state.number + 1
    board.put(replace(state, number=number))
    stamp = version_stamp(decision.now)
    run = Run(
        key=f"{service}.{number}",
        service=service,
        position=position,
        lane=lane,
        status=Status.WAITING,
        step=fast_lane.route(board.pipeline, lane)[0],
        queue_number=board.queue_number(),
        created=decision.now,
        since=decision.now,
        queued=decision.now,
        version=f"{service}-{number}-{stamp}",  # several may be merged in one second
        permits=() if permit is None else (permit,),
        merge=merge,
    )
    board.put(run)
    fast = lane is Lane.FAST
    told = messages.StartsFast(why, run.who) if fast else messages.Queued(run.step, run.who)
    decision.tell(FactKind.RUN_QUEUED, told, run)
    decision.note(run, replace(told, who=None))
    decision.status(run, run.step, "pending", messages.WaitsFor(run.step))
    configured = board.pipeline.service(service)
    if merge.pull is None and configured is not None:
        decision.do(
            FindPull(service, configured.repository, configured.branch, position.sha, decision.limits.pull_told)
        )
    found = fast_lane.cleaned_up_by(board, run)  # a push that arrives after its successor has passed already
    if found is not None and found[1]:
        leave(decision, run, superseded(found[0].run, found[0].position.sha))
    else:
        newest_fix(decision, run)
        if fast_lane.in_fast_part(board.pipeline, run.step):  # else there is time yet: its push may prove it meanwhile
            _ask_early(decision, run)
    return run


def _ask_early(decision: Decision, run: Run) -> None:
    """Ask now what the stages will want to know of a fix (F11): the answer is there when it gets to them."""
    if run.lane is Lane.MAIN:
        return
    for found in decision.board.versions_of(run.service):
        if stage_versions.rolls_out(decision.board.pipeline, found.step):
            ahead = stage_versions.ahead(decision.board, run, found.step)
            if ahead is not None and ahead.contains is None:
                ask_whether_contained(decision, run, ahead.position)


def send_fast(
    decision: Decision, service: str, position: Position, *, why: messages.Message, permit: str | None = None
) -> None:
    """Put a commit on the fast lane: its live run changes lane; if it has none, a run is started (F1, F2)."""
    live = [run for run in decision.board.of_commit(service, position.sha) if _goes_on(run)]
    if not live:
        start_run(decision, service, position, Lane.FAST, permit=permit, why=why)
        return
    before = live[-1]
    if before.lane is Lane.FAST and permit in (None, *before.permits):
        return  # it is there already
    permits = before.permits if permit is None else tuple(dict.fromkeys((*before.permits, permit)))
    run = decision.update(before, lane=Lane.FAST, permits=permits)
    told = messages.Promoted(why, None if before.lane is Lane.MAIN else permit, run.who)
    decision.tell(FactKind.RUN_PROMOTED, told, run)
    decision.note(run, replace(told, who=None))
    if run.status is Status.WAITING and before.lane is Lane.MAIN:
        find_place(decision, run)
    else:
        _ask_early(decision, run)


def _goes_on(run: Run) -> bool:
    """Whether the run is on its way still: nobody has taken it out, and it has not failed."""
    return run.status not in (Status.ENDING, Status.FAILED) and not run.taken_out


def queue(decision: Decision, run: Run, step: Step) -> Run:
    """Put a run at the tail of a step's queue; the newest fix replaces what waits there for the same job (F6)."""
    run = decision.waits(run, step)
    decision.tell(FactKind.RUN_QUEUED, messages.Queued(step, run.who), run)
    decision.note(run)
    newest_fix(decision, run)
    _ask_early(decision, run)
    return run


def find_place(decision: Decision, run: Run) -> None:
    """Queue a run for the first step that it has not passed, now that its lane or the stages have changed."""
    step = fast_lane.next_step(decision.board.pipeline, run)
    if step is None:
        decision.end(run, Ending(End.DELIVERED, messages.PassedEveryStage(run.who)))
    else:
        queue(decision, run, step)


def leave_lane(decision: Decision, service: str, opener: str) -> None:
    """F12: once the last lock of a service is open, its fast runs not yet in a real stage join the main lane."""
    board = decision.board
    if fast_lane.is_open(board, service):
        return
    for run in board.fast_runs(service):
        if run.status is Status.FAILED:  # a failed fix stays for a retry only as long as the lane is open (F7)
            decision.end(run, Ending(End.FAILED, run_failed(run, run.attempt.failure or Outcome.FAILURE)))
    for run in fast_lane.leavers(board, service, opener):
        changed = decision.update(run, lane=Lane.MAIN)
        told = OnMainLaneAgain(service, run.who)
        decision.tell(FactKind.RUN_REJOINED, told, changed)
        decision.note(changed, replace(told, who=None))
        if changed.status is Status.WAITING:
            find_place(decision, changed)
