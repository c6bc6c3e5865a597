"""GitHub's secondary limits: points per minute, and creating requests per minute and per hour.

Source: GitHub docs, "Rate limits for the REST API", "About secondary rate limits": 900 points a minute for the REST
API, a GET costs 1 and POST, PATCH, PUT and DELETE 5; 80 requests that create content a minute, and 500 an hour. GitHub
does not say which requests create content; its own client (octokit/plugin-throttling.js) counts those that notify
people, so comments, issues, pull requests and reviews count here.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

READ, WRITE = 1, 5
_CREATES = re.compile(r"POST /repos/[^/]+/[^/]+/(issues|pulls|issues/\d+/comments|pulls/\d+/(comments|reviews))")


@dataclass(frozen=True, slots=True)
class SecondaryLimits:
    """The limits; `hasten`: the factor that shortens the minutes, for tests and benchmarks."""

    points_a_minute: int = 900
    created_a_minute: int = 80
    created_an_hour: int = 500
    hasten: float = 1.0


@dataclass(slots=True)
class Use:
    """The recent use by one asker: times and points."""

    spent: deque[tuple[float, int]] = field(default_factory=deque)
    created: deque[float] = field(default_factory=deque)

    def exceeds(self, limits: SecondaryLimits, method: str, path: str, now: float) -> float | None:
        """Return the seconds until the request may be sent again if it exceeds a limit; else count it, and None."""
        minute, hour = 60 / limits.hasten, 3600 / limits.hasten
        while self.spent and self.spent[0][0] <= now - minute:
            self.spent.popleft()
        while self.created and self.created[0] <= now - hour:
            self.created.popleft()
        cost = READ if method in ("GET", "HEAD") else WRITE
        creates = _CREATES.fullmatch(f"{method} {path}") is not None
        waits = []
        if sum(points for _, points in self.spent) + cost > limits.points_a_minute:
            waits.append(self.spent[0][0] + minute - now if self.spent else minute)
        lately = [at for at in self.created if at > now - minute]
        if creates and len(lately) >= limits.created_a_minute:
            waits.append(lately[0] + minute - now)
        if creates and len(self.created) >= limits.created_an_hour:
            waits.append(self.created[0] + hour - now)
        if waits:
            return max(waits)
        self.spent.append((now, cost))
        if creates:
            self.created.append(now)
        return None
