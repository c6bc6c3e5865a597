"""Facts, finished runs and dead letters as plain values, for the API and the page."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from bot.core.rules.decision import Ended
from bot.reporting.messages import words
from bot.reporting.view import run_shape
from bot.store.codec import RecordedFact
from bot.store.inbox import ParkedDelivery
from bot.store.outbox import DeadLetter

Shape = dict[str, Any]


def fact(identity: str, recorded: RecordedFact) -> Shape:
    """One fact of the log; `entry` is the inbox entry that led to it."""
    what = recorded.fact
    return {
        "id": identity,
        "at": recorded.at,
        "entry": recorded.entry,
        "kind": str(what.kind),
        "why": words(what.why),
        "run": what.run,
        "service": what.service,
        "sha": what.sha,
        "stage": what.step.stage if what.step else None,
        "track": str(what.step.track) if what.step else None,
        "by": what.by,
        "build": what.build,
        "via": what.via,
    }


def ended(row: Ended) -> Shape:
    """One run that left the board, and what became of it."""
    return {
        **run_shape(row.run),
        "end": str(row.ending.end),
        "reason": words(row.ending.why),
        "by": row.ending.by,
        "at": row.at,
    }


def dead_letter(letter: DeadLetter) -> Shape:
    """One effect that was given up."""
    effect = letter.effect
    return {
        "slot": letter.slot,
        "kind": effect.kind,
        "run": getattr(effect, "run", None),
        "error": letter.error,
        "at": letter.at,
        "tries": letter.tries,
    }


def parked(found: ParkedDelivery) -> Shape:
    """One delivery that could not be digested."""
    return {
        "entry": found.entry,
        "source": found.source,
        "name": found.name,
        "delivery": found.delivery,
        "error": found.error,
        "at": found.at,
    }


def reply(data: Shape, status: int = 200) -> Response:
    """`data` as a JSON response that nobody keeps."""
    response = Response(json.dumps(data), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
