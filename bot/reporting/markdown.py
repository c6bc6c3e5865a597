"""Escapes text of unknown origin for Markdown, so that it formats, links and mentions nothing; and shortens texts."""

from __future__ import annotations

import re

#: An invisible character that breaks a mention, a reference or a link, so that GitHub does not make one.
GAP = "\u200b"

_ACTIVE = re.compile(r"([\\`*_{}\[\]()~|$])")
_CALLS = re.compile(r"@|#|://|\bwww\.|\bgh-(?=\d)", re.IGNORECASE)
#: A line with these characters only is harmless unless it contains a reference in words (see `_calls`). Nearly all
#: lines match and stay as they are.
_QUIET = re.compile(r"[^\\`*_{}\[\]()~|$@#&<>/]*")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_MORE = "…"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str) -> str:
    """Return the text on one line, escaped so that Markdown shows it as it is."""
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
    """Return the text as a code span that its content cannot end."""
    inside = _line(text).replace("<!--", "<! --")
    fence = "`" * (max((len(run) for run in re.findall("`+", inside)), default=0) + 1)
    space = " " if inside.startswith("`") or inside.endswith("`") else ""
    return f"{fence}{space}{inside}{space}{fence}" if inside else ""


def _line(text: str) -> str:
    """Return the text on one line, without invisible characters such as control characters and direction marks."""
    seen = text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
    return " ".join(seen.split())


def shortened(text: str, most: int) -> str:
    """Return `text` on one line, cut to `most` characters, with an ellipsis if it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + _MORE


def cut(markdown: str, most: int) -> str:
    """Return Markdown cut to `most` characters, after a whole line if possible, with an open code block closed."""
    if len(markdown) <= most:
        return markdown
    room = most - len(_MORE) - 1
    kept = markdown[:room]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    fence = _open_fence(kept)
    while fence and len(kept) + len(fence) + 1 > room and "\n" in kept:
        kept = kept[: kept.rfind("\n")]
        fence = _open_fence(kept)
    return f"{kept}\n{fence}\n{_MORE}"[:most] if fence else f"{kept}\n{_MORE}"


def _open_fence(markdown: str) -> str:
    """Return the fence that closes the code block open at the end; empty if none is open."""
    opened = ""
    for found in _FENCE.finditer(markdown):
        fence = found[1]
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened):
            opened = ""
    return opened
