"""Telling people: e-mail and everything else that apprise can reach; addresses come from the settings alone."""

from __future__ import annotations

import logging

import structlog

from bot.core.effects import Notify
from bot.state.outbox import Claim
from bot.translate.reading import line as one_line
from workers.context import Context, Line
from workers.perform.outcome import Done, NotNow

log = structlog.get_logger()

#: How long it is remembered that a channel took something, in seconds: longer than it is tried.
TOLD_SECONDS = 2 * 86_400
#: How much of a channel's refusal is shown.
REASON = 160


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
        why = _tell(address.get_secret_value(), effect, link)
        if why is None:
            line.redis.set(told, "1", ex=TOLD_SECONDS)
        else:
            failed.append(f"{name} ({why})")
    if failed:
        raise NotNow(f"could not tell {', '.join(failed)}")
    return Done()


def _tell(address: str, effect: Notify, link: str) -> str | None:
    """Tell one channel; None if it took it, else why not, as apprise says it (it names no address)."""
    import apprise  # loads 170 services: only where it is needed
    import apprise.plugins.email

    teller = apprise.Apprise()
    if not teller.add(address):
        log.error("channel-unusable", topic=effect.topic)
        return None  # said at start already; trying again would not mend the address
    for server in teller.services:
        if isinstance(server, apprise.plugins.email.NotifyEmail):
            # apprise makes the Message-ID itself; this header stays the same when a mail is sent a second time.
            server.headers["X-Interlock-Notice"] = effect.key
    subject, text = effect.subject.replace("\n", " "), f"{effect.text}\n{link}\n"
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        taken = teller.notify(body=text, title=subject, body_format=apprise.NotifyFormat.TEXT)
        return None if taken else one_line(said.getvalue(), REASON) or "it gave no reason"
