"""What people read of a message: tests that assert words go through here, those that assert data need it not."""

from __future__ import annotations

from bot.core.model.messages import Message
from bot.reporting.messages import words


def text_of(message: Message) -> str:
    """The message in words."""
    return words(message)
