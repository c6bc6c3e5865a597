"""Every message in words: one clause, without a capital or a full stop, so that it can stand in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bot.core.model import messages as m
from bot.core.model.pipeline import AbortLevel, Outcome
from bot.core.sentences import OUTCOMES, broken, failed, short
from bot.core.sentences import name_of as name


def words(message: m.Message) -> str:
    """The message as people read it. Raises KeyError for a class that has no words."""
    return _RENDERERS[type(message)](message)


def _entered(of: m.Entered) -> str:
    if of.ahead:
        return f"{name(of.who)} enters {of.step} ahead of its queue: it is the fix"
    return f"{name(of.who)} enters {of.step}{' on the fast lane' if of.fast else ''}"


def _of_whom(who: m.Who | None) -> str:
    return f"{name(who)} " if who is not None else ""


def _promoted(of: m.Promoted) -> str:
    what = "changes to the fast lane" if of.permit is None else f"may enter {of.permit}"
    return f"{_of_whom(of.who)}{what}: {of.why}"


def _overtaken(of: m.Overtaken) -> str:
    fix = f"{name(of.fix)}, the fix for {of.stage}"
    return f"{fix}, has passed it on the fast lane: it keeps its place, nothing restarts"


def _build_runs(of: m.BuildRuns) -> str:
    who = f" of {name(of.who)}" if of.who is not None else ""
    where = f" in {of.step}" if of.step is not None else ""
    return f"build #{of.build}{who} runs{where}"


def _step_passed(of: m.StepPassed) -> str:
    return f"passed {of.step}" if of.who is None else f"{name(of.who)} has passed {of.step}"


def _verification_ended(of: m.VerificationEnded) -> str:
    build = f"build #{of.build}"
    if of.outcome is Outcome.SUCCESS:
        return f"{build} has passed"
    if of.lost:
        return of.lost
    told = broken(of.tests, of.failed_step)
    return f"{build} {OUTCOMES.get(of.outcome, 'failed')}{f': {told}' if told else ''}"


def _run_retried(of: m.RunRetried) -> str:
    what = name(of.who) if of.who is not None else "its build"
    return f"{of.by} retried {what} in {of.step}: {of.reason}"


def _aborted_more_firmly(of: m.AbortedMoreFirmly) -> str:
    how = {AbortLevel.TERM: "its steps are ended by force", AbortLevel.KILL: "it is killed"}.get(
        of.now, "it is stopped"
    )
    return f"build #{of.build} of {of.whose} in {of.step} has not ended after {of.before}: {how}"


def _trigger_unanswered(of: m.UnansweredTrigger) -> str:
    return (
        f"the trigger of {name(of.who)} for {of.step} got no answer and may still arrive: no other build is asked for "
        f"until Jenkins has answered for {of.seconds:g} s, or has restarted"
    )


def _stage_unlocked(of: m.StageUnlocked) -> str:
    if not of.left:
        return f"{of.stage} is open: {words(of.why)}"
    return f"{words(of.why)}; {of.left} more {'lock keeps' if of.left == 1 else 'locks keep'} it closed"


def _called_back(of: m.CalledBack) -> str:
    if of.who is None:
        return f"called back from {of.step} before its build started: {words(of.why)}"
    return f"{words(of.why)}: {name(of.who)} is called back from {of.step} before its build started"


def _on_main_lane_again(of: m.OnMainLaneAgain) -> str:
    who = f"{name(of.who)} is " if of.who is not None else ""
    return f"{who}on the main lane again: the last lock of {of.service} is open"


def _commit_on_main(of: m.CommitOnMain) -> str:
    pull = f" by pull request #{of.pull}" if of.pull is not None else ""
    how = {"pushed": "", "force-pushed": ", by a force-push", "polled": ", found by polling"}[of.how]
    return f"{short(of.sha)} is on main of {of.service}{pull}{how}"


def _containment_answer(of: m.ContainmentAnswer) -> str:
    return f"{short(of.head)} {'contains' if of.contains else 'does not contain'} {short(of.base)}"


_Kind = TypeVar("_Kind", bound=m.Message)


def _of(kind: type[_Kind], render: Callable[[_Kind], str]) -> tuple[type, Callable[[Any], str]]:
    """A row of the table: how just this kind is said."""
    return kind, render


_RENDERERS: dict[type, Callable[[Any], str]] = dict(
    [
        _of(m.Verbatim, lambda of: of.text),
        _of(m.Joined, lambda of: "".join(words(part) for part in of.parts)),
        # where a run is
        _of(m.WaitsFor, lambda of: f"waits for {of.step}"),
        _of(m.Queued, lambda of: f"{_of_whom(of.who)}queues for {of.step}"),
        _of(m.StartsFast, lambda of: f"{_of_whom(of.who)}starts on the fast lane: {of.why}"),
        _of(m.Promoted, _promoted),
        _of(m.IsIn, lambda of: f"in {of.step}"),
        _of(m.Entered, _entered),
        _of(m.Overtaken, _overtaken),
        _of(m.BackInQueue, lambda of: f"{name(of.who)} is back at the head of the queue"),
        # builds
        _of(m.BuildRuns, _build_runs),
        _of(m.BuildPassed, lambda of: f"build #{of.build} passed"),
        _of(m.StepPassed, _step_passed),
        _of(m.RunFailed, failed),
        _of(m.VerificationEnded, _verification_ended),
        _of(m.RetriedAutomatically, lambda of: f"{words(of.failed)}; retried automatically ({of.number})"),
        _of(m.RunRetried, _run_retried),
        _of(
            m.RanTooLong,
            lambda of: f"build #{of.build} of {name(of.who)} has run too long in {of.step}: it is aborted",
        ),
        _of(m.AbortedMoreFirmly, _aborted_more_firmly),
        _of(m.TriggerNotTaken, lambda of: f"Jenkins did not take the build for {of.step}: {of.why}"),
        _of(m.UnansweredTrigger, _trigger_unanswered),
        _of(m.FixFailed, lambda of: f"the fix {name(of.who)} did not get through: {words(of.why)}"),
        # how a run ends
        _of(m.Cancelled, lambda of: f"cancelled by {of.by}"),
        _of(m.RunEnding, lambda of: f"{words(of.why)}; its build in {of.step} is being stopped"),
        # locks
        _of(m.StageLocked, lambda of: f"{of.stage} is locked: {words(of.reason)}"),
        _of(m.StageUnlocked, _stage_unlocked),
        _of(m.CalledBack, _called_back),
        _of(m.OnMainLaneAgain, _on_main_lane_again),
        # main
        _of(m.CommitOnMain, _commit_on_main),
        _of(m.ContainmentQuestion, lambda of: f"asked GitHub whether {short(of.head)} contains {short(of.base)}"),
        _of(m.ContainmentAnswer, _containment_answer),
    ]
)
