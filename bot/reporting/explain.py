"""The reason for the present state of a run: the one sentence that page, CLI and API show (invariant 10).

The rules return the blocker (`bot.core.rules.queue.Blocker`); the other details come from the board. The board must not
change meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bot.core.model.board import Board
from bot.core.model.facts import Why
from bot.core.model.messages import Message
from bot.core.model.pipeline import AbortLevel, Lane, Mode, Step
from bot.core.model.run import Buildable, Moved, Run, Status, Verification
from bot.core.model.stage_state import StageBackoff
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.decision import run_failed
from bot.core.rules.fast_lane import fixes
from bot.core.rules.freeze_windows import last_freeze
from bot.core.rules.notices import fix_coming
from bot.core.rules.queue import Blocker, run_blocked_by, stage_blocked_by
from bot.reporting.messages import words
from bot.reporting.sentences import CANCELLED_THERE, coming, failed, listed, name, name_of, short


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for the present state of a run; `sentence` is for people, `why` for programs."""

    why: Why
    sentence: str


def why(board: Board, run: Run, now: float) -> Reason:
    """Return the reason for the present state of a run. It is computed on request and never stored."""
    match run.status:
        case Status.WAITING:
            reason = _waiting(board, run, now)
            return reason if run.moved is None else Reason(reason.why, f"{reason.sentence}; {moved(run.moved)}")
        case Status.STARTING:
            return _starting(run)
        case Status.RUNNING:
            leaving = f"; {run.attempt.cancelled_by} has cancelled it" if run.attempt.cancelled_by else ""
            return _running(run, now, leaving)
        case Status.RECALLED:
            return _recalled(run)
        case Status.ENDING:
            return _ending(run, run.ending.why if run.ending is not None else None)
        case Status.FAILED:
            return _failed(board, run)


def why_of_verification(board: Board, verification: Verification, now: float) -> Reason:
    """Return the reason for the present state of a verification."""
    match verification.status:
        case Status.WAITING:
            closed = stage_blocked_by(board, verification.step, now)
            if closed is None:
                return Reason(Why.NEXT, "next to be verified")
            return Reason(closed.why, _why_closed(board, verification.step, closed))
        case Status.STARTING:
            return _asked_for(verification)
        case Status.RUNNING:
            return _running(verification, now)
        case Status.RECALLED:
            return _recalled(verification)
        case _:
            return _ending(verification, verification.ending)


# -- runs and verifications with a slot --------------------------------------------------------------------------------


def _recalled(built: Buildable) -> Reason:
    text = f"called back before its build in {built.step} started: Interlock is withdrawing it"
    return Reason(Why.RECALLED, text)


def _running(built: Buildable, now: float, leaving: str = "") -> Reason:
    late = "; it has run too long, and Interlock is aborting it" if built.attempt.timed_out else ""
    text = (
        f"build #{built.attempt.build} runs in {built.step}{_time_left(built, now)}{late}{leaving}{_abort_state(built)}"
    )
    return Reason(Why.RUNNING, text)


def _time_left(run: Buildable, now: float) -> str:
    """Return the remaining time of the build as Jenkins estimates it; empty if Jenkins gives no estimate."""
    if run.attempt.expected is None:
        return ""
    seconds = run.attempt.expected - now
    if seconds <= 0:
        return ", longer than usual"
    return f", about {math.ceil(seconds / 60)} min left" if seconds > 60 else ", less than a minute left"


def _ending(built: Buildable, why: Message | None) -> Reason:
    slot = f"its build keeps the slot until Jenkins reports that it has ended{_abort_state(built)}"
    return Reason(Why.ENDING, f"{words(why) if why is not None else 'it is leaving the board'}; {slot}")


def _starting(run: Run) -> Reason:
    if run.attempt.cancelled_by is not None:
        return Reason(Why.ENDING, f"cancelled by {run.attempt.cancelled_by}; Interlock is withdrawing its build")
    return _asked_for(run)


def _asked_for(run: Buildable) -> Reason:
    attempt = run.attempt
    if attempt.queue_item is None and attempt.unanswered:
        text = f"its trigger for {run.step} got no answer (attempt {attempt.number}) and may still arrive: Interlock "
        return Reason(Why.STARTING, text + "is looking for its build, and asks for no other one before it knows")
    if attempt.queue_item is None:
        return Reason(
            Why.STARTING, f"Interlock is asking Jenkins for its build in {run.step} (attempt {attempt.number})"
        )
    return Reason(Why.STARTING, f"its build waits in Jenkins' queue (item {attempt.queue_item})")


def _abort_state(run: Buildable) -> str:
    """Return how far the abort of a slow build has gone."""
    if run.attempt.abort is None or run.attempt.build is None:
        return ""
    if run.attempt.abort.stuck:
        return f"; build #{run.attempt.build} does not end: end it in Jenkins"
    if run.attempt.abort.only_stop:
        return "; Interlock only asks builds there to stop, and has asked it again"
    return {
        AbortLevel.TERM: "; Interlock has ended its steps by force",
        AbortLevel.KILL: "; Interlock has killed it",
    }.get(run.attempt.abort.level, "")


def moved(by: Moved) -> str:
    """Return who moved a run to the front of its queue, and why."""
    return f"{by.by} moved it to the front: {by.reason}"


# -- waiting runs ------------------------------------------------------------------------------------------------------


def _waiting(board: Board, run: Run, now: float) -> Reason:
    closed = stage_blocked_by(board, run.step, now)
    away = run_blocked_by(board, run)
    ahead = board.ahead_of(run)
    # A blocker of this run alone says more than a full stage, and a lock says more than the people before it. But a run
    # that waits for another run of its service waits for a slot as well.
    says_more = closed is None or (closed.why is Why.FULL and away is not None and away.why is not Why.ONE_AT_A_TIME)
    if away is not None and says_more:
        position = f"; {ahead} before this run" if ahead and away.stops_queue else ""
        return Reason(away.why, _why_kept_out(board, run, away) + position)
    if closed is not None:
        position = f"; {ahead} before this run" if ahead else ""
        return Reason(closed.why, _why_closed(board, run.step, closed) + position)
    if ahead:
        first = next(iter(board.queue(run.step)))
        return Reason(Why.BEHIND, f"{ahead} before it in the queue for {run.step}, first {name(first)}")
    return Reason(Why.NEXT, f"next into {run.step}")


def _why_closed(board: Board, step: Step, closed: Blocker) -> str:
    """Return why no run may enter a step."""
    header = board.header
    match closed.why:
        case Why.PAUSED if header.mode is Mode.OBSERVE:
            return "the pipeline only observes: Interlock asks for no build"
        case Why.PAUSED:
            by = f" by {header.mode_by}: {header.mode_why}" if header.mode_by else ""
            return f"the pipeline is paused{by}"
        case Why.BACKOFF:
            return (
                f"Jenkins did not take the build for {step}: {refused(board.backoffs[str(step)])}; "
                "Interlock tries again"
            )
        case _:
            return _why_full(board, step)


def refused(backoff: StageBackoff) -> str:
    """Return why Jenkins did not take the last build of a step."""
    return backoff.why or CANCELLED_THERE


def _why_full(board: Board, step: Step) -> str:
    inside, unmanaged = board.holding(step), len(board.unmanaged_builds(step))
    who = listed(name(run) for run in inside)
    if unmanaged:
        builds = f"{unmanaged} {'build' if unmanaged == 1 else 'builds'} started by hand"
        who = f"{who} and {builds}" if who else builds
    taken = f"{len(inside) + unmanaged} of {board.capacity(step)}"
    return f"{step} is full ({taken}): {who}" if who else f"{step} has no slots"


def _why_kept_out(board: Board, run: Run, away: Blocker) -> str:
    """Return why this run may not enter a step that has room."""
    match away.why:
        case Why.CLEAN_UP:
            return (
                f"Interlock is removing older runs of {run.service} that its fix contains; this run continues at once"
            )
        case Why.LOCKED:
            return _why_locked(board, run.step.stage, run)
        case Why.FIX_AHEAD if away.who is not None:
            return f"waits behind the older fix {name_of(away.who)}, which is already on its way"
        case Why.PROOF if away.who is not None:
            return f"Interlock is asking GitHub whether {short(away.who.sha)}, already further, contains it"
        case Why.PROOF:
            head = board.service(run.service).history.head
            lacks = f"{short(head.sha) if head is not None else ''}, the last known one, lacks {short(run.sha)}"
            return f"Interlock is asking GitHub for the head of main of {run.service}: {lacks}"
        case _:
            other = name_of(away.who) if away.who is not None else run.service
            return f"{other} is in {run.step}: one run of {run.service} at a time"


def _why_locked(board: Board, stage: str, run: Run) -> str:
    """Return why the locks of a stage keep this run out, and which fix is on its way to open them."""
    locks = board.locks_of(stage)
    causes = "; ".join(
        words(lock.reason) if lock.freeze else f"{words(lock.reason)} (locked by {lock.by})" for lock in locks
    )
    if last_freeze(locks) is not None:
        return f"{stage} is {causes}"
    fix = run.retrying or run.lane is Lane.FAST
    if fix and fast_lane.closed_to_fixes(board, stage, run):
        return f"{stage} is locked, for fixes too: {causes}"
    held = sorted({lock.service for lock in locks if lock.service})
    on_the_way = [each for service in held for each in fixes(board, service) if each.key != run.key]
    if on_the_way:
        return f"{stage} is locked: {causes}; {coming(fix_coming(on_the_way[-1]))}"
    hint = f"; merge the fix to {' and '.join(held)}" if held else ""
    return f"{stage} is locked: {causes}{hint}"


# -- failed runs -------------------------------------------------------------------------------------------------------


def _failed(board: Board, run: Run) -> Reason:
    held = next((lock for lock in board.locks_held_by(run.service) if lock.run == run.key), None)
    if held is not None:
        others = [each for each in fixes(board, run.service) if each.key != run.key]
        way = f": {coming(fix_coming(others[-1]))}" if others else ", a retry succeeds or a person opens it"
        return Reason(Why.HOLDS_LOCK, f"{words(held.reason)}; it holds the lock until the fix has passed{way}")
    failure = run.attempt.failure
    what = failed(run_failed(run, failure)) if failure else f"{name(run)} failed in {run.step}"
    return Reason(Why.FIX_FAILED, f"{what}; it can be retried, or a newer merge replaces it")


# -- further parts of the report of a run ------------------------------------------------------------------------------


def way(board: Board, run: Run) -> list[tuple[Step, bool]]:
    """Return all steps of the run's way, each with whether the run has passed it."""
    return [
        (step, fast_lane.has_passed(board.pipeline, run.passed, step))
        for step in fast_lane.route(board.pipeline, run.lane)
    ]


def may_send_fast(board: Board, run: Run) -> bool:
    """Return whether the head of main, if it has not failed, can still be sent on the fast lane."""
    head = board.service(run.service).history.head
    if (
        head is None
        or stage_versions.has_failed(board, run.service, head.sha)
        or not fast_lane.is_open(board, run.service)
    ):
        return False
    return all(live.lane is Lane.MAIN for live in board.of_commit(run.service, head.sha))
