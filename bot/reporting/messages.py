"""The words of messages about runs, builds, main and pull requests.

It also imports those about stages and the refusals, so that all are registered.
"""

from __future__ import annotations

from bot.core.model import github_messages as g
from bot.core.model import messages as m
from bot.core.model.messages import Phrase
from bot.core.model.pipeline import AbortLevel, Outcome
from bot.reporting import refusals, stage_messages
from bot.reporting.sentences import CANCELLED_THERE, OUTCOMES, broken, failed, short, words
from bot.reporting.sentences import name_of as name

__all__ = ["refusals", "stage_messages", "words"]

_PHRASES = {
    Phrase.DONE: "done",
    Phrase.STORE_CHANGED: (
        "the store has another master or was restarted, and may have lost its last writes: Interlock asks GitHub "
        "and Jenkins for them, and looks in Jenkins before it starts a build"
    ),
    Phrase.SAME_PUSH: "the same push was delivered before",
    Phrase.PUSH_AND_PULL: "its push and its pull request are about the same commit",
    Phrase.HOLDS_LOCK: "its service holds a lock",
    Phrase.PAUSED: "the pipeline is paused",
    Phrase.OBSERVES: "the pipeline only observes from now on",
    Phrase.OBSERVED: "Interlock may not have asked for it while the pipeline observed",
    Phrase.WAITS_FOR_BUILD: "waits for its build",
    Phrase.GROUP_VERIFIED: "each pull request was verified by itself; Interlock builds the merged commit",
    Phrase.PULL_CLOSED: "the pull request is closed",
    Phrase.PULL_ELSEWHERE: "the pull request targets another branch now",
    Phrase.PULL_IS_DRAFT: "the pull request is a draft",
    Phrase.PULL_FROM_FORK: "it comes from a fork, and this pipeline verifies no forks",
}


def _entered(of: m.Entered) -> str:
    if of.ahead:
        return f"{name(of.who)} enters {of.step} ahead of its queue, on the fast lane"
    return f"{name(of.who)} enters {of.step}{' on the fast lane' if of.fast else ''}"


def _of_whom(who: m.Who | None) -> str:
    return f"{name(who)} " if who is not None else ""


def _promoted(of: m.Promoted) -> str:
    what = "changes to the fast lane" if of.permit is None else f"may enter {of.permit}"
    return f"{_of_whom(of.who)}{what}: {words(of.why)}"


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


def _run_moved(of: m.RunMoved) -> str:
    whom = name(of.who) if of.who is not None else "it"
    return f"{of.by} moved {whom} to the front of the queue for {of.step}: {of.reason}"


def _whose(of: m.AbortedMoreFirmly | m.BuildStuck) -> str:
    return name(of.who) if of.who is not None else f"a second build of {of.repeats}"


def _aborted_more_firmly(of: m.AbortedMoreFirmly) -> str:
    how = {AbortLevel.TERM: "ends its steps by force", AbortLevel.KILL: "kills it"}.get(of.now, "stops it")
    return f"build #{of.build} of {_whose(of)} in {of.step} has not ended after {of.before}: Interlock {how}"


def _build_stuck(of: m.BuildStuck) -> str:
    limit = "Interlock only asks a build that rolls out to stop" if of.rolls_out else "Interlock has killed it"
    return (
        f"build #{of.build} of {_whose(of)} in {of.step} does not end, and {limit}: end it in Jenkins. "
        "It keeps its slot until then"
    )


def _trigger_unanswered(of: m.UnansweredTrigger) -> str:
    return (
        f"the trigger of {name(of.who)} for {of.step} got no answer and may still arrive: "
        "Interlock asks for no other build "
        f"until Jenkins has answered for {of.seconds:g} s, or has restarted"
    )


def _cancelled(of: m.Cancelled) -> str:
    late = f", after it had passed {of.passed}" if of.passed is not None else ""
    return f"cancelled by {of.by}{f': {of.reason}' if of.reason else ''}{late}"


def _commit_on_main(of: g.CommitOnMain) -> str:
    pull = f" by pull request #{of.pull}" if of.pull is not None else ""
    how = {"pushed": "", "force-pushed": ", by a force-push", "polled": ", found by polling"}[of.how]
    return f"{short(of.sha)} is on main of {of.service}{pull}{how}"


def _containment_answer(of: g.ContainmentAnswer) -> str:
    return f"{short(of.head)} {'contains' if of.contains else 'does not contain'} {short(of.base)}"


def _commit_known(of: g.CommitKnown) -> str:
    if of.why is not None:
        return f"{short(of.sha)} is known: {_PHRASES[of.why]}"
    return f"{short(of.sha)} is known: it landed together with {short(of.carried_by)}, which carries it"


def _force_push_unplaced(of: g.ForcePushUnplaced) -> str:
    return (
        f"a force-push from {short(of.before)} to {short(of.sha)} arrived, but main was at {short(of.head)}: "
        "Interlock asks GitHub for its head"
    )


def _default_branch_moved(of: g.DefaultBranchMoved) -> str:
    return (
        f"the default branch of {of.repository} is now {of.now}; {of.service} still follows {of.branch}, as "
        "the pipeline file says. If that is not intended, correct its branch there; if "
        f"{of.branch} does not exist any more, Interlock "
        f"sees no merge of {of.service} any more"
    )


def _verification_queued(of: g.VerificationQueued) -> str:
    return f"{name(of.who)} waits to be verified{f': {of.by} has asked for it' if of.by is not None else ''}"


def _verification_left(of: g.VerificationLeft) -> str:
    return (
        f"{name(of.who)} is not verified any more: {words(of.why)}"
        f"{'; its build is being stopped' if of.stopping else ''}"
    )


def _verification_held(of: g.VerificationHeld) -> str:
    if of.who is None:
        return f"from a fork: a maintainer must look at it, then comment /interlock verify {of.sha}"
    return f"{name(of.who)} comes from a fork: Interlock verifies it when a maintainer asks for it"


def _command_heard(of: g.CommandHeard) -> str:
    verbs = ", ".join(f"`{verb or 'an unknown command'}`" for verb in of.verbs)
    return f"{of.by} says {verbs} on {of.via}"


def _starts_again(of: m.StartsAgain) -> str:
    where = f"{of.before} was in {of.step}" if of.before else "its commit was on its way"
    return f"starts again as {of.run}: state was lost while {where}"


words.register(m.Verbatim, lambda of: of.text)
words.register(m.Phrased, lambda of: _PHRASES[of.phrase])

# the place of a run
words.register(m.WaitsFor, lambda of: f"waits for {of.step}")
words.register(m.Queued, lambda of: f"{_of_whom(of.who)}queues for {of.step}")
words.register(m.AskedBy, lambda of: f"{of.by}: {of.reason}")
words.register(m.LockedSinceMoved, lambda of: f"{of.stage} locked and main has moved since")
words.register(m.StartsFast, lambda of: f"{_of_whom(of.who)}starts on the fast lane: {words(of.why)}")
words.register(m.Promoted, _promoted)
words.register(m.IsIn, lambda of: f"in {of.step}")
words.register(m.IsMerged, lambda of: f"on its way to {of.stage}")
words.register(m.Entered, _entered)
words.register(m.Overtaken, _overtaken)
words.register(m.BackInQueue, lambda of: f"{name(of.who)} is back at the head of the queue")
words.register(m.StartsAgain, _starts_again)

# builds
words.register(m.BuildRuns, _build_runs)
words.register(m.BuildPassed, lambda of: f"build #{of.build} passed")
words.register(m.StepPassed, _step_passed)
words.register(m.RunFailed, failed)
words.register(m.VerificationEnded, _verification_ended)
words.register(m.RetriedAutomatically, lambda of: f"{words(of.failed)}; retried automatically ({of.number})")
words.register(m.RunRetried, _run_retried)
words.register(m.RunMoved, _run_moved)
words.register(
    m.RanTooLong, lambda of: f"build #{of.build} of {name(of.who)} has run too long in {of.step}: Interlock aborts it"
)
words.register(m.AbortedMoreFirmly, _aborted_more_firmly)
words.register(m.BuildStuck, _build_stuck)
words.register(
    m.TriggerNotTaken, lambda of: f"Jenkins did not take the build for {of.step}: {of.why or CANCELLED_THERE}"
)
words.register(m.UnansweredTrigger, _trigger_unanswered)
words.register(m.FixFailed, lambda of: f"the fix {name(of.who)} has failed: {words(of.why)}")

# the ending of a run
words.register(m.Delivered, lambda of: f"{name(of.who)} is in {of.step}")
words.register(m.PassedEveryStage, lambda of: f"{name(of.who)} has passed every stage that is configured")
words.register(m.Cancelled, _cancelled)
words.register(m.Superseded, lambda of: f"contained in {short(of.sha)}, superseded by {of.by}")
words.register(
    m.ContainedInFailed,
    lambda of: f"contained in {short(of.sha)}, which has failed in {of.step}: that stage never goes back",
)
words.register(
    m.ContainedInForgotten,
    lambda of: (
        f"contained in {short(of.sha)}, which is in {of.step} (the store had forgotten it): that stage never goes back"
    ),
)
words.register(m.DroppedFromMain, lambda of: f"a force-push dropped {short(of.sha)} from main")
words.register(m.Unconfigured, lambda of: f"{of.what} is no longer configured")
words.register(m.RunEnding, lambda of: f"{words(of.why)}; its build in {of.step} is being stopped")

# main
words.register(g.CommitOnMain, _commit_on_main)
words.register(g.ContainmentQuestion, lambda of: f"asked GitHub whether {short(of.head)} contains {short(of.base)}")
words.register(g.ContainmentAnswer, _containment_answer)
words.register(
    g.BaselineTaken, lambda of: f"main of {of.service} is at {short(of.sha)}; Interlock starts nothing for it"
)
words.register(g.CommitKnown, _commit_known)
words.register(g.ForcePushUnplaced, _force_push_unplaced)
words.register(g.DefaultBranchMoved, _default_branch_moved)

# pull requests and commands
words.register(g.VerificationQueued, _verification_queued)
words.register(g.VerificationLeft, _verification_left)
words.register(g.VerificationHeld, _verification_held)
words.register(g.NewerPush, lambda of: f"superseded by a newer push ({short(of.sha)})")
words.register(g.NotVerifiedAnyMore, lambda of: f"Interlock no longer verifies pull requests of {of.service}")
words.register(g.CommandHeard, _command_heard)
words.register(g.NotAllowed, lambda of: of.why)
words.register(g.CommandNotDone, lambda of: f"Interlock refuses what {of.by} says on {of.via}: {words(of.why)}")
