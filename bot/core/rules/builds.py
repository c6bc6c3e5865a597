"""Jenkins' reports about our builds: triggers taken or refused, builds started, passed, failed or lost.

Runs and verifications share these functions; they differ where a slot is given back (`give_back`) and where a build has
ended (`_ended`).
"""

from __future__ import annotations

from typing import Literal

from bot.core.model import messages
from bot.core.model.effects import Deploy
from bot.core.model.events import BuildLost, BuildSeen, TriggerAccepted, TriggerRefused, TriggerUnanswered, Withdrawn
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Lane, Outcome, Policy, Track
from bot.core.model.replaced import replace
from bot.core.model.run import HOLDS_SLOT, Buildable, End, Ending, Happened, Run, Status
from bot.core.model.stage_messages import ClosedNow
from bot.core.model.stage_state import StageBackoff
from bot.core.rules import fast_lane, stage_versions, unmanaged_builds, verifications
from bot.core.rules.cleanup import may_abort, withdraw
from bot.core.rules.decision import Decision, run_failed
from bot.core.rules.queue import find_place, join_queue
from bot.core.rules.stage_locks import lock_by_failure, passed_stage, tell_called_back
from bot.core.rules.unmanaged_builds import see_unmanaged_build, step_of

# -- triggers --------------------------------------------------------------------------------------------------


def accept_trigger(decision: Decision, event: TriggerAccepted) -> None:
    """Note that the build of an attempt is in Jenkins' queue, and end the backoff of its step."""
    run = _attempt(decision, event.run, event.attempt)
    if run is None:
        return
    if run.attempt.queue_item is None:
        decision.update_attempt(run, queue_item=event.queue_item)
    _works_again(decision, run)


def _works_again(decision: Decision, run: Buildable) -> None:
    """End the backoff of the step, because Jenkins has taken a build of it."""
    backoffs = decision.board.backoffs
    backoff = backoffs.get(str(run.step)) if backoffs else None
    if backoff is not None:
        decision.board.drop(backoff)
        decision.note(run)


def keep_unanswered_trigger(decision: Decision, event: TriggerUnanswered) -> None:
    """Keep an attempt whose trigger got no answer but may still arrive, and record that.

    The event comes only where the build rolls out.
    """
    run = _attempt(decision, event.run, event.attempt)
    if run is None or run.attempt.build is not None or run.attempt.queue_item is not None:
        return
    waiting = decision.update_attempt(run, unanswered=True)
    told = messages.UnansweredTrigger(run.who, run.step, event.answering)
    decision.tell(FactKind.TRIGGER_UNANSWERED, told, waiting)


def refuse_trigger(decision: Decision, event: TriggerRefused) -> None:
    """L6 Backoff. A trigger that Jenkins refuses, or that does not reach it, is no failure in the stage.

    So there is no lock: the run returns to the head of its queue, and Interlock tries again later.
    """
    run = _attempt(decision, event.run, event.attempt)
    if run is None or run.attempt.build is not None:
        return
    decision.tell(FactKind.TRIGGER_REFUSED, messages.TriggerNotTaken(run.step, event.why), run)
    if event.newer and _end_as_contained(decision, run, event.newer):
        return
    if run.status is Status.STARTING and not _leaves(run):
        back_off(decision, run, event.why)
    give_back(decision, run)


def _end_as_contained(decision: Decision, run: Buildable, newer: str) -> bool:
    """F11: end a run whose commit a newer one contains that was rolled out there. Return whether it ended.

    The holder of a lock does not end: it may repair the stage. The head of main, which GitHub is asked for after a
    loss, carries the commit on.
    """
    holds_lock = any(lock.run == run.key for lock in decision.board.locks.values())
    if run.verifies is not None or holds_lock or _leaves(run):
        return False
    decision.end(run, Ending(End.SUPERSEDED, messages.ContainedInForgotten(newer, run.step)))
    return True


def confirm_withdrawal(decision: Decision, event: Withdrawn) -> None:
    """Give back the slot of an attempt that has no build: recalled (L3), taken out, or cancelled by hand.

    A starting run that was withdrawn without a reason was never sent, because the stage closed before that (W1).
    """
    run = _attempt(decision, event.run, event.attempt)
    if run is None or run.attempt.build is not None:
        return
    if run.status is Status.STARTING and not _leaves(run):
        if event.why:
            back_off(decision, run, event.why)
        else:
            tell_called_back(decision, run, ClosedNow(run.step.stage))
    elif run.status is Status.RECALLED:
        decision.note(run)
    give_back(decision, run)


def lose_build(decision: Decision, event: BuildLost) -> None:
    """Count a lost build as aborted if it ran, because its effect is unknown; else confirm its withdrawal."""
    run = _attempt(decision, event.run, event.attempt)
    if run is None:
        return
    if run.attempt.build is None:
        confirm_withdrawal(decision, Withdrawn(event.run, event.attempt, event.why))
    else:
        _ended(decision, decision.update_attempt(run, lost=event.why), Outcome.ABORTED)


def back_off(decision: Decision, run: Buildable, why: str) -> None:
    """L6 Backoff. Let no run enter a step that Jenkins refused, for a pause that doubles with each refusal."""
    board, step = decision.board, run.step
    known = board.backoffs.get(str(step))
    if known is None or run.since <= known.since:
        told = messages.TriggerNotTaken(step, why)
        decision.note(run, told)  # once: further refusals are no news
    if known is not None and decision.now < known.retry_at:
        return  # several builds were asked for at once: they share one backoff
    refusals = known.refusals + 1 if known else 1
    pause = min(board.pipeline.retry_first * 2 ** min(refusals - 1, 16), board.pipeline.retry_most)
    since = known.since if known else decision.now
    board.put(StageBackoff(str(step), step, why, since, decision.now + pause, refusals))


def give_back(decision: Decision, run: Buildable) -> None:
    """Free the slot: an ending run leaves the board, any other run returns to the head of its queue."""
    verification = decision.board.verifications.get(run.key)
    if verification is not None:
        verifications.give_back_verification(decision, verification)
    else:
        _give_back_run(decision, decision.board.runs[run.key])


def _give_back_run(decision: Decision, run: Run) -> None:
    if run.status is Status.ENDING and run.ending is not None:
        decision.end(run, run.ending)
    elif run.attempt.cancelled_by is not None:
        decision.end(run, Ending(End.CANCELLED, messages.Cancelled(run.attempt.cancelled_by)))
    elif fast_lane.next_step(decision.board.pipeline, run.lane, run.passed) == run.step:
        back = decision.waits(run, run.step, queue_number=run.queue_number)
        decision.tell(FactKind.RUN_RETURNED, messages.BackInQueue(run.who), back)
    else:
        find_place(decision, run)  # its lane or the stages have changed meanwhile


def _attempt(decision: Decision, key: str, attempt: int) -> Buildable | None:
    """Return the run or verification that holds a slot for this attempt; None: the event is too late to count."""
    run = decision.board.built(key)
    return run if run is not None and run.status in HOLDS_SLOT and run.attempt.number == attempt else None


def _leaves(run: Buildable) -> bool:
    """Return whether the result of its build does not count any more: it is ending, or was cancelled."""
    return run.status is Status.ENDING or run.attempt.cancelled_by is not None


# -- builds ----------------------------------------------------------------------------------------------------


def see_build(decision: Decision, event: BuildSeen) -> None:
    """Take Jenkins' report about a build. It moves a run only as the one build of its present attempt."""
    if event.result is not None and step_of(decision, event) is not None:
        unmanaged_builds.remember_ended(decision.board, event)
    run = _attempt(decision, event.run or "", event.attempt or 0)
    if run is not None and (event.version not in ("", run.version) or event.sha not in ("", run.sha)):
        run = None  # a build of an older installation, or of a run that a fail-over lost, under the same name
    if run is None or run.attempt.build not in (None, event.number):
        see_unmanaged_build(decision, event, twin_of=run)
    elif event.result is None:
        _started(decision, run, event)
    else:
        found = {"build": event.number, "failed_tests": event.failed_tests, "failed_step": event.failed_step}
        _ended(decision, decision.update_attempt(run, **found), event.result, event.ended)


def _started(decision: Decision, run: Buildable, event: BuildSeen) -> None:
    number = event.number
    if run.attempt.build == number:
        return
    _works_again(decision, run)
    if _leaves(run):
        run = decision.update_attempt(run, build=number)
        # a cancelled run is aborted in every stage
        withdraw(decision, run, abort=run.taken_out or may_abort(decision, run))
        return
    # L3: a build that has started is not called back
    attempt = replace(run.attempt, build=number, expected=event.expected)
    run = decision.update(run, status=Status.RUNNING, attempt=attempt)
    decision.tell(FactKind.BUILD_STARTED, messages.BuildRuns(number, run.step, run.who), run)
    if run.verifies is None:
        decision.is_in(run)
    else:
        decision.status(run, run.step, "pending", messages.BuildRuns(number, run.step))
    if _deploys(decision, run):
        _deployed(decision, run, "in_progress", messages.BuildRuns(number))


def _ended(decision: Decision, run: Buildable, result: Outcome, at: float | None = None) -> None:
    """Handle the end of a build, `at` (epoch seconds by Jenkins' clock; None: not known)."""
    outcome = Outcome.TIMEOUT if run.attempt.timed_out and result is not Outcome.SUCCESS else result
    verification = decision.board.verifications.get(run.key)
    if verification is not None:
        verifications.end_verification(decision, verification, outcome)
    else:
        _run_ended(decision, decision.board.runs[run.key], outcome, at)


def _run_ended(decision: Decision, run: Run, outcome: Outcome, at: float | None) -> None:
    stage = decision.board.pipeline.stage(run.step.stage)
    policy = stage.policy(outcome) if stage else (Policy.PASS if outcome is Outcome.SUCCESS else Policy.REPORT)
    if run.step.track is Track.FAST and policy is Policy.LOCK:
        policy = Policy.REPORT  # no real stage broke: a fast job locks nothing
    if policy is not Policy.PASS and stage_versions.rolls_out(decision.board.pipeline, run.step):
        stage_versions.failed(decision.board, run, decision.now)  # whatever happens to the run: half of it is there
    if policy is Policy.PASS:
        _passed(decision, run)
    elif run.status is Status.ENDING and run.ending is not None:
        _deployed(decision, run, "inactive", run.ending.why)
        decision.end(run, run.ending)  # F8: the result of a removed run never locks
    elif run.attempt.cancelled_by is not None and policy is not Policy.LOCK:
        cancelled = messages.Cancelled(run.attempt.cancelled_by)
        _deployed(decision, run, "error", cancelled)
        decision.end(run, Ending(End.CANCELLED, cancelled))
    elif _may_repeat(decision, run):
        _repeat(decision, run, outcome)
    else:
        _failed(decision, run, outcome, policy, at)


def _passed(decision: Decision, run: Run) -> None:
    decision.tell(FactKind.BUILD_PASSED, messages.StepPassed(run.step, run.who), run)
    passed = messages.StepPassed(run.step)
    decision.status(run, run.step, "success", passed)
    if _deploys(decision, run):
        _deployed(decision, run, "success", messages.BuildPassed(run.attempt.build))
    # The run gives up its slot first, because this decision also admits the next run.
    _goes_on(decision, run, decision.story(run, passed))
    passed_stage(decision, run)


def _goes_on(decision: Decision, run: Run, story: tuple[Happened, ...]) -> None:
    """Move a run on that has passed its step: it is delivered, it leaves, or it joins the next queue."""
    passed = (*run.passed, run.step)
    step = fast_lane.next_step(decision.board.pipeline, run.lane, passed)
    if step is not None and run.ending is None and run.attempt.cancelled_by is None:
        join_queue(decision, run, step, passed=passed, story=story)
        return
    run = replace(run, passed=passed, retried=0, retrying=False, story=story)
    removed = run.ending is not None and run.ending.end is not End.CANCELLED
    if step is None and not removed:  # a cancellation came too late
        decision.end(run, Ending(End.DELIVERED, messages.Delivered(run.who, run.step)))
    elif run.ending is not None:
        decision.end(run, run.ending)
    else:
        why = messages.Cancelled(run.attempt.cancelled_by or "", passed=run.step)
        decision.end(run, Ending(End.CANCELLED, why))


def _may_repeat(decision: Decision, run: Run) -> bool:
    """L4 Retry. Return whether the stage repeats the failed build automatically.

    It does so while it has retries left, unless the commit is off main or a person has cancelled the build.
    """
    stage = decision.board.pipeline.stage(run.step.stage)
    configured = stage is not None and decision.board.job(run.step) is not None
    if stage_versions.off_main(decision.board, run.service, run.position):
        return False
    return configured and stage is not None and run.retried < stage.retries and run.attempt.cancelled_by is None


def _repeat(decision: Decision, run: Run, outcome: Outcome) -> None:
    """L4 Retry. A stage may repeat a failed build by itself before its failure counts.

    The run keeps its queue number, and enters in this decision unless a lock or a pause keeps it out.
    """
    told = messages.RetriedAutomatically(run_failed(run, outcome), run.retried + 1)
    decision.tell(FactKind.BUILD_REPEATED, told, run)
    decision.note(run, told)
    decision.waits(run, run.step, queue_number=run.queue_number, retried=run.retried + 1)


def _failed(decision: Decision, run: Run, outcome: Outcome, policy: Policy, at: float | None) -> None:
    told = run_failed(run, outcome)
    decision.tell(FactKind.BUILD_FAILED, told, run)
    decision.note(run, told, soon=True)
    _deployed(decision, run, "error" if outcome in _CUT_OFF else "failure", told)
    board = decision.board
    stage_versions.failed(board, run, decision.now)
    kept = policy is Policy.LOCK or (fast_lane.failure_keeps_run(run) and fast_lane.is_open(board, run.service))
    if run.lane is Lane.FAST:
        decision.tell(FactKind.FIX_FAILED, messages.FixFailed(run.who, told), run)
        decision.failed_fixes.append((run, told))
    if not kept:
        if run.lane is Lane.MAIN:
            decision.failed_runs.append((run, told))
        decision.end(run, Ending(End.FAILED, told))
        return
    decision.status(run, run.step, "failure", told, "action_required" if policy is Policy.LOCK else "")
    kept_run = decision.update(run, status=Status.FAILED, retrying=False, attempt=run.attempt.failed(outcome))
    if policy is Policy.LOCK:
        lock_by_failure(decision, kept_run, told, at, taken_back=run.attempt.cancelled_by is not None)


# -- deployments -----------------------------------------------------------------------------------------------

_DeploymentState = Literal["in_progress", "success", "failure", "error", "inactive"]

#: The outcomes of a build that was cut off, with an unknown effect; the other builds have failed.
_CUT_OFF = (Outcome.ABORTED, Outcome.TIMEOUT)


def _deploys(decision: Decision, run: Buildable) -> bool:
    """Return whether its stage has an environment; the fast lane's own jobs roll out nothing."""
    stage = decision.board.pipeline.stage(run.step.stage)
    return stage is not None and stage.environment != "" and run.step.track is not Track.FAST


def _deployed(decision: Decision, run: Buildable, state: _DeploymentState, text: messages.Message) -> None:
    """Write a deployment if the stage has an environment."""
    pipeline = decision.board.pipeline
    stage, service = pipeline.stage(run.step.stage), pipeline.service(run.service)
    if stage is None or service is None or not _deploys(decision, run):
        return
    where = (service.repository, run.sha, stage.name, stage.environment, stage.production)
    decision.do(Deploy(*where, state, text, run.key, stage.job, run.attempt.build))
