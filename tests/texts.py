"""What people read of a message, for tests that assert its words."""

from __future__ import annotations

from bot.core.model.messages import Message
from bot.reporting.messages import words


def text_of(message: Message) -> str:
    """The message in words."""
    return words(message)
