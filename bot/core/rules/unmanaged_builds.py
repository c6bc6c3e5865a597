"""Builds in our jobs that move no run: unmanaged builds, late and duplicate builds of ours, and past builds.

Answers and callbacks may arrive in any order, so the last past builds of each job are remembered.
"""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.effects import AbortDuplicate, Look
from bot.core.model.events import BuildHinted, BuildSeen
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel, Job, Outcome, Step
from bot.core.model.refusals import No, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Abort, Buildable, Run, Status, version_stamp
from bot.core.model.stage_messages import BuildRepeated, LateBuild, LateBuildEnded, UnmanagedBuildSeen
from bot.core.model.stage_state import PastBuild, UnmanagedBuild
from bot.core.rules.decision import Decision


def step_of(decision: Decision, event: BuildSeen | BuildHinted) -> Step | None:
    """Return the step whose job the event is about; None: it is no job of ours."""
    return decision.board.layout.jobs_by_name.get((event.controller, event.job))


def look_at_hinted_build(decision: Decision, event: BuildHinted) -> None:
    """Invariant 8: a callback only asks for a look; Jenkins' answer is the event.

    FINALIZED follows COMPLETED at once: by then the build is known to have ended.
    """
    if event.over and has_ended(decision.board, event):
        return
    if step_of(decision, event) is not None:
        decision.do(Look(Job(event.controller, event.job), event.number))


def see_unmanaged_build(decision: Decision, event: BuildSeen, twin_of: Buildable | None) -> None:
    """Record a build that moves no run: it takes a slot while it runs; a duplicate is stopped (invariant 5)."""
    step = step_of(decision, event)
    if step is None:
        return
    job = Job(event.controller, event.job)
    key = f"{event.controller}/{event.job}/{event.number}"
    known = decision.board.unmanaged.get(key)
    if event.result is not None:
        if known is not None:
            decision.board.drop(known)
            _ended(decision, known, event.result)
        return
    if known is not None or has_ended(decision.board, event):
        return
    seen = UnmanagedBuild(key, step, event.number, decision.now)
    decision.do(Look(job, event.number))  # the report may be outdated: that of the end may have come first
    repeats = twin_of.key if twin_of is not None else _late_attempt(decision, event)
    if repeats is not None:
        seen = replace(seen, repeats=repeats, abort=Abort(AbortLevel.STOP, decision.now))
        decision.do(AbortDuplicate(job, event.number, repeats))
    if twin_of is not None:
        told = BuildRepeated(event.number, twin_of.attempt.build, twin_of.who)
        decision.tell(FactKind.BUILD_DUPLICATED, told, twin_of)
    elif repeats is not None:
        late = LateBuild(event.number, step, repeats)
        decision.tell(FactKind.BUILD_DUPLICATED, late, step=step, build=event.number)
    else:
        unmanaged = UnmanagedBuildSeen(event.number, step, event.run or "")
        decision.tell(FactKind.UNMANAGED_BUILD_SEEN, unmanaged, step=step, build=event.number)
    decision.board.put(seen)


def _ended(decision: Decision, known: UnmanagedBuild, result: Outcome) -> None:
    """Record how a build of ours ended that was asked to stop; only Jenkins can tell whether that came in time."""
    if known.repeats is None:
        return
    told = LateBuildEnded(known.number, known.step, known.repeats, result)
    decision.tell(FactKind.BUILD_DUPLICATED, told, step=known.step, build=known.number)


def _late_attempt(decision: Decision, event: BuildSeen) -> str | None:
    """Return the run that a build names, live or gone, if the build is one of this board; else None.

    Its attempt is over, so no run waits for this build: its trigger arrived after the attempt was given up, or Jenkins
    built it twice after a crash. In a stage that rolls out it would roll out an old commit. A build that an older
    installation started is not ours, whatever its name is.
    """
    if event.run is None:
        return None
    live = decision.board.runs.get(event.run)
    if live is not None:
        return event.run if event.version in ("", live.version) and event.sha in ("", live.sha) else None
    service, _, number = event.run.rpartition(".")
    known = decision.board.services.get(service)
    gone = known is not None and number.isdecimal() and 0 < int(number) <= known.number
    return event.run if gone and _is_of_this_board(decision, event.version) else None


def _is_of_this_board(decision: Decision, version: str) -> bool:
    """Return whether a version was made since the board began, by its stamp (`version_stamp`)."""
    stamp = version.rpartition("-")[2]
    return not stamp.isdecimal() or stamp >= version_stamp(decision.board.header.born)


# -- past builds -----------------------------------------------------------------------------------------------


#: How many past builds of one job are remembered.
REMEMBERED = 64
#: How far two reports about the start of the same build may differ, in seconds.
SAME_START = 1.0


def remember_ended(board: Board, event: BuildSeen) -> None:
    """Record that a build has ended."""
    board.put(PastBuild(_ended_key(event.controller, event.job, event.number), event.number, event.started))


def has_ended(board: Board, event: BuildSeen | BuildHinted) -> bool:
    """Return whether exactly this build is known to have ended.

    A job that was created anew numbers its builds from 1 again: a build with another start is another build. A build
    that is gone is not known to have ended, because it may come back after a restart.
    """
    past = board.past.get(_ended_key(event.controller, event.job, event.number))
    if past is None or past.number != event.number:
        return False
    started = event.started if isinstance(event, BuildSeen) else None
    return started is None or past.started is None or abs(past.started - started) <= SAME_START


def _ended_key(controller: str, job: str, number: int) -> str:
    return f"{controller}/{job}/{number % REMEMBERED}"


# -- whether a build may still do its work ---------------------------------------------------------------------


def attempt_refused(
    board: Board, run: str, stage: str, attempt: int, version: str = "", build: int | None = None
) -> Refusal | None:
    """Return why no run waits for the build of this attempt any more; None: it is the present one.

    `version` and `build` as the build itself names them; empty, None: it names none.
    """
    live = board.runs.get(run)
    if live is None:
        return Refusal(No.RUN_NOT_THERE, run)
    if version not in ("", live.version):
        return Refusal(No.OTHER_INSTALLATION, run)
    if live.step != Step(stage):
        return Refusal(No.RUN_ELSEWHERE, run, step=live.step)
    if live.attempt.number != attempt:
        return Refusal(No.GIVEN_UP, run, number=attempt, present=live.attempt.number)
    return _without_slot(live) or _other_build(live, build)


def _without_slot(run: Run) -> Refusal | None:
    if run.status is Status.WAITING:
        return Refusal(No.WAITS_AGAIN, run.key, step=run.step, number=run.attempt.number)
    if run.status is Status.FAILED:
        return Refusal(No.FAILED_ALREADY, run.key, number=run.attempt.number)
    # A run that was called back because its stage locked, and starts nevertheless, finishes as usual (L3).
    leaves = run.status is Status.ENDING or run.attempt.cancelled_by is not None
    return Refusal(No.RUN_LEAVES, run.key) if leaves else None


def _other_build(run: Run, build: int | None) -> Refusal | None:
    if run.attempt.build is None or build in (None, run.attempt.build):
        return None
    return Refusal(No.OTHER_BUILD, run.key, number=run.attempt.number, build=run.attempt.build)


def job_to_look_in(board: Board, run: str, build: int | None) -> Job | None:
    """Return the job in which Jenkins must be asked for this build before it does its work; None: none.

    That is so for a live run whose present attempt has no known build. After a crash Jenkins repeats an attempt that it
    had just started: both builds ask, and only the one that is seen first is that of the attempt.
    """
    live = board.runs[run]
    return board.job_of(live) if build is not None and live.attempt.build is None else None
