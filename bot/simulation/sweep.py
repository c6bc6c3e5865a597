"""Draw a sweep, one key of a scenario with several values, as a self-contained SVG.

It shows the median lead time as a line, with its range over the seeds, and the lead time that nine in ten do not
exceed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bot.simulation.measures import Measure

#: The size of the picture and its margins, in its own units.
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 64, 64
#: The possible steps between the marks of the time axis, in seconds, and the most marks.
STEPS = (60, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
MARKS = 8
#: The style sheet, light and dark: contrast at least 4.5 to 1 for text, 3 to 1 for lines.
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .axis { stroke: #57606a } .grid { stroke: #d0d7de }
    .range { fill: #0969da; opacity: .18 }
    .p50 { stroke: #0969da; fill: none; stroke-width: 2.5 } .dot { fill: #0969da }
    .p90 { stroke: #953800; fill: none; stroke-width: 2; stroke-dasharray: 6 4 }
    .ground { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .axis { stroke: #8b949e } .grid { stroke: #30363d } .ground { fill: #0d1117 }
      .range, .dot { fill: #58a6ff } .p50 { stroke: #58a6ff } .p90 { stroke: #f0883e }
    }
"""


@dataclass(frozen=True, slots=True)
class SweptValue:
    """One value of the key, as it was written, with its measures."""

    value: str
    measures: Sequence[Measure]

    def find(self, group: str, name: str) -> Measure | None:
        """Return one of the measures, or None."""
        return next((each for each in self.measures if (each.group, each.name) == (group, name)), None)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A key of the scenario with the measures of each of its values; `title` says what was simulated."""

    key: str
    title: str
    seeds: int
    values: Sequence[SweptValue]


def svg(sweep: Sweep) -> str:
    """Return the picture."""
    return "\n".join(_Picture(sweep).lines()) + "\n"


class _Picture:
    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._p50 = [value.find("lead time", "p50") for value in sweep.values]
        self._p90 = [value.find("lead time", "p90") for value in sweep.values]
        highs = [each.high for each in self._p50 if each] + [each.middle for each in self._p90 if each]
        most = max((high for high in highs if high is not None), default=0.0) or 60.0
        self._step = next((step for step in STEPS if most / step <= MARKS), STEPS[-1])
        self._most = self._step * (int(most / self._step) + 1)

    def lines(self) -> Iterator[str]:
        title = escape(f"Lead time by {self._sweep.key}: {self._sweep.title}")
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' aria-labelledby="sweep-title sweep-desc">'
        )
        yield f'  <title id="sweep-title">{title}</title>'
        yield f'  <desc id="sweep-desc">{escape(self._description())}</desc>'
        yield f"  <style>{STYLE}  </style>"
        yield f'  <rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>'
        yield f'  <text class="title" x="{LEFT}" y="18">{escape(f"Lead time by {self._sweep.key}")}</text>'
        yield f'  <text x="{LEFT}" y="36">{escape(self._sweep.title)}</text>'
        yield from self._legend()
        yield from self._axes()
        yield from self._range()
        yield from self._line("p90", [each.middle if each else None for each in self._p90])
        yield from self._line("p50", [each.middle if each else None for each in self._p50])
        yield "</svg>"

    def _description(self) -> str:
        """Return the picture in words, for people who cannot see it."""
        sentences = []
        for value, p50, p90 in zip(self._sweep.values, self._p50, self._p90, strict=True):
            if p50 is None or p50.middle is None or p50.low is None or p50.high is None:
                sentences.append(f"{value.value}: nothing delivered")
                continue
            slow = "" if p90 is None or p90.middle is None else f", p90 {in_words(p90.middle)}"
            spread = f" ({in_words(p50.low)} to {in_words(p50.high)})" if self._sweep.seeds > 1 else ""
            sentences.append(f"{value.value}: p50 {in_words(p50.middle)}{spread}{slow}")
        return f"{self._sweep.key} = " + "; ".join(sentences) + "."

    def _legend(self) -> Iterator[str]:
        y = 56
        yield f'  <line class="p50" x1="{LEFT}" y1="{y - 4}" x2="{LEFT + 24}" y2="{y - 4}"/>'
        words = f"p50, range over {self._sweep.seeds} seeds" if self._sweep.seeds > 1 else "p50"
        yield f'  <text x="{LEFT + 32}" y="{y}">{words}</text>'
        x = LEFT + 250
        yield f'  <line class="p90" x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}"/>'
        yield f'  <text x="{x + 32}" y="{y}">p90</text>'

    def _axes(self) -> Iterator[str]:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for number in range(int(self._most / self._step) + 1):
            y = self._y(number * self._step)
            yield f'  <line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            yield f'  <text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{in_words(number * self._step)}</text>'
        yield f'  <line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>'
        yield f'  <line class="axis" x1="{LEFT}" y1="{TOP}" x2="{LEFT}" y2="{bottom}"/>'
        for index, value in enumerate(self._sweep.values):
            x = self._x(index)
            yield f'  <text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{escape(value.value)}</text>'
        middle = (LEFT + right) / 2
        yield f'  <text x="{middle:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{escape(self._sweep.key)}</text>'

    def _range(self) -> Iterator[str]:
        found = [
            (self._x(index), each.low, each.high)
            for index, each in enumerate(self._p50)
            if each is not None and each.low is not None and each.high is not None
        ]
        corners = [(x, high) for x, _, high in found] + [(x, low) for x, low, _ in reversed(found)]
        points = " ".join(f"{x:.1f},{self._y(seconds):.1f}" for x, seconds in corners)
        yield f'  <polygon class="range" points="{points}"/>'

    def _line(self, name: str, seconds: Sequence[float | None]) -> Iterator[str]:
        found = [(self._x(index), self._y(each)) for index, each in enumerate(seconds) if each is not None]
        yield f'  <polyline class="{name}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in found)}"/>'
        if name == "p50":
            yield from (f'  <circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in found)

    def _x(self, index: int) -> float:
        width = (WIDTH - LEFT - RIGHT) / len(self._sweep.values)
        return LEFT + width * (index + 0.5)

    def _y(self, seconds: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * seconds / self._most


def in_words(seconds: float) -> str:
    """Format a duration for an axis, a table or a sentence: `50 s`, `45 min`, `2.5 h`, `3 d`."""
    if 0 < seconds < 60:
        return f"{seconds:.0f} s"
    if 0 < seconds < 600:
        return f"{seconds / 60:.2g} min"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 86_400:.3g} d"
