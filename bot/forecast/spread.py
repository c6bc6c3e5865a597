"""How long things take, as a middle and a spread; and moments that are made of several such durations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: So many deviations on both sides hold eight of ten values: 1.28 if they were distributed normally, but some builds
#: are odd ones. Measured (`make bench ARGS="--only estimates"`).
EIGHT_OF_TEN = 1.5
#: Of fewer builds than this a service tells too little: those of all services count as well.
ENOUGH = 5
#: No duration is known better than this share of it.
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """A duration in seconds: its middle, and how far it deviates: when it is shorter, and when it is longer."""

    middle: float
    shorter: float
    longer: float

    def then(self, other: Spread) -> Spread:
        """Both, one after the other."""
        shorter, longer = math.hypot(self.shorter, other.shorter), math.hypot(self.longer, other.longer)
        return Spread(self.middle + other.middle, shorter, longer)


class Moment(NamedTuple):
    """When something happens, while it is worked out: a time, its variances, and how many locks may come before.

    `breaks`: how many builds before it will probably lock the stage, each of which would delay it by a lock.
    """

    at: float
    earlier: float = 0.0
    later: float = 0.0
    breaks: float = 0.0

    def after(self, spread: Spread, breaks: float = 0.0) -> Moment:
        """The moment when that has passed, too."""
        return Moment(
            self.at + spread.middle,
            self.earlier + spread.shorter**2,
            self.later + spread.longer**2,
            self.breaks + breaks,
        )

    def not_before(self, at: float) -> Moment:
        """The same, or `at` if that is later."""
        return self if self.at >= at else self._replace(at=at)


@dataclass(frozen=True, slots=True)
class Estimate:
    """When something will probably happen, in seconds since the epoch: eight times of ten between `low` and `high`."""

    at: float
    low: float
    high: float


def typical(samples: Sequence[float]) -> Spread | None:
    """The middle and the spread of durations, without letting single odd ones count for much; None if there are none.

    The middle is the mean of the inner eight tenths: where many builds follow each other it is their sum that counts.
    """
    if not samples:
        return None
    ordered = sorted(samples)
    cut = len(ordered) // 10
    inner = ordered[cut : len(ordered) - cut]
    return _spread(ordered, sum(inner) / len(inner), few=1 + 2 / len(ordered))


def usual(samples: Sequence[float]) -> Spread:
    """The same of what scatters widely, such as locks: the median, for single ones may stand over a weekend."""
    ordered = sorted(samples)
    return _spread(ordered, quantile(ordered, 0.5))


def remaining(samples: Sequence[float], elapsed: float, share: float = 0.1) -> Spread | None:
    """What is left of something that has taken `elapsed` seconds already, by those that took longer.

    None if fewer than `share` of them took that long.
    """
    left = sorted(sample - elapsed for sample in samples if sample > elapsed)
    return _spread(left, quantile(left, 0.5)) if len(left) >= max(2, share * len(samples)) else None


def overdue(usually: Spread) -> Spread:
    """What is left of a build that has taken longer than nearly all before it: it may end at any moment."""
    return Spread(0.1 * usually.middle, 0.1 * usually.middle, 0.3 * usually.middle + usually.longer)


def _spread(ordered: Sequence[float], middle: float, few: float = 1.0) -> Spread:
    least = LEAST_SPREAD * middle
    shorter, longer = middle - quantile(ordered, 0.16), quantile(ordered, 0.84) - middle
    return Spread(middle, max(shorter, least) * few, max(longer, least) * few)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie, between two of them if need be."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def likely_count(expected: float, share: float) -> int:
    """The number that a count with this mean does not exceed in `share` of the cases (a Poisson distribution)."""
    if expected <= 0:
        return 0
    count, term = 0, math.exp(-min(expected, 500.0))
    total = term
    while total < share and count < 10 * (expected + 1):
        count += 1
        term *= expected / count
        total += term
    return count


def estimate(moment: Moment, now: float, lock: Spread | None) -> Estimate:
    """A moment with its range; `lock`: how long a lock delays it that may come before."""

    def shifted(share: float, deviations: float) -> float:
        count = likely_count(moment.breaks, share) if lock is not None else 0
        variance = moment.earlier if deviations < 0 else moment.later
        if lock is not None and count:
            variance += count * (lock.shorter if deviations < 0 else lock.longer) ** 2
            return moment.at + count * lock.middle + deviations * math.sqrt(variance)
        return moment.at + deviations * math.sqrt(variance)

    middle = max(now, shifted(0.5, 0.0))
    low, high = shifted(0.1, -EIGHT_OF_TEN), shifted(0.9, EIGHT_OF_TEN)
    return Estimate(middle, max(now, min(low, middle)), max(high, middle))
