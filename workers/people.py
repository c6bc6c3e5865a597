"""Telling people: e-mail and everything else that apprise can reach; addresses come from the settings alone."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.model.effects import Notify
from bot.core.model.messages import Message
from bot.core.model.pipeline import Step
from bot.core.model.stage_messages import StageNotice
from bot.effect_outcomes import Done, RateLimited, RetryLater
from bot.health import channels
from bot.health.contacts import CHANNEL
from bot.reporting.stage_messages import notice
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: How long it is remembered that a channel took something, in seconds: longer than it is tried.
TOLD_SECONDS = 2 * 86_400
#: How long a notice waits before it looks again whether the earlier ones have gone out, in seconds.
EARLIER_PAUSE = 0.5


def notify(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Notify) -> Done:
    """Tell every channel that wants to know of it, each until it has taken it, and then not again.

    At least once: a channel that took it while we died, or whose answer was lost, may hear it twice. A channel hears
    the notices in their order: a later one waits until the earlier ones were taken, or given up.
    """
    failed: list[str] = []
    waiting: list[str] = []
    earlier = [other for other in context.outbox.earlier(claim) if isinstance(other, Notify)]
    subject, written = notice(effect.about)
    logs = "".join(_logs(runtime, context, effect.about))
    for name in _listeners(runtime, effect):
        address, told = runtime.settings.notify_urls.get(name), context.keys.given(f"{effect.slot}/{name}")
        if address is None or context.redis.exists(told):
            continue
        if any(name in _listeners(runtime, other) and not _was_told(context, other, name) for other in earlier):
            waiting.append(name)
            continue
        text = f"{written}\n{logs}{runtime.page_of(context.pipeline.name)}\n"
        why = channels.send(address.get_secret_value(), subject, text, key=effect.key, topic=effect.topic)
        runtime.contacts.note(CHANNEL, name, why)
        if why is None:
            context.redis.set(told, "1", ex=TOLD_SECONDS)
        else:
            failed.append(f"{name} ({why})")
    if failed:
        raise RetryLater(f"could not tell {', '.join(failed)}")
    if waiting:
        raise RateLimited(f"an earlier notice goes to {', '.join(waiting)} first", after=EARLIER_PAUSE)
    return Done()


def _logs(runtime: Runtime, context: PipelineContext, about: Message) -> Iterator[str]:
    """A line for the log of each build that a notice tells of as failed."""
    if not isinstance(about, StageNotice):
        return
    with context.look() as replica:
        configured = context.pipeline_of(replica.board)
    failed = [(Step(lock.stage), lock.build) for lock in about.locked]
    failed += [(about.fix.step, about.fix.build)] if about.fix is not None else []
    for step, build in dict.fromkeys(failed):
        log = runtime.log_of(configured.job(step.stage, step.track), build)
        if log:
            yield f"Log of build #{build} in {step}: {log}\n"


def _listeners(runtime: Runtime, effect: Notify) -> list[str]:
    """The channels that want to know of what a notice is about, each once."""
    told = runtime.configuration.notify.channels_for
    return list(dict.fromkeys(name for topic in (effect.topic, *effect.also) for name in told(topic)))


def _was_told(context: PipelineContext, effect: Notify, name: str) -> bool:
    return bool(context.redis.exists(context.keys.given(f"{effect.slot}/{name}")))
