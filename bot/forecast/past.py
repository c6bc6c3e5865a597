"""Read past durations from the statistics: how long builds take, how often they lock a stage, how long locks last."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model.pipeline import Pipeline, Policy, Step, Track
from bot.forecast.spread import ENOUGH, Spread, overdue, remaining, typical, usual
from bot.statistics.statistics import Statistics

#: The builds, and the failures among them, that are added to those counted, so that a new stage has a failure rate.
FIRST_BUILDS, FIRST_FAILURES = 20, 0.5
#: The number of locks of a stage that must have opened before their durations are used to estimate another one.
LOCKS_ENOUGH = 3
#: The share of them that must have lasted longer than the present lock; with fewer there is no estimate.
LOCKS_SHARE = 0.25
#: The time that Jenkins takes to start a build if nothing was measured, in seconds.
LAG = Spread(5.0, 5.0, 10.0)


class Past:
    """The statistics as the forecast needs them; each value is computed once."""

    def __init__(self, statistics: Statistics, pipeline: Pipeline) -> None:
        self._statistics = statistics
        self._pipeline = pipeline
        self._builds: dict[tuple[Step, str], Spread | None] = {}
        self._lags: dict[tuple[Step, str], Spread] = {}
        self._failing: dict[Step, float] = {}
        self._locks: dict[str, Spread | None] = {}

    def build(self, step: Step, service: str) -> Spread | None:
        """Return how long a build takes; None if none has passed."""
        key = (step, service)
        if key not in self._builds:
            passed = self._passed(step, service)
            self._builds[key] = self._statistics.worked_out(("build", *key), passed, typical)
        return self._builds[key]

    def left(self, step: Step, service: str, elapsed: float) -> Spread | None:
        """Return how long a build that has run for `elapsed` seconds will still take; None if none has passed."""
        usually = self.build(step, service)
        return usually and (remaining(self._passed(step, service), elapsed) or overdue(usually))

    def lag(self, step: Step, service: str) -> Spread:
        """Return how long Jenkins takes to start a build."""
        key = (step, service)
        if key not in self._lags:
            found = self._enough(self._statistics.durations(str(step), service).lags, step, "lags")
            self._lags[key] = self._statistics.worked_out(("lag", *key), found, typical) or LAG
        return self._lags[key]

    def risk(self, step: Step) -> float:
        """Return the probability that one build locks its stage."""
        stage = self._pipeline.stage(step.stage)
        if stage is None or step.track is not Track.REAL or stage.on_failure is not Policy.LOCK:
            return 0.0
        return float(self.failing(step) ** (stage.retries + 1))

    def failing(self, step: Step) -> float:
        """Return the share of the builds of a step that fail."""
        if step not in self._failing:
            found = self._statistics.outcomes(str(step))
            ended = found.passed + found.failed + FIRST_BUILDS
            self._failing[step] = (found.failed + FIRST_FAILURES) / ended
        return self._failing[step]

    def lock(self, stage: str) -> Spread | None:
        """Return how long an automatic lock of a stage lasts; None if too few have opened."""
        if stage not in self._locks:
            seconds = self._lock_seconds(stage)
            self._locks[stage] = usual(seconds) if len(seconds) >= LOCKS_ENOUGH else None
        return self._locks[stage]

    def lock_left(self, stage: str, elapsed: float) -> Spread | None:
        """Return how long a lock that has lasted `elapsed` seconds will go on; None if too few lasted that long."""
        seconds = self._lock_seconds(stage)
        return remaining(seconds, elapsed, LOCKS_SHARE) if len(seconds) >= LOCKS_ENOUGH else None

    def _passed(self, step: Step, service: str) -> Sequence[float]:
        return self._enough(self._statistics.durations(str(step), service).passed, step, "passed")

    def _enough(self, own: list[float], step: Step, what: str) -> Sequence[float]:
        """Return the durations of one service; if they are too few, together with those of all services."""
        if len(own) >= ENOUGH:
            return own
        of_all: list[float] = getattr(self._statistics.durations(str(step)), what)
        if (
            not own and not of_all and step.track is Track.FAST
        ):  # the first fix is assumed to take as long as a real build
            of_all = getattr(self._statistics.durations(step.stage), what)
        return own * 2 + of_all

    def _lock_seconds(self, stage: str) -> list[float]:
        return [lock.seconds for lock in self._statistics.past_locks(stage).locks]
