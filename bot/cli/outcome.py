"""Asks for something and says what came of it: done, refused, or kept and not decided yet."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from bot.cli.errors import Refused, Unknown
from bot.cli.out import say

if TYPE_CHECKING:
    from bot.cli.server import Answer, Server

#: How many facts are told of one request.
TOLD = 12


def ask(server: Server, *path: str, patience: float, **body: Any) -> None:
    """Send a request and print what came of it. Raises Refused, or Unknown after `patience` seconds.

    What is None in `body` is left out.
    """
    given = {name: value for name, value in body.items() if value is not None}
    deadline = time.monotonic() + patience
    answer = server.post(*path, body=given, has="state", key=uuid.uuid4().hex)
    while answer["state"] == "waiting" and time.monotonic() < deadline:
        time.sleep(0.2)  # when too many wait, the server answers at once
        seconds = max(0, min(5, int(deadline - time.monotonic())))
        answer = server.get("requests", str(answer["request"]), has="state", wait=seconds)
    tell(answer, patience)


def tell(answer: Answer, patience: float) -> None:
    """Print what came of a request."""
    facts = answer.get("facts") or []
    if answer["state"] == "waiting":
        raise Unknown(
            f"the request {answer.get('request')} is kept and counts, but no worker took it within {patience:g} s. "
            "It is decided as soon as one does; `interlock log` shows it"
        )
    if answer["state"] == "refused":
        said = [str(fact.get("why")) for fact in facts if fact.get("kind") == "request-refused"]
        raise Refused("; ".join(said) or "no reason is on record")
    if not facts:
        say("done: nothing had to change")
    for number, fact in enumerate(facts[:TOLD]):
        say(("      " if number else "done: ") + sentence(fact))
    if len(facts) > TOLD:
        say(f"      and {len(facts) - TOLD} more, see `interlock log`")


def sentence(fact: Answer) -> str:
    """A fact as a sentence that says whom it is about, and who is behind it."""
    text = str(fact.get("why") or fact.get("kind"))
    service, short = fact.get("service"), str(fact.get("sha") or "")[:7]
    if service and fact.get("run") and short not in text:
        text = f"{service} {short}: {text}"
    by = fact.get("by")
    return f"{text} (by {by})" if by and str(by) not in text else text
