"""How long things take, as a middle and a spread; and moments that are made of several such durations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

#: So many standard deviations on both sides hold eight of ten values of a normal distribution.
EIGHT_OF_TEN = 1.28
#: Of fewer builds than this a service tells too little: those of all services count as well.
ENOUGH = 5
#: No duration is known better than this share of it.
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """A duration in seconds: its middle, and one standard deviation."""

    middle: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happens, while it is worked out: a time, the variance of it, and how many locks may come before.

    `breaks`: how many builds before it will probably lock the stage, each of which would delay it by a lock.
    """

    at: float
    variance: float = 0.0
    breaks: float = 0.0

    def after(self, spread: Spread, breaks: float = 0.0) -> Moment:
        """The moment when that has passed, too."""
        return Moment(self.at + spread.middle, self.variance + spread.deviation**2, self.breaks + breaks)

    def not_before(self, at: float) -> Moment:
        """The same, or `at` if that is later."""
        return self if self.at >= at else replace(self, at=at)


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
    middle = sum(inner) / len(inner)
    half = (quantile(ordered, 0.84) - quantile(ordered, 0.16)) / 2
    few = 1 + 2 / len(ordered)
    return Spread(middle, max(half, LEAST_SPREAD * middle) * few)


def remaining(samples: Sequence[float], elapsed: float) -> Spread | None:
    """What is left of something that has taken `elapsed` seconds already, by those that took longer."""
    usual = typical(samples)
    if usual is None:
        return None
    left = sorted(sample - elapsed for sample in samples if sample > elapsed)
    if len(left) >= max(2, len(samples) // 10):
        half = (quantile(left, 0.84) - quantile(left, 0.16)) / 2
        return Spread(quantile(left, 0.5), max(half, LEAST_SPREAD * usual.middle))
    return Spread(0.1 * usual.middle, 0.1 * usual.middle + usual.deviation)  # later than ever: any moment now


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
        delay, more = (count * lock.middle, count * lock.deviation**2) if lock is not None else (0.0, 0.0)
        return moment.at + delay + deviations * math.sqrt(moment.variance + more)

    middle = max(now, shifted(0.5, 0.0))
    low, high = shifted(0.1, -EIGHT_OF_TEN), shifted(0.9, EIGHT_OF_TEN)
    return Estimate(middle, max(now, min(low, middle)), max(high, middle))
