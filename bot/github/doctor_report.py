"""One thing that was looked at, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """`verdict`: good, unsure or bad; what it is about, what was found, and how to mend it."""

    verdict: str
    what: str
    found: str
    mend: str = ""


def good(what: str, found: str) -> Report:
    """It is as it must be."""
    return Report("good", what, found)


def unsure(what: str, found: str, mend: str = "") -> Report:
    """It works, or may work, but somebody should look."""
    return Report("unsure", what, found, mend)


def bad(what: str, found: str, mend: str) -> Report:
    """It must be mended."""
    return Report("bad", what, found, mend)
