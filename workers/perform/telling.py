"""What is held up, in words: an effect that has been in vain a few times is shown to people until it is done."""

from __future__ import annotations

import time

from bot.core.model.effects import AbortDuplicate, Banner, Effect, Look, Notify, Trigger, Withdraw
from bot.core.model.pipeline import Step
from bot.runtime import PipelineContext
from bot.store.outbox import Claim

#: After how many tries in vain people are told.
TOLD_AFTER = 2


def held_up(context: PipelineContext, claim: Claim, why: str) -> None:
    """Note one more try in vain, if it is not the first."""
    if claim.tries >= TOLD_AFTER:
        context.delays.note(claim.effect.slot, words(claim.effect), why, time.time(), claim.tries + 1)


def no_longer(context: PipelineContext, claim: Claim) -> None:
    """It is done, or given up."""
    if claim.tries >= TOLD_AFTER:
        context.delays.clear(claim.effect.slot)


def words(effect: Effect) -> str:
    """What an effect does, for people."""
    match effect:
        case Trigger():
            return f"starting the build of {effect.run} in {Step(effect.stage, effect.track)}"
        case Withdraw():
            verb = "ending" if effect.abort else "taking back"
            return f"{verb} the build of {effect.run} in {effect.job.name}"
        case AbortDuplicate():
            return f"ending build #{effect.number} of {effect.job.name}, a second one of {effect.run}"
        case Look():
            return f"looking at build #{effect.number} of {effect.job.name}"
        case Notify():
            return f"telling people: {effect.subject}"
        case Banner():
            return f"the banner of {effect.stage}"
        case _:
            return effect.slot
