"""Mistakes of the configuration as data: the place, the problem, the expected value and a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

#: The most mistakes in a message. A longer list is of no use, and a hostile file could provoke one.
MOST_SHOWN = 100

#: A path inside the file: keys and list positions (from 0).
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A problem with one value, without its place: no full stops, no line breaks."""

    what: str
    expected: str | None = None
    #: The nearest valid name, if any is similar.
    meant: str | None = None

    def __str__(self) -> str:
        """Return one sentence: `what; expected ...; did you mean `x`?`."""
        text = self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.meant:
            text += f"; did you mean `{self.meant}`?"
        return text


@dataclass(frozen=True, slots=True)
class FileMistake:
    """A mistake in the pipeline file and its place: `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    path: Path
    mistake: Mistake

    @property
    def dotted(self) -> str:
        """Return the path as text: `pipelines.0.stages.1.capacity`; empty for the file as a whole."""
        return ".".join(str(step) for step in self.path)

    def __str__(self) -> str:
        """Return one line whose place editors and terminals can jump to."""
        at = f" (at {self.dotted})" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {self.mistake}{at}"


class ConfigurationError(Exception):
    """Raised when the pipeline file, or another file (`what`), cannot be used.

    `mistakes` holds its mistakes in the file's order.
    """

    def __init__(self, mistakes: Iterable[FileMistake], what: str = "configuration") -> None:
        """Keep the mistakes, sorted by place; a mistake repeated by several aliases is kept once."""
        self.what = what
        unique: dict[tuple[int, int, Mistake], FileMistake] = {}
        for mistake in mistakes:
            unique.setdefault((mistake.line, mistake.column, mistake.mistake), mistake)
        self.mistakes = tuple(sorted(unique.values(), key=lambda p: (p.line, p.column)))
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return a headline and one line per mistake."""
        count = len(self.mistakes)
        lines = [f"The {self.what} has {count} mistake{'s' if count != 1 else ''}:"]
        lines += [str(mistake) for mistake in self.mistakes[:MOST_SHOWN]]
        if count > MOST_SHOWN:
            lines.append(f"... and {count - MOST_SHOWN} more")
        return "\n".join(lines)


class SettingsError(Exception):
    """Raised when the environment cannot be used.

    `sentences` says why, one per variable, never with a secret's value.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        """Keep the sentences in order."""
        self.sentences = tuple(sentences)
        super().__init__("\n".join(self.sentences))


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name most similar to `name`, or None if none is similar."""
    by_folded = {v.casefold(): v for v in islice(valid, 500)}
    close = difflib.get_close_matches(name[:100].casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def one_of(names: Iterable[str]) -> str:
    """Return the names for a message: `one of `a`, `b``, or just `` `a` `` for a single name."""
    quoted = [f"`{name}`" for name in names]
    quoted = quoted if len(quoted) <= 20 else [*quoted[:20], "..."]
    if not quoted:
        return "nothing"
    return quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted)}"


def shown(value: object) -> str:
    """Return a value of the file in a short form on one line, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    printable = "".join(c if c.isprintable() else "�" for c in text)
    return f"`{printable if len(printable) <= 60 else printable[:57] + '...'}`"
