"""The commands that read: status, why, log, freezes, stats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from bot.cli.common import (
    CommandFailed,
    ServerUnreachable,
    WrongUsage,
    as_json,
    calls_api,
    clean,
    clock,
    date_and_time,
    limit,
    print_json,
    say,
    warn,
)
from bot.cli.sentences import (
    ended_run_sentence,
    evidence_lines,
    fact_sentence,
    health_sentences,
    overview_lines,
    run_sentence,
    tiles,
    verification_sentence,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bot.cli.client import Answer, ApiClient

#: Seconds between two requests of --watch and --follow.
EVERY = 2.0
#: The largest page of the API.
PAGE = 200


@click.command(short_help="Show the pipeline: queues, runs, locks, fast lane.")
@as_json
@click.option("-w", "--watch", is_flag=True, help="Draw it again every two seconds, until Ctrl-C.")
@calls_api
def status(api: ApiClient, as_json: bool, watch: bool) -> None:
    """Show the pipeline: stages, queues, runs, locks and the fast lane.

    If there are several and none is named: all of them in short, the locked ones first.
    """
    if as_json and watch:
        raise WrongUsage("--json and --watch do not go together")
    several = not api.is_named and len(api.pipelines()["pipelines"]) != 1
    if as_json:
        print_json(api.pipelines() if several else api.get(has="stages"))
    elif several and not watch:
        for line in overview_lines(api.pipelines()):
            say(line)
    else:
        _draw(api, several, watch)


def _draw(api: ApiClient, several: bool, watch: bool) -> None:
    """Draw one pipeline, or print all of them in short; once, or until Ctrl-C."""
    from rich.console import Console
    from rich.text import Text

    from bot.cli.picture import picture

    console = Console(markup=False, highlight=False, emoji=False)

    def drawing() -> RenderableType:
        if several:
            return Text("\n".join(clean(line) for line in overview_lines(api.pipelines())))
        return picture(api.get(has="stages"), console.width)

    if watch:
        _watch(drawing, console)
    else:
        console.print(drawing())


def _watch(drawing: Callable[[], RenderableType], console: Console) -> None:
    """Draw until Ctrl-C. While the server does not answer, show the last picture and try again."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    drawn = drawing()
    try:
        with Live(drawn, console=console, auto_refresh=False, screen=console.is_terminal) as live:
            while True:
                live.update(drawn, refresh=True)
                time.sleep(EVERY)
                try:
                    drawn = drawing()
                except (CommandFailed, ServerUnreachable):
                    gone = Text("Interlock does not answer: this is its last answer; trying again", "bold yellow")
                    live.update(Group(gone, drawn), refresh=True)
                    time.sleep(EVERY)
    except KeyboardInterrupt:
        return


@click.command()
@click.argument("query", required=False)
@as_json
@calls_api
def why(api: ApiClient, query: str | None, as_json: bool) -> None:
    """Say where a run is, why, and what to do next.

    QUERY is a service, a run, the beginning of a sha or a pull request (#12). Without it every run is shown. For a
    single run it also prints its attempts, with the logs of those that failed, and its waiting times.
    """
    if query is None:
        view = api.get(has="stages")
        found: Answer = {"q": None, "runs": list(tiles(view)), "ended": [], "verifications": [], "more": False}
        found["more"] = view["live"] > len(found["runs"])
        found["health"] = view.get("health")
    else:
        found = api.get("why", has="runs", q=query)
        rows = [*found["runs"], *found["ended"], *found["verifications"]]
        found["evidence"] = api.get("runs", rows[0]["run"], has="attempts") if len(rows) == 1 else None
    if as_json:
        print_json(found)
        return
    for line in _explained(found, time.time()):
        say(line)


def _explained(found: Answer, now: float) -> Iterator[str]:
    """Yield the lines about the runs that were found, and the evidence of a single one."""
    health = found.get("health")
    yield from health_sentences(health, now)
    yield from (run_sentence(tile, health, now) for tile in found["runs"])
    yield from (ended_run_sentence(row, now) for row in found["ended"])
    yield from (verification_sentence(row) for row in found["verifications"])
    if found.get("evidence"):
        yield from evidence_lines(found["evidence"], now)
    if found["more"]:
        yield "There are more; name one by its run, or by the beginning of its sha."
    if not found["runs"] and not found["ended"] and not found["verifications"]:
        yield "There is no run on the board."


@click.command()
@limit(20)
@click.option("-f", "--follow", is_flag=True, help="Continue with new decisions, until Ctrl-C.")
@click.option("--by", default="", metavar="NAME", help="Only of this person; `anybody`: all that people did.")
@click.option("--kind", default="", metavar="KIND", help="Only of this kind, such as stage-locked.")
@click.option("--service", default="", metavar="NAME", help="Only about this service.")
@click.option("--stage", default="", metavar="NAME", help="Only about this stage.")
@click.option("--run", default="", metavar="RUN", help="Only about this run.")
@click.option("--json", "as_json", is_flag=True, help="Print each fact as one line of JSON, for programs.")
@calls_api
def log(api: ApiClient, limit: int, follow: bool, as_json: bool, **given: str) -> None:
    """Print the decisions, the newest last."""
    wanted = {name: text for name, text in given.items() if text}
    newest = api.get("facts", has="facts", limit=1)["facts"] if follow and wanted else []
    facts = list(_facts(api, wanted, limit=limit))
    last = _print_facts(facts, as_json)
    if not follow:
        return
    try:
        _follow(api, wanted, max([last, *(str(fact["id"]) for fact in newest)], key=_order), as_json)
    except KeyboardInterrupt:
        return


def _follow(api: ApiClient, wanted: dict[str, str], last: str, as_json: bool) -> None:
    """Print new facts until Ctrl-C. While the server does not answer, try again."""
    away = False
    while True:
        time.sleep(EVERY)
        try:
            facts = list(_facts(api, {**wanted, "after": last} if last else wanted))
        except (CommandFailed, ServerUnreachable) as error:
            if not away:
                warn(f"{error.message}; trying again")
            away = True
            continue
        away = False
        last = _print_facts(facts, as_json) or last


def _facts(api: ApiClient, wanted: dict[str, str], *, limit: int = 10_000) -> Iterator[Answer]:
    """Yield at most `limit` of the wanted facts, newest first."""
    query: dict[str, str | int] = {**wanted}
    while limit > 0:
        page = api.get("facts", has="facts", limit=min(PAGE, limit), **query)
        yield from page["facts"]
        if page["next"] is None:
            return
        limit -= len(page["facts"])
        query["before"] = str(page["next"])


def _print_facts(facts: list[Answer], as_json: bool) -> str:
    """Print facts given newest first in the order of time; return the id of the newest, or an empty text."""
    for fact in reversed(facts):
        if as_json:
            print_json(fact, lines=True)
        else:
            say(f"{date_and_time(fact['at'])}  {fact['kind']:<18}  {fact_sentence(fact)}")
    return str(facts[0]["id"]) if facts else ""


def _order(identity: str) -> tuple[int, ...]:
    return tuple(int(part) for part in identity.split("-") if part.isdigit())


@click.command(short_help="List the freezes and their next windows.")
@as_json
@calls_api
def freezes(api: ApiClient, as_json: bool) -> None:
    """List the freezes of the pipeline: the window in force, the next ones, whom they let through."""
    found = api.get("freezes", has="freezes")
    if as_json:
        print_json(found)
        return
    from bot.cli.sentences import listed

    for line in listed(found["freezes"]):
        say(clean(line))


@click.command()
@click.argument("service", required=False)
@click.option("--week", metavar="WEEK", help="Print the report of one week: last, or such as 2026-W48.")
@as_json
@calls_api
def stats(api: ApiClient, service: str | None, week: str | None, as_json: bool) -> None:
    """Print the numbers of the last weeks: lead time, waiting by cause, failures, locks and their cost.

    SERVICE shows one service only. `docs/statistics.md` explains each number. With --week: the report of that week, the
    last complete one or another, as the channels in `notify: weekly` get it.
    """
    if week is not None:
        if service is not None:
            raise WrongUsage("the report of a week is about all services: leave SERVICE or --week out")
        _print_week_report(api.get("statistics", "week", has="figures", week=week), as_json)
        return
    found = api.get("statistics", has="weeks", **({"service": service} if service else {}))
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    from bot.cli.numbers import by_locks, by_service, by_step, by_week, sentences

    console = Console(markup=False, highlight=False, emoji=False)
    tables = by_week(found, console.width)
    if service is None and found["services"]:
        tables += [*by_service(found, console.width), *by_locks(found), *by_step(found)]
    for table in tables:
        console.print(table)
    for line in sentences(found):
        say(line)


def _print_week_report(found: Answer, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    say(found["subject"])
    for line in ("", *found["text"].splitlines()):
        say(line)
    if found["next"] is None:
        say("Nobody gets this report: the pipeline has no `notify: weekly`.")
    else:
        say(f"The next report, of {found['next']['week']}, goes out {clock(found['next']['at'], found['at'])}.")
