"""The commands that look: status, why, history, log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bot.cli.errors import Failed, Misused, Unreachable
from bot.cli.options import as_json, asks_server, limit
from bot.cli.out import dump, say, warn

if TYPE_CHECKING:
    from rich.console import Console

    from bot.cli.server import Answer, Server

#: Seconds between two looks of --watch and --follow.
EVERY = 2.0
#: The most that one page of the API holds.
PAGE = 200


@click.command(short_help="Show the pipeline: queues, runs, locks, fast lane.")
@as_json
@click.option("-w", "--watch", is_flag=True, help="Draw it again whenever it changes, until Ctrl-C.")
@asks_server
def status(server: Server, as_json: bool, watch: bool) -> None:
    """Show the pipeline: stages, queues, runs, locks and the fast lane."""
    if as_json and watch:
        raise Misused("--json and --watch do not go together")
    if as_json:
        dump(server.get(has="stages"))
        return
    from rich.console import Console

    from bot.cli.picture import picture

    console = Console(markup=False, highlight=False, emoji=False)
    if watch:
        _watch(server, console)
    else:
        console.print(picture(server.get(has="stages"), console.width))


def _watch(server: Server, console: Console) -> None:
    """Draw until Ctrl-C; a server that is away for a while is waited for."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from bot.cli.picture import picture

    drawn = picture(server.get(has="stages"), console.width)
    try:
        with Live(drawn, console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(drawn, refresh=True)
                time.sleep(EVERY)
                try:
                    drawn = picture(server.get(has="stages"), console.width)
                except (Failed, Unreachable):
                    gone = Text("Interlock does not answer: this is how it was; trying again", "bold yellow")
                    live.update(Group(gone, drawn), refresh=True)
                    time.sleep(EVERY)
    except KeyboardInterrupt:
        return


@click.command()
@click.argument("query", required=False)
@as_json
@asks_server
def why(server: Server, query: str | None, as_json: bool) -> None:
    """Say where runs are, why, and what to do next.

    QUERY is a service, a run, the beginning of a commit's sha or a pull request (#12); without it every run is told.
    """
    from bot.cli import answers
    from bot.cli.tiles import tiles

    if query is None:
        view = server.get(has="stages")
        found: Answer = {"q": None, "runs": list(tiles(view)), "ended": [], "more": False}
        found["more"] = view["live"] > len(found["runs"])
        found["health"] = view.get("health")
    else:
        found = server.get("why", has="runs", q=query)
    if as_json:
        dump(found)
        return
    health = found.get("health")
    for line in answers.unwell(health, time.time()):
        say(line)
    for tile in found["runs"]:
        say(answers.live(tile, health))
    for row in found["ended"]:
        say(answers.ended(row, time.time()))
    if found["more"]:
        say("There are more; ask for one of them by its run, or by the beginning of its sha.")
    if not found["runs"] and not found["ended"]:
        say("There is no run on the board.")


@click.command()
@limit(20)
@as_json
@asks_server
def history(server: Server, limit: int, as_json: bool) -> None:
    """List the runs that have ended, the last to end first."""
    from bot.cli.texts import moment
    from bot.cli.tiles import name, step_name

    rows: list[Answer] = []
    after: int | None = 0
    while after is not None and len(rows) < limit:
        page = server.get("history", has="runs", offset=after, limit=min(PAGE, limit - len(rows)))
        rows, after = rows + page["runs"], page["next"]
    if as_json:
        dump(rows)
        return
    for row in rows:
        say(f"{moment(row['at'])}  {row['end']:<10}  {row['run']} ({name(row)}) in {step_name(row)}: {row['reason']}")
    if not rows:
        say("No run has ended yet.")


@click.command()
@limit(20)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is decided from now, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each fact as one line of JSON, for programs.")
@asks_server
def log(server: Server, limit: int, follow: bool, as_json: bool) -> None:
    """Print what was decided, the newest last."""
    facts = list(_facts(server, limit=limit))
    last = _tell(facts, as_json)
    if not follow:
        return
    try:
        _follow(server, last, as_json)
    except KeyboardInterrupt:
        return


def _follow(server: Server, last: str, as_json: bool) -> None:
    """Print new facts until Ctrl-C; a server that is away for a while is waited for."""
    away = False
    while True:
        time.sleep(EVERY)
        try:
            facts = list(_facts(server, after=last))
        except (Failed, Unreachable) as error:
            if not away:
                warn(f"{error.message}; trying again")
            away = True
            continue
        away = False
        last = _tell(facts, as_json) or last


def _facts(server: Server, *, limit: int = 10_000, after: str = "") -> Iterator[Answer]:
    """At most `limit` facts, newest first, as far back as the one called `after`."""
    query: dict[str, str | int] = {}
    while limit > 0:
        page = server.get("facts", has="facts", limit=min(PAGE, limit), **query)
        for fact in page["facts"]:
            if _order(str(fact["id"])) <= _order(after):
                return
            yield fact
        if page["next"] is None:
            return
        limit -= len(page["facts"])
        query["before"] = str(page["next"])


def _tell(facts: list[Answer], as_json: bool) -> str:
    """Print facts that came newest first, oldest first; returns the id of the newest, or nothing."""
    from bot.cli.outcome import sentence
    from bot.cli.texts import moment

    for fact in reversed(facts):
        if as_json:
            dump(fact, lines=True)
        else:
            say(f"{moment(fact['at'])}  {fact['kind']:<18}  {sentence(fact)}")
    return str(facts[0]["id"]) if facts else ""


def _order(identity: str) -> tuple[int, ...]:
    return tuple(int(part) for part in identity.split("-") if part.isdigit())
