"""`python -m mutants`: which share of the mutants of bot/core the tests notice, and which they do not."""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import click

from mutants import trial
from mutants.operators import Mutant, mutants_of

#: Written for people only: not what is decided.
TEXTS = ("sentences", "markdown", "buttons", "view", "explain", "telling", "lock_notices", "people_notices", "banners")
EQUIVALENT = Path(__file__).with_name("equivalent.txt")


def equivalent() -> dict[str, str]:
    """The mutants that change nothing that anybody can see, each with the reason: a line, and an indented one below."""
    found: dict[str, str] = {}
    name = ""
    for line in EQUIVALENT.read_text("utf-8").splitlines():
        if line.startswith("    "):
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            name = line
    return found


def every(modules: tuple[str, ...] = ()) -> list[Mutant]:
    """All mutants of these modules (none named: of all that decide), but for those that are equivalent."""
    names = sorted(path.stem for path in trial.CORE.glob("*.py") if path.stem not in TEXTS)
    if unknown := set(modules) - set(names):
        raise click.BadParameter(f"no such module: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    known = equivalent()
    found = [
        mutant
        for name in modules or names
        for mutant in mutants_of(name, (trial.CORE / f"{name}.py").read_text("utf-8"))
    ]
    return [mutant for mutant in found if mutant.name not in known]


@click.command()
@click.option("--sample", type=int, help="Try so many, chosen by --seed; without it all.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which sample.")
@click.option("--module", "modules", multiple=True, help="Only mutants of this module of bot/core; may be repeated.")
@click.option("--at-least", type=float, default=0.0, help="Exit with 1 if a smaller share (0 to 1) is noticed.")
@click.option("--seconds", type=float, help="Begin no further mutant after so long.")
@click.option("--search/--no-search", default=True, help="Whether to search for broken invariants as well.")
def mutants(
    sample: int | None, seed: int, modules: tuple[str, ...], at_least: float, seconds: float | None, *, search: bool
) -> None:
    """Change bot/core a little, again and again, and see whether a test notices."""
    os.chdir(trial.ROOT)
    os.environ["HYPOTHESIS_PROFILE"], os.environ["MACHINE_STEPS"] = "fast", "400"
    began = time.monotonic()
    chosen = every(modules)
    in_all = len(chosen)
    if sample is not None and sample < in_all:
        chosen = random.Random(seed).sample(chosen, sample)
    click.echo(f"{len(chosen)} of {in_all} mutants, seed {seed}; first the tests without any")
    results = trial.trials(chosen, search=search)
    next(results)
    tried, survivors = 0, []
    for mutant in chosen:
        if seconds is not None and time.monotonic() - began > seconds:
            break
        tried += 1
        if not next(results):
            survivors.append(mutant)
            click.echo(f"survives  bot/core/{mutant.module}.py:{mutant.line}  {mutant.name}")
    results.close()
    share = 1 - len(survivors) / tried if tried else 1.0
    click.echo(f"{share:.1%} noticed: {tried - len(survivors)} of {tried}, in {time.monotonic() - began:.0f} seconds")
    if share < at_least:
        click.echo(f"less than {at_least:.0%}: write tests, or say in {EQUIVALENT.name} why none is needed")
        sys.exit(1)


if __name__ == "__main__":
    mutants()
