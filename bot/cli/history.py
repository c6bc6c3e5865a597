"""The commands history and replay: list ended runs, export the recording of a pipeline, and play a recording."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.backup import open_store
from bot.cli.common import (
    CommandFailed,
    RequestRefused,
    WrongUsage,
    as_json,
    calls_api,
    count,
    date_and_time,
    limit,
    print_json,
    say,
)
from bot.cli.read import PAGE
from bot.cli.sentences import run_name, step_name

if TYPE_CHECKING:
    from redis import Redis

    from bot.cli.client import Answer, ApiClient
    from bot.core.model.effects import Effect
    from bot.core.model.events import Event
    from bot.core.model.facts import Fact
    from bot.core.rules.replay import BoardDifferences, Player, Replayed, Step
    from bot.store.recording_file import RecordingHead

#: The longest value of an event that is printed, in characters.
LONGEST_VALUE = 60


@click.group(invoke_without_command=True, short_help="List the runs that have ended; export the recording.")
@limit(20)
@as_json
@calls_api
def history(api: ApiClient, limit: int, as_json: bool) -> None:
    """List the runs that have ended, the last to end first; or export the recording of the pipeline."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    rows: list[Answer] = []
    after: int | None = 0
    while after is not None and len(rows) < limit:
        page = api.get("history", has="runs", offset=after, limit=min(PAGE, limit - len(rows)))
        rows, after = rows + page["runs"], page["next"]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        run = f"{row['run']} ({run_name(row)})"
        say(f"{date_and_time(row['at'])}  {row['end']:<10}  {run} in {step_name(row)}: {row['reason']}")
    if not rows:
        say("No run has ended yet.")


# -- times -------------------------------------------------------------------------------------------------------


def _ago(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    """Return the value of `--since` in epoch seconds; 0.0: from the beginning.

    The value is a duration before now, or a date of ISO 8601.
    """
    from bot.core.end_time import is_duration, read_end_time

    if value is None:
        return 0.0
    now = time.time()
    end = read_end_time(value, now) if is_duration(value) else None
    return _moment(_context, _parameter, value) or 0.0 if end is None else 2 * now - end


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Return a date of ISO 8601 with its time as epoch seconds; without a zone it is in this terminal's zone."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a duration (90m, 7d) or a time (2026-12-01T18:00:05).") from None


# -- export ------------------------------------------------------------------------------------------------------


@history.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline; not needed if there is only one.")
@click.option("--since", metavar="TIME", callback=_ago, help="From when on: 7d (ago), or 2026-12-01T18:00.")
@click.option("--pseudonyms", is_flag=True, help="Replace names, people and texts; the same name stays the same.")
def export(file: Path, pipeline: str | None, since: float, pseudonyms: bool) -> None:
    """Write the recording of a pipeline to the new FILE, from the last snapshot before --since on.

    Run it where Interlock runs, with the same environment. `interlock replay` plays the file anywhere.
    """
    from importlib.metadata import version

    from bot.store import recording_file
    from bot.store.recording_line import UnreadableRecording

    try:
        with open_store() as redis:
            name = pipeline_in_store(redis, pipeline)
            head = recording_file.RecordingHead(name, version("interlock"), time.time(), pseudonyms)
            head, lines = _prepared(redis, head, since)
            turns = recording_file.write(file, head, lines())
    except FileExistsError:
        raise CommandFailed(f"{file} is there already: name a new file") from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from None
    except UnreadableRecording as error:
        raise CommandFailed(str(error)) from None
    say(f"done: {file} holds {count(turns, 'turn')} of {head.pipeline}, {max(1, file.stat().st_size // 1024)} KiB")


def _prepared(redis: Redis, head: RecordingHead, since: float) -> tuple[RecordingHead, Callable[[], Iterator[str]]]:
    """Return the head and the lines of the file, with pseudonyms if the head says so."""
    from bot.store.keys import Keys
    from bot.store.pseudonyms import Pseudonyms, pipelines_in
    from bot.store.recording import Recording

    recording = Recording(redis, Keys(head.pipeline))
    lines = partial(recording.lines, since)
    if not head.pseudonyms:
        return head, lines
    found = Pseudonyms(recording.pseudonym_key(), (each for line in lines() for each in pipelines_in(line)))
    return dataclasses.replace(head, pipeline=found.within(head.pipeline)), lambda: map(found.line, lines())


def pipeline_in_store(redis: Redis, wanted: str | None) -> str:
    """Return the wanted pipeline, or the only one in the store. Raises WrongUsage if it is missing or not unique."""
    from bot.store.backup import is_pipeline, names_by_tag

    target = click.get_current_context().find_object(object)
    wanted = wanted or getattr(target, "pipeline", None)
    there = [tag for tag, names in names_by_tag(redis).items() if is_pipeline(names)]
    if wanted is None and len(there) == 1:
        return there[0]
    if wanted in there:
        return str(wanted)
    names = ", ".join(there) or "none"
    raise WrongUsage(f"name one pipeline with --pipeline; the store has: {names}")


# -- replay ------------------------------------------------------------------------------------------------------


@click.command(short_help="Decide a recording once more, by the rules of this version.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--at", "at", metavar="TIME", callback=_moment, help="Show the board as of this time, and nothing else.")
@click.option("--diff", is_flag=True, help="Print only what is decided otherwise now; exit with 1 if anything is.")
@click.option("--run", metavar="RUN", help="Only what concerns this run, such as S1.5.")
def replay(file: Path, at: float | None, diff: bool, run: str | None) -> None:
    """Play the recording FILE through the rules of this version: each event, the decision about it, and its rule.

    Nothing else is needed: no server, no store, no pipeline file.
    """
    from bot.core.rules.replay import Player
    from bot.store import recording_file
    from bot.store.recording_line import UnreadableRecording

    try:
        player = Player(recording_file.read_head(file).pipeline)
        steps = player.play(recording_file.read(file), at)
        if at is not None:
            _show_board(player, steps, at)
        else:
            _show_decisions(steps, diff, run)
    except UnreadableRecording as error:
        raise RequestRefused(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None


def _show_board(player: Player, steps: Iterable[Step], at: float) -> None:
    """Draw the past board as `interlock status` does, without estimates."""
    from rich.console import Console

    from bot.cli.picture import picture
    from bot.reporting.view import view

    for _ in steps:
        pass
    if player.board is None:
        raise RequestRefused(f"the recording does not have the board as of {date_and_time(at)}")
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(picture(view(player.board, player.version, at), console.width))


def _show_decisions(steps: Iterable[Step], diff: bool, run: str | None) -> None:
    from bot.core.rules.replay import BoardDifferences, Replayed

    decided = differing = 0
    for step in steps:
        if isinstance(step, Replayed):
            decided += 1
            differing += step.differs
            if (step.differs or not diff) and (run is None or _concerns(step, run)):
                _print(_decision(step))
        elif isinstance(step, BoardDifferences):
            differing += 1
            _print(_differences(step))
        else:
            say(
                f"{date_and_time(step.at)}  {count(step.turns, 'turn')} cannot be replayed: what came before is missing"
            )
    if differing:
        raise CommandFailed(f"{differing} of {count(decided, 'decision')} would differ now")
    if not decided:
        raise CommandFailed("nothing could be replayed: the recording has no snapshot that this version can read")
    say(f"done: {count(decided, 'decision')} replayed, each with the same result")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def _concerns(step: Replayed, run: str) -> bool:
    """Return whether an event or a fact names the run."""
    named = [getattr(each, "run", None) for each in (*step.then.events, *step.then.facts, *step.now.facts)]
    return run in named


def _decision(step: Replayed) -> Iterator[str]:
    """Yield the lines of a turn: its events and decisions; where they differ, those of then and now."""
    for event in step.then.events:
        yield f"{date_and_time(step.then.at)}  {step.then.entry}  {_event(event)}"
    if not step.differs:
        yield from _outcome(step.then.facts, step.then.effects, "    ")
        return
    yield "  then:"
    yield from _outcome(step.then.facts, step.then.effects, "    ")
    yield "  now:"
    if step.error:
        yield f"    the rules fail: {step.error}"
    else:
        yield from _outcome(step.now.facts, step.now.effects, "    ")


def _outcome(facts: Iterable[Fact], effects: Iterable[Effect], indent: str) -> Iterator[str]:
    from bot.reporting.messages import words
    from bot.reporting.rules import rule_of

    for fact in facts:
        run = f"{fact.run}: " if fact.run else ""
        yield f"{indent}{rule_of(fact):<3}  {fact.kind:<18}  {run}{words(fact.why)}"
    for effect in effects:
        yield f"{indent}  =>  {effect.kind:<18}  {effect.slot}"


def _event(event: Event) -> str:
    """Return an event in one line: its kind, and the fields that are not at their defaults."""
    fields = [each for each in dataclasses.fields(event) if each.name != "kind"]
    said = [(each.name, getattr(event, each.name)) for each in fields if getattr(event, each.name) != each.default]
    return " ".join([event.kind, *(f"{name}={_value(value)}" for name, value in said)])


def _value(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _differences(step: BoardDifferences) -> Iterator[str]:
    yield f"{date_and_time(step.at)}  the board is another than the snapshot shows:"
    for then, now in step.records:
        yield f"    then: {then}"
        yield f"    now:  {now}"
