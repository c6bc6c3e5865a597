"""The queues: the start of runs, their lane (F1, F2, F12), their queue, and the admission of waiting runs.

First the questions that decide an admission, then the loop that admits, the only way to start a build, and the
functions that start runs, put them on the fast lane and queue them.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from bot.core.model.board import Board
from bot.core.model.effects import FindPull, Trigger
from bot.core.model.facts import FactKind, Why
from bot.core.model.history import Position
from bot.core.model.messages import (
    ContainedInFailed,
    Entered,
    Message,
    Overtaken,
    PassedEveryStage,
    Phrase,
    Phrased,
    Promoted,
    Queued,
    StartsFast,
    WaitsFor,
    Who,
)
from bot.core.model.pipeline import Lane, Mode, Outcome, Step, Track
from bot.core.model.replaced import replace
from bot.core.model.run import NO_MERGE, End, Ending, Happened, Merge, Run, Status, version_stamp
from bot.core.model.stage_messages import OnMainLaneAgain
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.cleanup import leave, newest_fix, superseded
from bot.core.rules.containment import ask_whether_contained
from bot.core.rules.decision import AnyBuildable, Decision, run_failed
from bot.core.rules.freeze_windows import closes_next, excepted, is_frozen, tell_excepted
from bot.core.rules.stage_versions import RunAhead, may_be_off_main, rolls_out

#: How many passed runs get a comment that a fix has passed them: a queue must not cost requests.
OVERTAKEN_TOLD = 10
#: How many waiting runs are checked for that.
OVERTAKEN_SEEN = 40


class Blocker(NamedTuple):
    """The obstacle that keeps a run out of a step. `bot.reporting.explain` puts it into words."""

    why: Why
    #: The run or the commit that it waits for, if there is just one.
    who: Who | None = None
    #: Whether the runs behind it in the queue must wait as well.
    stops_queue: bool = True


PAUSED, BACKOFF, FULL = Blocker(Why.PAUSED), Blocker(Why.BACKOFF), Blocker(Why.FULL)


def stage_blocked_by(board: Board, step: Step, now: float) -> Blocker | None:
    """Return what keeps every run out of a step: the mode, a backoff, no free slot; None: nothing does."""
    return _held_up(board, step, now) or (FULL if board.is_full(step) else None)


def _held_up(board: Board, step: Step, now: float) -> Blocker | None:
    """Return what keeps every run out of a step, whether it has a free slot or not: the mode, a backoff."""
    if board.header.mode is not Mode.RUN:
        return PAUSED
    backoff = board.backoffs.get(str(step)) if board.backoffs else None
    if backoff is not None and now < backoff.retry_at:
        return BACKOFF
    return None


def run_blocked_by(board: Board, run: Run) -> Blocker | None:
    """Return what keeps this run out of a step that has room; None: nothing does.

    That is a clean-up, a lock (L3, F5), a fix ahead (F6) or a newer run (F11).
    """
    return _kept_out(board, run) or _kept_in_order(board, run, fast_lane.backwards(board, run))


def _kept_out(board: Board, run: Run) -> Blocker | None:
    """Return a clean-up of its service, a lock (L3, F5) or a fix ahead (F6) as blocker; None: there is none."""
    step = run.step
    if run.lane is Lane.MAIN and run.service in board.clean_ups:
        return Blocker(Why.CLEAN_UP)
    if step.track is Track.REAL and fast_lane.kept_out(board, step.stage, run):
        # Only main-lane runs follow a main-lane run in the queue, and the lock stops them all.
        stops = run.lane is Lane.MAIN and not run.retrying
        return Blocker(Why.LOCKED, stops_queue=stops)
    ahead = fast_lane.fix_ahead(board, run)
    if ahead is not None:
        return Blocker(Why.FIX_AHEAD, ahead.who, stops_queue=False)
    return None


def _kept_in_order(board: Board, run: Run, found: RunAhead | None) -> Blocker | None:
    """F11: return a missing proof, or another run of the service in the step, as blocker; None: there is none.

    A proof may be missing whether the newer commit `found` contains the run's, or whether the run's is still on main.
    """
    if not rolls_out(board.pipeline, run.step):
        return None
    if found is not None and found.contains is None:
        return Blocker(Why.PROOF, Who(run.service, found.position.sha), stops_queue=False)
    if may_be_off_main(board, run):
        return Blocker(Why.PROOF, stops_queue=False)
    other = fast_lane.one_at_a_time(board, run)
    if other is not None:
        return Blocker(Why.ONE_AT_A_TIME, other.who, stops_queue=False)
    return None


def admit_waiting(decision: Decision) -> None:
    """Admit every run that may enter now. Called once after every event, so that no free slot stays empty."""
    board, told = decision.board, -1
    # A run that ends instead of entering (F11) may be the one that others waited behind (F6), and one that enters may
    # contain another that was checked before. Both add facts: all steps are checked until there is no new fact.
    while told != len(decision.facts):
        told = len(decision.facts)
        for step in board.steps_with_room():
            if _held_up(board, step, decision.now) is None and not fast_lane.keeps_out_all(board, step):
                _fill(decision, step)


class _Look(NamedTuple):
    """A waiting run that was checked: the run ahead of it (F11), and its blocker; None: it may enter."""

    run: Run
    ahead: RunAhead | None
    blocker: Blocker | None


def _fill(decision: Decision, step: Step) -> None:
    """Admit runs to a step that has room, until it has none."""
    board = decision.board
    looked_at: set[str] = set()
    busy: set[str] = set()
    while (look := _first_in_line(decision, step, looked_at, busy)) is not None:
        run = look.run
        looked_at.add(run.key)
        _try_admit(decision, look)
        if board.runs.get(run.key) is run and fast_lane.one_at_a_time(board, run) is not None:
            busy.add(run.service)
        if stage_blocked_by(board, step, decision.now) is not None:
            return


def _first_in_line(decision: Decision, step: Step, looked_at: set[str], busy: set[str]) -> _Look | None:
    """Return the next run to check; None: none is left, or a blocker stops the queue (cost stays flat).

    `busy`: the services with a run that waits for another one (F11): their runs behind it wait too.
    """
    board = decision.board
    if busy and board.services_waiting(step) <= busy:
        return None
    frozen = bool(board.header.freezes) and step.track is Track.REAL and is_frozen(board, step.stage)
    for run in excepted(board, step) if frozen else board.queue(step):
        if run.service in busy or run.key in looked_at:
            continue
        blocker = _kept_out(board, run)
        if blocker is not None and blocker.stops_queue:
            return None
        ahead = fast_lane.backwards(board, run)
        return _Look(run, ahead, blocker or _kept_in_order(board, run, ahead))
    return None


def _try_admit(decision: Decision, look: _Look) -> None:
    """Admit one run, end it (F11), or ask for the missing proof."""
    run, found = look.run, look.ahead
    if found is not None and found.contains:
        decision.end(run, _overtaken(decision.board, run, found))
        return
    if found is not None:
        ask_whether_contained(decision, run, found.position)
    _admit(decision, look)


def _overtaken(board: Board, run: Run, found: RunAhead) -> Ending:
    """Return the ending by F11: the newer run carries the commit on, unless it failed there and is gone."""
    if found.broken and found.run not in board.runs:
        return Ending(End.SUPERSEDED, ContainedInFailed(found.position.sha, run.step))
    return superseded(found.run, found.position.sha, "F11")


def _admit(decision: Decision, look: _Look) -> None:
    """Admit a run to its stage, unless its blocker keeps it out."""
    board, run = decision.board, look.run
    waited_behind = _passed_by(board, run) if run.lane is Lane.FAST and run.step.track is Track.REAL else []
    entered = start_build(decision, run, look.blocker)
    if entered is None:
        return
    if board.header.freezes:
        tell_excepted(decision, entered)
    decision.tell(FactKind.RUN_ADMITTED, _admitted(board, entered), entered)
    for other in waited_behind:
        decision.note(other, Overtaken(entered.who, entered.step.stage))
    if str(run.step) not in board.backoffs:  # after a backoff the news is that Jenkins has accepted the trigger
        decision.note(entered)
    decision.is_in(entered)


def start_build(decision: Decision, waiting: AnyBuildable, blocker: Blocker | None) -> AnyBuildable | None:
    """Start a build of a run or a verification: a first one, a repeat, a retry, or after a recall.

    No other function starts a build. It takes the slot and asks Jenkins for the next attempt. `blocker`: the result of
    `stage_blocked_by` and `run_blocked_by`, from just before. Returns None if something keeps it waiting.
    """
    board = decision.board
    job, service = board.job(waiting.step), board.pipeline.service(waiting.service)
    if job is None or service is None or blocker is not None:
        return None
    verified = waiting.verifies
    where = {} if verified is None else {"job": job}
    built = decision.update(waiting, status=Status.STARTING, attempt=waiting.attempt.next(), **where)
    decision.do(
        Trigger(
            run=built.key,
            stage=built.step.stage,
            track=built.step.track,
            attempt=built.attempt.number,
            job=job,
            service=built.service,
            repository=service.repository,
            sha=built.sha,
            lane=built.lane,
            version=built.version,
            pull=verified,
            rolls_out=rolls_out(board.pipeline, built.step),
            not_after=closes_next(board, built.step, decision.now) if board.header.freezes else None,
        )
    )
    return built


def _admitted(board: Board, run: Run) -> Entered:
    fast = run.lane is Lane.FAST
    ahead = fast and run.step.track is Track.REAL and bool(board.queue_length(run.step))
    locked = run.step.track is Track.REAL and bool(fast_lane.counting(board, run.step.stage, run))
    return Entered(run.who, run.step, fast, ahead, locked)


def _passed_by(board: Board, run: Run) -> list[Run]:
    """Return the waiting runs to tell that a fix passes them, when it enters a lock-policy stage."""
    stage = board.pipeline.stage(run.step.stage)
    if stage is None or not stage.locks:
        return []
    waiting = islice(board.queue(run.step), OVERTAKEN_SEEN)
    others = [other for other in waiting if other.service != run.service and other.lane is Lane.MAIN]
    return others[:OVERTAKEN_TOLD]


# -- runs, their lane and their queue ---------------------------------------------------------------------------


#: Why a new merge is on the fast lane (F2).
HOLDS_LOCK = Phrased(Phrase.HOLDS_LOCK)


def start_run(
    decision: Decision,
    service: str,
    position: Position,
    lane: Lane,
    *,
    merge: Merge = NO_MERGE,
    permit: str | None = None,
    why: Message = HOLDS_LOCK,
    number: int | None = None,
) -> Run:
    """Put a new run of a commit at the start of its lane; `why`: the reason for the fast lane.

    `number`: that of the run, if the service's record has it already; None: it takes the next one.
    """
    board = decision.board
    step, who = fast_lane.route(board.pipeline, lane)[0], Who(service, position.sha)
    told = StartsFast(why, who) if lane is Lane.FAST else Queued(step, who)
    permits = () if permit is None else (permit,)
    story = (Happened(decision.now, replace(told, who=None)),)
    number = _next_number(board, service) if number is None else number
    run = _new_run(decision, service, position, number, lane=lane, step=step, permits=permits, merge=merge, story=story)
    decision.tell(FactKind.RUN_QUEUED, told, run)
    decision.note(run)
    decision.begins(run)
    decision.status(run, step, "pending", WaitsFor(step), debounce=decision.limits.waiting_debounce)
    configured = board.pipeline.service(service)
    if merge.pull is None and configured is not None:
        where = (service, configured.repository, configured.branch, position.sha)
        decision.do(FindPull(*where, decision.limits.pull_told))
    found = fast_lane.cleaned_up_by(board, run)  # a push reported late may be in a run that has passed already
    if found is not None and found[1]:
        leave(decision, run, superseded(found[0].run, found[0].position.sha, "F8"))
    elif lane is Lane.FAST:
        newest_fix(decision, run)
        # Before an ordinary stage there is still time: a push may prove it meanwhile.
        if fast_lane.in_fast_part(board.pipeline, run.step):
            _ask_early(decision, run)
    return run


def _next_number(board: Board, service: str) -> int:
    """Take the next number for a run of a service."""
    state = board.service(service)
    board.put(replace(state, number=state.number + 1))
    return state.number + 1


def _new_run(decision: Decision, service: str, position: Position, number: int, **more: Any) -> Run:
    """Put a run of this number on the board; `more`: further fields."""
    board, stamp = decision.board, version_stamp(decision.now)
    run = Run(
        key=f"{service}.{number}",
        service=service,
        position=position,
        status=Status.WAITING,
        queue_number=board.queue_number(),
        created=decision.now,
        since=decision.now,
        queued=decision.now,
        version=f"{service}-{number}-{stamp}",  # several may be merged in one second
        **more,
    )
    board.put(run)
    return run


def _ask_early(decision: Decision, run: Run) -> None:
    """Ask GitHub now for the proofs that a fix will need at its stages (F11), so that they are there in time."""
    for found in decision.board.versions_of(run.service):
        if stage_versions.rolls_out(decision.board.pipeline, found.step):
            ahead = stage_versions.ahead(decision.board, run, found.step)
            if ahead is not None and ahead.contains is None:
                ask_whether_contained(decision, run, ahead.position)


def send_fast(decision: Decision, service: str, position: Position, *, why: Message, permit: str | None = None) -> None:
    """Put a commit on the fast lane: change the lane of its live run, or start a run (F1, F2)."""
    live = [run for run in decision.board.of_commit(service, position.sha) if _goes_on(run)]
    if not live:
        start_run(decision, service, position, Lane.FAST, permit=permit, why=why)
        return
    before = live[-1]
    if before.lane is Lane.FAST and permit in (None, *before.permits):
        return  # it is there already
    permits = before.permits if permit is None else tuple(dict.fromkeys((*before.permits, permit)))
    run = decision.update(before, lane=Lane.FAST, permits=permits, moved=None)
    told = Promoted(why, None if before.lane is Lane.MAIN else permit, run.who)
    decision.tell(FactKind.RUN_PROMOTED, told, run)
    decision.note(run, replace(told, who=None))
    if run.status is Status.WAITING and before.lane is Lane.MAIN:
        find_place(decision, run)
    else:
        _ask_early(decision, run)


def _goes_on(run: Run) -> bool:
    """Return whether the run continues: it is not ending, not cancelled, and has not failed."""
    return run.status not in (Status.ENDING, Status.FAILED) and not run.taken_out


def join_queue(decision: Decision, run: Run, step: Step, **changes: Any) -> Run:
    """Put a run at the tail of a step's queue; the newest fix replaces those that wait for the same job (F6).

    `changes`: further fields of the run to store.
    """
    run = decision.waits(run, step, **changes)
    decision.tell(FactKind.RUN_QUEUED, Queued(step, run.who), run)
    decision.note(run)
    if run.lane is Lane.FAST:
        newest_fix(decision, run)
        _ask_early(decision, run)
    return run


def find_place(decision: Decision, run: Run) -> None:
    """Queue a run for the first step that it has not passed, after a change of its lane or of the stages."""
    step = fast_lane.next_step(decision.board.pipeline, run.lane, run.passed)
    if step is None:
        decision.end(run, Ending(End.DELIVERED, PassedEveryStage(run.who)))
    else:
        join_queue(decision, run, step)


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
