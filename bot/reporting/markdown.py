"""Strangers' words in Markdown: titles, tests, steps. They format nothing, link nowhere and call nobody."""

from __future__ import annotations

import re

#: Shown as nothing, but it parts what GitHub would make a mention, a reference or a link of.
GAP = "\u200b"

_ACTIVE = re.compile(r"([\\`*_{}\[\]()~|$])")
_CALLS = re.compile(r"@|#|://|\bwww\.|\bgh-(?=\d)", re.IGNORECASE)
#: A line of nothing else is harmless unless it calls somebody in words: nearly all lines are, and stay as they are.
_QUIET = re.compile(r"[^\\`*_{}\[\]()~|$@#&<>/]*")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """The text as it is read, on one line, whatever is in it."""
    line = _line(text)
    if _QUIET.fullmatch(line) and not _calls(line.lower()):
        return line
    parted = _CALLS.sub(
        lambda found: f"{found[0][0]}{GAP}{found[0][1:]}" if found[0] == "://" else f"{found[0]}{GAP}", line
    )
    return _ACTIVE.sub(r"\\\1", parted).translate(_HTML)


def _calls(line: str) -> bool:
    return "www." in line or "gh-" in line


def code(text: str) -> str:
    """The text as a code span that nothing in it can end."""
    inside = _line(text).replace("<!--", "<! --")
    fence = "`" * (max((len(run) for run in re.findall("`+", inside)), default=0) + 1)
    space = " " if inside.startswith("`") or inside.endswith("`") else ""
    return f"{fence}{space}{inside}{space}{fence}" if inside else ""


def _line(text: str) -> str:
    """On one line, without what cannot be seen: control characters, and marks that turn the direction of reading."""
    seen = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(seen.split())
