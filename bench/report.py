"""What was measured, as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Target:
    """A ratio or rate that ought to hold: `value` compared with `limit`."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Section:
    """One part of the run: a table, remarks on how it was measured, and targets."""

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
        """Print the table, the remarks and what became of the targets."""
        table = Table(title=self.title, title_justify="left", title_style="bold")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        for remark in self.remarks:
            console.print(f"  {remark}", style="dim", markup=False, highlight=False)
        for target in self.targets:
            sign, style = (">=", "green") if target.at_least else ("<=", "green")
            word = "met" if target.met else "MISSED"
            text = f"  target {word}: {target.name} {target.value:.2f} ({sign} {target.limit:g})"
            console.print(text, style=style if target.met else "bold red", markup=False, highlight=False)
        console.print()

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        found = asdict(self)
        found["targets"] = [{**asdict(target), "met": target.met} for target in self.targets]
        return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p50(values: Sequence[float]) -> float:
    """The median."""
    return median(values)


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    return quantile(values, 0.99)
