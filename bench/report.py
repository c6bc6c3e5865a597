"""Shows the results: as tables for people, as Markdown for the documentation, as JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

#: Below this scale a run is only a trial: each section shows that it works and measures nothing.
SMALL = 0.1


def rounds(count: int, scale: float) -> int:
    """Return the number of rounds: `count` at every scale that measures something, else one."""
    return count if scale >= SMALL else 1


@dataclass(frozen=True)
class Target:
    """A target for a ratio or rate: `value` compared with `limit`."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Return whether the target is met."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        word, sign = ("met" if self.met else "MISSED"), (">=" if self.at_least else "<=")
        return f"target {word}: {self.name} {self.value:.2f} ({sign} {self.limit:g})"


@dataclass
class Section:
    """One part of the run: a table, remarks on the measurement, and targets."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    #: The figures behind the rows.
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def show(self, console: Console) -> None:
        """Print the table, the remarks and the results of the targets."""
        table = Table(title=self.title, title_justify="left", title_style="bold")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for remark in self.remarks:
            console.print(f"  {remark}", style="dim", markup=False, highlight=False)
        for target in self.targets:
            style = "green" if target.met else "bold red"
            console.print(f"  {target}", style=style, markup=False, highlight=False)
        console.print()

    def markdown(self) -> str:
        """Return the table and the results of the targets; the documentation has its own remarks."""
        lines = [_row(self.columns), _row(["---"] + ["---:"] * (len(self.columns) - 1)), *map(_row, self.rows)]
        return "\n".join([*lines, *([""] if self.targets else []), *(f"- {target}" for target in self.targets)])

    def as_json(self) -> dict[str, Any]:
        """Return all parts for programs."""
        found = asdict(self)
        found["targets"] = [{**asdict(target), "met": target.met} for target in self.targets]
        return found


def places(text: str) -> set[str]:
    """Return the names of the tables that have a place in a Markdown text."""
    return set(re.findall(r"<!-- bench (\S+) -->", text))


def written_into(text: str, positions: dict[str, str]) -> str:
    """Replace the text between `<!-- bench NAME -->` and `<!-- end -->` in a Markdown text, for each name.

    Raise ValueError if a name has no place in the text, or more than one.
    """
    for name, content in positions.items():
        position = re.compile(rf"(<!-- bench {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = position.subn(lambda found, new=content: f"{found[1]}\n{new}\n\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"there are {count} places for {name} in the text, expected one")
    return text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


def p99(values: Sequence[float]) -> float:
    """Return the value that one in a hundred exceeds."""
    return quantile(values, 0.99)
