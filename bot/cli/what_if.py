"""The command what-if: plays the recorded past of a pipeline under another configuration."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import (
    CommandFailed,
    RequestRefused,
    WrongUsage,
    as_json,
    clean,
    count,
    date_and_time,
    duration,
    print_json,
    say,
)
from bot.cli.files import checked_file, freezes_by_day
from bot.cli.history import pipeline_in_store

if TYPE_CHECKING:
    from bot.core.model.pipeline import Pipeline
    from bot.simulation.comparison import ComparedFigure, ComparedRun, Comparison, Range
    from bot.simulation.recorded_load import RecordedLoad
    from config.configuration import Configuration

Row = tuple[str, str, str, str, str, str]


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[float, float]:
    """Return the value of `--since`: seconds before the end, and the time to start from; 0 for the one not given."""
    from datetime import datetime

    from bot.core.end_time import is_duration, read_end_time

    if value is None:
        return 0.0, 0.0
    if is_duration(value):
        return read_end_time(value, 0.0) or 0.0, 0.0
    try:
        return 0.0, datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a duration (30d, 12h) or a time (2026-11-01T08:00).") from None


@click.command("what-if", short_help="Play the recorded past under another pipeline file.")
@click.option(
    "--config", "file", required=True, type=click.Path(path_type=Path), help="The pipeline file to try: new.yaml."
)
@click.option("--since", metavar="TIME", callback=_since, help="From when on: 30d before the end, or 2026-11-01T08:00.")
@click.option(
    "--recording",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of `interlock history export`, instead of what the store has.",
)
@click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline; not needed if there is only one.")
@click.option(
    "--repeat", type=click.IntRange(1, 1_000), default=20, show_default=True, metavar="N", help="How many draws."
)
@as_json
def what_if(
    file: Path, since: tuple[float, float], recording: Path | None, pipeline: str | None, repeat: int, as_json: bool
) -> None:
    """Play the recorded merges, failures and durations under another pipeline file, and compare.

    Run it where Interlock runs, or with an exported recording anywhere. It changes nothing.
    """
    from bot.simulation.comparison import compare, other_setting
    from bot.simulation.recorded_load import UnusableRecording
    from bot.store.recording_line import UnreadableRecording

    configuration = checked_file(file)
    try:
        name, load = _recorded(recording, pipeline, since)
        other = _pipeline_of(configuration, file, pipeline or name, by_name=pipeline is not None)
        start = max(load.until - since[0] if since[0] else since[1], load.began)
        freezes = freezes_by_day(configuration, other.name, load.began, load.until)
        setting = other_setting(load, other, tuple(freezes))
        hidden = not sys.stderr.isatty()
        with click.progressbar(length=repeat, label="playing", file=sys.stderr, hidden=hidden) as bar:
            found = compare(load, setting, draws=repeat, since=start, done=lambda _: bar.update(1))
    except (UnreadableRecording, UnusableRecording) as error:
        raise RequestRefused(str(error)) from None
    if as_json:
        print_json({"pipeline": name, **_shape(found), "notes": list(_notes(load))})
        return
    for line in report(name, str(file), found):
        say(line)
    for note in _notes(load):
        say(note)


def _recorded(recording: Path | None, pipeline: str | None, since: tuple[float, float]) -> tuple[str, RecordedLoad]:
    """Return the name of the pipeline and its recorded load, from the file or from the store."""
    from bot.simulation.recorded_load import read_load
    from bot.store import recording_file
    from bot.store.keys import Keys
    from bot.store.recording import Recording
    from bot.store.recording_line import load_line

    if recording is not None:
        try:
            return recording_file.read_head(recording).pipeline, read_load(recording_file.read(recording))
        except OSError as error:
            raise CommandFailed(f"{recording} cannot be read: {error.strerror}") from None
    from bot.cli.backup import open_store

    with open_store() as redis:
        name = pipeline_in_store(redis, pipeline)
        first = time.time() - since[0] if since[0] else since[1]
        lines = Recording(redis, Keys(name)).lines(first)
        return name, read_load(item for item in map(load_line, lines) if item is not None)


def _pipeline_of(configuration: Configuration, file: Path, name: str, *, by_name: bool) -> Pipeline:
    """Return the pipeline of the file to try: the recording's pipeline, or the only one in the file.

    The name in a recording may be a pseudonym, so it need not match.
    """
    found = configuration.pipeline(name)
    if found is None and not by_name and len(configuration.pipelines) == 1:
        return configuration.pipelines[0]
    if found is None:
        there = ", ".join(each.name for each in configuration.pipelines)
        raise WrongUsage(f"{file} has no pipeline {name}; name one with --pipeline: {there}")
    return found


def _notes(load: RecordedLoad) -> Iterator[str]:
    """Yield the parts of the recording that could not be used as recorded."""
    if load.gap is not None:
        yield f"What came before {date_and_time(load.began)} is left out: turns are missing, or the board began anew."
    if load.forced:
        yield f"Force-pushes, played as plain merges: {load.forced}."


# -- the report --------------------------------------------------------------------------------------------------


def report(name: str, file: str, found: Comparison) -> Iterator[str]:
    """Yield the lines of the comparison."""
    span = f"{date_and_time(found.since)} to {date_and_time(found.until)}"
    yield f"{name}, {span}: {count(found.runs, 'run')}, {count(found.draws, 'draw')} under each configuration."
    yield "A range holds nine of ten draws. The error is that of the method: how far the recorded configuration, played"
    yield "in the same way, is from what was recorded."
    exact = max((abs(each.exact_error) for each in found.figures if each.exact_error is not None), default=0.0)
    yield f"With the very durations that were recorded, no figure is off by more than {exact:.1%}."
    yield ""
    rows: list[Row] = [("", "recorded", "as it was, played", "error", f"with {Path(file).name}", "change")]
    rows += [_row(each) for each in found.figures if _matters(each)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(clean(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if found.changed:
        yield ""
        yield "The lead times that change most:"
        yield from (_changed(run) for run in found.changed)
    yield ""


def _matters(each: ComparedFigure) -> bool:
    """Return whether the figure is not 0 everywhere."""
    return any((each.recorded, each.same and each.same.high, each.other and each.other.high))


def _row(each: ComparedFigure) -> Row:
    error = "" if each.error is None else f"{each.error:+.1%}"
    return (
        each.name,
        number(each.recorded, each.unit),
        _range(each.same, each.unit),
        error,
        _range(each.other, each.unit),
        _range(each.change, each.unit, signed=True),
    )


def _range(found: Range | None, unit: str, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    low, high = (number(each, unit, signed=signed) for each in (found.low, found.high))
    middle = number(found.middle, unit, signed=signed)
    return middle if low == high == middle else f"{middle} ({low}..{high})"


def number(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Return a number in its unit: `s` (seconds) or none; `-` for None."""
    if value is None:
        return "-"
    sign = "-" if round(value) < 0 else "+" if signed and round(value) > 0 else ""
    return sign + (_short(abs(value)) if unit == "s" else f"{abs(value):.0f}")


def _short(seconds: float) -> str:
    """Return a duration in the pipeline file's notation, such as `1h15m`, because six columns must fit side by side."""
    return duration(seconds).replace(" min", "m").replace(" ", "")


def _changed(run: ComparedRun) -> str:
    turn = f", run {run.turn} of it" if run.turn > 1 else ""
    was = number(run.recorded, "s")
    change = number(run.other - run.same, "s", signed=True)
    return f"  {run.service} {run.sha[:7]}{turn}: {was} recorded, {number(run.other, 's')} ({change})"


def _shape(found: Comparison) -> dict[str, object]:
    """Return the comparison as plain values. Times in epoch seconds, durations in seconds, errors as shares."""
    shape = dataclasses.asdict(found)
    for row, each in zip(shape["figures"], found.figures, strict=True):
        row["error"], row["exact_error"] = each.error, each.exact_error
    return shape
