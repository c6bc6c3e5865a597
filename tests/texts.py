"""What people read of a message or a notice, for tests that assert its words."""

from __future__ import annotations

from bot.core.model.effects import Notify
from bot.core.model.events import TakenOut
from bot.core.model.messages import Message, Verbatim
from bot.core.model.stage_state import Lock
from bot.reporting.messages import words
from bot.reporting.notices import notice


def text_of(message: Message | None) -> str:
    """The message in words; empty if there is none."""
    return "" if message is None else words(message)


def subject_of(notify: Notify) -> str:
    """The subject of a notice."""
    return notice(notify.about)[0]


def body_of(notify: Notify) -> str:
    """The text of a notice."""
    return notice(notify.about)[1]


def lock_for(reason: str, by: str, since: float, until: float | None = None, stage: str = "pre-production") -> Lock:
    """A lock with a reason that somebody wrote."""
    return Lock(f"{stage}/{by}", stage, Verbatim(reason), by, since, until=until)


def retried(slot: str) -> TakenOut:
    """What is on record of the retry of a dead letter."""
    return TakenOut("dead-letter", slot, True, "ann", "mended")
