"""Telling people: e-mail and everything else that apprise can reach; addresses come from the settings alone."""

from __future__ import annotations

import structlog

from bot.core.effects import Notify
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.perform.outcome import Done, NotNow

log = structlog.get_logger()


def notify(context: Context, line: Line, claim: Claim, effect: Notify) -> Done:
    """Tell every channel that wants to know of the topic. At least once: a channel that took it may hear it again."""
    names = context.configuration.notify.told(effect.topic)
    addresses = [(name, context.settings.notify_urls.get(name)) for name in names]
    known = [(name, address.get_secret_value()) for name, address in addresses if address is not None]
    if not known:
        return Done()
    link = f"{context.configuration.web.public_url}/p/{line.pipeline.name}"
    failed = [name for name, address in known if not _tell(address, effect, link)]
    if failed:
        raise NotNow(f"could not tell {', '.join(failed)}")
    return Done()


def _tell(address: str, effect: Notify, link: str) -> bool:
    import apprise  # loads 170 services: only where it is needed
    import apprise.plugins.email

    teller = apprise.Apprise()
    if not teller.add(address):
        log.error("channel-unusable", topic=effect.topic)
        return True  # said at start already; trying again would not mend the address
    for server in teller.services:
        if isinstance(server, apprise.plugins.email.NotifyEmail):
            # apprise makes the Message-ID itself; this header stays the same when a mail is sent a second time.
            server.headers["X-Interlock-Notice"] = effect.key
    subject = effect.subject.replace("\n", " ")
    return bool(teller.notify(body=f"{effect.text}\n{link}\n", title=subject, body_format=apprise.NotifyFormat.TEXT))
