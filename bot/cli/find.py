"""The commands that find versions, runs and reports: where, runs, watch, lock-report."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import (
    FAILED,
    CommandFailed,
    WrongUsage,
    as_json,
    calls_api,
    clean,
    clock,
    duration,
    limit,
    print_json,
    say,
)
from bot.cli.sentences import ended_run_sentence, estimate_sentence, run_sentence, step_name
from bot.reporting.markdown import GAP

if TYPE_CHECKING:
    from rich.table import Table

    from bot.cli.client import Answer, ApiClient

#: Seconds between two requests of `watch`.
EVERY = 2.0
#: The largest page of the API.
PAGE = 200
_LEFT = re.compile(r"\d+ (s|min|h)\b|\d{1,2}:\d\d")


@click.command()
@click.argument("service", required=False)
@as_json
@calls_api
def where(api: ApiClient, service: str | None, as_json: bool) -> None:
    """Show the versions: per service and stage the commit that passed last.

    Below each lock: what changed in its stage since the service that holds it last passed there. SERVICE shows one
    service only.
    """
    found = all_services(api, service)
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if found["services"]:
        console.print(_table(found))
    else:
        say("No service is configured.")
    for lock in found["locks"]:
        say("")
        for line in lock_lines(lock, found["at"]):
            say(line)


def all_services(api: ApiClient, service: str | None) -> Answer:
    """Return all pages of the table as one."""
    query = {"service": service} if service else {}
    found = api.get("where", has="services", **query)
    after = found["next"]
    while after is not None:
        page = api.get("where", has="services", offset=after, **query)
        found["services"] += page["services"]
        after = page["next"]
    return {**found, "next": None}


def _table(found: Answer) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("service", no_wrap=True)
    for stage in found["stages"]:
        closed = " FROZEN" if (stage.get("closed") or "").startswith("frozen") else " LOCKED"
        name = f"{clean(stage['name'])}{closed if stage['locked'] else ''}"
        table.add_column(Text(name, "bold red" if stage["locked"] else "bold"))
    for row in found["services"]:
        cells = [Text("\n".join(_cell(cell, found["at"])), "red" if cell["broken"] else "") for cell in row["stages"]]
        table.add_row(Text(clean(row["service"])), *cells)
    return table


def _cell(cell: dict[str, Any], now: float) -> Iterator[str]:
    """Yield the lines of one service in one stage: the version that passed, a failed one, the number of newer runs."""
    passed = cell["passed"]
    yield f"{clean(passed['short'])} {duration(now - passed['since'], 1)}" if passed else "-"
    if cell["fast"]:
        yield f"fast {clean(cell['fast']['short'])} {duration(now - cell['fast']['since'], 1)}"
    if cell["broken"]:
        yield f"failed {clean(cell['broken']['short'])} {duration(now - cell['broken']['since'], 1)}"
    if cell["newer_count"]:
        yield f"+{cell['newer_count']} newer"


def lock_lines(lock: Answer, now: float) -> Iterator[str]:
    """Yield the changes in a stage before its lock, a line for each change."""
    baseline = lock["baseline"]
    since = ""
    if baseline:
        since = f" since {lock['service']} last passed ({baseline['short']}, {clock(baseline['since'], now)})"
    yield f"{lock['stage']} is locked since {clock(lock['locked_since'], now)}: {lock['reason']}"
    yield f"What changed in {lock['stage']}{since}, newest first:"
    for row in lock["changes"]:
        title = f' "{row["title"]}"' if row["title"] else ""
        pull = f" #{row['pull']}" if row["pull"] else ""
        by = f" by {row['author']}" if row["author"] else ""
        how = "passed" if row["passed"] else "failed"
        yield f"  {clock(row['since'], now)}  {row['service']} {row['short']} {how}  {row['run']}{title}{pull}{by}"
        if row["compare"]:
            yield f"         {row['compare']}"
    if not lock["changes"]:
        yield "  no known change"
    if lock["count"] > len(lock["changes"]):
        yield f"  and {lock['count'] - len(lock['changes'])} older: interlock log --stage {lock['stage']}"
    if baseline and lock["known_since"] > baseline["since"]:
        known = clock(lock["known_since"], now)
        yield f"  of what came before {known}, only the latest version of each service is listed"


@click.command()
@click.argument("words", nargs=-1)
@click.option("--service", default="", metavar="NAME", help="Only of this service.")
@click.option("--state", default="", metavar="STATE", help="live, ended, waiting, running, failed, delivered...")
@click.option("--stage", default="", metavar="NAME", help="Only those in this stage, or before it.")
@click.option("--lane", type=click.Choice(["main", "fast"]), help="Only those on this lane.")
@click.option("--author", default="", metavar="NAME", help="Only those of this person.")
@limit(20)
@as_json
@calls_api
def runs(
    api: ApiClient,
    words: tuple[str, ...],
    service: str,
    state: str,
    stage: str,
    lane: str | None,
    author: str,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, live and ended, the newest first.

    WORDS describe the runs: a service, a run, the beginning of a sha, a pull request (#12), an author, or words
    of the title. Those that wait for one stage (--stage NAME --state waiting) are in the order in which they enter.
    """
    given = {
        "q": " ".join(words), "service": service, "state": state, "stage": stage, "lane": lane or "", "author": author
    }  # fmt: skip
    query = {name: text for name, text in given.items() if text}
    found = pages(api, query, limit)
    if as_json:
        print_json(found)
        return
    now = time.time()
    for run in found["runs"]:
        say(run_line(run, now))
    if not found["runs"]:
        say("No run matches.")
    elif found["total"] > len(found["runs"]):
        say(f"{found['total'] - len(found['runs'])} more; --limit shows more of them.")


def pages(api: ApiClient, query: dict[str, str], limit: int) -> Answer:
    """Return the first `limit` runs of a list, over as many pages of the API as necessary."""
    rows: list[Answer] = []
    after: int | None = 0
    found: Answer = {}
    while after is not None and len(rows) < limit:
        found = api.get("runs", has="runs", offset=after, limit=min(PAGE, limit - len(rows)), **query)
        rows, after = rows + found["runs"], found["next"]
    return {**found, "runs": rows, "next": after}


def run_line(run: Answer, now: float) -> str:
    """Return a run as one line: key, sha, place or ending, age, title, pull request and author."""
    ago = duration(now - run["at"], 1)
    where = f"{run['state']} {'before' if run['state'] == 'waiting' else 'in'} {step_name(run)}"
    title = f"  {run['title']}" if run["title"] else ""
    pull = f" #{run['pull']}" if run["pull"] else ""
    by = f" by {run['author']}" if run["author"] else ""
    when = estimate_sentence(run, now)
    return f"{run['run']:<8}  {run['short']}  {where:<30}  {ago:>6}{title}{pull}{by}{'. ' + when if when else ''}"


@click.command()
@click.argument("query")
@click.option("--json", "as_json", is_flag=True, help="Print each change as one line of JSON, for programs.")
@calls_api
def watch(api: ApiClient, query: str, as_json: bool) -> None:
    """Follow a run until it has ended, and print each change.

    QUERY is a run, the beginning of a sha, a pull request (#12), or a service with one run. If another run carries the
    change on, that run is followed. Ends with 0 if it was delivered, and with 1 if it was not.
    """
    key = one_run(api, query)
    told = ""
    try:
        while True:
            found = api.get("runs", key, has="state")
            ended = found["ended"]
            line = ended_run_sentence(ended, time.time()) if ended else run_sentence(found["tile"])
            if _steady(line) != told:
                told = _steady(line)
                when = "" if ended else estimate_sentence(found["tile"], time.time())
                print_json(found["tile"] or ended, lines=True) if as_json else say(f"{line} {when}".rstrip())
            if ended and ended["end"] == "superseded" and ended["by"] and ended["by"] != key:
                key = ended["by"]
                continue
            if ended:
                break
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return
    if ended["end"] != "delivered":
        click.get_current_context().exit(FAILED)


def one_run(api: ApiClient, query: str) -> str:
    """Return the key of the run, live or ended, that matches the query. Raises WrongUsage if several match."""
    found = api.get("why", has="runs", q=query)
    keys = [str(row["run"]) for row in found["runs"] or found["ended"][:1]]
    if not keys:
        raise CommandFailed(f"{query} has no run yet: it is a pull request that is being verified")
    if len(keys) > 1:
        raise WrongUsage(f"{query} matches several runs: {', '.join(keys[:12])}{', ...' if len(keys) > 12 else ''}")
    return keys[0]


def _steady(line: str) -> str:
    """Return a line without the parts that change while nothing happens: the remaining time of a build."""
    return _LEFT.sub("", line)


@click.command()
@click.argument("lock", required=False)
@limit(20)
@as_json
@calls_api
def lock_report(api: ApiClient, lock: str | None, limit: int, as_json: bool) -> None:
    """Print the report of a lock as Markdown, or list the last reports.

    LOCK is the key of a lock, such as pre-production/S1.5; it may still stand.
    """
    if lock is not None:
        found = api.get("lock-reports", *lock.split("/"), has="markdown")
        if as_json:
            print_json(found)
        else:
            shown = str(found["markdown"]).replace(GAP, "")  # Markdown needs it, a terminal does not
            click.echo("\n".join(clean(line) for line in shown.splitlines()))
        return
    listed = api.get("lock-reports", has="reports", limit=limit)
    if as_json:
        print_json(listed)
        return
    now = time.time()
    if not listed["reports"]:
        say("No lock has opened yet.")
    for row in listed["reports"]:
        say(f"{clock(row['opened'], now)}  {row['lock']}  {row['duration']['words']}: {row['cause']}")
        say(f"       {row['end']}; cost: {row['cost']['words']}")
