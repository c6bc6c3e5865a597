"""When Jenkins called last, job by job, as the running Interlock knows it."""

from __future__ import annotations

import json

from flask.testing import FlaskClient

from bot.web.api_machines import CallbackMemory
from tests.web.story import Story


def test_the_last_callback_of_each_job_is_told_with_since_when_all_is_known(client: FlaskClient, story: Story) -> None:
    assert client.get("/api/v1/callbacks").json == {"since": None, "callbacks": []}
    story.inbox.accept("github", "push", "1", b"{}")
    for number in (1, 2):
        body = {"url": "job/shop/job/build/", "build": {"number": number, "phase": "STARTED"}, "name": "build"}
        story.inbox.accept("jenkins", "build", f"{number}", json.dumps(body).encode())
    client.application.extensions["interlock-callbacks"] = CallbackMemory()
    told = client.get("/api/v1/callbacks").json
    [row] = told["callbacks"]
    assert (row["controller"], row["job"]) == ("build", "shop/build")
    assert told["since"] <= row["at"]


def test_however_often_it_is_asked_the_inbox_is_read_once_in_a_while(client: FlaskClient, story: Story) -> None:
    before = client.get("/api/v1/callbacks").json
    story.inbox.accept("jenkins", "build", "1", b'{"job": "shop/build", "build": "7"}')
    assert client.get("/api/v1/callbacks").json == before
