"""The commands that find: where; what is in which stage, and what changed before a lock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import as_json, calls_api, clean, clock, duration, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from bot.cli.client import Answer, ApiClient


@click.command()
@click.argument("service", required=False)
@as_json
@calls_api
def where(api: ApiClient, service: str | None, as_json: bool) -> None:
    """Show what is where: per service and stage the commit that passed last.

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
    """All pages of the table as one."""
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
        name = f"{clean(stage['name'])}{' LOCKED' if stage['locked'] else ''}"
        table.add_column(Text(name, "bold red" if stage["locked"] else "bold"))
    for row in found["services"]:
        cells = [Text("\n".join(_cell(cell, found["at"])), "red" if cell["broken"] else "") for cell in row["stages"]]
        table.add_row(Text(clean(row["service"])), *cells)
    return table


def _cell(cell: dict[str, Any], now: float) -> Iterator[str]:
    """One service in one stage: what passed, what failed on top of it, how many newer runs there are."""
    passed = cell["passed"]
    yield f"{clean(passed['short'])} {duration(now - passed['since'], 1)}" if passed else "-"
    if cell["fast"]:
        yield f"fast {clean(cell['fast']['short'])} {duration(now - cell['fast']['since'], 1)}"
    if cell["broken"]:
        yield f"failed {clean(cell['broken']['short'])} {duration(now - cell['broken']['since'], 1)}"
    if cell["newer_count"]:
        yield f"+{cell['newer_count']} newer"


def lock_lines(lock: Answer, now: float) -> Iterator[str]:
    """What changed in a stage before its lock, a line for each change."""
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
        yield "  nothing that is known"
    if lock["count"] > len(lock["changes"]):
        yield f"  and {lock['count'] - len(lock['changes'])} older"
