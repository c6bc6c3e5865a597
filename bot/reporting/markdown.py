"""Strangers' words in Markdown: they format nothing, link nowhere and call nobody. And texts cut to a limit."""

from __future__ import annotations

import re

#: Shown as nothing, but it parts what GitHub would make a mention, a reference or a link of.
GAP = "\u200b"

_ACTIVE = re.compile(r"([\\`*_{}\[\]()~|$])")
_CALLS = re.compile(r"@|#|://|\bwww\.|\bgh-(?=\d)", re.IGNORECASE)
#: A line of nothing else is harmless unless it calls somebody in words: nearly all lines are, and stay as they are.
_QUIET = re.compile(r"[^\\`*_{}\[\]()~|$@#&<>/]*")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_MORE = "…"
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


def shortened(text: str, most: int) -> str:
    """`text` on one line, cut to `most` characters, with an ellipsis where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + _MORE


def cut(markdown: str, most: int) -> str:
    """Markdown cut to `most` characters: after a whole line if there is one, and an open code block is closed."""
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
    """What closes the code block that is open at the end; empty if none is."""
    opened = ""
    for found in _FENCE.finditer(markdown):
        fence = found[1]
        if not opened:
            opened = fence
        elif fence[0] == opened[0] and len(fence) >= len(opened):
            opened = ""
    return opened
