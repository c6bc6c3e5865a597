"""The keys of a freeze in the pipeline file, and the computation of its windows, in epoch seconds, by its time zone.

Where the clocks change, cron times are read as Debian's cron reads them, which `cronsim` follows: a skipped time counts
at the moment when the clocks go forward, and a repeated time counts the first time. Expressions with `*` as minute or
hour count whenever they match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field, WithJsonSchema

from bot.core.access import NEEDED, Action
from bot.core.model.freezes import Freeze, FreezeWindow
from config import values as v
from config.errors import Mistake, Path, nearest, one_of, shown
from config.values import FileSection

#: `2026-12-23T12:00`, with or without seconds
DATE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")
#: A window that lasts longer than this, in seconds, counts as never ending.
LONGEST = 366 * 86_400.0
#: The most beginnings that are joined into one window before it counts as never ending.
MOST_JOINED = 2_000
#: How many windows of a freeze the board gets, the one in force included, and the number left at which it gets new
#: ones.
PLANNED, LEAST_PLANNED = 8, 4


@dataclass(frozen=True, slots=True)
class FreezeTimes:
    """The beginnings of windows, and their ends or their length in seconds, as written in the file."""

    begins: str
    ends: str | None
    lasts: float | None
    time_zone: str

    @property
    def recurs(self) -> bool:
        """Return whether the windows recur, as opposed to a single date."""
        return not DATE.fullmatch(self.begins)


def cron_mistake(expression: str) -> str | None:
    """Return the mistake in a cron time, such as `bad hour`; None: no mistake. It has five fields, without seconds."""
    if len(expression.split()) != 5:
        return "it does not have five fields"
    try:
        CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return str(error).lower()
    return None


def moment(date: str, time_zone: str, *, last: bool = False) -> float | None:
    """Return a local time of a zone in epoch seconds; None if the clocks skip it.

    If it occurs twice, return the first time, or the `last`.
    """
    local = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(time_zone), fold=int(last))
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return local.timestamp() if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def windows(times: FreezeTimes, after: float) -> Iterator[FreezeWindow]:
    """Return the windows that end after a moment, in order, without overlap; windows that touch are joined."""
    found = _recurring_windows(times, after) if times.recurs else _single(times)
    return (window for window in found if window.ends > after)


def _single(times: FreezeTimes) -> Iterator[FreezeWindow]:
    begins = moment(times.begins, times.time_zone)
    if begins is None:
        return
    ends = begins + times.lasts if times.lasts is not None else moment(times.ends or "", times.time_zone, last=True)
    if ends is not None and begins < ends:
        yield FreezeWindow(begins, ends)


def _recurring_windows(times: FreezeTimes, after: float) -> Iterator[FreezeWindow]:
    at = _anchor(times, after)
    while (begins := _first(times.begins, times.time_zone, at)) is not None:
        ends = _end(times, begins)
        if ends is None:
            return
        joined = 0
        while (further := _joined_end(times, ends)) is not None:
            ends, joined = further, joined + 1
            if joined > MOST_JOINED or ends - begins > LONGEST:
                break
        yield FreezeWindow(begins, ends)
        at = ends


def _anchor(times: FreezeTimes, after: float) -> float:
    """Return a time from which to search, before the beginning of the window in force at `after`.

    Windows that begin earlier have ended by `after`. Without a window in force the time is arbitrary.
    """
    if times.lasts is not None:
        return after - max(3 * times.lasts, 2 * 86_400.0)
    local = datetime.fromtimestamp(after, ZoneInfo(times.time_zone))
    ended = next(CronSim(times.ends or "", local, reverse=True), None)
    # Searching backwards treats a change of the clocks differently from searching forwards. Two days earlier both
    # agree.
    return after if ended is None else (ended - timedelta(days=2)).timestamp()


def _first(expression: str, time_zone: str, at: float) -> float | None:
    """Return the first moment of a cron time from `at` on; None if it does not occur within 50 years."""
    local = datetime.fromtimestamp(at - 1, ZoneInfo(time_zone))
    # In an hour that the clocks show twice, the times of its first half occur again; those are skipped.
    found = (each.timestamp() for each in CronSim(expression, local))
    return next((each for each in found if each >= at), None)


def _end(times: FreezeTimes, begins: float) -> float | None:
    if times.lasts is not None:
        return begins + times.lasts
    return _first(times.ends or "", times.time_zone, begins + 1)


def _joined_end(times: FreezeTimes, ends: float) -> float | None:
    """Return the later end of a window that begins again before its end, or exactly then; None if it does not."""
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
    """A freeze of the file: the part that the rules use, and its times."""

    freeze: Freeze
    times: FreezeTimes

    def planned(self, now: float) -> Freeze:
        """Return the freeze with the window in force and the next ones, for the board."""
        return replace(self.freeze, windows=tuple(islice(windows(self.times, now), PLANNED)))


def is_current(known: tuple[Freeze, ...], planned: tuple[Freeze, ...], now: float) -> bool:
    """Return whether the plan that a board has is still good: the same freezes, and enough windows left."""
    return len(known) == len(planned) and all(_is_current(*each, now) for each in zip(known, planned, strict=True))


def _is_current(known: Freeze, planned: Freeze, now: float) -> bool:
    left = [_cut_at(window, now) for window in known.windows if window.ends > now]
    coming = [_cut_at(window, now) for window in planned.windows]
    same = replace(known, windows=()) == replace(planned, windows=()) and left == coming[: len(left)]
    return same and (len(left) >= LEAST_PLANNED or len(left) == len(coming))


def _cut_at(window: FreezeWindow, now: float) -> FreezeWindow:
    return replace(window, begins=max(window.begins, now))


_WORDS = "a cron time of minute, hour, day, month and weekday, as in `0 16 * * FRI`, or a date as in `2026-12-23T12:00`"
#: The number of windows that are examined to see whether a freeze ever ends, and the time at which this starts. It is a
#: fixed time, so that a valid file does not become invalid later.
_LOOKED_AT, _SINCE = 60, 1_704_067_200.0


def freeze_time(value: object) -> str:
    """Return a cron time, or a local date. YAML reads a date with seconds as a datetime."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.isoformat()
    written = v.text(value, _WORDS).strip()
    if DATE.fullmatch(written):
        try:
            return datetime.fromisoformat(written).isoformat()
        except ValueError:
            v.refuse(f"there is no date {shown(written)}", _WORDS)
    wrong = cron_mistake(written) if len(written) <= 255 else "it is too long"
    if wrong is not None:
        v.refuse(f"{shown(written)} is not a valid time: {wrong}", _WORDS)
    return re.sub(r"\s+", " ", written)


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def time_zone(value: object) -> str:
    """Return the name of a zone in the time zone database."""
    words = "a time zone such as `Europe/Berlin` or `UTC`"
    name = v.text(value, words)
    if name not in _zones():
        v.refuse(f"there is no time zone {shown(name)}", words, nearest(name, _zones()))
    return name


def _label(value: object) -> str:
    name = v.text(value, "the name of a label").strip()
    if not 0 < len(name) <= 50:
        v.refuse(f"{shown(name)} is not a label", "1 to 50 characters")
    return name


FreezeTime = Annotated[
    str,
    BeforeValidator(freeze_time),
    WithJsonSchema({"type": "string", "examples": ["0 16 * * FRI", "2026-12-23T12:00"]}),
]
TimeZone = Annotated[
    str, BeforeValidator(time_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]})
]
Label = Annotated[str, BeforeValidator(_label), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 50})]


class FreezeExceptionsEntry(FileSection):
    """The exceptions of a freeze."""

    labels: tuple[Label, ...] = ()
    """Runs that carry a pull request with one of these labels, in any case. Default: none."""
    services: tuple[v.ServiceName, ...] = ()
    """All runs of these services. Default: none."""
    let_through: v.Switch = False
    """Whether an operator may let single runs through. Default: nobody lets any through."""


class FreezeEntry(FileSection):
    """Times in which stages are closed."""

    name: v.Name
    """Name of the freeze, shown on the page and in the reason of its lock."""
    stages: Annotated[tuple[v.Name, ...], Field(min_length=1)]
    """The stages that it closes."""
    from_: Annotated[FreezeTime, Field(alias="from", title="From")]
    """The beginning of a window: a cron time (in quotes) for windows that recur, or a date."""
    until: FreezeTime | None = None
    """The end of a window, in the same form as `from`. Give either this or `for`."""
    for_: Annotated[v.Duration, v.between("1m", "366d")] | None = Field(default=None, alias="for", title="For")
    """How long a window lasts. Give either this or `until`."""
    time_zone: TimeZone = "UTC"
    """The time zone of the times. Default `UTC`."""
    except_: FreezeExceptionsEntry = Field(default=FreezeExceptionsEntry(), alias="except", title="Except")
    """The runs that it lets through. Default: none."""

    @property
    def times(self) -> FreezeTimes:
        """Return its times, for computing windows."""
        return FreezeTimes(self.from_, self.until, self.for_, self.time_zone)


def configured(entry: FreezeEntry) -> ConfiguredFreeze:
    """Return a freeze in the form that the rest of Interlock uses."""
    excepted = entry.except_
    freeze = Freeze(
        entry.name,
        entry.stages,
        time_zone=entry.time_zone,
        labels=excepted.labels,
        services=excepted.services,
        role=str(NEEDED[Action.LET_THROUGH]) if excepted.let_through else "",
    )
    return ConfiguredFreeze(freeze, entry.times)


# -- mistakes ----------------------------------------------------------------------------------------------------------


def found(pipelines: Iterable[tuple[FreezeEntry, ...]]) -> Iterator[tuple[Path, bool, Mistake]]:
    """Yield the mistakes in the times of all freezes, each with its path in the file; its place is the value."""
    for index, entries in enumerate(pipelines):
        for number, entry in enumerate(entries):
            for key, mistake in mistakes(entry):
                yield ("pipelines", index, "freezes", number, *key), False, mistake


def mistakes(entry: FreezeEntry) -> Iterator[tuple[Path, Mistake]]:
    """Yield the mistakes in the times of a freeze, each with the keys below it."""
    if (entry.until is None) == (entry.for_ is None):
        yield (), Mistake("a freeze has one end", "`until` or `for`")
        return
    times = entry.times
    if entry.until is not None and times.recurs is not FreezeTimes(entry.until, None, None, "").recurs:
        yield ("until",), Mistake("`from` and `until` differ in kind", "two cron times, or two dates")
    elif times.recurs:
        yield from _recurring(entry)
    else:
        yield from _dates(entry)


def _dates(entry: FreezeEntry) -> Iterator[tuple[Path, Mistake]]:
    moments = {}
    for key, date in (("from", entry.from_), ("until", entry.until)):
        moments[key] = moment(date, entry.time_zone, last=key == "until") if date is not None else None
        if date is not None and moments[key] is None:
            what = f"{shown(date)} does not exist in {entry.time_zone}: the clocks go forward there"
            yield (key,), Mistake(what, "a time before or after the change")
    begins, ends = moments["from"], moments["until"]
    if begins is not None and ends is not None and ends <= begins:
        yield ("until",), Mistake("the window ends before it begins", f"a time after {entry.from_}")


def _recurring(entry: FreezeEntry) -> Iterator[tuple[Path, Mistake]]:
    """Yield a mistake if the freeze never begins, or never leaves the stage open."""
    sample = list(islice(windows(entry.times, _SINCE), _LOOKED_AT))
    key = "until" if entry.until is not None else "for"
    if not sample:
        never = "from" if entry.for_ is not None or not _ever_begins(entry) else "until"
        yield (never,), Mistake("this time never comes", _WORDS)
    elif any(window.ends - window.begins > LONGEST for window in sample):
        what = "the freeze never ends: its windows follow each other without a break"
        yield (key,), Mistake(what, "a time at which the stage is open")


def _ever_begins(entry: FreezeEntry) -> bool:
    times = FreezeTimes(entry.from_, None, 60.0, entry.time_zone)
    return next(windows(times, _SINCE), None) is not None


def references(
    freezes: list[tuple[Path, dict[str, Any]]], stages: list[str], services: list[str]
) -> Iterator[tuple[Path, Mistake]]:
    """Yield the stages and services that freezes name and that the pipeline does not have."""
    for path, freeze in freezes:
        exceptions = freeze.get("except")
        named = exceptions.get("services") if isinstance(exceptions, dict) else None
        for at, kind, given, known in (
            ((*path, "stages"), "stage", freeze.get("stages"), stages),
            ((*path, "except", "services"), "service", named, services),
        ):
            for index, name in enumerate(given if isinstance(given, list) else ()):
                if isinstance(name, str) and name not in known:
                    what = f"there is no {kind} {shown(name)} in this pipeline"
                    yield (*at, index), Mistake(what, one_of(known), nearest(name, known))
