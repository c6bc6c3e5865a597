"""When a lock ends, as people type it in the API, the command line, a comment or a form: `16:00`, `2h`, ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

#: Seconds: a lock that ends in more than a year ends when somebody opens it.
LONGEST = 366 * 86_400.0

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?", re.IGNORECASE)


def read_end_time(text: str, now: float, zone: tzinfo = UTC) -> float | None:
    """The moment that `text` names, in seconds since the epoch; None if it names none, or none within a year of `now`.

    A duration (`90m`, `2h`, `3d`) counts from `now`; a time of day (`16:00`, `16:00+01:00`) is the next one; a date may
    have a time (`2026-12-01T18:00`). Where no zone is given, `zone` counts.
    """
    try:
        moment = _read(text.strip(), now, zone)
    except (ValueError, OverflowError):  # no date of the calendar, or one that cannot be told in seconds
        return None
    return moment if now < moment <= now + LONGEST else None


def is_duration(text: str) -> bool:
    """Whether it says how long, and not when: then it is the same in every time zone."""
    return _DURATION.fullmatch(text.strip()) is not None


def is_time_of_day(text: str) -> bool:
    """Whether it is a time without a date, such as `16:00` or `16:00+01:00`."""
    return _CLOCK.fullmatch(text.strip()) is not None


def _read(text: str, now: float, zone: tzinfo) -> float:
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return now + int(duration[1]) * _SECONDS[duration[2]]
    if _CLOCK.fullmatch(text):
        return _next(text, now, zone)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp()


def _next(text: str, now: float, zone: tzinfo) -> float:
    """The next time that a clock in the zone shows `text`."""
    clock = time.fromisoformat(f"0{text}" if text[1] == ":" else text)
    where = clock.tzinfo or zone
    today = datetime.fromtimestamp(now, where).date()
    moment = datetime.combine(today, clock.replace(tzinfo=where))
    return (moment if moment.timestamp() > now else moment + timedelta(days=1)).timestamp()
