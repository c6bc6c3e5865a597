"""Every answer of the API that a test sees is one that the document describes: status, media type, every member."""

from __future__ import annotations

import gzip
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from pydantic import ValidationError
from typing_extensions import is_typeddict
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from bot.web import openapi
from bot.web.request_shapes import ProblemShape

WHERE = "describe it below the address of its view: @operation(...) of bot/web/api_operation.py"


class DocumentedClient(FlaskClient):
    """A client that fails the test when the API answers what its document does not say."""

    def open(self, *args: Any, **more: Any) -> TestResponse:
        """Send a request as the client of Flask does, and look at the answer."""
        answer = super().open(*args, **more)
        if answer.request.path.startswith(openapi.BASE) and answer.mimetype != "text/event-stream":
            check(self.application, answer)
        return answer


def check(app: Flask, answer: TestResponse) -> None:
    """Raise AssertionError if an answer is not as described."""
    method, path = answer.request.method, answer.request.path
    asked = f"{method} {path}: {answer.status_code}"
    if answer.mimetype == openapi.PROBLEM:
        fits(asked, ProblemShape, _body(answer))
    try:
        rule, _ = app.url_map.bind("").match(path, method, return_rule=True)
    except HTTPException:
        assert answer.status_code in (404, 405), asked
        assert answer.mimetype == openapi.PROBLEM, asked
        return
    if method in ("HEAD", "OPTIONS"):
        return
    found = [each for each in openapi.described(app) if each.rule.endpoint == rule.endpoint and each.method == method]
    assert found, f"{asked}: nothing is said of {rule.rule}; {WHERE}"
    (one,) = found
    said = openapi.answers(one)
    assert answer.status_code in said, f"{asked} is not among {sorted(said)}; {WHERE}"
    shape = one.operation.answers.get(answer.status_code)
    if is_typeddict(shape) and answer.mimetype != openapi.PROBLEM:
        assert answer.mimetype == openapi.JSON, asked
        fits(asked, shape, _body(answer))


def _body(answer: TestResponse) -> bytes:
    return gzip.decompress(answer.data) if answer.headers.get("Content-Encoding") == "gzip" else answer.data


def fits(asked: str, shape: Any, body: bytes) -> None:
    """Raise AssertionError unless a body has this shape, with no member too many."""
    try:
        openapi.adapter(shape).validate_json(body, strict=True)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
        )
        raise AssertionError(f"{asked} is no {shape.__name__} ({shape.__module__}): {wrong[:600]}") from None
