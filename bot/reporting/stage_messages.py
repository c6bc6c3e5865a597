"""The messages about stages in words, and the notices to people: each a subject and a text."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.model import stage_messages as m
from bot.core.model.github_messages import DefaultBranchMoved
from bot.core.model.messages import BuildStuck, Message
from bot.core.model.pipeline import Outcome
from bot.core.model.stage_state import Lock
from bot.reporting.sentences import coming, moment, named, words
from bot.reporting.sentences import name_of as name


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


def _locked_by(stages: tuple[str, ...], by: str) -> str:
    return f"{' and '.join(stages)} {'is' if len(stages) == 1 else 'are'} locked by {by}"


def _fix_passes(of: m.FixPasses) -> str:
    then = "merge its fix, then ask for the fast lane" if of.on_request else "merging this enters the fast lane"
    return f"{_locked_by(of.stages, of.service)}: {then}"


def _merges_wait(of: m.MergesWait) -> str:
    return f"{_locked_by(of.stages, of.by)} since {moment(of.since)}; merging is possible, your change waits"


def _banner_put_back(of: m.BannerPutBack) -> str:
    what = (
        "a banner of ours was left: it is taken away" if of.left else "the banner had been overwritten: it is put back"
    )
    return f"on {of.job} {what}"


def _late_build_ended(of: m.LateBuildEnded) -> str:
    stopped = of.outcome is Outcome.ABORTED
    how = "was stopped" if stopped else f"was not stopped in time: it ended as {of.outcome}"
    return f"build #{of.build} in {of.step}, one of {of.run} that nobody waited for, {how}"


def _unmanaged_build_seen(of: m.UnmanagedBuildSeen) -> str:
    whose = f"belongs to no present attempt of {of.run}" if of.run else "was not started by Interlock"
    return f"build #{of.build} in {of.step} {whose}: it takes a slot, nothing more"


def _pipeline_configured(of: m.PipelineConfigured) -> str:
    return f"{of.pipeline} is configured: {' → '.join(of.stages)}; {of.services} services; {of.mode}"


def _closed_after_loss(of: m.ClosedAfterLoss) -> str:
    known = f" (it was locked: {'; '.join(words(why) for why in of.before)})" if of.before else ""
    return f"state was lost: look, then unlock{known}"


words.register(m.StageLocked, lambda of: f"{of.stage} is locked: {words(of.reason)}")
words.register(m.StageUnlocked, _stage_unlocked)
words.register(m.UnlockedBy, lambda of: f"unlocked by {of.by}: {of.reason}")
words.register(m.LockExpired, lambda of: f"the lock of {of.by} has reached its end time")
words.register(m.ClosedNow, lambda of: f"{of.stage} is locked")
words.register(m.CalledBack, _called_back)
words.register(m.OnMainLaneAgain, _on_main_lane_again)
words.register(m.FixComing, coming)
words.register(m.NoFixComing, lambda of: f"no fix is on its way: merge one to {of.service}, it takes the fast lane")
words.register(m.FixPasses, _fix_passes)
words.register(m.MergesWait, _merges_wait)
words.register(m.NothingLocked, lambda _: "open")
words.register(m.BannerPutBack, _banner_put_back)
words.register(
    m.BuildRepeated,
    lambda of: f"build #{of.build} repeats build #{of.first} of {name(of.who)}: it is asked to stop",
)
words.register(
    m.LateBuild,
    lambda of: f"build #{of.build} in {of.step} is one of {of.run} that nobody waits for any more: it is asked to stop",
)
words.register(m.LateBuildEnded, _late_build_ended)
words.register(m.UnmanagedBuildSeen, _unmanaged_build_seen)
words.register(m.PipelineConfigured, _pipeline_configured)
words.register(m.ModeChanged, lambda of: f"{of.by} sets the pipeline from {of.before} to {of.now}: {of.reason}")
words.register(m.StateWasLost, lambda of: f"state was lost: {of.why}")
words.register(m.ClosedAfterLoss, _closed_after_loss)


# -- notices to people -----------------------------------------------------------------------------------------


def notice(about: Message) -> tuple[str, str]:
    """Subject and text of a notice to people."""
    match about:
        case m.StageNotice():
            return _stage_notice(about)
        case m.LossNotice():
            return f"{about.pipeline}: state was lost", "\n".join(_loss(about)) + "\n"
        case BuildStuck():
            return f"{about.step}: build #{about.build} does not end", f"{words(about)}\n"
        case DefaultBranchMoved():
            return f"{about.repository}: its default branch is now {about.now}", f"{words(about)}\n"
        case m.WrittenNotice():
            return about.subject, about.text
    raise TypeError(f"{type(about).__name__} is no notice")


def _stage_notice(of: m.StageNotice) -> tuple[str, str]:
    """What happened, then how the stage stands now and what to do."""
    opened = "; ".join(dict.fromkeys(words(why) for why in of.opened))
    also = f"Another lock is open: {opened}.\n" if opened else ""
    if of.fix is not None:
        return f"fix failed: {words(of.fix.why)}", _fix_failed(of, of.fix) + also
    if of.locked:
        last = of.locked[-1]
        return f"{last.stage} is locked: {words(last.reason)}", "\n".join(_locked(lock) for lock in of.locked) + also
    if of.left:
        subject = f"{of.stage} stays locked: {len(of.left)} of {len(of.left) + len(of.opened)} locks left"
        return subject, f"A lock of {of.stage} is open: {opened}.\n{of.stage} stays locked by {named(of.left)}.\n"
    return f"{of.stage} is open", f"{of.stage} is open: {opened}\n"


def _locked(lock: Lock) -> str:
    if lock.automatic:
        then = (
            f"Nobody enters {lock.stage} until it is fixed. Merge the fix to main of {lock.service}: it takes the fast "
            f"lane. If the environment was at fault, retry {lock.run}; or unlock the stage with a reason."
        )
    else:
        end = "" if lock.until is None else f", or until {moment(lock.until)}: then it opens by itself"
        then = f"Nobody enters{' but fixes on the fast lane' if lock.let_fixes_in else ''} until it is unlocked{end}."
    return f"{lock.stage} is locked: {words(lock.reason)}.\nLocked by: {lock.by}\n\n{then}\n"


def _fix_failed(of: m.StageNotice, fix: m.FailedFix) -> str:
    """What the failing fix means for the locks of its stage; it may hold one of them now itself."""
    own = any(lock.run == fix.run for lock in of.locked)
    others = len(of.left) - 1
    beside = "" if others < 1 else f", beside {others} other {'lock' if others == 1 else 'locks'}"
    stays = f"It holds a lock of {fix.step.stage} now{beside}." if own else "The lock stays."
    return (
        f"The fix {name(fix.who)} did not get through: {words(fix.why)}.\n{stays} Merge another fix, or retry "
        f"{fix.run}; a newer fix that waited goes on at once.\n"
    )


def _loss(of: m.LossNotice) -> Iterator[str]:
    yield f"What Interlock had stored is gone: {of.why}."
    if of.closed:
        yield f"Closed until a person has looked: {', '.join(of.closed)}."
    yield from (f"  {stage} was locked: {words(why)}" for stage, why in of.locked)
    if of.runs:
        yield "On their way were:"
        yield from (f"  {name(run.who)}, in {run.step} ({run.status})" for run in of.runs)
    if of.live > len(of.runs):
        yield f"  and {of.live - len(of.runs)} more"
    if of.again:
        yield f"Started again from the first stage: {', '.join(name(who) for who in of.again)}."
    else:
        yield "Nothing was started again: the next merge to a service carries what was on its way."
    yield "Look in Jenkins at what is rolled out; then: interlock unlock STAGE --reason '...'"
