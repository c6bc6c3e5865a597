"""Send one message to one channel: e-mail, and every other service that apprise supports."""

from __future__ import annotations

import logging

import structlog

log = structlog.get_logger()

#: The most characters of a channel's refusal that are shown.
REASON = 160


def send(address: str, subject: str, text: str, *, key: str, topic: str) -> str | None:
    """Send a message; returns None if the channel took it, else the reason of apprise (which contains no address).

    `key` stays the same when a message is sent again.
    """
    import apprise  # imported here because it loads 170 services
    import apprise.plugins.email

    teller = apprise.Apprise()
    if not teller.add(address):
        log.error("channel-unusable", topic=topic)
        return None  # reported at start already; another try would not correct the address
    for server in teller.services:
        if isinstance(server, apprise.plugins.email.NotifyEmail):
            # apprise makes the Message-ID itself; this header stays the same when a mail is sent again.
            server.headers["X-Interlock-Notice"] = key
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:  # type: ignore[no-untyped-call]
        taken = teller.notify(body=text, title=subject.replace("\n", " "), body_format=apprise.NotifyFormat.TEXT)
        return None if taken else _one_line(said.getvalue()) or "it named no reason"


def is_usable(address: str) -> bool:
    """Return whether apprise supports an address."""
    import apprise

    return bool(apprise.Apprise().add(address))


def _one_line(text: str) -> str:
    """Return the text of a server as one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * REASON]).split())[:REASON]
