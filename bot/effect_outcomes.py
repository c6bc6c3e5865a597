"""The outcomes of an effect: done (perhaps with an event), to be retried, failed for good, or the claim lost."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.model.events import Event

#: The key of outbound webhooks in `RetryPolicy.give_up`. Webhooks are sent facts, so they are no effect family.
WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of an effect that is done; `event`, if any, is put in the inbox for the board."""

    event: Event | None = None


class RetryLater(Exception):
    """Raised when an effect failed but may succeed later.

    `after`: seconds to wait; None: a wait that grows with each attempt. `certain`: the request certainly had no effect;
    otherwise it may have arrived, and the worker must look for its result. `over`: the request was answered, or its
    connection was closed, so it cannot arrive later. `event`: an event for the board about the failure.
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
    """Raised when it is too early and nothing was sent. This counts as no attempt, however long it takes."""

    def __init__(self, why: str, *, after: float) -> None:
        super().__init__(why, after=after, certain=True)


class RateLimited(Postponed):
    """Raised when a rate limit requires a wait first."""


class ClaimLost(Exception):
    """Raised when our claim has ended: another worker has the effect, or it is done or replaced."""


class PermanentFailure(Exception):
    """Raised when a retry will not help and a person must look at the effect."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between tries of a failed effect, and the times after which it is given up; in seconds."""

    #: The longest pause before the second try. The pause doubles with each further try, up to `longest`.
    first: float = 0.5
    longest: float = 60.0
    #: The longest pause that an answer may ask for, so that a wrong header cannot put an effect off for ever.
    longest_asked: float = 86_400.0
    #: By family, how long an effect is tried from its first failure on, before it becomes a dead letter; also for
    #: outbound webhooks (`WEBHOOKS`). The limit is a time and not a number of tries, so that an outage loses nothing
    #: however often we try.
    give_up: Mapping[str, float] = field(
        default_factory=lambda: {"github": 86_400.0, "people": 21_600.0, WEBHOOKS: 21_600.0}
    )

    def before_retry(self, tries: int, asked: float | None) -> float:
        """Return the pause before the next try, in seconds: `asked`, or else a random one that grows with `tries`.

        It lies in the upper half of a limit that doubles with each try. The jitter keeps many effects that failed
        together from being retried together.
        """
        if asked is not None:
            return min(asked, self.longest_asked)
        most = min(self.longest, self.first * 2 ** min(tries, 10))
        return random.uniform(most / 2, most)  # noqa: S311  not for secrets
