"""The past board at a moment of the recording: as a page to move through the last day, and through the API."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, render_template, request

from bot.reporting.view import view
from bot.runtime import PipelineContext, Runtime
from bot.store.past_boards import NotRecorded, PastBoard, PastBoards, ReplayBusy, ReplayTooLong
from bot.store.recording_line import UnreadableRecording
from bot.web import shapes
from bot.web.api_operation import Parameter, operation
from bot.web.api_reading import reading
from bot.web.board_shapes import PastBoardShape
from bot.web.drawing import Links, draw
from bot.web.finding_pages import head
from bot.web.page import ENDED, FACTS, page
from bot.web.past_facts import FactTimes, LockFact, LockFacts, around, spans
from bot.web.problems import Problem
from bot.web.shapes import Shape
from bot.web.shared import context_of, runtime

#: The slider's range and the long step, in milliseconds; and the number of positions: one a minute.
REACH, HOUR, POSITIONS = 86_400_000, 3_600_000, 1_440
#: How long the beginning of the recording is cached, in seconds, because finding it may read the whole recording.
BELIEVED = 60.0
#: The width of the marks, in the units of their viewBox; the number of locks listed; and of facts above the board.
WIDTH, LISTED, LATEST = 1_000, 20, 3
_PASTS = "interlock-pasts"
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
_AT = Parameter(
    "at",
    "The moment: seconds since the epoch, or a time of ISO 8601 (UTC, if it names no zone). Left out: now.",
    {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": f"^{_SECONDS.pattern}$"}],
        "examples": ["2026-12-01T18:00:05Z", "1796148005.25"],
    },
)


@dataclass
class _Past:
    """The cached past of one pipeline in this process."""

    boards: PastBoards
    marks: LockFacts
    _first: int | None = None
    _until: float = 0.0

    def first(self) -> int | None:
        """Return the earliest moment whose board is recorded; None: nothing is recorded."""
        if self._first is None or time.monotonic() > self._until:
            self._first, self._until = self.boards.first(), time.monotonic() + BELIEVED
        return self._first


class Pasts:
    """The pasts of all pipelines that were viewed. Safe to share between threads."""

    def __init__(self) -> None:
        self._pasts: dict[str, _Past] = {}
        self._lock = threading.Lock()

    def of(self, context: PipelineContext) -> _Past:
        """Return the past of one pipeline."""
        with self._lock:
            found = self._pasts.get(context.pipeline.name)
            if found is None:
                redis, keys = context.redis, context.keys
                found = _Past(PastBoards(redis, keys), LockFacts(context.records))
                self._pasts[context.pipeline.name] = found
            return found


# -- the page ----------------------------------------------------------------------------------------------------------


@page.get("/p/<pipeline>/past")
def show_past(pipeline: str) -> str:
    """Show the board at a moment, with links to the decisions before and after it, and a slider over the last day."""
    context = context_of(pipeline)
    past, now = _past(context), _now()
    moment = min(_asked(), now)
    near, facts = around(context.records, moment), context.records.facts(f"{moment + 1}-0", FACTS).facts
    controls = _controls(context, past, moment, now, near)
    latest = [row for row in facts[:LATEST] if near.present and row[0].startswith(f"{near.present}-")]
    shown: Shape = {**head(context, "past"), **controls, "latest": [shapes.fact(*row) for row in latest], "past": True}
    try:
        found = past.boards.at(moment)
    except (NotRecorded, ReplayTooLong, UnreadableRecording) as error:
        return render_template("past.html", **shown, missing=_sentence(error, moment, past.first()))
    except ReplayBusy:
        raise _busy() from None
    picture = {**_picture(runtime(), context, found, moment), "facts": [shapes.fact(*row) for row in facts]}
    return render_template("past.html", **shown, missing="", **picture)


def _picture(here: Runtime, context: PipelineContext, found: PastBoard, moment: int) -> Shape:
    """Return what the board's template shows of a moment, without estimates and health, which are not recorded."""
    at, configured = moment / 1_000, context.pipeline_of(found.board)
    drawn = draw(found.board, found.version, at, configured, Links(here.configuration, configured), None)
    ended, total = context.records.ended_by(at, found.board.runs, ENDED)
    of_the_head = ("pipeline", "locked")  # the head of the page has the present ones
    return {
        **{name: value for name, value in drawn.items() if name not in of_the_head},
        "ended": [shapes.ended(row) for row in ended],
        "ended_total": total,
        "rules_changed": found.differs,
    }


def _controls(context: PipelineContext, past: _Past, moment: int, now: int, near: FactTimes) -> Shape:
    """Return the links to other moments, and what the slider shows."""
    known = past.first()
    begin = max(now - REACH, known if known is not None else now)
    marks = past.marks.since(now - REACH)
    with context.look() as replica:
        standing = list(replica.board.locks.values())
    scale = _scale(begin, now)
    locked = [mark for mark in marks if mark.locked and mark.at < (near.present or moment)]

    def to(at: int | None) -> str | None:
        return None if at is None else address(context.pipeline.name, at)

    return {
        "moment": moment / 1_000,
        "begin": begin / 1_000,
        "end": now / 1_000,
        "step": max(1, round((now - begin) / POSITIONS)) / 1_000,
        "whole_day": begin == now - REACH,
        "previous": to(near.previous),
        "following": to(near.next),
        "last_lock": to(locked[-1].at if locked else None),
        "hour_back": to(moment - HOUR),
        "hour_on": to(moment + HOUR if moment + HOUR < now else None),
        "bands": _bands(marks, standing, begin, now),
        "ticks": [{"x": scale(mark.at), "locked": mark.locked} for mark in marks if mark.at >= begin],
        "marks": [_listed(mark, to) for mark in reversed(marks[-LISTED:])],
        "here": scale(moment),
    }


def _bands(marks: list[LockFact], standing: list[Any], begin: int, now: int) -> list[Shape]:
    """Return the times in which a stage was locked, as parts of the picture above the slider."""
    scale = _scale(begin, now)
    found = [each for each in spans(marks, standing, now - REACH, now) if each.end >= begin]
    return [{"x": scale(each.begin), "width": max(1, scale(each.end) - scale(each.begin))} for each in found]


def _scale(begin: int, end: int) -> Callable[[int], int]:
    """Return a function from a moment to its position in the picture above the slider."""
    return lambda at: round(min(1.0, max(0.0, (at - begin) / max(1, end - begin))) * WIDTH)


def _listed(mark: LockFact, to: Callable[[int | None], str | None]) -> Shape:
    return {"at": mark.at / 1_000, "stage": mark.stage, "locked": mark.locked, "href": to(mark.at)}


# -- the API -----------------------------------------------------------------------------------------------------------


@reading.get("/pipelines/<pipeline>/past")
@operation(PastBoardShape, parameters=(_AT,))
def show_past_board(pipeline: str) -> Response:
    """Return the whole pipeline at a moment of the recording, without estimates, and the times of the next changes."""
    context = context_of(pipeline)
    past, moment = _past(context), min(_asked(), _now())
    near, known = around(context.records, moment), past.first()
    try:
        found = past.boards.at(moment)
    except (NotRecorded, ReplayTooLong, UnreadableRecording) as error:
        raise Problem(404, _sentence(error, moment, known)) from None
    except ReplayBusy:
        raise _busy() from None
    return shapes.reply(
        {
            "pipeline": pipeline,
            "at": moment / 1_000,
            "decided": _seconds(near.present),
            "previous": _seconds(near.previous),
            "next": _seconds(near.next),
            "known_since": _seconds(known),
            "rules_changed": found.differs,
            "board": view(found.board, found.version, moment / 1_000),
        }
    )


def _seconds(moment: int | None) -> float | None:
    return None if moment is None else moment / 1_000


# -- moments -----------------------------------------------------------------------------------------------------------


def install(app: Flask) -> None:
    """Add to the templates of `app` the filters for moments of the past."""
    app.extensions[_PASTS] = Pasts()
    app.jinja_env.filters["past"] = written
    app.jinja_env.filters["second"] = lambda at: f"{datetime.fromtimestamp(at, UTC):%-d %b %H:%M:%S} UTC"


def address(pipeline: str, moment: int) -> str:
    """Return the address of the page of a moment (milliseconds since the epoch)."""
    return f"/p/{pipeline}/past?at={quote(written(moment / 1_000), safe=':')}"


def written(at: float) -> str:
    """Return a moment, given in seconds since the epoch, as written in addresses: `2026-12-01T18:00:05.250Z`."""
    return datetime.fromtimestamp(round(at, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _past(context: PipelineContext) -> _Past:
    pasts: Pasts = current_app.extensions[_PASTS]
    return pasts.of(context)


def _now() -> int:
    return int(time.time() * 1_000)


def _asked() -> int:
    """Return the requested moment in milliseconds; 0 for all before 1970. Raises Problem (400)."""
    given = request.args.get("at", "").strip()
    if not given:
        return _now()
    try:
        if _SECONDS.fullmatch(given):
            return round(float(given) * 1_000)
        found = datetime.fromisoformat(given)
        return max(0, round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000))
    except (ValueError, OverflowError):
        raise Problem(400, "`at` is a moment, such as 2026-12-01T18:00:05Z, or seconds since the epoch") from None


def _sentence(error: Exception, moment: int, known: int | None) -> str:
    """Return why the board of a moment cannot be shown, and which boards can."""
    match error:
        case ReplayTooLong():
            return (
                "This moment is too far from a snapshot of the board to be replayed here; "
                "`interlock history export` and `interlock replay --at` show it"
            )
        case UnreadableRecording():
            return f"The recording cannot be read: {error}"
        case NotRecorded(again=again) if known is not None and moment >= known:
            ends = f"; from {_clock(again)} on it is known again" if again is not None else ""
            return f"Turns are missing from the recording here, so the board of this moment is not known{ends}"
        case _ if known is not None:
            return f"The recording does not go back so far: it begins {_clock(known)}"
    return "Nothing is recorded yet"


def _clock(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _busy() -> Problem:
    return Problem(503, "other moments of this pipeline are being replayed; try again in some seconds")
