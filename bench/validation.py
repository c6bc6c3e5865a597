"""`python -m bench.validation`: measures the error of what-if on several lives of the town, for docs/what-if.md.

Each life is some days of `demo/past.py` with merges drawn from a seed. What-if plays the configuration that was in
force, with drawn durations: the difference is the error of the method.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from statistics import median

import click

from bot.cli.what_if import number
from bot.simulation.comparison import ComparedFigure, compare, recorded_setting
from bot.simulation.recorded_load import read_load
from bot.store.recording_line import load_line
from demo.past import lines, weeks

#: The figures of one life, by name and unit: `s` or none.
Figures = Mapping[tuple[str, str], ComparedFigure]


def validate(seed: int, days: int, draws: int) -> Figures:
    """Return the figures of one life: as recorded, and played under the same configuration."""
    _, entries = weeks(days, seed)
    load = read_load(item for item in map(load_line, lines(entries)) if item is not None)
    found = compare(load, recorded_setting(load), draws=draws)
    return {(each.name, each.unit): each for each in found.figures}


def table(lives: list[Figures]) -> Iterator[str]:
    """Yield a row for each figure that every life has: the recorded value, and the range of the errors."""
    yield f"| figure | recorded, the middle of {len(lives)} | error: the middle one | from, to |"
    yield "|---|---:|---:|---:|"
    rows: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for figures in lives:
        for figure, each in figures.items():
            if each.recorded and each.error is not None:
                rows[figure].append((each.recorded, each.error))
    for (name, unit), found in rows.items():
        if len(found) == len(lives):
            recorded, errors = median(was for was, _ in found), sorted(error for _, error in found)
            ends = f"{errors[0]:+.1%}, {errors[-1]:+.1%}"
            yield f"| {name} | {number(recorded, unit)} | {median(errors):+.1%} | {ends} |"


@click.command()
@click.option("--seeds", default=10, show_default=True, help="How many lives: seeds 1, 2 and so on.")
@click.option("--days", default=5, show_default=True, help="How long a life is.")
@click.option("--repeat", default=3, show_default=True, help="How many draws.")
def validation(seeds: int, days: int, repeat: int) -> None:
    """Say how far what-if is off under the configuration that was in force."""
    say: Callable[[str], object] = sys.stdout.write
    with click.progressbar(range(1, seeds + 1), label="playing", file=sys.stderr) as numbers:
        lives = [validate(seed, days, repeat) for seed in numbers]
    for row in table(lives):
        say(f"{row}\n")


if __name__ == "__main__":
    validation()
