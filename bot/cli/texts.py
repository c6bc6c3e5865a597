"""Words for the terminal: foreign text made harmless, times and durations as people say them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
#: What one name or sentence from outside may take of the terminal.
LONGEST = 2_000
_DURATION = re.compile(r"[1-9][0-9]{0,8}[smhd]")


def clean(text: object) -> str:
    """Foreign text on one line, without control, direction or other invisible characters. Never rich markup."""
    plain = str(text)
    cut = plain if len(plain) <= LONGEST else plain[:LONGEST] + "…"
    return "".join(c if c.isprintable() else "�" for c in cut)


def lasting(seconds: float, units: int = 2) -> str:
    """A duration in its largest units, no seconds beside minutes: `40 s`, `12 min`, `2 h 10 min`, `3 d`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if parts and (len(parts) >= units or unit == "min" or not left):
            break
    return " ".join(parts) or "0 s"


def moment(at: float) -> str:
    """A time of the epoch on the clock of this terminal: `2026-11-23 14:05:12`."""
    return _local(at).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: float, now: float) -> str:
    """The same, as short as `now` allows: `14:05` within the day, else with the date."""
    here, today = _local(at), _local(now)
    return here.strftime("%H:%M" if here.date() == today.date() else "%Y-%m-%d %H:%M")


def _local(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, tz=UTC).astimezone()
    except (OverflowError, OSError, ValueError):  # no clock shows it
        return datetime.fromtimestamp(0, tz=UTC)


def count(number: int, noun: str) -> str:
    """`1 run`, `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def until(value: str) -> str:
    """`2h`, or a time of ISO 8601 with its zone (this terminal's if it has none), as the server takes it.

    Raises ValueError for anything else.
    """
    if _DURATION.fullmatch(value):
        return value
    found = datetime.fromisoformat(value)
    return (found if found.tzinfo else found.astimezone()).isoformat()
