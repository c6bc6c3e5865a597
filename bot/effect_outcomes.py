"""What can become of an effect: done (perhaps with an event), to be retried, failed for good, or no longer ours."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.model.events import Event

#: What `RetryPolicy.give_up` calls outbound webhooks; they are told facts, and no effects.
WEBHOOKS = "webhooks"


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


class Postponed(RetryLater):
    """It is too early: nothing was sent. It counts as no attempt, however long it takes."""

    def __init__(self, why: str, *, after: float) -> None:
        super().__init__(why, after=after, certain=True)


class RateLimited(Postponed):
    """A rate limit asks to wait first."""


class ClaimLost(Exception):
    """Our claim has ended: another worker has the effect, or it is done or replaced."""


class PermanentFailure(Exception):
    """Trying again will not help: a person must look at it."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long an effect that failed waits for its next try, and when it is given up; in seconds."""

    #: The longest pause before the second try; it doubles with each further one, up to `longest`.
    first: float = 0.5
    longest: float = 60.0
    #: The longest pause that an answer may ask for: a mistaken header puts nothing off for ever.
    longest_asked: float = 86_400.0
    #: For how long an effect that cannot be done now is tried, from its first failure on, until it is given up into the
    #: dead letters, by family; and what is told to an outbound webhook (`WEBHOOKS`). By time and not by count, so that
    #: an outage loses nothing however often we ask.
    give_up: Mapping[str, float] = field(
        default_factory=lambda: {"github": 86_400.0, "people": 21_600.0, WEBHOOKS: 21_600.0}
    )

    def before_retry(self, tries: int, asked: float | None) -> float:
        """What an answer asked for, or a time at random in the upper half of a limit that doubles with each try.

        Jitter keeps many effects that failed together from coming back together.
        """
        if asked is not None:
            return min(asked, self.longest_asked)
        most = min(self.longest, self.first * 2 ** min(tries, 10))
        return random.uniform(most / 2, most)  # noqa: S311  not for secrets
