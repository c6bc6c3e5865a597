"""Builds that are known to have ended: what comes late about one moves nothing, and nobody looks at it again.

Of each job the last ones are remembered, in as many records as are remembered: a newer build takes the record of the
one that is `REMEMBERED` numbers older. Callbacks and looks overtake each other by some dozen builds at most.
"""

from __future__ import annotations

from bot.core.model.board import Board
from bot.core.model.events import BuildHinted, BuildSeen
from bot.core.model.run import PastBuild

#: How many builds of one job.
REMEMBERED = 64
#: How far two words about when a build began may be apart, in seconds, to be about the same build.
SAME_START = 1.0


def remember(board: Board, event: BuildSeen) -> None:
    """Jenkins says that a build has ended."""
    board.put(PastBuild(_key(event.controller, event.job, event.number), event.number, event.started))


def has_ended(board: Board, event: BuildSeen | BuildHinted) -> bool:
    """Whether this very build is known to have ended.

    A job that was made anew counts its builds from 1 again: one that began at another time is another build. A build
    that is gone is not known to have ended, for it may come back after a restart.
    """
    past = board.past.get(_key(event.controller, event.job, event.number))
    if past is None or past.number != event.number:
        return False
    started = event.started if isinstance(event, BuildSeen) else None
    return started is None or past.started is None or abs(past.started - started) <= SAME_START


def _key(controller: str, job: str, number: int) -> str:
    return f"{controller}/{job}/{number % REMEMBERED}"
