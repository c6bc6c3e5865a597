"""Reading through the API: the board, one run, why it waits, facts and history page by page."""

from __future__ import annotations

import time

import pytest
from flask.testing import FlaskClient

from bot.core.model.pipeline import Outcome
from bot.store.outbox import Outbox
from bot.store.records import Repairs
from bot.store.webhooks import Undelivered, UndeliveredLetter, Webhooks
from tests.web.story import Story, sha


@pytest.fixture
def base(story: Story) -> str:
    """The first of the four pictures, smaller; answers the address of the pipeline."""
    story.start()
    failing, waiting = story.merge("S1", "a"), story.merge("S2", "a", title="Faster search")
    story.pass_stages(failing, 2)
    story.pass_stages(waiting, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    story.build(story.merge("S3", "a"), Outcome.FAILURE)
    return f"/api/v1/pipelines/{story.shape.name}"


def test_pipelines_are_listed_with_how_they_are(client: FlaskClient, base: str, story: Story) -> None:
    (one,) = client.get("/api/v1/pipelines").json["pipelines"]
    assert one["name"] == story.shape.name
    assert (one["mode"], one["locked"], one["live"], one["failed"]) == ("run", ["pre-production"], 2, 1)


def test_the_board_shows_stages_locks_and_why_each_run_waits(client: FlaskClient, base: str) -> None:
    board = client.get(base).json
    stage = board["stages"][2]
    assert [lock["run"] for lock in stage["locks"]] == ["S1.1"]
    (waits,) = stage["queue"]["runs"]
    assert waits["service"] == "S2"
    assert "locked" in waits["reason"]


def test_a_live_run_is_shown_with_its_journey(client: FlaskClient, base: str) -> None:
    story = client.get(f"{base}/runs/S2.1").json
    assert (story["state"], story["tile"]["stage"], story["tile"]["position"]) == ("live", "pre-production", 1)
    assert [f["kind"] for f in story["facts"]][:2] == ["merge-accepted", "run-queued"] or story["facts"]


def test_an_ended_run_is_shown_with_what_became_of_it(client: FlaskClient, base: str) -> None:
    story = client.get(f"{base}/runs/S3.1").json
    assert (story["state"], story["ended"]["end"]) == ("ended", "failed")
    assert "failed in build" in story["ended"]["reason"]


@pytest.mark.parametrize("question", ["S2.1", "s2.1", "S2", "s2", sha("S2a")[:7], sha("S2a"), "#40", "40"])
def test_a_run_is_found_by_whatever_people_call_it(client: FlaskClient, base: str, question: str) -> None:
    found = client.get(f"{base}/why", query_string={"q": question}).json
    assert "S2.1" in [run["run"] for run in found["runs"]]
    assert all(run["reason"] for run in found["runs"])


def test_a_run_that_has_ended_is_found_as_well(client: FlaskClient, base: str) -> None:
    found = client.get(f"{base}/why?q=S3").json
    assert [row["run"] for row in found["ended"]] == ["S3.1"]


def test_what_nobody_knows_is_said_so(client: FlaskClient, base: str) -> None:
    assert client.get(f"{base}/why?q=S9").status_code == 404
    assert client.get(f"{base}/why").status_code == 400
    assert client.get(f"{base}/why", query_string={"q": "x" * 300}).status_code == 400
    missing = client.get(f"{base}/runs/S1.9")
    assert (missing.status_code, missing.json["meant"]) == (404, "S1.1")
    other = client.get(f"{base}x")
    assert (other.status_code, other.json["meant"]) == (404, base.rpartition("/")[2])


def test_facts_come_page_by_page_newest_first(client: FlaskClient, base: str) -> None:
    whole = client.get(f"{base}/facts?limit=200").json["facts"]
    paged, query = [], ""
    while True:
        page = client.get(f"{base}/facts?limit=4{query}").json
        paged += page["facts"]
        if page["next"] is None:
            break
        query = f"&before={page['next']}"
    assert paged == whole
    assert whole[-1]["kind"] == "configured"
    assert any(fact["kind"] == "stage-locked" and fact["stage"] == "pre-production" for fact in whole)


def test_history_comes_page_by_page(client: FlaskClient, base: str) -> None:
    page = client.get(f"{base}/history?limit=1").json
    assert (page["total"], page["next"], [row["run"] for row in page["runs"]]) == (1, None, ["S3.1"])
    assert client.get(f"{base}/history?offset=5").json["runs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "facts?limit=0",
        "facts?limit=201",
        "facts?limit=x",
        "facts?before=x",
        "facts?before=0-0",
        f"facts?before={2**64}-0",
        "facts?before=1-" + "9" * 20,
        "history?offset=-1",
    ],
)
def test_a_page_out_of_bounds_is_refused(client: FlaskClient, base: str, query: str) -> None:
    assert client.get(f"{base}/{query}").status_code == 400


def test_dead_letters_are_shown_and_can_be_given_another_try(client: FlaskClient, base: str, story: Story) -> None:
    outbox = Outbox(story.redis, story.keys)
    claim, _ = outbox.claim("people", limit=1)
    assert claim is not None
    outbox.give_up(claim, "the mail server refuses", 1_700_000_000.0)
    (letter,) = client.get(f"{base}/dead-letters").json["dead_letters"]
    assert (letter["slot"], letter["error"]) == (claim.effect.slot, "the mail server refuses")
    headers = {"Authorization": "Bearer the token of alex"}
    body = {"reason": "it is up again", "slot": letter["slot"]}
    assert client.post(f"{base}/dead-letters/retry", json=body, headers=headers).status_code == 200
    assert client.get(f"{base}/dead-letters").json["dead_letters"] == []


@pytest.mark.parametrize("what", ["retry", "drop"])
def test_what_a_webhook_did_not_take_is_shown_and_told_once_more_or_dropped(
    client: FlaskClient, base: str, story: Story, what: str
) -> None:
    found, webhooks = Undelivered("audit", "1-0", "9-0", 3), Webhooks(story.redis, story.keys)
    webhooks.lease("audit", "me", 60_000)
    letter = UndeliveredLetter(found, "webhook audit did not accept 3 facts: HTTP 503", 1_700_000_000.0, 7)
    webhooks.store("audit", "me", 60_000, webhooks.state("audit"), letter=(letter, ""))
    (shown,) = client.get(f"{base}/dead-letters").json["dead_letters"]
    assert shown == {
        "slot": "outbound-delivery/audit/1-0",
        "kind": "outbound-delivery",
        "run": None,
        "error": "webhook audit did not accept 3 facts: HTTP 503",
        "at": 1_700_000_000.0,
        "tries": 7,
    }
    headers = {"Authorization": "Bearer the token of alex"}
    body = {"reason": "it is up again", "slot": shown["slot"]}
    assert client.post(f"{base}/dead-letters/{what}", json=body, headers=headers).status_code == 200
    assert client.get(f"{base}/dead-letters").json["dead_letters"] == []
    assert webhooks.redeliveries("audit") == ([found] if what == "retry" else [])


def test_readiness_says_what_waits_and_for_how_long(client: FlaskClient, base: str, story: Story) -> None:
    before = client.get("/readyz").json["pipelines"][story.shape.name]
    assert (before["waiting"], before["oldest_waiting_seconds"]) == (0, 0)
    story.inbox.accept("github", "push", "1", b"{}")
    time.sleep(0.01)  # an entry's id says when it came, to the millisecond
    after = client.get("/readyz").json["pipelines"][story.shape.name]
    assert after["waiting"] == 1
    assert after["oldest_waiting_seconds"] > 0


def test_what_had_to_be_found_by_asking_is_told(client: FlaskClient, base: str, story: Story) -> None:
    assert client.get(base).json["repairs"] == []
    Repairs(story.redis, story.keys).count("push")
    (found,) = client.get(base).json["repairs"]
    assert (found["kind"], found["count"], found["words"]) == ("push", 1, "1 push to main")
    assert abs(found["last"] - time.time()) < 60
    assert client.get("/readyz").json["pipelines"][story.shape.name]["repairs"] == [found]


def test_before_anything_is_configured_there_is_an_empty_board(client: FlaskClient, story: Story) -> None:
    board = client.get(f"/api/v1/pipelines/{story.shape.name}").json
    assert (board["version"], board["live"]) == (0, 0)
