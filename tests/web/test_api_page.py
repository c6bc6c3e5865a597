"""docs/api.md is what the code makes it, and its examples work."""

from __future__ import annotations

import json
import re
import shlex
from string import Template

import pytest
from flask.testing import FlaskClient

from bot.core.model.pipeline import Outcome
from demo.api_page import PAGE, made
from tests.web.asked import TOKEN
from tests.web.story import Story

EXAMPLES = re.findall(r"^curl (.*?)$", re.sub(r"\\\n *", "", PAGE.read_text("utf-8")), re.MULTILINE)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == made(), "run `make api-docs` and commit docs/api.md"


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_works(client: FlaskClient, story: Story, example: str) -> None:
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.build(first, Outcome.FAILURE)
    known = {"INTERLOCK_URL": "", "INTERLOCK_TOKEN": TOKEN}
    words = [Template(word).substitute(known) for word in shlex.split(example)]
    address = words.pop(0).replace("/shop", f"/{story.shape.name}")
    options = list(zip(words[::2], words[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    bodies = [json.loads(value) for name, value in options if name == "--json"]
    answer = client.post(address, json=bodies[0], headers=headers) if bodies else client.get(address, headers=headers)
    assert answer.status_code in (200, 202), answer.text


def test_api_leads_to_the_page(client: FlaskClient) -> None:
    led = client.get("/api")
    assert (led.status_code, led.headers["Location"]) == (302, "/docs/api")
    shown = client.get("/docs/api").text
    assert "POST /api/v1/pipelines/{pipeline}/stages/{stage}/lock" in shown
