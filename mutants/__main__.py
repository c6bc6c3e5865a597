"""`python -m mutants`: reports the share of the mutants of bot/core that the tests notice, and lists the others."""

from __future__ import annotations

import difflib
import os
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click

from mutants import trial
from mutants.operators import Mutant, mutants_of

EQUIVALENT = Path(__file__).with_name("equivalent.txt")


def equivalent() -> dict[str, str]:
    """Read the mutants without any visible effect, each with its reason: a line, and an indented one below."""
    found: dict[str, str] = {}
    name = ""
    for line in EQUIVALENT.read_text("utf-8").splitlines():
        if line.startswith("    "):
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            name = line
            found.setdefault(name, "")
    return found


def mutants_in(modules: Iterable[str]) -> list[Mutant]:
    """Return all mutants of these modules."""
    return [mutant for name in modules for mutant in mutants_of(name, trial.path_of(name).read_text("utf-8"))]


def stale(known: Iterable[str]) -> list[str]:
    """Return the listed names without a mutant, because the code has changed, each with the most similar name."""
    names = [mutant.name for mutant in mutants_in(trial.modules())]
    told = []
    for name in sorted(set(known) - set(names)):
        near = difflib.get_close_matches(name, names, n=1)
        told.append(f"stale     {name}" + (f"\n  most like {near[0]}" if near else ""))
    return told


def chosen_modules(wanted: Iterable[str]) -> list[str]:
    """Return the modules of these names: `rules.builds`, or `builds` if that is unique; none: all that decide."""
    there = trial.modules()
    found = []
    for name in wanted:
        fitting = [module for module in there if module == name] or [
            module for module in there if module.endswith(f".{name}")
        ]
        if len(fitting) != 1:
            which = f"several are called {name}" if fitting else f"no module is called {name}"
            raise click.BadParameter(f"{which}: there are {', '.join(fitting or there)}")
        found += fitting
    return found or there


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
    known = equivalent()
    gone = stale(known)
    for line in gone:
        click.echo(line)
    every = mutants_in(chosen_modules(modules))
    chosen = [mutant for mutant in every if mutant.name not in known]
    in_all = len(chosen)
    if sample is not None and sample < in_all:
        chosen = random.Random(seed).sample(chosen, sample)
    click.echo(
        f"{len(chosen)} of {in_all} mutants ({len(every) - in_all} more are equivalent), seed {seed}; "
        "first the tests without any"
    )
    results = trial.trials(chosen, search=search)
    next(results)
    tried, survivors = 0, []
    for mutant in chosen:
        if seconds is not None and time.monotonic() - began > seconds:
            break
        tried += 1
        if not next(results):
            survivors.append(mutant)
            where = trial.path_of(mutant.module).relative_to(trial.ROOT)
            click.echo(f"survives  {where}:{mutant.line}  {mutant.name}")
    results.close()
    share = 1 - len(survivors) / tried if tried else 1.0
    took = time.monotonic() - began
    if tried:
        click.echo(f"{share:.1%} noticed: {tried - len(survivors)} of {tried}, in {took:.0f} seconds")
    else:
        click.echo(f"no mutant was tried: the tests without any took {took:.0f} seconds, all the time there was")
    if share < at_least:
        click.echo(f"less than {at_least:.0%}: write tests, or say in {EQUIVALENT.name} why none is needed")
    if gone:
        click.echo(
            f"{len(gone)} names in {EQUIVALENT.name} fit no mutant any more: judge anew, then mend or delete them"
        )
    if share < at_least or gone:
        sys.exit(1)


if __name__ == "__main__":
    mutants()
