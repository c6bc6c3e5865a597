"""Estimates, the cost of a lock and flaky tests, as page and API show them."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from bot.core.model.events import RetryAsked
from bot.core.model.pipeline import Outcome
from tests.web.asked import Api
from tests.web.story import Story


@pytest.fixture
def locked(story: Story) -> Story:
    """S2 waits for pre-production, which S3 has locked for the third time by a test that passes on a retry."""
    story.start()
    for service in ("S1", "S2", "S3"):
        story.pass_stages(story.merge(service, "p"), 4)
    for letter in "ab":
        flaky = story.merge("S3", letter)
        story.pass_stages(flaky, 2)
        story.build(story.board.runs[flaky.key], Outcome.FAILURE, ("CheckoutTest",))
        story.tell(RetryAsked(flaky.key, "ann", "again"))
        story.build(story.board.runs[flaky.key], Outcome.SUCCESS)
    flaky = story.merge("S3", "c")
    story.pass_stages(flaky, 2)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.build(story.board.runs[flaky.key], Outcome.FAILURE, ("CheckoutTest",))
    return story


def test_a_waiting_run_says_when_it_will_enter_and_behind_what(api: Api, locked: Story) -> None:
    (found,) = api.get("/why?q=S2.2").json["runs"]
    assert (found["eta"]["enters"], found["eta"]["behind"]) == (None, "behind the lock of S3, which has no fix yet")
    assert found["eta"]["unforeseen"] == "not known before a fix is merged"  # too few locks have opened
    locked.build(locked.merge("S3", "d"), None)
    (found,) = api.get("/why?q=S2.2").json["runs"]
    assert found["eta"]["behind"] == "behind the lock of S3, whose fix is in build"


def test_a_lock_says_what_it_has_cost_and_that_its_cause_is_flaky(client: FlaskClient, api: Api, locked: Story) -> None:
    (stage,) = (stage for stage in api.get("").json["stages"] if stage["locks"])
    (lock,) = stage["locks"]
    assert lock["flaky"] == ["CheckoutTest failed 3 times in 30 days, passed on retry twice: likely flaky"]
    assert lock["cost"]["run_seconds"] >= 0 and lock["cost"]["words"] == "0 run-minutes"
    (found,) = api.get(f"/why?q={lock['run']}").json["runs"]
    assert found["flaky"] == lock["flaky"]
    assert lock["flaky"][0] in client.get(f"/p/{locked.shape.name}/runs/{lock['run']}").text
    page = client.get(f"/p/{locked.shape.name}").text
    assert "CheckoutTest failed 3 times in 30 days, passed on retry twice: likely flaky." in page
    assert "0 run-minutes" in page


def test_page_and_run_page_say_when(client: FlaskClient, locked: Story) -> None:
    run = locked.merge("S1", "a")
    locked.build(run, None)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get(f"/p/{locked.shape.name}/runs/{run.key}").text))
    assert re.search(r"Passes build about \d\d:\d\d UTC ± 1 min", words)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get(f"/p/{locked.shape.name}").text))
    assert re.search(r"Passes about \d\d:\d\d UTC ± 1 min", words)
    assert "not known before a fix is merged" in words


def test_lists_of_runs_say_when(client: FlaskClient, api: Api, locked: Story) -> None:
    run = locked.merge("S1", "a")
    locked.build(run, None)
    rows = {row["run"]: row for row in api.get("/runs").json["runs"]}
    assert rows[run.key]["eta"]["passes"]["at"] > 0
    assert rows["S2.2"]["eta"]["behind"] == "behind the lock of S3, which has no fix yet"
    assert "eta" not in rows["S1.1"]  # it has ended
    for path in ("/runs", "/services/S1", "/runs?state=running&stage=build"):
        words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get(f"/p/{locked.shape.name}{path}").text))
        assert re.search(r"Passes about \d\d:\d\d UTC ± 1 min", words), path
