"""The Jenkins door: how it is opened, what is kept, and that repeated callbacks count once."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bot.web.app import create_app
from config.configuration import Configuration, Controller
from config.settings import Settings
from tests.web.conftest import JENKINS_SECRET
from tests.web.story import Story

BEARER = {"Authorization": f"Bearer {JENKINS_SECRET}"}


def callback(number: int = 7, phase: str | None = "STARTED", **changes: Any) -> dict[str, Any]:
    """What the notification plugin sends."""
    build = {"number": number, "url": f"job/shop/job/pre-production/{number}/", **({"phase": phase} if phase else {})}
    return {"name": "pre-production", "url": "job/shop/job/pre-production/", "build": build, **changes}


def call(
    client: FlaskClient, body: Any, path: str = "/webhooks/jenkins/cdp", headers: dict[str, str] | None = None
) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(path, data=data, headers=BEARER if headers is None else headers)


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"anybody:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/jenkins/cdp", BEARER),
        ("/webhooks/jenkins/cdp", basic(JENKINS_SECRET)),
        (f"/webhooks/jenkins/cdp/{JENKINS_SECRET}", {}),
    ],
)
def test_a_callback_with_the_secret_is_kept(
    client: FlaskClient, story: Story, pokes: list[str], path: str, headers: dict[str, str]
) -> None:
    answer = call(client, callback(), path, headers)
    assert (answer.status_code, answer.json) == (202, {"status": "kept"})
    (entry,) = story.store.begin("test")
    assert (entry.source, entry.name, json.loads(entry.body)) == ("jenkins", "cdp", callback())
    assert pokes == [story.shape.name]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/jenkins/cdp", {}),
        ("/webhooks/jenkins/cdp", {"Authorization": "Bearer wrong"}),
        ("/webhooks/jenkins/cdp", {"Authorization": "Bearer é"}),
        ("/webhooks/jenkins/cdp", {"Authorization": "Basic é"}),
        ("/webhooks/jenkins/cdp", {"Authorization": "Basic !!!"}),
        ("/webhooks/jenkins/cdp", {"Authorization": JENKINS_SECRET}),
        ("/webhooks/jenkins/cdp", basic("wrong")),
        ("/webhooks/jenkins/cdp/wrong", {}),
        ("/webhooks/jenkins/cdp/wrong", BEARER),
        ("/webhooks/jenkins/nobody", {}),
    ],
)
def test_a_callback_without_the_secret_is_refused(
    client: FlaskClient, story: Story, path: str, headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = call(client, callback(), path, headers)
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert story.nothing_is_stored()


def test_the_secret_in_the_address_is_not_logged(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    call(client, b"no json", f"/webhooks/jenkins/cdp/{JENKINS_SECRET}", {})
    out = "".join(capfd.readouterr())
    assert "request-refused" in out
    assert JENKINS_SECRET not in out


def test_a_controller_that_is_not_configured_is_told_which_there_are(client: FlaskClient, story: Story) -> None:
    answer = call(client, callback(), "/webhooks/jenkins/cpd")
    assert answer.status_code == 404
    assert answer.json["meant"] == "cdp"
    assert call(client, callback(), "/webhooks/jenkins").status_code == 404
    assert story.nothing_is_stored()


def test_with_one_controller_the_address_needs_no_name(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    alone = Configuration(configuration.pipelines, {"cdp": Controller("cdp", "https://cdp.example.com", "x")})
    client = create_app(settings, alone, lambda _: None).test_client()
    assert call(client, callback(), "/webhooks/jenkins").json == {"status": "kept"}


def test_a_repeated_callback_counts_once_and_each_phase_counts(client: FlaskClient, story: Story) -> None:
    for phase in ("QUEUED", "STARTED", "STARTED", "COMPLETED", "COMPLETED", "FINALIZED"):
        call(client, callback(phase=phase))
    assert story.waiting() == 4


def test_a_call_without_a_phase_counts_each_time(client: FlaskClient, story: Story) -> None:
    for _ in range(2):
        answer = call(client, {"job": "shop/pre-production", "build": "7"})
        assert answer.json == {"status": "kept"}
    assert story.waiting() == 2


@pytest.mark.parametrize(
    "body",
    [
        callback(url="job/other/", name="other"),
        callback(build=None),
        callback(build={"number": "seven"}),
        {},
        {"job": None, "build": None},
    ],
)
def test_what_concerns_no_build_of_ours_is_ignored(client: FlaskClient, story: Story, body: dict[str, Any]) -> None:
    answer = call(client, body)
    assert (answer.status_code, answer.json["status"]) == (202, "ignored")
    assert story.nothing_is_stored()


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(client: FlaskClient, story: Story, body: bytes) -> None:
    assert call(client, body).status_code == 400
    assert story.nothing_is_stored()
