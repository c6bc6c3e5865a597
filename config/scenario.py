"""The scenario of a simulation: its keys, and a reader as strict as that of the pipeline file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from bot.core.model.pipeline import Pipeline
from config import sections
from config import values as v
from config.configuration import Configuration
from config.errors import ConfigurationError, Mistake, nearest, one_of, shown
from config.errors import Path as KeyPath
from config.pipeline_file import example_pipeline, file_mistake, load, read_text
from config.sections import Found, read_section
from config.values import FileSection
from config.yaml_nodes import UnreadableFileError, YamlNode, compose

PERCENT = r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)%$"
NUMBER = r"^[0-9]{1,4}(\.[0-9]{1,2})?$"
TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
DATE = r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$"
#: The committed copy of the schema that `# yaml-language-server: $schema=` lines point to.
SCHEMA_FILE = Path(__file__).with_name("scenario.schema.json")
#: The most merges that a scenario may have on average. More would take minutes, and a sweep an hour.
MOST_MERGES = 20_000
#: The keys that are mappings and may be left out.
_OPTIONAL = ("of", "fast")


def percent(value: object) -> float:
    """Return a percentage such as `5%` as a share of 1."""
    if not isinstance(value, str) or not re.fullmatch(PERCENT, value):
        guess = f"{value}%" if isinstance(value, int) and 0 <= value <= 100 else None
        v.refuse(f"{shown(value)} is not a percentage", "a number from 0% to 100%, as in `5%` or `0.5%`", guess)
    return float(value[:-1]) / 100


def number(value: object) -> float:
    """Return a number that may have a fraction. The YAML reader returns fractions as text."""
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(written, str) or not re.fullmatch(NUMBER, written):
        v.refuse(f"{shown(value)} is not a number", "a number from 0 to 9999, as in `4` or `2.5`")
    return float(written)


def time_of_day(value: object) -> float:
    """Return a time of day such as `08:30` in seconds since midnight."""
    if not isinstance(value, str) or not re.fullmatch(TIME, value):
        v.refuse(f"{shown(value)} is not a time of day", "hours and minutes, as in `08:30`")
    return int(value[:2]) * 3600.0 + int(value[3:]) * 60.0


def date(value: object) -> float:
    """Return a date such as `2026-01-05` as its midnight UTC, in seconds since the epoch."""
    words = "a day, as in `2026-01-05`"
    if not isinstance(value, str) or not re.fullmatch(DATE, value):
        v.refuse(f"{shown(value)} is not a date", words)
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    except ValueError:
        v.refuse(f"there is no day {shown(value)}", words)


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def _no_default(key: dict[str, Any]) -> None:
    """Remove the default from the schema of a key that overrides the pipeline file, whose value is the real default."""
    del key["default"]


def _default(default: str) -> Any:
    """Return a field whose default is in the file's notation, which the schema then shows."""
    return Field(default=default, validate_default=True)


Percent = Annotated[float, BeforeValidator(percent), _text(PERCENT, "5%")]
Number = Annotated[
    float,
    BeforeValidator(number),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 9999}, {"type": "string", "pattern": NUMBER}]}
    ),
]
TimeOfDay = Annotated[float, BeforeValidator(time_of_day), _text(TIME, "08:30")]
Date = Annotated[float, BeforeValidator(date), _text(DATE, "2026-01-05")]
BuildTime = Annotated[v.Duration, v.between("1s", "7d")]


class WhileLocked(StrEnum):
    """What the developers of a service do with their other merges while it holds a lock."""

    HOLD_BACK = "hold-back"
    MERGE = "merge"


class HoursEntry(FileSection):
    """A period of a working day in which people merge."""

    from_: Annotated[TimeOfDay, Field(alias="from", title="From")]
    """When they begin, in UTC."""
    until: TimeOfDay
    """When they end."""
    share: Annotated[int, v.whole(1, 1000), v.integer(1, 1000)] = 1
    """The weight of this period when a day's merges are divided among the periods. Default 1."""


_WORKDAY = HoursEntry.model_validate({"from": "08:00", "until": "18:00"})


class MergesEntry(FileSection):
    """The merges of a scenario."""

    a_day: Number
    """How many merges each service has on a working day, on average."""
    of: dict[v.ServiceName, Number] = Field(default={})
    """The number for services that have more or fewer."""
    hours: Annotated[tuple[HoursEntry, ...], Field(min_length=1)] = (_WORKDAY,)
    """The hours in which people merge, from Monday to Friday. Default: from 08:00 until 18:00."""
    while_locked: WhileLocked = WhileLocked.HOLD_BACK
    """Whether the developers of a service that holds a lock `hold-back` their other merges until it opens, the default,
    or `merge` them as usual."""


class FastLoadEntry(FileSection):
    """The builds of the fast lane's own job, where they differ from those of the stage."""

    takes: BuildTime
    """The median duration of a build."""
    capacity: v.FastCapacity | None = None
    """How many fast builds run at once, in place of the pipeline's capacity."""


class StageLoadEntry(FileSection):
    """The builds of a stage."""

    takes: BuildTime
    """The median duration of a build."""
    spread: Percent = _default("20%")
    """The scatter of durations around that: the standard deviation of their logarithm. Default 20%."""
    queued: v.Spacing = 0.0
    """How long a build waits in Jenkins' own queue. Default 0s."""
    fails: Percent = _default("0%")
    """The share of commits that break the stage: every build with one fails here, until a fix is merged. Default 0%."""
    flakes: Percent = _default("0%")
    """The share of builds that fail by chance, so that a retry passes. Default 0%."""
    capacity: Annotated[v.Capacity, Field(json_schema_extra=_no_default)] = None
    """How many runs may be in the stage at once, in place of the pipeline's capacity."""
    fast: FastLoadEntry | None = None
    """The builds of the fast lane's own job for this stage. Default: the same as those of the stage."""


class ReactionEntry(FileSection):
    """The reactions of people in a scenario."""

    fix: Annotated[v.Duration, v.between("1s", "30d")]
    """The time from a failure until its fix is merged."""
    retry: Annotated[v.Duration, v.between("1s", "30d")] = 600.0
    """The time from a failure by chance until a person retries it. Default 10m."""
    spread: Percent = _default("50%")
    """The scatter of both times, like that of the durations of builds. Default 50%."""
    on_call: v.Switch = False
    """Whether people react at night and at weekends, too. Default: only in the hours in which people merge."""


class ScenarioFile(FileSection):
    """The scenario of a simulation."""

    config: v.Plain | None = None
    """The pipeline file whose pipeline is simulated, relative to this file. Default: that of `interlock example`."""
    pipeline: v.Name | None = None
    """The pipeline of that file to simulate, if it has several."""
    services: Annotated[int, v.whole(1, 1000), v.integer(1, 1000)] | None = None
    """The number of services, called S1, S2..., in place of those of the pipeline."""
    begins: Date = _default("2026-01-05")
    """The first day; freeze windows depend on it. Default: 2026-01-05, a Monday."""
    days: Annotated[int, v.whole(1, 90), v.integer(1, 90)] = 5
    """The number of days on which people merge, weekends included. Runs that are live at the end are played to their
    end. Default 5."""
    merges: MergesEntry
    """The merges of the services."""
    stages: Annotated[dict[v.Name, StageLoadEntry], Field(min_length=1)]
    """The builds of each stage, by the name of the stage."""
    people: ReactionEntry
    """The reactions of people to failures."""


@dataclass(frozen=True, slots=True)
class ReadScenario:
    """A scenario with its pipeline; `configuration`: that of the pipeline file, if the scenario names one."""

    file: ScenarioFile
    pipeline: Pipeline
    configuration: Configuration | None = None


def json_schema() -> dict[str, Any]:
    """Return the schema as JSON-able data.

    `interlock schema --scenario -o config/scenario.schema.json` writes the file.
    """
    return sections.json_schema(ScenarioFile, "Interlock scenario")


def load_scenario(path: Path, change: tuple[KeyPath, str] | None = None) -> ReadScenario:
    """Return the scenario of the file, optionally with one key changed.

    Raises ConfigurationError with every mistake.
    """
    text, name = read_text(path, "a scenario (see config/scenario.yaml)", "scenario"), str(path)
    try:
        root, spotted = compose(text)
        if change is not None:
            _set_key(root, *change)
    except UnreadableFileError as error:
        raise ConfigurationError([file_mistake(name, error.mark, (), error.mistake)], "scenario") from None
    mistakes = [file_mistake(name, mark, at, mistake) for mark, at, mistake in spotted]
    model, found = read_section(ScenarioFile, root.plain())
    read = None
    if model is not None:
        read, more = _with_pipeline(model, path.parent)
        found += more
    mistakes += [file_mistake(name, root.mark_of(at, key=key), at, mistake) for at, key, mistake in found]
    if read is None or mistakes:
        raise ConfigurationError(mistakes, "scenario")
    return read


def _set_key(root: YamlNode, at: KeyPath, written: str) -> None:
    """Set one key, as if the file had that value. Raises UnreadableFileError if the file has no such key."""
    node, made = root, compose(written)[0]
    for step in at[:-1]:
        if not isinstance(node.value, dict):
            return  # reading the file reports the mistake
        if step not in node.value and step not in _OPTIONAL:
            mistake = Mistake(
                f"there is no {shown(step)} to change", one_of(node.value), nearest(str(step), node.value)
            )
            raise UnreadableFileError(node.mark, mistake)
        node.value.setdefault(step, (node.mark, YamlNode(node.mark, {})))
        node = node.value[step][1]
    if isinstance(node.value, dict):
        node.value[at[-1]] = (node.mark, YamlNode(node.mark, made.value))


def _with_pipeline(model: ScenarioFile, folder: Path) -> tuple[ReadScenario | None, list[Found]]:
    """Return the scenario with its pipeline, and the mistakes in the combination of the two."""
    configuration = load(folder / model.config, draft=True) if model.config is not None else None
    if configuration is None:
        pipelines = {"": example_pipeline()}
        if model.pipeline is not None:
            return None, [(("pipeline",), False, Mistake("no pipeline file is named", "`config` to be set as well"))]
    else:
        pipelines = {pipeline.name: pipeline for pipeline in configuration.pipelines}
    if model.pipeline is None and len(pipelines) > 1:
        return None, [
            ((), False, Mistake("the pipeline file has several pipelines", f"`pipeline`: {one_of(pipelines)}"))
        ]
    name = model.pipeline or next(iter(pipelines))
    if name not in pipelines:
        mistake = Mistake(f"there is no pipeline {shown(name)}", one_of(pipelines), nearest(name, pipelines))
        return None, [(("pipeline",), False, mistake)]
    read = ReadScenario(model, pipelines[name], configuration)
    return read, [(at, key, mistake) for at, key, mistake in _check_fit(read)]


def _check_fit(read: ReadScenario) -> Iterator[Found]:
    """Yield the values that do not fit the pipeline or exceed a limit."""
    yield from _check_stages(read.file, read.pipeline)
    yield from _check_hours(read.file.merges.hours)
    merges, services = read.file.merges, service_names(read)
    for name in merges.of:
        if name not in services:
            mistake = Mistake(f"there is no service {shown(name)}", one_of(services), nearest(name, services))
            yield ("merges", "of", name), True, mistake
    total = sum(merges.of.get(name, merges.a_day) for name in services) * read.file.days
    if total > MOST_MERGES:
        mistake = Mistake(f"the scenario has some {total:,.0f} merges", f"at most {MOST_MERGES:,}: fewer days, say")
        yield ("merges",), True, mistake


def _check_stages(model: ScenarioFile, pipeline: Pipeline) -> Iterator[Found]:
    names = [stage.name for stage in pipeline.stages]
    for name in model.stages:
        if name not in names:
            mistake = Mistake(f"there is no stage {shown(name)}", one_of(names), nearest(name, names))
            yield ("stages", name), True, mistake
    for stage in pipeline.stages:
        if stage.name not in model.stages:
            yield ("stages",), True, Mistake(f"stage `{stage.name}` is missing", "an entry for each stage")
        elif model.stages[stage.name].fast is not None and stage.fast_job is None:
            mistake = Mistake(f"stage `{stage.name}` has no job of the fast lane", "`fast` only where it has one")
            yield ("stages", stage.name, "fast"), True, mistake


def _check_hours(hours: tuple[HoursEntry, ...]) -> Iterator[Found]:
    last = 0.0
    for index, each in enumerate(hours):
        if each.until <= each.from_ or each.from_ < last:
            mistake = Mistake("these hours end before they begin, or overlap with others", "hours one after the other")
            yield ("merges", "hours", index), False, mistake
        last = each.until


def service_names(read: ReadScenario) -> tuple[str, ...]:
    """Return the names of the services of a scenario."""
    if read.file.services is None:
        return tuple(service.name for service in read.pipeline.services)
    return tuple(f"S{each}" for each in range(1, read.file.services + 1))
