"""A dry run: the same checks and the same role as the action, an answer with what it would lead to, nothing kept."""

from __future__ import annotations

import pytest

from bot.core.model.events import LockAsked
from bot.core.model.pipeline import Outcome
from tests.web.asked import WHY, Api
from tests.web.story import Story

DRY = {**WHY, "dry_run": True}


@pytest.fixture
def board(story: Story) -> Story:
    """S1a has failed in pre-production; S2a and S3a wait behind its lock."""
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.build(first, Outcome.FAILURE)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.pass_stages(story.merge("S3", "a"), 2)
    return story


FORESEEN = [
    ("/stages/production/lock", {}, "locks production"),
    (
        "/stages/pre-production/unlock",
        {},
        "opens the lock of pre-production; S2.1 enters pre-production; S1.1 ends as failed",
    ),
    ("/runs/S1.1/retry", {}, "S1.1 enters pre-production"),
    ("/runs/S2.1/cancel", {}, "S2.1 ends as cancelled"),
    ("/runs/S3.1/move", {}, "S3.1 goes to the front of the queue for pre-production"),
    (
        "/services/S2/fast-lane",
        {"stage": "pre-production"},
        "S2.1 changes to the fast lane; S2.1 may enter pre-production past any lock; S2.1 enters fast pre-production",
    ),
    ("/mode", {"mode": "pause"}, "the pipeline is paused: nothing is triggered"),
    ("/mode", {"mode": "observe"}, "the pipeline only observes: nothing is sent outside"),
    ("/mode", {"mode": "run"}, "nothing changes"),
]


@pytest.mark.parametrize(("path", "body", "sentence"), FORESEEN, ids=[f"{row[0]} {row[1]}" for row in FORESEEN])
def test_it_says_what_would_happen_and_keeps_nothing(
    api: Api, board: Story, path: str, body: dict[str, str], sentence: str
) -> None:
    waiting, version = board.waiting(), board.store.copy.version
    answer = api.post(path, {**DRY, **body}, Idempotency_Key="a key")
    assert (answer.status_code, answer.json["state"], answer.json["sentence"]) == (200, "foreseen", sentence)
    board.turns()
    assert (board.waiting(), board.store.copy.version) == (waiting, version)
    done = api.post(path, {**WHY, **body}, Idempotency_Key="a key")
    assert done.status_code == 202, "a dry run takes no key"
    assert board.waiting() == waiting + 1


def test_the_answer_has_the_runs_and_locks_as_data(api: Api, board: Story) -> None:
    found = api.post("/stages/pre-production/unlock", DRY).json["consequences"]
    assert [(lock["key"], lock["run"]) for lock in found["opens"]] == [("pre-production/S1.1", "S1.1")]
    assert [(run["run"], run["stage"], run["track"]) for run in found["enters"]] == [("S2.1", "pre-production", "real")]
    (ended,) = found["ends"]
    assert (ended["run"], ended["end"]) == ("S1.1", "failed")
    assert ended["reason"].startswith("S1 ")
    assert found["mode"] is None
    assert found["gains_lane"] == found["loses_lane"] == found["locks"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/runs/S2.1/retry", 409), ("/runs/S9.1/retry", 404), ("/stages/nowhere/lock", 404), ("/runs/S2.1/move", 409)],
)
def test_what_would_be_refused_is_refused_in_the_same_words(api: Api, board: Story, path: str, status: int) -> None:
    dry, real = api.post(path, DRY), api.post(path, WHY)
    assert dry.status_code == real.status_code == status
    assert dry.json == real.json


def test_a_stage_with_several_locks_asks_which(api: Api, board: Story) -> None:
    board.tell(LockAsked("pre-production", "ann", "the trade fair"))
    for body in (WHY, DRY):
        answer = api.post("/stages/pre-production/unlock", body)
        assert answer.status_code == 409
        assert answer.json["detail"].startswith("pre-production has 2 locks: pre-production/S1.1 (")
        assert answer.json["detail"].endswith('give its key as "lock", or "all": true')
        found = [(lock["key"], lock["by"], lock["service"]) for lock in answer.json["locks"]]
        assert found == [("pre-production/S1.1", "S1.1", "S1"), ("pre-production/1", "ann", None)]
    one = api.post("/stages/pre-production/unlock", {**DRY, "lock": "pre-production/1"}).json
    assert one["sentence"] == "opens the lock of pre-production; pre-production stays locked by S1.1"
    every = api.post("/stages/pre-production/unlock", {**DRY, "all": True}).json
    assert every["sentence"].startswith("opens 2 locks of pre-production; S2.1 enters pre-production")


def test_a_move_is_done_and_the_next_in_line_is_another(api: Api, board: Story) -> None:
    assert api.post("/runs/S3.1/move").status_code == 202
    board.turns()
    tiles = api.get("").json["stages"][2]["queue"]["runs"]
    assert [(tile["run"], tile["moved"]) for tile in tiles] == [
        ("S3.1", {"by": "alex", "reason": WHY["reason"]}),
        ("S2.1", None),
    ]
    page = api.client.get(f"/p/{board.shape.name}").text
    assert page.count(">moved to the front</span>") == 1
    assert f'title="by alex: {WHY["reason"]}"' in page
    assert f"alex moved it to the front: {WHY['reason']}" in page


def test_a_lock_until_a_time_of_day(api: Api, board: Story) -> None:
    answer = api.post("/stages/production/lock", {**DRY, "until": "16:00", "let_fixes_in": True})
    assert "16:00 UTC, fixes may enter" in answer.json["sentence"]
    refused = api.post("/stages/production/lock", {**DRY, "until": "soon"})
    assert refused.status_code == 422
    assert "16:00" in refused.json["detail"]
