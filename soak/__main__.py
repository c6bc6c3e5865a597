"""`python -m soak`: an hour of steady work, or another duration; exits with 1 if something grows or goes wrong."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from soak.soak import A_DAY, Outcome, Soak
from soak.store import StoreUsage

#: The longest duration of each day of `--days`, in minutes.
A_DAY_TAKES = 10.0


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long to work.")
@click.option("--rate", default=2.0, show_default=True, help="Merges a second.")
@click.option("--days", type=int, help=f"Keep the past as by default, and show Redis after days of {A_DAY} merges.")
@click.option("--seed", default=1, show_default=True, help="Which merges fail.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the logs and samples in this folder.")
@click.option("--leak", default=0, help="Plant a leak of so many KiB a second in each worker: it must be found.")
def main(minutes: float, rate: float, days: int | None, seed: int, keep: Path | None, leak: int) -> None:
    """Real processes at steady work: web, workers, beat and Redis, with stand-ins for Jenkins and GitHub."""
    console = Console(width=max(140, Console().width))
    folder = keep or Path(tempfile.mkdtemp(prefix="interlock-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):  # with an earlier store, run numbers differ from merges, and none fails
        raise click.BadParameter(f"{folder} is not empty: name a new folder", param_hint="--keep")
    try:
        soak = Soak(folder, rate=rate, seed=seed, say=lambda text: console.print(text, highlight=False), leak=leak)
        outcome = soak.run(minutes * 60 if days is None else days * A_DAY_TAKES * 60, days)
        (folder / "soak.json").write_text(json.dumps(soak.samples(), indent=1), "utf-8")
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    show(console, outcome)
    if outcome.growing or any(outcome.faults.values()):
        sys.exit(1)


def show(console: Console, outcome: Outcome) -> None:
    """Print the tables."""
    merges = f"{outcome.merged:,} merges ({outcome.fixes} fixes), {outcome.days} days"
    others = ", ".join(f"{name} {n}" for name, n in sorted(outcome.done.items()))
    console.print(f"{merges}, in {outcome.seconds:.0f} s; {others}", highlight=False)
    if outcome.growths:
        console.print(_growths(outcome))
    console.print(usage_table("at the end", outcome.store))
    for name, found in outcome.faults.items():
        console.print(f"{name}: {len(found)}", style="bold red" if found else "green", highlight=False)
        for each in found[:20]:
            console.print(f"  {each}", markup=False, highlight=False)
    for each in outcome.growing or ["nothing grows"]:
        console.print(each, style="bold red" if outcome.growing else "green", highlight=False)


def _growths(outcome: Outcome) -> Table:
    title = "The second half" if outcome.full is None else f"From second {outcome.full:.0f} on: everything was full"
    table = Table(title=title, title_justify="left")
    for column in ("", "figure", "begin", "end", "slope an hour", "grew by", "may", ""):
        table.add_column(column, justify="left" if column in ("", "figure") else "right", no_wrap=True)
    for (where, what), each in outcome.growths.items():
        unit = 1 << 20 if what == "memory" else 1 << 10 if what.startswith("bytes") else 1
        cells = (each.begin, each.end, each.slope.middle * 3600, each.grown, each.tolerance)
        name = what + {1 << 20: " MiB", 1 << 10: " KiB"}.get(unit, "")
        table.add_row(where, name, *(f"{cell / unit:,.1f}" for cell in cells), "GROWS" if each.grows else "")
    return table


def usage_table(title: str, usage: StoreUsage) -> Table:
    """Return a table of the content of Redis by family, the largest first."""
    table = Table(title=f"Redis, {title}", title_justify="left")
    for column in ("keys", "number", "MiB"):
        table.add_column(column, justify="left" if column == "keys" else "right", no_wrap=True)
    for name in sorted(usage.keys, key=lambda each: -usage.bytes.get(each, 0)):
        table.add_row(name, f"{usage.keys[name]:,}", f"{usage.bytes.get(name, 0) / (1 << 20):,.2f}")
    table.add_row("in all, as Redis counts it", f"{sum(usage.keys.values()):,}", f"{usage.memory / (1 << 20):,.2f}")
    return table


if __name__ == "__main__":
    main()
