"""`python -m bench`: everything side by side in one run, as tables with ratios."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from bench import asking, backlog, decide, door, estimates, github, growth, memory, pages, reaction, replay, scale
from bench.report import Section, places, written_into

SECTIONS: dict[str, Callable[..., Section]] = {
    "door": door.measure,
    "reaction": reaction.measure,
    "backlog": backlog.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "pages": pages.measure,
    "decide": decide.measure,
    "replay": replay.measure,
    "requests": asking.measure,
    "github": github.measure,
    "estimates": estimates.measure,
}
#: Measured only by name, alone or as `scale`: they take minutes, and their tables are in docs/scale.md.
SCALE = {"board-size": scale.board_size, "workers": scale.workers, "open-pages": scale.open_pages}
#: The name of the place for the description of the machine in a text.
MACHINE = "machine"


@click.command()
@click.option(
    "--only", type=click.Choice([*SECTIONS, "scale", *SCALE]), multiple=True, help="Measure just this; may be repeated."
)
@click.option(
    "--scale", "share", default=1.0, show_default=True, help="Shorter (or longer) rounds: 0.2 for a quick look."
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all figures to this file as well.")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="Put the tables into this Markdown file.")
@click.option("--against", type=click.Path(exists=True, path_type=Path), help="Another checkout, for decide.")
@click.option("--check", is_flag=True, help="Exit with 1 if a target is missed.")
def bench(
    only: tuple[str, ...], share: float, file: Path | None, into: Path | None, against: Path | None, *, check: bool
) -> None:
    """Measure Interlock beside bare versions of the same thing."""
    console = Console(width=max(140, Console().width))
    began, sections = time.monotonic(), []
    for name, measure in _chosen(only).items():
        if name == "decide":
            measure = partial(decide.measure, against=against)
        start = time.monotonic()
        with console.status("") as status:
            section = measure(lambda text, status=status: status.update(text), share)
        section.seconds = time.monotonic() - start
        section.show(console)
        sections.append(section)
    machine = _machine(time.monotonic() - began)
    console.print(machine, highlight=False)
    if file is not None:
        file.write_text(json.dumps([section.as_json() for section in sections], indent=1), "utf-8")
    if into is not None:
        _write(into, sections, machine)
    missed = [target.name for section in sections for target in section.targets if not target.met]
    if check and missed:
        sys.exit(1)


def _chosen(only: tuple[str, ...]) -> dict[str, Callable[..., Section]]:
    """Return the sections with these names; none named: all but those of docs/scale.md."""
    if not only:
        return SECTIONS
    wanted = {*only, *(SCALE if "scale" in only else ())}
    return {name: measure for name, measure in {**SECTIONS, **SCALE}.items() if name in wanted}


def _machine(seconds: float) -> str:
    """Describe the machine and its load."""
    load = f", load average {os.getloadavg()[2]:.1f} over 15 minutes" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}{load}; {seconds:.0f} seconds in all."


def _write(into: Path, sections: list[Section], machine: str) -> None:
    """Replace the tables of the file, and the description of the machine if all tables were measured."""
    text = into.read_text("utf-8")
    tables = {section.name: section.markdown() for section in sections}
    if places(text) == {*tables, MACHINE}:
        tables[MACHINE] = machine
    into.write_text(written_into(text, tables), "utf-8")


if __name__ == "__main__":
    bench()
