"""Questions to GitHub that come back as events: what contains what."""

from __future__ import annotations

from bot.core.effects import Compare
from bot.core.events import ContainmentKnown
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.github.limits import Purpose
from workers.github.refusals import NotThere
from workers.github.session import Session
from workers.perform.outcome import Done, NotNow


def compare(context: Context, line: Line, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`: so it is if GitHub says `ahead` or `identical` (GitHub docs: compare)."""
    session = Session(context, effect.repository)
    try:
        answer = session.read(f"/compare/{effect.base}...{effect.head}?per_page=1&page=1", Purpose.PROOF)
    except NotThere as error:
        # Not known (yet: a replica lags): *unknown* is not *no*, so whoever waits for the proof goes on waiting.
        raise NotNow(f"GitHub does not know {effect.base[:7]} or {effect.head[:7]}") from error
    contains = answer.data["status"] in ("ahead", "identical")
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains))
