"""Who asks: the person on record for an action, found by the API token. Reading needs none."""

from __future__ import annotations

from flask import request

from bot.web.problems import Problem
from config.settings import Settings

LONGEST_TOKEN = 1_000


def person(settings: Settings) -> str:
    """The person whose token came along as `Authorization: Bearer ...`. Raises Problem (401, 403).

    Should reading need a token one day, the blueprints `reading` and `page` are the two places to ask for it.
    """
    if not settings.api_tokens:
        raise Problem(403, "nobody may act through the API: INTERLOCK_API_TOKENS names nobody")
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token:
        raise Problem(401, "this needs your token: Authorization: Bearer TOKEN")
    who = settings.who(token) if len(token) <= LONGEST_TOKEN else None
    if who is None:
        raise Problem(401, "nobody has this token")
    return who
