"""The command simulate: the results of an invented load, before anything is installed. It calls no server."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import FAILED, CommandFailed, WrongUsage, clean, count, print_json, say, warn
from bot.cli.files import freezes_by_day

if TYPE_CHECKING:
    from rich.table import Table

    from bot.core.model.pipeline import Pipeline
    from bot.simulation.engine import Arrival
    from bot.simulation.measures import Measure
    from bot.simulation.scenario import BuildPlan, Scenario
    from bot.simulation.sweep import Sweep, SweptValue
    from config.scenario import ReadScenario, StageLoadEntry

#: The most values of a sweep.
MOST_VALUES = 50
#: The columns of a sweep's table besides the lead times and the use of a stage.
_SWEPT = (("runs", "delivered"), ("waiting of a run", "capacity"), ("waiting of a run", "lock"))


@click.command(short_help="Simulate an invented load on the pipeline.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--repeat", type=click.IntRange(1, 200), default=5, show_default=True, metavar="N", help="With so many seeds."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first seed.")
@click.option("--sweep", metavar="KEY=VALUES", help="Simulate once for each value: stages.acceptance.capacity=1..6")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Draw the sweep into this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures, for programs.")
def simulate(file: Path, repeat: int, seed: int, sweep: str | None, svg: Path | None, as_json: bool) -> None:
    """Simulate the load that the scenario FILE invents: lead times, waiting, locks, builds, how busy the stages are.

    `interlock example --scenario` prints a scenario to start from. The same seed gives the same figures.
    """
    if svg is not None and sweep is None:
        raise WrongUsage("--svg draws a sweep: give --sweep as well")
    seeds = range(seed, seed + repeat)
    if sweep is None:
        _one(file, seeds, as_json)
    else:
        _several(file, seeds, sweep, svg, as_json)


def _one(file: Path, seeds: range, as_json: bool) -> None:
    from bot.simulation.measures import measures

    scenario = scenario_of(_read(file))
    found = measures(scenario, seeds)
    if as_json:
        print_json({"scenario": str(file), "seeds": list(seeds), "figures": _as_data(found)})
        return
    say(f"{file}: {_headline(scenario)}; {_seeds(seeds)}")
    _print(_figures(found))


def _several(file: Path, seeds: range, asked: str, svg: Path | None, as_json: bool) -> None:
    from bot.simulation import sweep as picture
    from bot.simulation.measures import measures

    key, written = parse_sweep(asked)
    title = _headline(scenario_of(_read(file)))
    scenarios = [scenario_of(_read(file, key, value)) for value in written]  # checks all before the first one runs
    found: list[SweptValue] = []
    hidden = not sys.stderr.isatty()
    with click.progressbar(scenarios, label="simulating", file=sys.stderr, hidden=hidden) as each:
        for value, scenario in zip(written, each, strict=True):
            found.append(picture.SweptValue(value, measures(scenario, seeds)))
    swept = picture.Sweep(".".join(key), title, len(seeds), found)
    if svg is not None:
        try:
            svg.write_text(picture.svg(swept), encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{svg} cannot be written: {error.strerror}") from None
    if as_json:
        values = [{"value": each.value, "figures": _as_data(each.measures)} for each in found]
        print_json({"scenario": str(file), "seeds": list(seeds), "key": swept.key, "values": values})
        return
    say(f"{file}: {title}; {_seeds(seeds)}")
    _print(_swept(swept))
    say(f"capacity, lock: for how long a run waits for that; busy: how much of {_stage_of(swept)} is in use")
    if svg is not None:
        say(f"done: {svg}")


# -- parsing the options -----------------------------------------------------------------------------------------------


def parse_sweep(asked: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the key of the scenario and its values: `stages.acceptance.capacity=1..6`, `people.fix=15m,45m,2h`.

    `stage` is accepted for `stages`. Raises WrongUsage.
    """
    key, equals, values = asked.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise WrongUsage("--sweep is KEY=VALUES, such as stages.acceptance.capacity=1..6 or people.fix=15m,45m,2h")
    if path[0] == "stage":
        path = ("stages", *path[1:])
    between = re.fullmatch(r"\s*(\d{1,6})\.\.(\d{1,6})\s*", values)
    if between is None:
        written = [value.strip() for value in values.split(",")]
    else:
        least, most = (int(end) for end in between.groups())
        written = [str(each) for each in range(least, min(most, least + MOST_VALUES) + 1)]
    if not written or not all(written) or len(written) > MOST_VALUES:
        raise WrongUsage(f"--sweep takes 1 to {MOST_VALUES} values: 1..6, or 15m,45m,2h")
    return path, written


def _read(file: Path, key: tuple[str, ...] = (), value: str = "") -> ReadScenario:
    """Return the scenario of the file, with one value of a sweep.

    If it has mistakes, print them all and end the command.
    """
    from config.errors import ConfigurationError
    from config.scenario import load_scenario

    try:
        return load_scenario(file, (key, value) if key else None)
    except ConfigurationError as error:
        if key:
            warn(f"With {'.'.join(key)} = {value}:")
        for line in str(error).splitlines():
            warn(line)
        if not file.exists():
            warn(f"To begin with an example: interlock example --scenario > {file}")
        raise click.exceptions.Exit(FAILED) from None


def scenario_of(read: ReadScenario) -> Scenario:
    """Return the scenario to simulate from a scenario file."""
    from bot.simulation.scenario import PeoplePlan, Scenario, WorkHours
    from config.scenario import WhileLocked, service_names

    merges, people = read.file.merges, read.file.people
    pipeline = _pipeline(read)
    return Scenario(
        pipeline=pipeline,
        begins=read.file.begins,
        days=read.file.days,
        merges={name: merges.of.get(name, merges.a_day) for name in service_names(read)},
        builds=dict(_builds(read, pipeline)),
        people=PeoplePlan(
            people.fix, people.retry, people.spread, people.on_call, merges.while_locked is WhileLocked.HOLD_BACK
        ),
        hours=tuple(WorkHours(each.from_, each.until, each.share) for each in merges.hours),
        others=_freezes(read),
    )


def _pipeline(read: ReadScenario) -> Pipeline:
    """Return the pipeline with the services and capacities of the scenario."""
    from bot.core.model.pipeline import Service
    from config.scenario import service_names

    stages = []
    for stage in read.pipeline.stages:
        entry = read.file.stages[stage.name]
        capacity = entry.capacity if "capacity" in entry.model_fields_set else stage.capacity
        fast = entry.fast.capacity if entry.fast is not None else None
        stages.append(replace(stage, capacity=capacity, fast_capacity=fast or stage.fast_capacity))
    services = read.pipeline.services
    if read.file.services is not None:
        services = tuple(Service(name, f"simulated/{name.lower()}") for name in service_names(read))
    return replace(read.pipeline, stages=tuple(stages), services=services)


def _builds(read: ReadScenario, pipeline: Pipeline) -> Any:
    """Yield the build plan of each step."""
    from bot.core.model.pipeline import Step, Track

    for stage in pipeline.stages:
        entry = read.file.stages[stage.name]
        yield Step(stage.name), _plan(entry, entry.takes)
        yield Step(stage.name, Track.FAST), _plan(entry, entry.fast.takes if entry.fast is not None else entry.takes)


def _plan(entry: StageLoadEntry, seconds: float) -> BuildPlan:
    from bot.simulation.scenario import BuildPlan

    return BuildPlan(seconds, entry.spread, entry.queued, entry.fails, entry.flakes)


def _freezes(read: ReadScenario) -> tuple[Arrival, ...]:
    """Return the freezes of the pipeline file, until the simulation ends."""
    from bot.simulation.engine import Arrival
    from bot.simulation.measures import LEFT
    from bot.simulation.scenario import DAY

    if read.configuration is None:
        return ()
    begins, last = read.file.begins, 2 * read.file.days + LEFT - 1
    planned = freezes_by_day(read.configuration, read.pipeline.name, begins, begins + last * DAY)
    return tuple(Arrival(at, event) for at, event in planned)


# -- output ------------------------------------------------------------------------------------------------------------


def _headline(scenario: Scenario) -> str:
    services, days = count(len(scenario.merges), "service"), count(scenario.days, "day")
    return f"{scenario.pipeline.name}, {services}, {sum(scenario.merges.values()):g} merges a day, {days}"


def _seeds(seeds: range) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"


def _figures(found: Sequence[Measure]) -> Table:
    """Return a table of every measure with its range over the seeds, except those that are always 0."""
    table = _table("", "", "middle", "range over the seeds")
    group = ""
    for each in found:
        if each.high == 0.0 and each.group in ("waiting of a run", "runs", "builds"):
            continue
        table.add_row("" if each.group == group else each.group, clean(each.name), _middle(each), _range(each))
        group = each.group
    return table


def _swept(sweep: Sweep) -> Table:
    """Return a row for each value: lead times, deliveries, waiting of a run, and the use of the swept stage."""
    busy = _stage_of(sweep)
    table = _table(sweep.key.split(".")[-1], "lead p50", "range", "p90", "delivered", "capacity", "lock", "busy")
    for value in sweep.values:
        p50 = value.find("lead time", "p50")
        others = [value.find(*each) for each in (("lead time", "p90"), *_SWEPT, ("busy", busy))]
        table.add_row(clean(value.value), _middle(p50), _range(p50), *map(_middle, others))
    return table


def _stage_of(sweep: Sweep) -> str:
    """Return the stage of the swept key, or else the busiest of the stages with a capacity."""
    busy = {
        each.name: each.middle or 0.0
        for each in sweep.values[-1].measures
        if each.group == "busy" and (each.unit == "share" or each.name in sweep.key.split("."))
    }
    return next((name for name in busy if name in sweep.key.split(".")), max(busy, key=lambda name: busy[name]))


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if name == "" or index == 0 else "right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    from rich.console import Console

    Console(markup=False, highlight=False, emoji=False).print(table)


def _middle(measure: Measure | None) -> str:
    return "–" if measure is None or measure.middle is None else _written(measure.middle, measure.unit)


def _range(measure: Measure | None) -> str:
    if measure is None or measure.low is None or measure.high is None:
        return "–"
    return f"{_written(measure.low, measure.unit)} – {_written(measure.high, measure.unit)}"


def _written(value: float, unit: str) -> str:
    from bot.simulation.sweep import in_words

    if unit == "seconds":
        return in_words(value)
    if unit == "share":
        return f"{100 * value:.0f} %"
    return f"{value:.1f} at once" if unit == "builds at once" else f"{value:.0f}"


def _as_data(found: Sequence[Measure]) -> list[dict[str, Any]]:
    return [
        {
            "group": each.group,
            "name": each.name,
            "unit": each.unit,
            "middle": each.middle,
            "low": each.low,
            "high": each.high,
            "values": list(each.values),
        }
        for each in found
    ]
