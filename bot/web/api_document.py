"""The API's own description: `/api/v1/openapi.json` for programs, `/api` for people. Both are open to everybody."""

from __future__ import annotations

import json
from typing import cast

from flask import Blueprint, Flask, Response, current_app
from werkzeug.wrappers import Response as AnyResponse

from bot.web import openapi
from bot.web.api_operation import operation, refuse_unknown_parameters
from bot.web.request_shapes import DocumentShape
from bot.web.shared import go_to, runtime

documentation = Blueprint("documentation", __name__)


def install(app: Flask) -> None:
    """Serve the description, and refuse requests with parameters that it does not list."""
    app.register_blueprint(documentation)
    app.before_request(refuse_unknown_parameters)


def document() -> openapi.Schema:
    """Return the document of this application; it is made on the first request."""
    kept = current_app.extensions.get("interlock-openapi")
    if kept is None:
        web = runtime().configuration.web
        app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
        kept = openapi.document(app, private=web.private, server=web.public_url)
        current_app.extensions["interlock-openapi"] = kept
    return cast(openapi.Schema, kept)


@documentation.get("/api/v1/openapi.json")
@operation(DocumentShape, actions=())
def show_document() -> Response:
    """Return this description as OpenAPI 3.1, for generated clients and for tools that show it."""
    response = Response(json.dumps(document()), content_type=openapi.JSON)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-cache"
    return response


@documentation.get("/api")
def show_page() -> AnyResponse:
    """Redirect to the description for people, a page of the documentation."""
    return go_to("/docs/api")
