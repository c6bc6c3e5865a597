"""The comment that answers a command on a pull request."""

from __future__ import annotations

from bot.core.markdown import plain
from bot.core.model.effects import Answer, CommandReply
from bot.reporting.messages import words


def answer(effect: Answer) -> str:
    """One comment, in Markdown, for all commands of a comment; what quotes strangers is made harmless."""
    rows = [f"`{reply.command}`: {_reply(reply)}" if reply.command else _reply(reply) for reply in effect.replies]
    if effect.more:
        left = "1 more was" if effect.more == 1 else f"{effect.more} more were"
        rows.append(f"Three commands of a comment count: {left} left out.")
    return "\n\n".join(rows)


def _reply(reply: CommandReply) -> str:
    match reply.outcome:
        case "said":
            return words(reply.text)
        case "done":
            return f"{plain(words(reply.text))}."
        case "not-done":
            return f"not done: {plain(words(reply.text))}."
