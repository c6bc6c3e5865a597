"""Why a run stands where it stands: the one sentence that the page, the CLI and the API show (invariant 10)."""

from __future__ import annotations

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.facts import Reason, Why
from bot.core.model.pipeline import AbortLevel, Lane, Step
from bot.core.model.run import Buildable, Run, Status, Verification
from bot.core.rules import fast_lane, stage_versions
from bot.core.rules.decision import run_failed
from bot.core.rules.fast_lane import fixes
from bot.core.rules.queue import run_blocked_by, stage_blocked_by


def why(board: Board, run: Run, now: float) -> Reason:
    """The reason for the present state of a run; computed when somebody asks, never stored."""
    match run.status:
        case Status.WAITING:
            return _waiting(board, run, now)
        case Status.STARTING:
            return _starting(run)
        case Status.RUNNING:
            leaving = f"; {run.attempt.cancelled_by} has cancelled it" if run.attempt.cancelled_by else ""
            return _running(run, now, leaving)
        case Status.RECALLED:
            return _recalled(run)
        case Status.ENDING:
            return _ending(run, run.ending.why if run.ending else "it is on its way out")
        case Status.FAILED:
            return _failed(board, run)


def why_of_verification(board: Board, verification: Verification, now: float) -> Reason:
    """The same of a verification."""
    match verification.status:
        case Status.WAITING:
            return stage_blocked_by(board, verification.step, now) or Reason(Why.NEXT, "next to be verified")
        case Status.STARTING:
            return _asked_for(verification)
        case Status.RUNNING:
            return _running(verification, now)
        case Status.RECALLED:
            return _recalled(verification)
        case _:
            return _ending(verification, verification.ending)


def _recalled(built: Buildable) -> Reason:
    text = f"called back before its build in {built.step} started: Jenkins is being asked to give it back"
    return Reason(Why.RECALLED, text)


def _running(built: Buildable, now: float, leaving: str = "") -> Reason:
    late = "; it has run too long and is being aborted" if built.attempt.timed_out else ""
    text = (
        f"build #{built.attempt.build} runs in {built.step}{sentences.left(built, now)}{late}{leaving}{_pressed(built)}"
    )
    return Reason(Why.RUNNING, text)


def _ending(built: Buildable, why: str) -> Reason:
    slot = f"its build keeps the slot until Jenkins reports that it has ended{_pressed(built)}"
    return Reason(Why.ENDING, f"{why}; {slot}")


def _waiting(board: Board, run: Run, now: float) -> Reason:
    closed = stage_blocked_by(board, run.step, now)
    away = run_blocked_by(board, run)
    ahead = board.ahead_of(run)
    # What concerns this run alone says more than a full stage, and a lock says more than the people before it. But who
    # waits for another run of its service waits for a slot as well.
    says_more = closed is None or (closed.why is Why.FULL and away is not None and away.why is not Why.ONE_AT_A_TIME)
    if away is not None and says_more:
        position = f"; {ahead} before this run" if ahead and away.stops_queue else ""
        return Reason(away.why, away.sentence + position, away.stops_queue)
    if closed is not None:
        position = f"; {ahead} before this run" if ahead else ""
        return Reason(closed.why, closed.sentence + position)
    if ahead:
        first = next(iter(board.queue(run.step)))
        return Reason(Why.BEHIND, f"{ahead} before it in the queue for {run.step}, first {sentences.name(first)}")
    return Reason(Why.NEXT, f"next into {run.step}")


def _starting(run: Run) -> Reason:
    if run.attempt.cancelled_by is not None:
        return Reason(Why.ENDING, f"cancelled by {run.attempt.cancelled_by}; Jenkins is being asked to give it back")
    return _asked_for(run)


def _asked_for(run: Buildable) -> Reason:
    attempt = run.attempt
    if attempt.queue_item is None and attempt.unanswered:
        text = f"its trigger for {run.step} got no answer (attempt {attempt.number}) and may still arrive: its build "
        return Reason(Why.STARTING, text + "is looked for, and no other one is asked for before that is settled")
    if attempt.queue_item is None:
        return Reason(Why.STARTING, f"its build in {run.step} is being asked for (attempt {attempt.number})")
    return Reason(Why.STARTING, f"its build waits in Jenkins' queue (item {attempt.queue_item})")


def _pressed(run: Buildable) -> str:
    """How the end of a build is asked for that takes its time about it."""
    if run.attempt.abort is None or run.attempt.build is None:
        return ""
    if run.attempt.abort.stuck:
        return f"; build #{run.attempt.build} does not end: end it in Jenkins"
    if run.attempt.abort.only_stop:
        return "; it knows nothing firmer than stop, and was asked that again"
    return {AbortLevel.TERM: "; its steps were ended by force", AbortLevel.KILL: "; it was killed"}.get(
        run.attempt.abort.level, ""
    )


def _failed(board: Board, run: Run) -> Reason:
    held = next((lock for lock in board.locks_held_by(run.service) if lock.run == run.key), None)
    if held is not None:
        what = held.reason
        coming = [each for each in fixes(board, run.service) if each.key != run.key]
        way = f": {sentences.coming(coming[-1])}" if coming else ", a retry succeeds or it is unlocked"
        return Reason(Why.HOLDS_LOCK, f"{what}; it holds the lock until the fix has passed{way}")
    what = (
        sentences.failed(run_failed(run, run.attempt.failure))
        if run.attempt.failure
        else f"{sentences.name(run)} failed in {run.step}"
    )
    return Reason(Why.FIX_FAILED, f"{what}; it can be retried, or a newer merge replaces it")


# -- what else the report of a run says ------------------------------------------------------------------------


def way(board: Board, run: Run) -> list[tuple[Step, bool]]:
    """All the steps of the run's way, each with whether it has passed it."""
    return [
        (step, fast_lane.has_passed(board.pipeline, run.passed, step))
        for step in fast_lane.route(board.pipeline, run.lane)
    ]


def may_send_fast(board: Board, run: Run) -> bool:
    """Whether main has moved to a commit that has not failed, and nobody has sent it past everyone yet."""
    head = board.service(run.service).history.head
    if (
        head is None
        or stage_versions.has_failed(board, run.service, head.sha)
        or not fast_lane.is_open(board, run.service)
    ):
        return False
    return all(live.lane is Lane.MAIN for live in board.of_commit(run.service, head.sha))
