"""The question of a job that is about to roll out: am I still waited for? Reads the board, changes nothing."""

from __future__ import annotations

from flask import Blueprint, Response, request

from bot.core.rules.attempts import no_longer
from bot.web.problems import Problem
from bot.web.shapes import reply
from bot.web.site import site

attempts = Blueprint("attempts", __name__, url_prefix="/api/v1")

#: The longest number that an attempt or a build may have, in digits.
DIGITS = 9


@attempts.get("/pipelines/<pipeline>/attempts/<run>/<stage>/<attempt>")
def current(pipeline: str, run: str, stage: str, attempt: str) -> Response:
    """200 if it is the present attempt of its run; 409 and a sentence if nobody waits for its build any more.

    `version` and `build` (its number in Jenkins) of the query tell it from others of the same name.
    """
    context = site().pipeline(pipeline)
    number, build = _number("attempt", attempt), request.args.get("build", "")
    known = _number("build", build) if build else None
    with context.look() as replica:
        why = no_longer(replica.board, run, stage, number, request.args.get("version", ""), known)
    if why:
        raise Problem(409, f"nobody waits for this build any more: {why}", current=False)
    return reply({"current": True})


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS:
        raise Problem(400, f"{name} is a whole number")
    return int(text)
