"""Judges growth: a robust slope through the samples after the warm-up, compared with a tolerance.

In the warm-up caches fill, modules load, and memory pools reach their size. The slope is that of Theil and Sen, the
median of the slopes of all pairs, so single peaks have no effect; its confidence interval is Sen's (1968). A figure
grows if its slope leads to more than the tolerance within the judged time, and cannot be chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import median

#: A time in seconds, and the value at that time.
Sample = tuple[float, float]
#: The most points of a slope; more samples are reduced to medians of neighbours.
MOST = 200
#: The number of standard errors that contain 95 of 100 slopes of pure chance.
CONFIDENCE = 1.96


@dataclass(frozen=True, slots=True)
class Slope:
    """The growth per second, and the interval that contains the true slope with 95 percent confidence."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Growth:
    """The result for one figure: its medians at the beginning and at the end of the judged time, and the slope."""

    begin: float
    end: float
    slope: Slope
    #: The judged time in seconds, and the allowed growth in that time.
    seconds: float
    tolerance: float

    @property
    def grown(self) -> float:
        """Return the growth in the judged time, by the slope."""
        return self.slope.middle * self.seconds

    @property
    def grows(self) -> bool:
        """Return whether it grew by more than the tolerance, and not by chance."""
        return self.grown > self.tolerance and self.slope.low > 0


def slope(samples: Sequence[Sample]) -> Slope:
    """Return the slope of Theil and Sen. Raise ValueError for fewer than three samples."""
    points = _thinned(samples)
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0])
    count = len(points)
    if count < 3 or not slopes:
        raise ValueError("a slope takes three samples at least")
    half = CONFIDENCE * sqrt(count * (count - 1) * (2 * count + 5) / 18) / 2
    middle = len(slopes) / 2
    low, high = int(max(0.0, middle - half)), int(min(len(slopes) - 1.0, middle + half))
    return Slope(median(slopes), slopes[low], slopes[high])


def judge(samples: Sequence[Sample], tolerance: float, since: float | None = None) -> Growth:
    """Judge the samples from the time `since` on, by default those of the second half of the time.

    Raise ValueError for fewer than three of them.
    """
    judged = later(samples, since)
    edge = max(1, len(judged) // 5)
    begin, end = (median(value for _, value in part) for part in (judged[:edge], judged[-edge:]))
    return Growth(begin, end, slope(judged), judged[-1][0] - judged[0][0], tolerance)


def later(samples: Sequence[Sample], since: float | None = None) -> list[Sample]:
    """Return the samples from the time `since` on, by default those of the second half of the time."""
    first = (samples[0][0] + samples[-1][0]) / 2 if since is None else since
    return [each for each in samples if each[0] >= first]


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    """Reduce the samples to at most `MOST`, the medians of groups of neighbours."""
    size = -(-len(samples) // MOST)
    parts = [samples[n : n + size] for n in range(0, len(samples), size)]
    return [(median(at for at, _ in part), median(value for _, value in part)) for part in parts]
