"""When freezes are in force: cron times and dates by the clocks of a time zone, as concrete windows in epoch seconds.

Where the clocks change, cron times mean what Debian's cron makes of them, as `cronsim` does: a time that is left out
counts at the moment when the clocks go forward, one that comes twice counts the first time. Expressions with `*` as
minute or hour count whenever they match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bot.core.model.freezes import Freeze, FreezeWindow

#: `2026-12-23T12:00`, with or without seconds
DATE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")
#: A window that lasts longer, in seconds, counts as one that never ends.
LONGEST = 366 * 86_400.0
#: How many times that begin within one window are put together before it counts as one that never ends.
MOST_JOINED = 2_000
#: How many windows of a freeze the board knows, the one in force included, and with how few left it gets new ones.
PLANNED, LEAST_PLANNED = 8, 4


@dataclass(frozen=True, slots=True)
class FreezeTimes:
    """When windows begin, and when they end or how long they last (in seconds), as the file has it."""

    begins: str
    ends: str | None
    lasts: float | None
    time_zone: str

    @property
    def recurs(self) -> bool:
        """Whether it comes again and again, and is no single date."""
        return not DATE.fullmatch(self.begins)


def cron_mistake(expression: str) -> str | None:
    """What is wrong with a cron time: `bad hour`; None: nothing. It has five fields, without seconds."""
    if len(expression.split()) != 5:
        return "it has no five fields"
    try:
        CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return str(error).lower()
    return None


def moment(date: str, time_zone: str, *, last: bool = False) -> float | None:
    """A date by the clocks of a zone in epoch seconds; None: they leave it out. Of two the first, or the `last`."""
    local = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(time_zone), fold=int(last))
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return local.timestamp() if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def windows(times: FreezeTimes, after: float) -> Iterator[FreezeWindow]:
    """The windows that end after a moment, in order; they do not overlap, and those that touch are one."""
    found = _recurring(times, after) if times.recurs else _single(times)
    return (window for window in found if window.ends > after)


def _single(times: FreezeTimes) -> Iterator[FreezeWindow]:
    begins = moment(times.begins, times.time_zone)
    if begins is None:
        return
    ends = begins + times.lasts if times.lasts is not None else moment(times.ends or "", times.time_zone, last=True)
    if ends is not None and begins < ends:
        yield FreezeWindow(begins, ends)


def _recurring(times: FreezeTimes, after: float) -> Iterator[FreezeWindow]:
    at = _anchor(times, after)
    while (begins := _first(times.begins, times.time_zone, at)) is not None:
        ends = _end(times, begins)
        if ends is None:
            return
        joined = 0
        while (further := _joins(times, ends)) is not None:
            ends, joined = further, joined + 1
            if joined > MOST_JOINED or ends - begins > LONGEST:
                break
        yield FreezeWindow(begins, ends)
        at = ends


def _anchor(times: FreezeTimes, after: float) -> float:
    """A moment before the window that is in force at `after` begins, if one is: what was before it is over by then."""
    if times.lasts is not None:
        return after - max(3 * times.lasts, 2 * 86_400.0)
    local = datetime.fromtimestamp(after, ZoneInfo(times.time_zone))
    ended = next(CronSim(times.ends or "", local, reverse=True), None)
    # Backwards the change of the clocks is looked at otherwise than forwards: two days before both say the same.
    return after if ended is None else (ended - timedelta(days=2)).timestamp()


def _first(expression: str, time_zone: str, at: float) -> float | None:
    """The first moment of a cron time from `at` on; None: it does not come within 50 years."""
    local = datetime.fromtimestamp(at - 1, ZoneInfo(time_zone))
    # In an hour that the clocks show twice the times of its first half come again: those are over.
    found = (each.timestamp() for each in CronSim(expression, local))
    return next((each for each in found if each >= at), None)


def _end(times: FreezeTimes, begins: float) -> float | None:
    if times.lasts is not None:
        return begins + times.lasts
    return _first(times.ends or "", times.time_zone, begins + 1)


def _joins(times: FreezeTimes, ends: float) -> float | None:
    """The later end of a window that begins again before it ends, or just then; None: it does not."""
    if times.lasts is None:
        following = _first(times.begins, times.time_zone, ends)
        return _end(times, ends) if following == ends else None
    before = datetime.fromtimestamp(ends + 1, ZoneInfo(times.time_zone))
    found = next(CronSim(times.begins, before, reverse=True), None)
    begins = None if found is None else found.timestamp()
    return begins + times.lasts if begins is not None and ends - times.lasts < begins <= ends else None


# -- the freezes of a pipeline -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfiguredFreeze:
    """One freeze of the file: what the rules know of it, and its times."""

    freeze: Freeze
    times: FreezeTimes

    def planned(self, now: float) -> Freeze:
        """The freeze with the window in force and the next ones, for the board."""
        return replace(self.freeze, windows=tuple(islice(windows(self.times, now), PLANNED)))


def is_current(known: tuple[Freeze, ...], planned: tuple[Freeze, ...], now: float) -> bool:
    """Whether a board that knows `known` needs no new plan: the same freezes, and enough of their windows left."""
    return len(known) == len(planned) and all(_is_current(*each, now) for each in zip(known, planned, strict=True))


def _is_current(known: Freeze, planned: Freeze, now: float) -> bool:
    left = [_from(window, now) for window in known.windows if window.ends > now]
    coming = [_from(window, now) for window in planned.windows]
    same = replace(known, windows=()) == replace(planned, windows=()) and left == coming[: len(left)]
    return same and (len(left) >= LEAST_PLANNED or len(left) == len(coming))


def _from(window: FreezeWindow, now: float) -> FreezeWindow:
    return replace(window, begins=max(window.begins, now))
