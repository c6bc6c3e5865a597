"""Simulate a scenario for several seeds, and return its measures with the range over all seeds."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from bot.core.model.indexes import lay_out
from bot.core.model.pipeline import Step
from bot.core.model.run import End
from bot.forecast.spread import quantile
from bot.simulation.engine import PlayedBuild, simulate
from bot.simulation.figures import Figures, figures
from bot.simulation.scenario import DAY, Scenario, ScenarioLoad
from bot.statistics.parts import Cause

#: How long the simulation continues after the last merge: as long as the merges lasted, and this many days more.
LEFT = 14
ENDS = (End.DELIVERED, End.SUPERSEDED, End.FAILED)


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for each seed: its `group`, such as lead times, its name there, and its unit.

    A value is None if there is nothing to measure. Units: `seconds`, `runs`, `builds`, `builds at once`, `share` (of
    1).
    """

    group: str
    name: str
    unit: str
    values: tuple[float | None, ...]

    @property
    def middle(self) -> float | None:
        """The median over the seeds."""
        found = self._found()
        return quantile(found, 0.5) if found else None

    @property
    def low(self) -> float | None:
        """The smallest value over the seeds."""
        return min(self._found(), default=None)

    @property
    def high(self) -> float | None:
        """The largest value over the seeds."""
        return max(self._found(), default=None)

    def _found(self) -> list[float]:
        return sorted(value for value in self.values if value is not None)


_Numbers = Mapping[tuple[str, str, str], float | None]


def measures(scenario: Scenario, seeds: Iterable[int]) -> list[Measure]:
    """Simulate the scenario once for each seed and return the measures."""
    found = [_numbers(scenario, seed) for seed in seeds]
    keys = dict.fromkeys(key for numbers in found for key in numbers)
    return [Measure(*key, tuple(numbers.get(key, 0.0) for numbers in found)) for key in keys]


def _numbers(scenario: Scenario, seed: int) -> _Numbers:
    load = ScenarioLoad(scenario, seed)
    until = scenario.ends + (scenario.days + LEFT) * DAY
    simulated = simulate(scenario.pipeline, load.arrivals(), load, until=until, people=load)
    found = figures(simulated.facts, simulated.ended)
    return dict(_of(scenario, found, simulated.builds))


def _of(
    scenario: Scenario, found: Figures, builds: Sequence[PlayedBuild]
) -> Iterator[tuple[tuple[str, str, str], float | None]]:
    yield ("lead time", "p50", "seconds"), found.lead(0.5)
    yield ("lead time", "p90", "seconds"), found.lead(0.9)
    for end in ENDS:
        yield ("runs", end.value, "runs"), float(found.ended(end))
    others = [end for end in End if end not in ENDS]
    yield ("runs", "cancelled, dropped", "runs"), float(sum(map(found.ended, others)))
    yield ("runs", "not ended", "runs"), float(found.ended(None))
    for cause in Cause:
        yield (
            ("waiting of a run", cause.value, "seconds"),
            found.waited(cause) / len(found.runs) if found.runs else None,
        )
    for stage in scenario.pipeline.stages:
        if stage.locks:
            yield ("locked", stage.name, "seconds"), found.locked.get(stage.name, 0.0)
    for step in lay_out(scenario.pipeline).steps:
        yield ("builds", str(step), "builds"), float(found.builds.get(str(step), 0))
    yield ("builds", "aborted", "builds"), float(found.aborted)
    yield from _busy(scenario, builds)


def _busy(scenario: Scenario, builds: Sequence[PlayedBuild]) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Yield how many builds each step had at once in the working hours, as a share of its capacity if it has one."""
    hours = _Worked(scenario)
    sums: defaultdict[Step, float] = defaultdict(float)
    for build in builds:
        if build.started is not None and build.ended is not None:
            sums[build.step] += hours.until(build.ended) - hours.until(build.started)
    for step in lay_out(scenario.pipeline).steps:
        most = scenario.pipeline.capacity(step.stage, step.track)
        at_once = sums[step] / hours.total
        yield ("busy", str(step), "builds at once" if most is None else "share"), at_once / (most or 1)


class _Worked:
    """The working time of a scenario, counted up to any moment."""

    def __init__(self, scenario: Scenario) -> None:
        work = takewhile(lambda each: each[0] < scenario.ends, scenario.work())
        self._hours = [(midnight + hours.begins, midnight + hours.ends) for midnight, hours in work]
        self._begins = [begins for begins, _ in self._hours]
        self._before = [0.0]
        for begins, ends in self._hours:
            self._before.append(self._before[-1] + ends - begins)

    @property
    def total(self) -> float:
        """All working time in seconds; 1 for a scenario without a working day, in which nothing happens."""
        return self._before[-1] or 1.0

    def until(self, at: float) -> float:
        """Return the seconds of working time before a moment."""
        index = bisect_right(self._begins, at) - 1
        if index < 0:
            return 0.0
        begins, ends = self._hours[index]
        return self._before[index] + min(at, ends) - begins
