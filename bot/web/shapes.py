"""Facts, ended runs and dead letters as plain values, for the API and the page."""

from __future__ import annotations

import json
from typing import Any

from flask import Response

from bot.core.rules.consequences import AffectedRun, Consequences
from bot.core.rules.decision import Ended
from bot.reporting import rules
from bot.reporting.consequences import sentence
from bot.reporting.messages import words
from bot.reporting.view import lock_shape, run_shape
from bot.store.codec import RecordedFact
from bot.store.inbox import ParkedDelivery
from bot.store.outbox import DeadLetter

Shape = dict[str, Any]

#: The most runs of each kind that a dry run lists; its sentence has the numbers.
AFFECTED = 100


def rule(name: str) -> Shape:
    """Return a rule of the documentation and its address, or two empty texts."""
    return {"rule": name, "rule_link": rules.address(name)}


def fact(identity: str, recorded: RecordedFact) -> Shape:
    """Return one fact of the log; `entry` is the inbox entry that led to it."""
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
        **rule(rules.rule_of(what)),
    }


def ended(row: Ended) -> Shape:
    """Return one run that left the board, with its ending."""
    return {
        **run_shape(row.run),
        "end": str(row.ending.end),
        "reason": words(row.ending.why),
        "by": row.ending.by,
        "at": row.at,
    }


def foreseen(found: Consequences) -> Shape:
    """Return the answer to a dry run: the consequences by kind, and in words."""
    runs = (
        "starts",
        "gains_lane",
        "loses_lane",
        "permits",
        "let_through",
        "moves",
        "queues",
        "enters",
        "called_back",
        "stops",
        "leaves",
        "ends",
    )
    return {
        "state": "foreseen",
        "sentence": sentence(found),
        "consequences": {
            "mode": str(found.mode) if found.mode is not None else None,
            "opens": [lock_shape(lock) for lock in found.opens],
            "stays_locked": [lock_shape(lock) for lock in found.stays_locked],
            "locks": [lock_shape(lock) for lock in found.locks],
            **{name: [_affected(run) for run in getattr(found, name)[:AFFECTED]] for name in runs},
            "locks_next": list(found.locks_next),
        },
    }


def _affected(run: AffectedRun) -> Shape:
    return {
        "run": run.run,
        "service": run.who.service,
        "sha": run.who.sha,
        "pull": run.who.pull,
        "stage": run.step.stage,
        "track": str(run.step.track),
        "build": run.build,
        "end": str(run.ending.end) if run.ending is not None else None,
        "reason": words(run.ending.why) if run.ending is not None else None,
    }


def dead_letter(letter: DeadLetter) -> Shape:
    """Return one effect that was given up."""
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
    """Return one parked delivery."""
    return {
        "entry": found.entry,
        "source": found.source,
        "name": found.name,
        "delivery": found.delivery,
        "error": found.error,
        "at": found.at,
    }


def reply(data: Shape, status: int = 200) -> Response:
    """Return `data` as a JSON response that is not cached."""
    response = Response(json.dumps(data), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
