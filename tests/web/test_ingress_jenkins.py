"""The Jenkins door: how it is opened, what is kept, and that repeated callbacks count once."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from bot.core.model.events import BuildHinted
from bot.health.contacts import CALLBACKS
from bot.jenkins import callbacks
from bot.web.app import create_app
from config.configuration import Configuration, Controller
from config.settings import Settings
from standins.jenkins import JenkinsStandIn
from standins.wire import HttpServer, Reply, Request
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
    client: FlaskClient, story: Story, wake_ups: list[str], path: str, headers: dict[str, str]
) -> None:
    answer = call(client, callback(), path, headers)
    assert (answer.status_code, answer.json) == (202, {"status": "kept"})
    (entry,) = story.store.begin("test")
    kept = {"number": 7, "phase": "STARTED"}
    assert (entry.source, entry.name, json.loads(entry.body)["build"]) == ("jenkins", "cdp", kept)
    assert wake_ups == [story.shape.name]


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
    for phase in ("STARTED", "STARTED", "COMPLETED", "COMPLETED", "FINALIZED"):
        call(client, callback(phase=phase))
    assert story.waiting() == 3


def test_repeats_are_known_by_phase_and_time_whatever_else_they_say(client: FlaskClient, story: Story) -> None:
    def at(milliseconds: int, log: str) -> dict[str, Any]:
        build = {"number": 7, "phase": "COMPLETED", "timestamp": milliseconds, "log": log}
        return {"name": "pre-production", "url": "job/shop/job/pre-production/", "build": build}

    answers = [call(client, body) for body in (at(1, "a"), at(1, "b"), at(2, "a"))]
    assert [answer.json["status"] for answer in answers] == ["kept", "duplicate", "kept"]


def test_of_a_callback_only_what_is_read_is_kept(client: FlaskClient, story: Story) -> None:
    more = {"log": "x" * 900_000, "parameters": {"TOKEN": "a secret"}, "artifacts": {}, "full_url": "https://x"}
    body = callback(timestamp=1)
    body["build"] |= {"timestamp": 17, "status": "SUCCESS", **more}
    assert call(client, body).json == {"status": "kept"}
    (entry,) = story.store.begin("test")
    assert json.loads(entry.body) == {
        "name": "pre-production",
        "url": "job/shop/job/pre-production/",
        "build": {"number": 7, "phase": "STARTED", "status": "SUCCESS", "timestamp": 17},
    }


def test_queued_is_not_kept_at_all(client: FlaskClient, story: Story) -> None:
    assert call(client, callback(phase="QUEUED")).json["status"] == "ignored"
    assert call(client, event_data(phase="QUEUED"), headers=binary(1)).json["status"] == "ignored"
    assert story.nothing_is_stored()


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


STRUCTURED = {"Content-Type": "application/cloudevents+json"}


def event_data(number: int = 7, phase: str = "STARTED", **changes: Any) -> dict[str, Any]:
    """What the CloudEvents plugin sends of a build, with its nulls."""
    url = "job/shop/job/pre-production/"
    build = {"number": number, "queueId": 41, "phase": phase, "status": None, "url": f"{url}{number}/"}
    return {"name": "pre-production", "displayName": "pre-production", "url": url, "build": build, **changes}


def attributes(number: int = 1, kind: str = "job.started") -> dict[str, str]:
    return {"specversion": "1.0", "id": f"id-{number}", "type": f"org.jenkinsci.{kind}", "source": "job/pre-production"}


def binary(number: int = 1, kind: str = "job.started") -> dict[str, str]:
    return BEARER | {f"ce-{name}": value for name, value in attributes(number, kind).items()}


def test_a_cloudevent_is_kept_in_binary_and_in_structured_mode(client: FlaskClient, story: Story) -> None:
    structured = {**attributes(2), "data": event_data(8)}
    assert call(client, event_data(), headers=binary(1)).json == {"status": "kept"}
    assert call(client, structured, headers=BEARER | STRUCTURED).json == {"status": "kept"}
    entries = story.store.begin("test")
    assert [json.loads(entry.body)["build"]["number"] for entry in entries] == [7, 8]
    hints = [callbacks.events(entry.name, json.loads(entry.body)) for entry in entries]
    assert hints == [[BuildHinted("cdp", "shop/pre-production", number)] for number in (7, 8)]


def test_an_event_counts_once_by_its_source_and_id_in_whatever_form_it_comes_again(
    client: FlaskClient, story: Story
) -> None:
    again = {**attributes(1), "data": event_data(), "time": "2026-01-01T00:00:00Z"}
    answers = [
        call(client, event_data(), headers=binary(1)),
        call(client, event_data(), headers=binary(1)),
        call(client, again, headers=BEARER | STRUCTURED),
        call(client, event_data(), headers=binary(2)),
    ]
    assert [answer.json["status"] for answer in answers] == ["kept", "duplicate", "duplicate", "kept"]
    assert story.waiting() == 2


def test_the_same_id_about_another_build_is_another_event(client: FlaskClient, story: Story) -> None:
    """Sources are display names: two jobs may share one, and a sender other than the plugin may count its ids."""
    for number in (7, 8):
        assert call(client, event_data(number), headers=binary(1)).json == {"status": "kept"}
    assert story.waiting() == 2


def test_an_event_without_an_id_is_told_apart_by_what_it_says(client: FlaskClient, story: Story) -> None:
    headers = {name: value for name, value in binary().items() if name != "ce-id"}
    answers = [call(client, event_data(phase=phase), headers=headers) for phase in ("STARTED", "STARTED", "COMPLETED")]
    assert [answer.json["status"] for answer in answers] == ["kept", "duplicate", "kept"]


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (b"", binary(), "the CloudEvent has no data"),
        (b"", binary(kind="job.finalized"), "the CloudEvent has no data"),
        (attributes(), BEARER | STRUCTURED, "the CloudEvent has no data"),
        (
            {"jenkinsQueueId": 41, "status": "LEFT"},
            binary(kind="queue.left"),
            "an event about the queue names no build",
        ),
        (
            {**attributes(kind="queue.left"), "data": {"jenkinsQueueId": 41}},
            BEARER | STRUCTURED,
            "an event about the queue names no build",
        ),
        (event_data(build=None), binary(kind="job.updated"), "no build is named"),
        (event_data(url="job/other/"), binary(), "no stage has this job"),
    ],
)
def test_an_event_that_says_nothing_of_our_builds_is_ignored_with_the_reason(
    client: FlaskClient, story: Story, body: Any, headers: dict[str, str], why: str
) -> None:
    answer = call(client, body, headers=headers)
    assert (answer.status_code, answer.json) == (202, {"status": "ignored", "why": why})
    assert story.nothing_is_stored()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"specversion": "1.0", "data": event_data()}, BEARER | STRUCTURED),
        ([{**attributes(), "data": event_data()}], BEARER | {"Content-Type": "application/cloudevents-batch+json"}),
        (b"no json", binary()),
    ],
)
def test_what_is_no_event_is_refused(client: FlaskClient, story: Story, body: Any, headers: dict[str, str]) -> None:
    assert call(client, body, headers=headers).status_code == 400
    assert story.nothing_is_stored()


def test_an_event_needs_the_secret_as_every_callback(client: FlaskClient, story: Story) -> None:
    assert call(client, event_data(), headers={"ce-specversion": "1.0"}).status_code == 401
    assert call(client, b"", headers={"ce-specversion": "1.0"}).status_code == 401
    assert call(client, event_data(), f"/webhooks/jenkins/cdp/{JENKINS_SECRET}", binary()).status_code == 202


@pytest.mark.parametrize(("job_data", "kept"), [(True, 3), (False, 0)])
def test_what_the_plugins_of_a_jenkins_really_send_is_understood(
    client: FlaskClient, story: Story, job_data: bool, kept: int
) -> None:
    """Both plugins at once, over HTTP: every event and every callback is answered 202; hints are kept once."""
    answers: list[tuple[str, str]] = []

    def pass_on(request: Request) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = client.post(request.target, data=request.body, headers=headers)
        answers.append((request.headers.get("ce-type", "callback"), answer.json["status"]))
        return Reply(answer.status_code)

    with HttpServer(pass_on) as front:
        address = f"http://127.0.0.1:{front.port}/webhooks/jenkins/cdp/{quote(JENKINS_SECRET)}"
        job = {"name": "shop/pre-production", "quiet_period": 0, "callbacks": [{"url": address}]}
        sink = {"url": address, "job_data": job_data}
        with JenkinsStandIn({"cloud_events": sink}, [job]) as server:
            server.control.callback_fault("duplicate", phase=r"org\.jenkinsci\.job\.completed")
            requests.post(f"{server.url}/job/shop/job/pre-production/build", timeout=5)
            server.control.wait_idle()
            assert {(row["status"], row["error"]) for row in server.control.callbacks()} == {(202, None)}
    assert story.waiting() == 3 + kept
    assert [status for kind, status in answers if kind == "callback"] == ["ignored", "kept", "kept", "kept"]
    completed = [status for kind, status in answers if kind.endswith("job.completed")]
    assert completed == (["kept", "duplicate"] if job_data else ["ignored", "ignored"])
    assert {status for kind, status in answers if ".queue." in kind} == {"ignored"}
    events = [event for entry in story.store.begin("test") for event in callbacks.events("cdp", json.loads(entry.body))]
    assert set(events) == {BuildHinted("cdp", "shop/pre-production", 1, over) for over in (False, True)}


def test_refused_callbacks_are_counted_for_each_controller_until_one_is_right(
    app: Flask, client: FlaskClient, redis: Redis
) -> None:
    runtime = app.extensions["interlock"]
    redis.delete(runtime.contacts.key)

    def counted() -> dict[str, tuple[int, bool]]:
        seen = [each for each in runtime.contacts.seen() if each.kind == CALLBACKS]
        return {each.name: (each.errors, (each.error_at or 0) > (each.good_at or 0)) for each in seen}

    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(3):
        assert call(client, callback(), headers=wrong).status_code == 401
    assert call(client, callback(), "/webhooks/jenkins/nobody", headers=wrong).status_code == 401
    assert counted() == {"cdp": (1, True)}, "the same is noted once in a few seconds"
    assert call(client, callback()).status_code == 202
    assert counted() == {"cdp": (1, False)}
    assert call(client, callback(), headers=wrong).status_code == 401
    assert counted() == {"cdp": (1, True)}
