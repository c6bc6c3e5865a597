"""Sending one message to one channel: e-mail and everything else that apprise can reach."""

from __future__ import annotations

import logging

import structlog

log = structlog.get_logger()

#: How much of a channel's refusal is shown.
REASON = 160


def send(address: str, subject: str, text: str, *, key: str, topic: str) -> str | None:
    """Send a message; None if the channel took it, else why not, as apprise says it (it names no address).

    `key` stays the same when a message is sent once more.
    """
    import apprise  # loads 170 services: only where it is needed
    import apprise.plugins.email

    teller = apprise.Apprise()
    if not teller.add(address):
        log.error("channel-unusable", topic=topic)
        return None  # said at start already; trying again would not mend the address
    for server in teller.services:
        if isinstance(server, apprise.plugins.email.NotifyEmail):
            # apprise makes the Message-ID itself; this header stays the same when a mail is sent a second time.
            server.headers["X-Interlock-Notice"] = key
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        taken = teller.notify(body=text, title=subject.replace("\n", " "), body_format=apprise.NotifyFormat.TEXT)
        return None if taken else _one_line(said.getvalue()) or "it gave no reason"


def is_usable(address: str) -> bool:
    """Whether apprise knows how to send to an address."""
    import apprise

    return bool(apprise.Apprise().add(address))


def _one_line(text: str) -> str:
    """What a server said, as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * REASON]).split())[:REASON]
