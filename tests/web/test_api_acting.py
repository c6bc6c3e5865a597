"""Acting through the API: who may, what is checked at once, what the turn makes of it, and how one learns of it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.texts import text_of
from tests.web.asked import ACTIONS, AUTH, TOKEN, WHY, Api
from tests.web.story import Story


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a has failed in pre-production and locks it; S2a waits behind it."""
    story.start()
    run = story.merge("S1", "a")
    story.pass_stages(run, 2)
    story.build(run, Outcome.FAILURE, ("CheckoutTest",))
    other = story.merge("S2", "a")
    story.pass_stages(other, 2)
    return story.board.runs[run.key]


@pytest.mark.parametrize("path", ACTIONS)
def test_nobody_acts_without_a_token(client: FlaskClient, story: Story, path: str) -> None:
    address = f"/api/v1/pipelines/{story.shape.name}{path}"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        answer = client.post(address, json=WHY, headers=headers)
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert story.nothing_is_stored()


def test_when_nobody_has_a_token_nobody_acts(settings: Settings, configuration: Configuration, story: Story) -> None:
    closed = create_app(settings.model_copy(update={"api_tokens": {}}), configuration, lambda _: None).test_client()
    answer = closed.post(f"/api/v1/pipelines/{story.shape.name}/mode", json=WHY, headers=AUTH)
    assert answer.status_code == 401


def test_a_lock_is_asked_for_decided_and_told(api: Api, story: Story, wake_ups: list[str]) -> None:
    story.start()
    wake_ups.clear()
    story.redis.delete(story.keys.wake_up)
    answer = api.post("/stages/production/lock", {"reason": "Black Friday", "let_fixes_in": True, "until": "2h"})
    assert answer.status_code == 202
    assert answer.json["state"] == "waiting"
    assert wake_ups == [story.shape.name]
    story.turns()
    told = api.get(f"/requests/{answer.json['request']}").json
    assert told["state"] == "done"
    assert [(f["kind"], f["by"], f["stage"]) for f in told["facts"]] == [("stage-locked", "alex", "production")]
    (lock,) = story.board.locks_of("production")
    assert (lock.by, text_of(lock.reason), lock.let_fixes_in) == ("alex", "Black Friday", True)
    assert lock.until == pytest.approx(time.time() + 7200, abs=30)


def test_waiting_for_a_request_ends_when_the_turn_has_taken_it(api: Api, story: Story) -> None:
    story.start()
    worker = threading.Timer(0.2, story.turns)
    worker.start()
    answer = api.post("/mode?wait=5", {"reason": "maintenance", "mode": "pause"})
    assert (answer.json["state"], answer.json["facts"][0]["kind"]) == ("done", "mode-changed")
    worker.join()


@pytest.mark.slow
def test_waiting_is_bounded(api: Api, story: Story) -> None:
    story.start()
    began = time.monotonic()
    assert api.post("/mode?wait=1", {"reason": "maintenance", "mode": "pause"}).json["state"] == "waiting"
    assert time.monotonic() - began > 0.9
    assert api.post("/mode?wait=6", {"reason": "x", "mode": "pause"}).status_code == 400


def test_a_refusal_of_the_rules_is_told_with_its_reason(api: Api, story: Story) -> None:
    story.start()
    asked = api.post("/stages/production/lock").json["request"]
    unlock = {"reason": "over", "lock": "production/1"}
    story.turns()
    assert api.get(f"/requests/{asked}").json["state"] == "done"
    first, second = (api.post("/stages/production/unlock", unlock).json["request"] for _ in range(2))
    story.turns()
    assert api.get(f"/requests/{first}").json["state"] == "done"
    refused = api.get(f"/requests/{second}").json
    assert refused["state"] == "refused"
    assert "production is not closed by lock production/1" in refused["facts"][0]["why"]


def test_a_request_repeated_under_its_key_is_one_request(api: Api, story: Story) -> None:
    story.start()
    before = story.waiting()
    ids = {api.post("/stages/production/lock", Idempotency_Key="k1").json["request"] for _ in range(3)}
    assert len(ids) == 1
    assert story.waiting() == before + 1
    assert api.post("/stages/production/lock", Idempotency_Key="k2").json["request"] not in ids


def test_a_request_whose_reply_was_lost_is_answered_as_before(api: Api, story: Story, broken: Run) -> None:
    first = api.post("/stages/pre-production/unlock", Idempotency_Key="k").json["request"]
    story.turns()
    again = api.post("/stages/pre-production/unlock", Idempotency_Key="k")  # by now it is not locked any more
    assert (again.status_code, again.json["request"], again.json["state"]) == (202, first, "done")
    assert api.post("/mode", {**WHY, "mode": "run"}, Idempotency_Key="").status_code == 400


def test_retry_and_cancel_reach_the_run(api: Api, story: Story, broken: Run) -> None:
    assert api.post(f"/runs/{broken.key}/retry", {"reason": "flaky network"}).status_code == 202
    story.turns()
    assert story.board.runs[broken.key].retrying or story.board.runs[broken.key].status != "failed"
    waits = story.board.of_service("S2")[0]
    assert api.post(f"/runs/{waits.key}/cancel").status_code == 202
    story.turns()
    assert waits.key not in story.board.runs


def test_of_several_locks_one_is_named_or_all_are_asked_for(api: Api, story: Story) -> None:
    story.start()
    for _ in range(3):
        api.post("/stages/production/lock")
    story.turns()
    asked = api.post("/stages/production/unlock")
    assert asked.status_code == 409
    assert "production has 3 locks: production/1 (" in asked.json["detail"]
    api.post("/stages/production/unlock", {**WHY, "lock": "production/2"})
    story.turns()
    assert [lock.key for lock in story.board.locks_of("production")] == ["production/1", "production/3"]
    assert api.post("/stages/production/unlock", {**WHY, "lock": "production/1", "all": True}).status_code == 422
    api.post("/stages/production/unlock", {**WHY, "all": True})
    story.turns()
    assert story.board.locks_of("production") == []


def test_unlock_opens_the_stage(api: Api, story: Story, broken: Run) -> None:
    api.post("/stages/pre-production/unlock")
    story.turns()
    assert story.board.locks_of("pre-production") == []


@pytest.mark.parametrize(
    ("path", "body", "meant"),
    [
        ("/stages/pre-prod/lock", WHY, "pre-production"),
        ("/stages/prodution/unlock", WHY, "production"),
        ("/stages/pre-production/unlock", {**WHY, "lock": "pre-production/9"}, None),
        ("/runs/S1.11/retry", WHY, "S1.1"),
        ("/runs/s1.1/cancel", WHY, "S1.1"),
        ("/services/s1/fast-lane", WHY, "S1"),
        ("/services/S1/fast-lane", {**WHY, "stage": "preproduction"}, "pre-production"),
        ("/dead-letters/retry", {**WHY, "slot": "nothing"}, None),
        ("/dead-letters/drop", {**WHY, "slot": "nothing"}, None),
        ("/parked/retry", {**WHY, "entry": "1-0"}, None),
        ("/parked/drop", {**WHY, "entry": "1-0"}, None),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(
    api: Api, story: Story, broken: Run, path: str, body: dict[str, Any], meant: str | None
) -> None:
    before = story.waiting()
    answer = api.post(path, body)
    assert answer.status_code == 404
    assert answer.json.get("meant") == meant or meant is None
    assert "valid" in answer.json
    assert story.waiting() == before


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/runs/S2.1/retry", "has not failed: it is waiting in pre-production"),
        ("/stages/production/unlock", "production is not locked"),
        ("/services/S2/fast-lane", "the fast lane is closed to S2, which holds no lock: name the stage to open for it"),
        ("/services/S1/fast-lane", "the head of S1, has failed already: merge a fix, or retry it"),
    ],
)
def test_what_makes_no_sense_now_is_refused_with_the_sentence(api: Api, broken: Run, path: str, sentence: str) -> None:
    answer = api.post(path)
    assert answer.status_code == 409
    assert sentence in answer.json["detail"]


def test_the_api_refuses_at_once_what_the_rules_would_refuse(api: Api, story: Story, broken: Run) -> None:
    api.post("/stages/pre-production/lock")
    story.turns()
    fix = story.merge("S1", "b")
    refused = api.post("/services/S1/fast-lane")
    assert (refused.status_code, refused.json["detail"]) == (
        409,
        f"{fix.sha[:7]}, the head of S1, is on the fast lane already",
    )
    cancelled = [api.post(f"/runs/{fix.key}/cancel").status_code]
    story.turns()
    again = api.post(f"/runs/{fix.key}/cancel")
    assert (cancelled, again.status_code, again.json["detail"]) == (
        [202],
        409,
        f"{fix.key} is leaving the board already",
    )


def test_a_run_that_has_ended_says_so(api: Api, story: Story) -> None:
    story.start()
    run = story.merge("S1", "a")
    story.build(run, Outcome.FAILURE)
    answer = api.post(f"/runs/{run.key}/retry")
    assert answer.status_code == 409
    assert "not on the board any more: failed" in answer.json["detail"]


def test_a_request_that_was_never_made_is_not_done(api: Api, story: Story) -> None:
    story.start()
    assert api.get("/requests/what").status_code == 404
    assert api.get("/requests/99999999999999-0").json["state"] == "waiting"


def test_a_token_is_never_logged(api: Api, settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    api.post("/stages/nowhere/lock")
    out = "".join(capfd.readouterr())
    assert "request-refused" in out
    assert TOKEN not in out
    assert isinstance(settings.api_tokens["alex"], SecretStr)


def test_while_the_store_does_not_answer_nobody_is_told_that_nothing_was_kept(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        away = settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")})
        client = create_app(away, configuration, lambda _: None).test_client()
        pipeline = f"/api/v1/pipelines/{story.shape.name}"
        read = client.get(pipeline, headers=AUTH)
        sent = client.post(f"{pipeline}/stages/pre-production/lock", json=WHY, headers=AUTH)
    assert (read.status_code, sent.status_code) == (503, 503)
    assert "nothing can be shown" in read.json["detail"]
    assert "Interlock cannot say whether it stored your request" in sent.json["detail"]
