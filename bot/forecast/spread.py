"""Compute with uncertain durations (a middle and a spread), and with moments that add up several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: The number of deviations on both sides that contain eight of ten values: 1.28 for a normal distribution, but some
#: builds are outliers. Measured (`make bench ARGS="--only estimates"`).
EIGHT_OF_TEN = 1.5
#: A service with fewer builds than this is estimated together with all services.
ENOUGH = 5
#: The smallest deviation, as a share of the duration.
LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """A duration in seconds: its middle, and the typical deviation below it and above it."""

    middle: float
    shorter: float
    longer: float

    def then(self, other: Spread) -> Spread:
        """Return the duration of both, one after the other."""
        shorter, longer = math.hypot(self.shorter, other.shorter), math.hypot(self.longer, other.longer)
        return Spread(self.middle + other.middle, shorter, longer)


class Moment(NamedTuple):
    """An intermediate result of an estimate: a time with its variances below and above.

    `breaks`: the expected number of builds before it that lock the stage, each of which delays it by a lock.
    """

    at: float
    earlier: float = 0.0
    later: float = 0.0
    breaks: float = 0.0

    def after(self, spread: Spread, breaks: float = 0.0) -> Moment:
        """Return the moment after another duration, with `breaks` more expected locks."""
        return Moment(
            self.at + spread.middle,
            self.earlier + spread.shorter**2,
            self.later + spread.longer**2,
            self.breaks + breaks,
        )

    def not_before(self, at: float) -> Moment:
        """Return the same moment, or `at` with the same variances if that is later."""
        return self if self.at >= at else self._replace(at=at)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The probable time of an event, in seconds since the epoch; eight times of ten it is between `low` and `high`."""

    at: float
    low: float
    high: float


def typical(samples: Sequence[float]) -> Spread | None:
    """Return middle and spread of durations, in which outliers count little; None if there are no durations.

    The middle is the mean of the inner eight tenths, not the median: for many builds in sequence the sum matters.
    """
    if not samples:
        return None
    ordered = sorted(samples)
    cut = len(ordered) // 10
    inner = ordered[cut : len(ordered) - cut]
    return _spread(ordered, sum(inner) / len(inner), few=1 + 2 / len(ordered))


def usual(samples: Sequence[float]) -> Spread:
    """Return middle and spread of durations that vary widely, such as those of locks. The middle is the median,
    because a single lock may last over a weekend."""
    ordered = sorted(samples)
    return _spread(ordered, quantile(ordered, 0.5))


def remaining(samples: Sequence[float], elapsed: float, share: float = 0.1) -> Spread | None:
    """Return the remaining time of something that has taken `elapsed` seconds, from the samples that took longer.

    None if fewer than `share` of the samples took longer.
    """
    left = sorted(sample - elapsed for sample in samples if sample > elapsed)
    return _spread(left, quantile(left, 0.5)) if len(left) >= max(2, share * len(samples)) else None


def overdue(usually: Spread) -> Spread:
    """Return the remaining time of a build that has taken longer than nearly all others: it may end at any moment."""
    return Spread(0.1 * usually.middle, 0.1 * usually.middle, 0.3 * usually.middle + usually.longer)


def _spread(ordered: Sequence[float], middle: float, few: float = 1.0) -> Spread:
    least = LEAST_SPREAD * middle
    shorter, longer = middle - quantile(ordered, 0.16), quantile(ordered, 0.84) - middle
    return Spread(middle, max(shorter, least) * few, max(longer, least) * few)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie, interpolated between two of them."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def likely_count(expected: float, share: float) -> int:
    """Return the number that a Poisson-distributed count with this mean does not exceed in `share` of the cases."""
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
    """Return a moment as an estimate with its range; `lock`: how long a lock before it would delay it."""

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
