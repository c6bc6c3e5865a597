"""`python -m chaos`: plays seeds, prints the results, and keeps the files to play a failing one again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from chaos.plan import KINDS, Plan, draw
from chaos.play import KEPT_AS, Played, play
from chaos.report import into_page, summary, table
from chaos.world import ROOT, SERVICES


@click.command()
@click.option("--seed", default=1, show_default=True, help="The first seed.")
@click.option("--seeds", default=1, show_default=True, help="How many seeds, one after the other.")
@click.option("--faults", "file", type=click.Path(exists=True, path_type=Path), help="Play this saved plan instead.")
@click.option("--seconds", default=20.0, show_default=True, help="How long merges and faults come.")
@click.option("--merges", default=30, show_default=True, help="How many merges come.")
@click.option("--store", type=click.Choice(["one", "replicated"]), help="Instead of what the seed draws.")
@click.option("--only", "kinds", multiple=True, help="Only faults whose name contains this; may be repeated.")
@click.option("--beside", help="A git revision: its processes run beside these, and take each other's place.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the folders of all plays here.")
@click.option("--into", type=click.Path(exists=True, path_type=Path), help="Put the table into this Markdown file.")
@click.option(
    "--kept", type=click.Path(exists=True, path_type=Path), help="Only the table of the plays that are kept here."
)
@click.option("--kinds", "list_kinds", is_flag=True, help="List the kinds of faults, and play nothing.")
def chaos(
    seed: int,
    seeds: int,
    file: Path | None,
    seconds: float,
    merges: int,
    store: str | None,
    kinds: tuple[str, ...],
    beside: str | None,
    keep: Path | None,
    into: Path | None,
    kept: Path | None,
    *,
    list_kinds: bool,
) -> None:
    """Play real processes under faults, and hold what came of it against what Interlock promises."""
    if list_kinds:
        print("\n".join(KINDS))
        return
    if kept is not None:
        _show([Played.read(each) for each in sorted(kept.glob(f"*/{KEPT_AS}"))], into)
        return
    if file is not None:
        plans = [Plan.read(file)]
    else:
        sizes = {"seconds": seconds, "merges": merges, "store": store, "kinds": kinds, "releases": beside is not None}
        plans = [draw(number, list(SERVICES), **sizes) for number in range(seed, seed + seeds)]  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="interlock-chaos-") as temporary:
        root = keep or Path(temporary)
        other = _checkout(beside, root / "beside") if beside else None
        played = [_played(plan, root / f"seed-{plan.seed}", other) for plan in plans]
        _show(played, into)
    if any(each.violations for each in played):
        sys.exit(1)


def _show(played: list[Played], into: Path | None) -> None:
    print(table(played))
    if into is not None:
        into.write_text(into_page(into.read_text("utf-8"), played), "utf-8")


def _played(plan: Plan, folder: Path, beside: Path | None) -> Played:
    """Play one plan; keep its folder if it failed, to look at it and play it again."""
    found = play(plan, folder, beside, print)
    print(summary(found))
    if found.violations:
        kept = Path(tempfile.mkdtemp(prefix=f"interlock-chaos-seed-{plan.seed}-"))
        shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("releases"))
        print(f'kept in {kept}; again: make chaos ARGS="--faults {kept}/plan.json"')
    return found


def _checkout(revision: str, folder: Path) -> Path:
    """Write the files of a revision into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True, timeout=60)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True, timeout=60)
    return folder


if __name__ == "__main__":
    chaos()
