"""The statistics as page and API show them."""

from __future__ import annotations

import re
import time

import pytest
from flask.testing import FlaskClient

from bot.core.model.events import Configured, RetryAsked
from bot.core.model.pipeline import ConfigurationChange, Outcome, Revision
from bot.store.statistics import StatisticsStore
from tests.web.asked import Api
from tests.web.story import Story


@pytest.fixture
def played(story: Story) -> Story:
    """S1 is delivered; S2 locks pre-production twice: a retry opens the first lock, the second one stands."""
    story.start()
    story.pass_stages(story.merge("S1", "a"), 4)
    run = story.merge("S2", "a")
    story.pass_stages(run, 2)
    story.build(story.board.runs[run.key], Outcome.FAILURE, ("CheckoutTest",))
    story.tell(RetryAsked(run.key, "ann", "again"))
    story.build(story.board.runs[run.key], Outcome.SUCCESS)
    run = story.merge("S2", "b")
    story.pass_stages(run, 2)
    story.build(story.board.runs[run.key], Outcome.FAILURE, ("CheckoutTest",))
    return story


def test_the_api_has_every_number(api: Api, played: Story) -> None:
    found = api.get("/statistics").json
    assert len(found["weeks"]) == 12 and found["weeks"][-1]["delivered"] == 1
    assert found["all"]["delivered"] == 1 and found["all"]["lead"] is not None
    assert found["all"]["failure_rate"] == pytest.approx(2 / 11)
    assert set(found["all"]["waits"]) == {"capacity", "lock", "freeze", "jenkins", "person", "proof"}
    assert {row["service"]: row["delivered"] for row in found["services"]} == {"S1": 1, "S2": 0}
    assert [(lock["stage"], lock["service"]) for lock in found["standing"]] == [("pre-production", "S2")]
    (test,) = found["tests"]
    assert {"service": "S2", "test": "CheckoutTest", "failed": 2, "passed": 1, "flaky": False}.items() <= test.items()
    assert (test["locks"], found["all"]["locks"], found["all"]["held"], found["all"]["aborted"]) == (1, 1, 0, 0)
    assert {row["step"] for row in found["steps"]} == {"build", "acceptance", "pre-production", "production"}
    assert found["changes"] == []
    assert {row["kind"]: row["count"] for row in found["estimates"]} == {"enters": 0, "passes": 0, "opens": 0}
    stage = next(row for row in found["stages"] if row["stage"] == "pre-production")
    assert (stage["builds"], stage["failure_rate"]) == (4, 0.5)


def test_of_one_service_and_of_none(api: Api, played: Story) -> None:
    found = api.get("/statistics?service=S1").json
    assert [row["service"] for row in found["services"]] == ["S1"] and found["standing"] == []
    missing = api.get("/statistics?service=S9")
    assert missing.status_code == 404 and "S1" in missing.text


def test_the_page_draws_a_bar_for_the_week_and_names_all_tables(client: FlaskClient, played: Story) -> None:
    page = client.get(f"/p/{played.shape.name}/statistics")
    assert page.status_code == 200
    assert re.search(r'aria-label="Failure rate by week, at most 18.2 %"', page.text)
    assert page.text.count("<rect") >= 4
    for name in ("By service", "By stage", "Failing tests", "How far estimates were off", "Locks that stand"):
        assert name in page.text
    assert 'style="' not in page.text  # the policy of the page allows none


def test_the_page_of_an_empty_pipeline(client: FlaskClient, story: Story) -> None:
    page = client.get(f"/p/{story.shape.name}/statistics").text
    assert "Nothing has ended yet." in page and "No build has ended yet." in page


def test_what_a_worker_has_stored_shows_the_same(api: Api, played: Story, story: Story) -> None:
    before = api.get("/statistics").json
    StatisticsStore(story.redis, story.context.keys, story.context.records).advance()
    after = api.get("/statistics").json
    assert {**after, "at": 0, "standing": []} == {**before, "at": 0, "standing": []}


def test_page_and_api_show_what_the_last_change_of_the_configuration_did(
    api: Api, client: FlaskClient, played: Story
) -> None:
    change = ConfigurationChange(f"pipelines.{played.shape.name}.stages.acceptance.capacity", "3", "5")
    played.tell(Configured(played.shape, revision=Revision("other", time.time()), by="kim", changes=(change,)))
    (found,) = api.get("/statistics").json["changes"]
    assert (found["by"], found["before"]["delivered"], found["after"]["delivered"]) == ("kim", 1, 0)
    assert found["verdict"] == "too-few"
    page = client.get(f"/p/{played.shape.name}/statistics").text
    assert "too few runs to tell what it did: 1 delivered run before, 0 after (each side takes 20)" in page
    assert f"<code>{change.key}</code>: 3 → 5" in page


def test_the_report_of_a_week_can_be_seen_before_anybody_gets_it(api: Api, played: Story) -> None:
    week = api.get("/statistics").json["weeks"][-1]["week"]
    found = api.get(f"/statistics/week?week={week}").json
    assert found["subject"] == f"{played.shape.name}: week {week}: 1 delivered, 1 lock"
    assert "S2 CheckoutTest: 1 lock" in found["text"] and found["figures"]["numbers"]["locks"] == 1
    assert found["next"] is None
    assert api.get("/statistics/week").json["figures"]["week"] < week  # the last that is over
    for week, status in ("2026-W60", 404), ("next", 400):
        refused = api.get(f"/statistics/week?week={week}")
        assert refused.status_code == status and "there is no such week" in refused.text
