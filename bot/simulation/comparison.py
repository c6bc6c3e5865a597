"""What a recorded history would have been under another configuration, beside what it was: the figures and their error.

The recorded merges, people and builds are played several times under both configurations, each time with other draws,
the same for both. How far the recorded configuration, played so, is from what was recorded is the error of the method.
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

#: Of the draws so many lie below and above a range: nine of ten are inside.
OUTSIDE = 0.05
#: How many runs are named that change most.
RUNS_NAMED = 10

Events = tuple[tuple[float, Event], ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A configuration to play: the pipeline at first, and what changes about it later, such as its freezes."""

    pipeline: Pipeline
    later: Events = ()


@dataclass(frozen=True, slots=True)
class Range:
    """Several draws of a number: the middle one, and between which nine of ten lie."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One figure: as recorded, played as it was, and played otherwise; None: there is nothing to make it of."""

    name: str
    #: `s`: seconds, else a count.
    unit: str
    recorded: float | None
    #: Played as it was, with the very durations that were recorded, as far as they are known.
    exact: float | None
    same: Range | None
    other: Range | None
    #: How much more it is otherwise, draw by draw.
    change: Range | None

    @property
    def error(self) -> float | None:
        """By how much the middle draw of the recorded configuration is too high, as a share of what was recorded."""
        return _share(self.recorded, self.same.middle if self.same is not None else None)

    @property
    def exact_error(self) -> float | None:
        """The same of the play with the recorded durations: what is left when no chance is drawn."""
        return _share(self.recorded, self.exact)


def _share(recorded: float | None, played: float | None) -> float | None:
    if recorded is None or played is None:
        return None
    off = played - recorded
    return off / recorded if recorded else (0.0 if not off else None)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run: its lead time as recorded, played as it was, and played otherwise (the middle of the draws)."""

    service: str
    sha: str
    turn: int
    recorded: float | None
    same: float
    other: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: of the runs that began from `since` to `until`, and of what happened meanwhile."""

    since: float
    until: float
    runs: int
    draws: int
    figures: tuple[ComparedFigure, ...]
    changed: tuple[ComparedRun, ...]


def recorded_setting(load: RecordedLoad) -> Setting:
    """The configuration as it was recorded, with its changes."""
    return Setting(load.pipeline, tuple(load.told))


def other_setting(load: RecordedLoad, pipeline: Pipeline, freezes: Events = ()) -> Setting:
    """Another configuration from the beginning on, for the services of the recording.

    Raises UnusableRecording if it has a stage of which the recording knows no build.
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
    """Play the recorded configuration and the other one so many times each. `done` is told how many draws are done."""
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
    """The figures of one draw under a configuration."""
    drawn = DrawnBuilds(builds, seed, exact=exact)
    people = RecordedPeople(load, drawn, seed)
    arrivals: list[Arrival | Intention] = [*(Arrival(at, event) for at, event in setting.later), *people.arrivals()]
    found = simulate(setting.pipeline, arrivals, drawn, until=load.until, people=people, mode=load.mode)
    return figures(found.facts, load.until, since)


# -- the figures that are compared -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ComparedNumber:
    """What is compared: its name, its unit, and how it is made; None: there is nothing to make it of."""

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
    """The range of the draws in which there was something to count; None if that is none of them."""
    ordered = sorted(each for each in draws if each is not None)
    if not ordered:
        return None
    return Range(quantile(ordered, 0.5), quantile(ordered, OUTSIDE), quantile(ordered, 1 - OUTSIDE))


def _changed(recorded: Figures, same: Sequence[Figures], others: Sequence[Figures]) -> tuple[ComparedRun, ...]:
    """The runs whose commits are in production much sooner or later."""
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
