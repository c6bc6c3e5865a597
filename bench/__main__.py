"""`python -m bench`: everything side by side in one run, as tables with ratios."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from bench import asking, door, github, growth, memory, reaction

SECTIONS = {
    "door": door.measure,
    "reaction": reaction.measure,
    "growth": growth.measure,
    "memory": memory.measure,
    "requests": asking.measure,
    "github": github.measure,
}


@click.command()
@click.option("--only", type=click.Choice(list(SECTIONS)), multiple=True, help="Measure just this; may be repeated.")
@click.option("--scale", default=1.0, show_default=True, help="Shorter (or longer) rounds: 0.2 for a quick look.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all figures to this file as well.")
@click.option("--check", is_flag=True, help="Exit with 1 if a target is missed.")
def bench(only: tuple[str, ...], scale: float, file: Path | None, *, check: bool) -> None:
    """Measure Interlock beside bare versions of the same thing."""
    console = Console(width=max(124, Console().width))
    began, sections = time.monotonic(), []
    for name, measure in SECTIONS.items():
        if only and name not in only:
            continue
        start = time.monotonic()
        with console.status("") as status:
            section = measure(lambda text, status=status: status.update(text), scale)  # type: ignore[misc]
        section.seconds = time.monotonic() - start
        section.show(console)
        sections.append(section)
    seconds = time.monotonic() - began
    console.print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {seconds:.0f} seconds in all.")
    if file is not None:
        file.write_text(json.dumps([section.as_json() for section in sections], indent=1), "utf-8")
    missed = [target.name for section in sections for target in section.targets if not target.met]
    if check and missed:
        sys.exit(1)


if __name__ == "__main__":
    bench()
