"""The checks of every request before its view runs: whether the sender may read, and whether a form is one of ours.

Webhooks do not come here: they have secrets of their own, and an application of their own (bot/web/app.py). Open to
everybody are the addresses for machines (health, callbacks, attempts), the sign-in, the description of the API, and
static files. With `web: read: signed-in` everything else is closed, including views that are added later.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import Any
from urllib.parse import quote

from flask import Flask, request
from redis.exceptions import RedisError
from werkzeug.wrappers import Response as AnyResponse

from bot.core.access import Action, Person
from bot.runtime import PipelineContext
from bot.web.bodies import bearer
from bot.web.identity import allow, believed, current_user, signed_in
from bot.web.problems import Problem, unknown
from bot.web.sessions import check_csrf, csrf_token
from bot.web.shared import go_to, runtime

#: The blueprints that need no sign-in.
OPEN = frozenset({"machines", "signing", "documentation"})
#: For how many seconds GitHub's answer is kept that a person may read a pipeline, or may not. A page makes many
#: requests, and a permission may have to be looked up in every repository.
READER, STRANGER = 900, 300
#: The seconds after which the person behind a live page is checked again.
LONGEST_STREAM = 900.0
_SAFE = ("GET", "HEAD", "OPTIONS")


def install(app: Flask) -> None:
    """Guard every view of `app`, and give its templates the signed-in person."""
    app.before_request(_guard)
    app.context_processor(_for_templates)


def readable() -> list[PipelineContext]:
    """Return the pipelines that the sender of the present request may read."""
    contexts = list(runtime().pipelines.values())
    if not runtime().configuration.web.private:
        return contexts
    person = signed_in()
    return [context for context in contexts if _may_read(person, context)]


def bounded(pieces: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """Return the same stream, ended when another configuration is in force; the browser then connects again.

    If reading requires a sign-in, the stream also ends after LONGEST_STREAM.
    """
    here = runtime()
    ends = time.monotonic() + LONGEST_STREAM if here.configuration.web.private else float("inf")

    def until_then() -> Generator[bytes, None, None]:
        with closing(pieces):
            for piece in pieces:
                yield piece
                if here.successor or time.monotonic() > ends:
                    return

    return until_then()


def _guard() -> AnyResponse | None:
    blueprint = request.blueprint
    if request.method not in _SAFE and blueprint != "machines":
        _check_form(blueprint)
    web = runtime().configuration.web
    if request.endpoint in (None, "static") or blueprint in OPEN or not web.private:
        return None
    if blueprint == "badges" and web.open_badges:
        return None
    person = current_user()
    if person is None:
        return _ask_to_sign_in(blueprint)
    _check_reading(person)
    return None


def _check_form(blueprint: str | None) -> None:
    """Check that a form is one of ours.

    A browser adds the cookie, or the proxy its header, to every request, also to forged ones. A token in a header is
    not added by itself, so such a request needs no check.
    """
    if bearer(request.headers.get("Authorization", "")):
        return
    if blueprint == "signing" or current_user() is not None:
        check_csrf()


def to_sign_in() -> AnyResponse:
    """Redirect to the sign-in page, and from there back to the present address."""
    code = 302 if request.method in _SAFE else 303
    return go_to(f"/sign-in?next={quote(request.full_path.rstrip('?'), safe='/')}", code)


def _ask_to_sign_in(blueprint: str | None) -> AnyResponse:
    is_page = blueprint == "page" and not request.path.endswith("/live")
    if is_page and runtime().configuration.web.sign_in.is_possible:
        return to_sign_in()
    raise Problem(401, "reading takes a sign-in here: show your token, Authorization: Bearer TOKEN")


def _check_reading(person: Person) -> None:
    """Check that `person` may read what the request is about.

    Raises Problem: 403 if the request is about a pipeline that they may not read, or about all and they may read none;
    404 if there is no such pipeline, with the names of those that they may read.
    """
    name = (request.view_args or {}).get("pipeline")
    if name is None:
        if not readable():
            allow(person, Action.READ, next(iter(runtime().pipelines.values())))
        return
    context = runtime().pipelines.get(name)
    if context is None:
        raise unknown("pipeline", name, (each.pipeline.name for each in readable()))
    if not _may_read(person, context):
        allow(person, Action.READ, context)


def _may_read(person: Person, context: PipelineContext) -> bool:
    """Return whether `person` may read. Answers of GitHub are kept for a while."""
    return believed(person, Action.READ, context, None, READER, STRANGER)


def _for_templates() -> dict[str, Any]:
    """Return the signed-in person for the head of each page; None if the person cannot be determined."""
    try:
        person = current_user()
    except (Problem, RedisError):
        person = None
    return {"user": person, "csrf_token": csrf_token, "signs_in": runtime().configuration.web.sign_in.is_possible}
