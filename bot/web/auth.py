"""Who asks: the person on record for an action, found by the API token. Reading needs none."""

from __future__ import annotations

from flask import current_app, request

from bot.web.admission import Admission, bearer
from bot.web.problems import Problem


def person() -> str:
    """The person whose token came along as `Authorization: Bearer ...`. Raises Problem (401, 403).

    Should reading need a token one day, the blueprints `reading` and `page` are the two places to ask for it.
    """
    admission: Admission = current_app.extensions["interlock-admission"]
    authorization = request.headers.get("Authorization", "")
    if not admission.anybody_may_act:
        raise Problem(403, "nobody may act through the API: INTERLOCK_API_TOKENS names nobody")
    if not bearer(authorization):
        raise Problem(401, "this needs your token: Authorization: Bearer TOKEN")
    who = admission.person(authorization)
    if who is None:
        raise Problem(401, "nobody has this token")
    return who
