"""Refusals: each is a JSON problem (RFC 9457) with the reason, and a line in the log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, request
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from bot.store.scripts import OtherSchema
from config.errors import nearest

log = structlog.get_logger()

#: The most valid names that an answer lists.
NAMES = 30
#: Seconds after which a request that did not reach Redis may be repeated.
RETRY_AFTER = 5
#: The answers while Redis does not answer: to a reading request, and to a change, which may or may not have been
#: stored.
STORE_AWAY = "the store does not answer at the moment, so nothing can be shown; try again"
STORE_AWAY_IN_A_CHANGE = (
    "the store does not answer at the moment, so Interlock cannot say whether it stored your "
    "request; check before you try again"
)


class Problem(Exception):
    """Raised anywhere below a view to refuse the request."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        """Take `detail`, a sentence for people, and `more`, members of the JSON body for programs."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.more = more


def unknown(kind: str, name: str, valid: Iterable[str]) -> Problem:
    """Return a 404 with the valid names and the nearest one."""
    names = sorted(valid)
    meant = nearest(name, names)
    hint = f"; did you mean {meant}?" if meant else ""
    more: dict[str, Any] = {"valid": names[:NAMES], **({"meant": meant} if meant else {})}
    return Problem(404, f"there is no {kind} {shown(name)}{hint}", **more)


def unknown_parameter(name: str, valid: Iterable[str]) -> Problem:
    """Return a 400 for an unknown parameter of the query."""
    names = sorted(valid)
    meant = nearest(name, names)
    hint = f"; did you mean `{meant}`?" if meant else f"; it takes {', '.join(names) or 'none'}"
    return Problem(400, f"there is no parameter {shown(name)} here{hint}", valid=names)


def unknown_value(name: str, value: str, valid: Iterable[str]) -> Problem:
    """Return a 400 for an invalid value of a parameter."""
    values = list(valid)
    meant = nearest(value, values)
    hint = f"did you mean `{meant}`?" if meant else f"such as `{values[0]}`"
    more = {"meant": meant} if meant else {}
    return Problem(400, f"`{name}` cannot be {shown(value)}; {hint}", valid=values, **more)


def shown(text: str) -> str:
    """Return text from outside as part of our sentence: short, on one line, in quotes."""
    plain = "".join(c if c.isprintable() else "�" for c in text[:60])
    return f"'{plain}…'" if len(text) > 60 else f"'{plain}'"


def answer(status: int, detail: str, **more: Any) -> Response:
    """Return the response with a problem body."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    response = Response(json.dumps(body), status, mimetype="application/problem+json")
    response.headers["X-Content-Type-Options"] = "nosniff"
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="interlock"'
    if status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def install(app: Flask) -> None:
    """Make every error of `app` a problem."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(RedisError, _redis)
    app.register_error_handler(OtherSchema, _other_schema)
    app.register_error_handler(Exception, _internal_error)


def _problem(problem: Problem) -> Response:
    _note(problem.status, problem.detail)
    return answer(problem.status, problem.detail, **problem.more)


def _http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error  # a redirect, not a problem
    detail = _detail_of(error)
    _note(error.code, detail)
    response = answer(error.code, detail)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _detail_of(error: HTTPException) -> str:
    """Return the mistake in a request that reached no view, and what would be right."""
    match error:
        case NotFound():
            return f"there is nothing at {shown(_path())}; {request.script_root}/api lists the addresses of the API"
        case MethodNotAllowed():
            takes = ", ".join(sorted(error.valid_methods or ()))
            return f"{shown(_path())} does not take {request.method}; it takes {takes}"
        case _:
            return error.description or HTTPStatus(error.code or 500).phrase


def _redis(error: RedisError) -> Response:
    # The text of the error may hold the address with its password, so only its type is shown.
    _note(503, f"Redis: {type(error).__name__}")
    return answer(503, STORE_AWAY if request.method in ("GET", "HEAD") else STORE_AWAY_IN_A_CHANGE)


def _other_schema(error: OtherSchema) -> Response:
    _note(503, str(error))
    return answer(503, str(error))


def _internal_error(error: Exception) -> Response:
    log.error("request-failed", path=_path(), exc_info=error)
    return answer(500, "Interlock has failed here; its log has the details")


def _note(status: int, detail: str) -> None:
    log.warning("request-refused", status=status, method=request.method, path=_path(), detail=detail)


def _path() -> str:
    """Return the path without a secret: Jenkins' callback has one at its end."""
    path = request.path
    return "/webhooks/jenkins/…" if path.startswith("/webhooks/jenkins") else path[:200]
