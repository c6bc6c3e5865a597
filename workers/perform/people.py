"""Telling people: e-mail and everything else that apprise can reach; addresses come from the settings alone."""

from __future__ import annotations

from bot import channels
from bot.core.effects import Notify
from bot.health.contacts import CHANNEL
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.perform.outcome import Done, NotNow

#: How long it is remembered that a channel took something, in seconds: longer than it is tried.
TOLD_SECONDS = 2 * 86_400


def notify(context: Context, line: Line, claim: Claim, effect: Notify) -> Done:
    """Tell every channel that wants to know of the topic, each until it has taken it, and then not again.

    At least once: a channel that took it while we died, or whose answer was lost, may hear it twice.
    """
    failed: list[str] = []
    link = f"{context.configuration.web.public_url}/p/{line.pipeline.name}"
    for name in context.configuration.notify.told(effect.topic):
        address, told = context.settings.notify_urls.get(name), line.keys.said(f"{effect.slot}/{name}")
        if address is None or line.redis.exists(told):
            continue
        text = f"{effect.text}\n{link}\n"
        why = channels.send(address.get_secret_value(), effect.subject, text, key=effect.key, topic=effect.topic)
        context.contacts.note(CHANNEL, name, why)
        if why is None:
            line.redis.set(told, "1", ex=TOLD_SECONDS)
        else:
            failed.append(f"{name} ({why})")
    if failed:
        raise NotNow(f"could not tell {', '.join(failed)}")
    return Done()
