"""The words of messages about stages."""

from __future__ import annotations

from bot.core.model import stage_messages as m
from bot.core.model.pipeline import ConfigurationChange, Outcome
from bot.reporting.sentences import coming, local_moment, moment, words
from bot.reporting.sentences import name_of as name


def _stage_unlocked(of: m.StageUnlocked) -> str:
    if not of.left:
        return f"{of.stage} is open: {words(of.why)}"
    return f"{words(of.why)}; {of.stage} stays locked by {of.left} more {'lock' if of.left == 1 else 'locks'}"


def _called_back(of: m.CalledBack) -> str:
    if of.who is None:
        return f"called back from {of.step} before its build started: {words(of.why)}"
    return f"{words(of.why)}: {name(of.who)} is called back from {of.step} before its build started"


def _on_main_lane_again(of: m.OnMainLaneAgain) -> str:
    who = f"{name(of.who)} is " if of.who is not None else ""
    return f"{who}on the main lane again: the last lock of {of.service} is open"


def frozen(of: m.Frozen) -> str:
    """Return until when a stage is frozen, in the time zone of the freeze."""
    return f"frozen until {local_moment(of.until, of.time_zone)} (freeze {of.freeze})"


def _merges_frozen(of: m.MergesFrozen) -> str:
    are = "is" if len(of.stages) == 1 else "are"
    return f"{' and '.join(of.stages)} {are} {frozen(of.by)}; merging is possible, your change waits"


def _freeze_ended(of: m.FreezeEnded) -> str:
    return (
        f"freeze {of.freeze} {'is not in force any more: the configuration has changed' if of.changed else 'is over'}"
    )


def _let_through(of: m.LetThrough) -> str:
    if of.who is None:
        return f"let through freezes by {of.by}: {of.reason}"
    return f"{of.by} lets {name(of.who)} through freezes: {of.reason}"


def _enters_frozen(of: m.FreezePassed) -> str:
    who = f"{name(of.who)} enters" if of.who is not None else "enters"
    return f"{who} {of.step} in freeze {of.freeze}: {words(of.because)}"


def _locked_by(stages: tuple[str, ...], by: str) -> str:
    return f"{' and '.join(stages)} {'is' if len(stages) == 1 else 'are'} locked by {by}"


def _fix_passes(of: m.FixPasses) -> str:
    then = "merge its fix, then ask for the fast lane" if of.on_request else "merging this enters the fast lane"
    return f"{_locked_by(of.stages, of.service)}: {then}"


def _merges_wait(of: m.MergesWait) -> str:
    return f"{_locked_by(of.stages, of.by)} since {moment(of.since)}; merging is possible, your change waits"


def _banner_put_back(of: m.BannerPutBack) -> str:
    if of.left:
        return f"the description of {of.job} still had a banner: Interlock removes it"
    return f"the banner of {of.job} was overwritten: Interlock puts it back"


def _late_build_ended(of: m.LateBuildEnded) -> str:
    stopped = of.outcome is Outcome.ABORTED
    how = "was stopped" if stopped else f"was not stopped in time: it ended as {of.outcome}"
    return f"build #{of.build} in {of.step}, a late build of {of.run}, {how}"


def _unmanaged_build_seen(of: m.UnmanagedBuildSeen) -> str:
    whose = f"belongs to no present attempt of {of.run}" if of.run else "was not started by Interlock"
    return f"build #{of.build} in {of.step} {whose}: it takes a slot and moves no run"


#: How many characters of a digest are shown: enough to tell configurations apart.
DIGEST_SHOWN = 8


def _pipeline_configured(of: m.PipelineConfigured) -> str:
    which = f"; configuration {of.digest[:DIGEST_SHOWN]}" if of.digest else ""
    changes = f"; changed: {', '.join(map(changed, of.changes))}" if of.changes else ""
    stages = " → ".join(of.stages)
    return f"{of.pipeline} is configured: {stages}; {of.services} services; {of.mode}{which}{changes}"


def changed(change: ConfigurationChange) -> str:
    """Return a change such as `pipelines.shop.stages.acceptance.capacity: 1 → 2`; a missing value is `(none)`."""
    return f"{change.key}: {change.before or '(none)'} → {change.after or '(none)'}"


def _store_restored(of: m.StoreRestored) -> str:
    return (
        f"restored from the backup of {moment(of.made)}: later requests of people are lost; Interlock asks GitHub and "
        f"Jenkins for the rest, and looks in Jenkins before it starts a build"
    )


def _closed_after_loss(of: m.ClosedAfterLoss) -> str:
    known = f" (it was locked: {'; '.join(words(why) for why in of.before)})" if of.before else ""
    return f"state was lost: look, then unlock{known}"


#: The words for how far a head had come, as far as GitHub shows it.
_BECAME = {
    "delivered": "GitHub shows that it was delivered",
    "ended": "GitHub shows that its run had ended without being delivered",
    "started": "GitHub shows that it was on its way: it starts again",
    "unknown": "nothing shows whether it was delivered; to send it: interlock fast-lane SERVICE --stage STAGE",
}

words.register(m.StageLocked, lambda of: f"{of.stage} is locked: {words(of.reason)}")
words.register(m.StageUnlocked, _stage_unlocked)
words.register(m.UnlockedBy, lambda of: f"unlocked by {of.by}: {of.reason}")
words.register(m.LockExpired, lambda of: f"the lock of {of.by} has reached its end time")
words.register(m.Frozen, frozen)
words.register(m.FreezeEnded, _freeze_ended)
words.register(m.FreezesChanged, lambda of: f"the freezes are now: {', '.join(of.freezes) or 'none'}")
words.register(m.ExceptedByLabel, lambda of: f"#{of.pull} has the label {of.label}")
words.register(m.ExceptedByService, lambda of: f"it excepts {of.service}")
words.register(m.LetThrough, _let_through)
words.register(m.FreezePassed, _enters_frozen)
words.register(m.ClosedNow, lambda of: f"{of.stage} is locked")
words.register(m.CalledBack, _called_back)
words.register(m.OnMainLaneAgain, _on_main_lane_again)
words.register(m.FixComing, coming)
words.register(m.NoFixComing, lambda of: f"no fix is on its way: merge one to {of.service}, it takes the fast lane")
words.register(m.FixPasses, _fix_passes)
words.register(m.MergesWait, _merges_wait)
words.register(m.MergesFrozen, _merges_frozen)
words.register(m.NothingLocked, lambda _: "open")
words.register(m.BannerPutBack, _banner_put_back)
words.register(
    m.BuildRepeated,
    lambda of: f"build #{of.build} repeats build #{of.first} of {name(of.who)}: Interlock asks it to stop",
)
words.register(
    m.LateBuild,
    lambda of: f"build #{of.build} in {of.step} is a late build of {of.run}: Interlock asks it to stop",
)
words.register(m.LateBuildEnded, _late_build_ended)
words.register(m.UnmanagedBuildSeen, _unmanaged_build_seen)
words.register(m.PipelineConfigured, _pipeline_configured)
words.register(m.ModeChanged, lambda of: f"{of.by} sets the pipeline from {of.before} to {of.now}: {of.reason}")
words.register(m.StageWatched, lambda of: f"{of.by} gets a notice when {of.stage} opens")
words.register(
    m.WasTakenOut,
    lambda of: f"{of.by} {'retries' if of.again else 'drops'} the {of.what.replace('-', ' ')} {of.name}: {of.reason}",
)
words.register(m.StateWasLost, lambda of: f"state was lost: {of.why}")
words.register(m.StoreRestored, _store_restored)
words.register(m.ClosedAfterLoss, _closed_after_loss)
words.register(
    m.FoundInBanner, lambda of: f"{words(of.reason)} (read from the banner of {of.job} after state was lost)"
)
words.register(m.HeadWasSurveyed, lambda of: f"main of {of.who.service} at {of.who.sha[:7]}: {_BECAME[of.became]}")
