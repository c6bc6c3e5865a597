"""The API as a person with a token uses it."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.story import Story

TOKEN = "the token of alex"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
WHY = {"reason": "the database moves"}

ACTIONS = [
    "/stages/pre-production/lock",
    "/stages/pre-production/unlock",
    "/runs/S1.1/retry",
    "/runs/S1.1/cancel",
    "/services/S1/fast-lane",
    "/mode",
    "/dead-letters/retry",
]


class Api:
    """The API of one pipeline."""

    def __init__(self, client: FlaskClient, story: Story) -> None:
        self.client = client
        self.base = f"/api/v1/pipelines/{story.shape.name}"

    def post(self, path: str, body: Any = WHY, **headers: str) -> TestResponse:
        sent = {**AUTH, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(self.base + path, json=body, headers=sent)

    def get(self, path: str) -> TestResponse:
        return self.client.get(self.base + path)
