"""What can become of an effect: done (perhaps with an event), to be retried, failed for good, or no longer ours."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bot.core.model.events import Event

#: The longest pause between two tries of one effect, in seconds.
LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """The effect is done; `event` is what the board must learn."""

    event: Event | None = None


class RetryLater(Exception):
    """The effect failed and may work later. `after`: seconds to wait; None: longer with each attempt.

    `certain` says that the request did nothing; else it may have arrived, and must be looked for. `over`: it was
    answered, or its connection was closed, so that it cannot arrive later. `event`: what the board should know of it.
    """

    def __init__(
        self,
        why: str,
        *,
        after: float | None = None,
        certain: bool = False,
        over: bool = False,
        event: Event | None = None,
    ) -> None:
        super().__init__(why)
        self.after = after
        self.certain = certain
        self.over = over
        self.event = event


class RateLimited(RetryLater):
    """A rate limit asks to wait first: nothing was sent. It counts as no attempt, however long it takes."""

    def __init__(self, why: str, *, after: float) -> None:
        super().__init__(why, after=after, certain=True)


class ClaimLost(Exception):
    """Our claim has ended: another worker has the effect, or it is done or replaced."""


class PermanentFailure(Exception):
    """Trying again will not help: a person must look at it."""


def pause(tries: int, wanted: float | None) -> float:
    """How long to wait before the next try, in seconds: `wanted`, or at random in the upper half of a limit
    that doubles with each try.

    Jitter keeps many effects that failed together from coming back together.
    """
    if wanted is not None:
        return wanted
    most = min(LONGEST_PAUSE, 0.5 * 2 ** min(tries, 10))
    return random.uniform(most / 2, most)  # noqa: S311  not for secrets
