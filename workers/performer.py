"""Perform effects that are due: claim one, perform it, store the result, and take the turn that follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from redis.exceptions import RedisError

from bot.core.model.effects import (
    AbortDuplicate,
    Answer,
    AuthorizeCommand,
    Banner,
    Comment,
    Compare,
    Deploy,
    Effect,
    FindPull,
    LockNotice,
    Look,
    Mention,
    Notify,
    SetStatus,
    Survey,
    Trigger,
    Withdraw,
)
from bot.core.model.events import Event, TriggerRefused
from bot.core.model.pipeline import Step
from bot.effect_outcomes import ClaimLost, Done, PermanentFailure, Postponed, RetryLater
from bot.github import comments, deployments, questions, statuses
from bot.jenkins import banners, builds, triggers, withdrawals
from bot.jenkins.client import JenkinsForbidden, JenkinsNotFound
from bot.metrics import EFFECT_SECONDS
from bot.reporting.notices import notice
from bot.runtime import PipelineContext, Runtime
from bot.store.inbox import Accepted
from bot.store.outbox import Claim, PostNotes
from bot.store.scripts import OtherSchema
from bot.store.store import ClaimRequest
from config.logs import Once
from workers import people
from workers.turn import Claimed, ClaimWish, take_turns_and_claim

log = structlog.get_logger()
_said = Once()

#: The most effects of a family that are under way at once, over all workers; a system that hangs blocks only these.
LIMITS = {"jenkins": 12, "github": 3, "people": 2}
#: Effects that move a run, or for which a run may wait: they are never given up, however often they were tried.
MOVES_A_RUN = (Trigger, Withdraw, Compare, Survey)
#: Effects that hold a slot of a stage until they are done; and the number of tries after which their pause stops
#: growing, so that the next try comes within four seconds, not within a minute.
HOLDS_A_SLOT = (Trigger, Withdraw)
GROWS_UNTIL = 3

#: The number of failed tries after which people see an effect as delayed.
TOLD_AFTER = 2

PERFORMERS: dict[type, Callable[[Runtime, PipelineContext, Claim, Any], Done]] = {
    Trigger: triggers.trigger,
    Withdraw: withdrawals.withdraw,
    AbortDuplicate: withdrawals.abort_duplicate,
    Look: builds.look_at_build,
    Banner: banners.show_banner,
    SetStatus: statuses.report_status,
    Comment: comments.keep_comment,
    Compare: questions.compare,
    Survey: questions.survey,
    AuthorizeCommand: questions.authorize,
    Answer: comments.answer_command,
    FindPull: questions.find_pull,
    Deploy: deployments.deploy,
    LockNotice: statuses.report_lock,
    Notify: people.notify,
    Mention: people.mention,
}


def decide_and_perform(runtime: Runtime, context: PipelineContext, wake_up: Callable[[str, str], None]) -> None:
    """Decide the entries in the inbox, then perform the resulting effects at Jenkins; wake up others for the rest.

    The first effect for Jenkins that is due is claimed in the same step as the commit, so that a trigger is sent
    sooner.
    """
    turned = take_turns_and_claim(
        context, partial(wake_up, context.pipeline.name), _claim_wish(runtime, context, "jenkins")
    )
    triggers = "jenkins" in turned.families
    claimed = turned.claimed or ((None, False) if not triggers else claim_next(runtime, context, "jenkins"))
    following = _perform(
        runtime, context, "jenkins", wake_up, claimed
    )  # one first, because a wake-up costs as much as a trigger
    for family in sorted(turned.families - {"jenkins"}):
        wake_up(context.pipeline.name, family)
    _perform_all(runtime, context, "jenkins", wake_up, following)


def perform_due(runtime: Runtime, context: PipelineContext, family: str, wake_up: Callable[[str, str], None]) -> None:
    """Perform the effects of a family until none is due; call `wake_up(pipeline, family)` for help if more are due.

    This thread also takes the turn that follows from an effect, so that one task leads from a callback to the next
    trigger.
    """
    _perform_all(runtime, context, family, wake_up, claim_next(runtime, context, family))


def _perform_all(
    runtime: Runtime, context: PipelineContext, family: str, wake_up: Callable[[str, str], None], claimed: Claimed
) -> None:
    while claimed[0] is not None:
        runtime, context = runtime.present(context)
        claimed = _perform(runtime, context, family, wake_up, claimed)


def _perform(
    runtime: Runtime, context: PipelineContext, family: str, wake_up: Callable[[str, str], None], claimed: Claimed
) -> Claimed:
    """Perform one claimed effect of a family; returns the next claim, if one is due."""
    claim, more = claimed
    if claim is None:
        return claimed
    if more:
        wake_up(context.pipeline.name, family)
    if not perform(runtime, context, claim):
        return claim_next(runtime, context, family)
    turned = take_turns_and_claim(
        context, partial(wake_up, context.pipeline.name), _claim_wish(runtime, context, family)
    )
    for asked in sorted(turned.families - {family}):
        wake_up(context.pipeline.name, asked)
    return turned.claimed or claim_next(runtime, context, family)


def _claim_wish(runtime: Runtime, context: PipelineContext, family: str) -> ClaimWish:
    def wanted() -> ClaimRequest:
        return context.outbox.claim_request(family, limit=LIMITS[family], notes=_notes(runtime, context, family))

    return ClaimWish(family, wanted)


def claim_next(runtime: Runtime, context: PipelineContext, family: str) -> Claimed:
    """Claim one effect that is due, and return whether more are. For the first try of a trigger the same step stores
    the post note."""
    return context.outbox.claim(family, limit=LIMITS[family], notes=_notes(runtime, context, family))


def _notes(runtime: Runtime, context: PipelineContext, family: str) -> PostNotes | None:
    return PostNotes(triggers.notes_for_claim(runtime, context), triggers.NOTED_MS) if family == "jenkins" else None


def perform(runtime: Runtime, context: PipelineContext, claim: Claim) -> bool:
    """Perform one effect and store the result; True if a turn must be taken for it."""
    effect = claim.effect
    try:
        with EFFECT_SECONDS.labels(context.pipeline.name, effect.kind).time():
            done = PERFORMERS[type(effect)](runtime, context, claim, effect)
    except Postponed as error:
        log.debug("effect-postponed", effect=effect.slot, why=str(error), seconds=round(error.after or 0.0, 1))
        context.outbox.postpone(claim, error.after or 0.0, untried=True)
        return False
    except RetryLater as error:
        _retry_later(runtime, context, claim, str(error), error.after)
        return error.event is not None and _add_event(context, claim, error.event)
    except ClaimLost:
        log.info("claim-lost", effect=effect.slot, pipeline=context.pipeline.name)
        return False
    except (RedisError, OtherSchema):
        raise  # nothing can be stored now; after the end of the claim another performer continues from the notes
    except (PermanentFailure, JenkinsNotFound, JenkinsForbidden) as error:
        if isinstance(effect, Trigger):  # L6: nothing was started, so the run may wait and try again
            return context.outbox.finish(claim, TriggerRefused(effect.run, effect.attempt, str(error)))
        if isinstance(effect, MOVES_A_RUN):  # it must still be done once a person has corrected the cause
            _retry_later(runtime, context, claim, str(error), None, refused=True)
        else:
            _give_up(context, claim, str(error))
        return False
    except Exception as error:
        # A mistake of ours: the effect must not be lost, nor stop the others. One that moves a run is tried again;
        # others become dead letters.
        log.exception("effect-broken", effect=effect.slot, pipeline=context.pipeline.name)
        why = f"{type(error).__name__}: {error}"
        if isinstance(effect, MOVES_A_RUN):
            _retry_later(runtime, context, claim, why, None)
        else:
            _give_up(context, claim, why)
        return False
    return _finish(runtime, context, claim, done)


def _add_event(context: PipelineContext, claim: Claim, event: Event) -> bool:
    """Add an event to the inbox, once for this effect; True if it was not there yet."""
    return context.inbox.add(event, f"{event.kind}:{claim.effect.slot}") is not Accepted.DUPLICATE


def _finish(runtime: Runtime, context: PipelineContext, claim: Claim, done: Done) -> bool:
    _clear_delay(context, claim)
    if _said.is_over((context.pipeline.name, claim.effect.slot)):
        log.info("effect-done", effect=claim.effect.slot, tries=claim.tries + 1)
    if claim.tries and claim.family in runtime.retry_policy.give_up:
        context.patience.forget(claim.effect.slot)
    return context.outbox.finish(claim, done.event)


def _retry_later(
    runtime: Runtime, context: PipelineContext, claim: Claim, why: str, after: float | None, *, refused: bool = False
) -> None:
    """Postpone an effect, or give it up if it has failed for long. One that was refused waits longer, because a person
    must correct something first."""
    if _must_give_up(runtime, context, claim):
        _give_up(context, claim, why)
        return
    _note_delay(context, claim, why)
    soon = isinstance(claim.effect, HOLDS_A_SLOT) and not refused
    seconds = runtime.retry_policy.before_retry(min(claim.tries, GROWS_UNTIL) if soon else claim.tries, after)
    if _said.is_new((context.pipeline.name, claim.effect.slot), (claim.revision, why)):
        log.info("effect-later", effect=claim.effect.slot, why=why, tries=claim.tries + 1, seconds=round(seconds, 1))
    context.outbox.postpone(claim, seconds)


def _must_give_up(runtime: Runtime, context: PipelineContext, claim: Claim) -> bool:
    """Return whether an effect has failed for so long that it is given up."""
    patience = runtime.retry_policy.give_up.get(claim.family)
    if patience is None or isinstance(claim.effect, MOVES_A_RUN):
        return False
    now = time.time()
    return now - context.patience.since(claim.effect.slot, claim.revision, now) >= patience


def _give_up(context: PipelineContext, claim: Claim, why: str) -> None:
    _clear_delay(context, claim)
    context.patience.forget(claim.effect.slot)
    _said.is_over((context.pipeline.name, claim.effect.slot))
    log.error("effect-given-up", effect=claim.effect.slot, why=why, tries=claim.tries + 1)
    context.outbox.give_up(claim, why, time.time())


def _note_delay(context: PipelineContext, claim: Claim, why: str) -> None:
    """Store a delay for people if the effect has failed a few times: what it does, why it fails, since when."""
    if claim.tries >= TOLD_AFTER:
        context.delays.note(claim.effect.slot, _words(claim.effect), why, time.time(), claim.tries + 1)


def _clear_delay(context: PipelineContext, claim: Claim) -> None:
    """Delete the delay of an effect that is done or given up."""
    if claim.tries >= TOLD_AFTER:
        context.delays.clear(claim.effect.slot)


def _words(effect: Effect) -> str:
    """Return what an effect does, in words for people."""
    match effect:
        case Trigger():
            return f"starting the build of {effect.run} in {Step(effect.stage, effect.track)}"
        case Withdraw():
            verb = "ending" if effect.abort else "withdrawing"
            return f"{verb} the build of {effect.run} in {effect.job.name}"
        case AbortDuplicate():
            return f"ending build #{effect.number} of {effect.job.name}, a second one of {effect.run}"
        case Look():
            return f"looking at build #{effect.number} of {effect.job.name}"
        case Notify():
            return f"notifying people: {notice(effect.about)[0]}"
        case Mention():
            return f"the comment on {effect.repository}#{effect.pull} that {notice(effect.about)[0]}"
        case Banner():
            return f"the banner of {effect.stage}"
        case Survey():
            return f"asking GitHub how far main of {effect.service} had come"
        case _:
            return effect.slot
