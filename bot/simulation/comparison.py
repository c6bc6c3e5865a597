"""Compare a recorded history with the same load under another configuration (what-if): the figures and their error.

The recorded merges, people and builds are played several times under both configurations, each time with another draw,
the same for both. The error of the method is the difference between the recorded configuration, played in this way, and
what was recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

from bot.core.model.events import Configured, Event, PullLabelled
from bot.core.model.pipeline import Pipeline, Step
from bot.core.model.run import End
from bot.forecast.spread import quantile
from bot.simulation.drawn_builds import DrawnBuilds, RecordedBuilds
from bot.simulation.engine import Arrival, Intention, simulate
from bot.simulation.figures import Figures, figures
from bot.simulation.recorded_load import RecordedLoad, UnusableRecording, plain
from bot.simulation.recorded_people import RecordedPeople
from bot.statistics.parts import Cause

#: The share of the draws below a range, and above it: nine of ten are inside.
OUTSIDE = 0.05
#: The number of runs with the largest change that are listed.
RUNS_NAMED = 10

Events = tuple[tuple[float, Event], ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A configuration to play: the pipeline at the beginning, and later changes, such as freezes, with their times."""

    pipeline: Pipeline
    later: Events = ()


@dataclass(frozen=True, slots=True)
class Range:
    """The range of several draws of a number: the median, and the bounds of nine in ten draws."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure: as recorded, played under the recorded configuration, and under the other; None: no data for it."""

    name: str
    #: `s`: seconds; otherwise a count.
    unit: str
    recorded: float | None
    #: Played under the recorded configuration, with the recorded durations as far as they are known.
    exact: float | None
    same: Range | None
    other: Range | None
    #: The difference between the other configuration and the recorded one, draw by draw.
    change: Range | None

    @property
    def error(self) -> float | None:
        """The error of the median draw of the recorded configuration, as a share of the recorded figure."""
        return _share(self.recorded, self.same.middle if self.same is not None else None)

    @property
    def exact_error(self) -> float | None:
        """The error of the play with the recorded durations, in which nothing is drawn."""
        return _share(self.recorded, self.exact)


def _share(recorded: float | None, played: float | None) -> float | None:
    if recorded is None or played is None:
        return None
    off = played - recorded
    return off / recorded if recorded else (0.0 if not off else None)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run: its lead time in seconds as recorded, and the medians of the draws under both configurations."""

    service: str
    sha: str
    turn: int
    recorded: float | None
    same: float
    other: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result: the figures of the runs that began from `since` to `until`, and of the events in that time."""

    since: float
    until: float
    runs: int
    draws: int
    figures: tuple[ComparedFigure, ...]
    changed: tuple[ComparedRun, ...]


def recorded_setting(load: RecordedLoad) -> Setting:
    """Return the configuration as it was recorded, with its changes."""
    return Setting(load.pipeline, tuple(load.told))


def other_setting(load: RecordedLoad, pipeline: Pipeline, freezes: Events = ()) -> Setting:
    """Return another configuration that is in force from the beginning, for the services of the recording.

    Raises UnusableRecording if it has a stage of which the recording has no build.
    """
    builds = RecordedBuilds(load)
    for stage in pipeline.stages:
        if not builds.like("", Step(stage.name), passed=True):
            known = ", ".join(sorted({step.removeprefix("fast ") for _, step in load.builds}))
            raise UnusableRecording(
                f"the recording has no build of the stage {stage.name}, so nobody knows how long one takes and how "
                f"often it fails; it has builds of: {known}"
            )
    services = {service.name: service for each in _pipelines(load) for service in each.services}
    labels = tuple((at, event) for at, event in load.told if isinstance(event, PullLabelled))
    found = Pipeline(
        load.pipeline.name, pipeline.stages, tuple(services.values()), pipeline.fast_lane, pipeline.retry_first,
        pipeline.retry_most, pipeline.term_after, pipeline.kill_after,
    )  # fmt: skip
    return Setting(plain(found), (*labels, *freezes))


def _pipelines(load: RecordedLoad) -> Iterator[Pipeline]:
    yield load.pipeline
    yield from (event.pipeline for _, event in load.told if isinstance(event, Configured))


def compare(
    load: RecordedLoad,
    other: Setting,
    *,
    draws: int,
    since: float = 0.0,
    done: Callable[[int], object] = lambda _: None,
) -> Comparison:
    """Play the recorded configuration and the other one `draws` times each. `done` is called with the number of
    finished draws."""
    builds = RecordedBuilds(load)
    recorded = figures(load.facts, load.until, since, load.older)
    exact = played(load, builds, recorded_setting(load), 0, since, exact=True)
    same, others = [], []
    for seed in range(draws):
        same.append(played(load, builds, recorded_setting(load), seed, since))
        others.append(played(load, builds, other, seed, since))
        done(seed + 1)
    measures = _measures([recorded, *same, *others])
    compared = tuple(_compared(measure, recorded, exact, same, others) for measure in measures)
    changed = _changed(recorded, same, others)
    return Comparison(max(since, load.began), load.until, len(recorded.runs), draws, compared, changed)


def played(
    load: RecordedLoad, builds: RecordedBuilds, setting: Setting, seed: int, since: float, *, exact: bool = False
) -> Figures:
    """Play one draw under a configuration and return its figures."""
    drawn = DrawnBuilds(builds, seed, exact=exact)
    people = RecordedPeople(load, drawn, seed)
    arrivals: list[Arrival | Intention] = [*(Arrival(at, event) for at, event in setting.later), *people.arrivals()]
    found = simulate(setting.pipeline, arrivals, drawn, until=load.until, people=people, mode=load.mode)
    return figures(found.facts, load.until, since)


# -- the figures that are compared -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ComparedNumber:
    """A figure to compare: its name, its unit, and the function that computes it (None: no data for it)."""

    name: str
    unit: str
    of: Callable[[Figures], float | None]


def _measures(found: Sequence[Figures]) -> Iterator[_ComparedNumber]:
    yield _ComparedNumber("lead time, half of the merges", "s", lambda each: each.lead(0.5))
    yield _ComparedNumber("lead time, nine of ten", "s", lambda each: each.lead(0.9))
    for cause in Cause:
        yield _ComparedNumber(f"waiting for {cause}, a run", "s", partial(_waited, cause))
    for stage in sorted({stage for each in found for stage in each.locked}):
        yield _ComparedNumber(f"{stage} locked", "s", partial(_locked, stage))
    for stage in sorted({stage for each in found for stage in each.frozen}):
        yield _ComparedNumber(f"{stage} frozen", "s", partial(_frozen, stage))
    for end in End:
        yield _ComparedNumber(f"runs {end}", "", partial(_ended, end))
    yield _ComparedNumber("runs on their way", "", partial(_ended, None))
    yield _ComparedNumber("builds aborted", "", lambda each: each.aborted)
    for step in dict.fromkeys(step for each in found for step in each.builds):
        yield _ComparedNumber(f"builds of {step}", "", partial(_built, step))


def _waited(cause: Cause, found: Figures) -> float | None:
    return found.waited(cause) / len(found.runs) if found.runs else None


def _locked(stage: str, found: Figures) -> float:
    return found.locked.get(stage, 0.0)


def _frozen(stage: str, found: Figures) -> float:
    return found.frozen.get(stage, 0.0)


def _ended(end: End | None, found: Figures) -> float:
    return found.ended(end)


def _built(step: str, found: Figures) -> float:
    return found.builds.get(step, 0)


def _compared(
    measure: _ComparedNumber, recorded: Figures, exact: Figures, same: Sequence[Figures], others: Sequence[Figures]
) -> ComparedFigure:
    was, then = [measure.of(each) for each in same], [measure.of(each) for each in others]
    changes = [b - a for a, b in zip(was, then, strict=True) if a is not None and b is not None]
    return ComparedFigure(
        measure.name,
        measure.unit,
        measure.of(recorded),
        measure.of(exact),
        range_of(was),
        range_of(then),
        range_of(changes),
    )


def range_of(draws: Sequence[float | None]) -> Range | None:
    """Return the range of the draws that have a value; None if no draw has one."""
    ordered = sorted(each for each in draws if each is not None)
    if not ordered:
        return None
    return Range(quantile(ordered, 0.5), quantile(ordered, OUTSIDE), quantile(ordered, 1 - OUTSIDE))


def _changed(recorded: Figures, same: Sequence[Figures], others: Sequence[Figures]) -> tuple[ComparedRun, ...]:
    """Return the runs whose lead time changes most."""
    was, otherwise = _leads(same), _leads(others)
    then = {(run.service, run.sha, run.turn): run.lead for run in recorded.runs}
    both = [ComparedRun(*name, then.get(name), was[name], otherwise[name]) for name in was if name in otherwise]
    both.sort(key=lambda run: abs(run.other - run.same), reverse=True)
    return tuple(run for run in both[:RUNS_NAMED] if run.other != run.same)


def _leads(draws: Sequence[Figures]) -> dict[tuple[str, str, int], float]:
    found: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for each in draws:
        for run in each.runs:
            if run.lead is not None:
                found[run.service, run.sha, run.turn].append(run.lead)
    return {name: median(leads) for name, leads in found.items()}
