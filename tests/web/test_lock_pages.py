"""The report of a lock on the page and through the API: what it says is what the facts say."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from bot import lock_reports
from bot.core.model.events import LockAsked, UnlockAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.runtime import PipelineContext
from tests.web.story import Story
from workers import measuring

HOSTILE = "<script>alert(1)</script> | ](javascript:alert(1)) @everybody"


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a has failed in pre-production, S2a waits for it."""
    story.start()
    failing = story.merge("S1", "a", "Discounts")
    story.pass_stages(failing, 2)
    story.pass_stages(story.merge("S2", "a", HOSTILE), 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest | <b>",))
    return failing


def mended(story: Story) -> Run:
    fix = story.merge("S1", "e")
    story.pass_stages(fix, 4)
    return fix


def facts(context: PipelineContext, kind: FactKind) -> list[float]:
    return [recorded.at for _, recorded in context.records.facts_after("0-0") if recorded.fact.kind is kind]


def test_a_lock_that_stands_has_a_report_so_far(client: FlaskClient, story: Story, broken: Run) -> None:
    found = client.get(f"/api/v1/pipelines/{story.shape.name}/lock-reports/pre-production/{broken.key}").json
    assert found is not None
    assert (found["opened"], found["fix"], found["run"]) == (None, None, broken.key)
    assert found["held"] == ["S2.1"]
    assert "the lock still stands" in found["markdown"]


@pytest.mark.parametrize("stored", [False, True], ids=["at once", "once a worker has stored it"])
def test_it_names_cause_fix_duration_and_cost(client: FlaskClient, story: Story, broken: Run, *, stored: bool) -> None:
    fix, context = mended(story), story.context
    if stored:
        measuring.measure(context)
        assert list(context.statistics.load().of("account")) == [], "the account is kept until then"
    key = f"pre-production/{broken.key}"
    found = client.get(f"/api/v1/pipelines/{story.shape.name}/lock-reports/{key}").json
    assert found is not None
    (locked,), (opened,) = facts(context, FactKind.STAGE_LOCKED), facts(context, FactKind.STAGE_UNLOCKED)
    assert (found["since"], found["opened"]) == (locked, opened)
    assert found["duration"]["seconds"] == pytest.approx(opened - locked)
    assert (found["run"], found["fix"], found["opened_by"]) == (broken.key, fix.key, fix.key)
    assert found["cost"]["run_seconds"] == pytest.approx(opened - locked), "one run waited from the beginning"
    assert "failed in pre-production (CheckoutTest | <b>)" in found["cause"]
    assert found["cause"] in [line["what"] for line in found["timeline"]]
    page = client.get(f"/p/{story.shape.name}/locks/{key}").text
    assert f'href="http://localhost:8080/p/{story.shape.name}/runs/{fix.key}"' in page
    assert "<b>)" not in page
    listed = client.get(f"/p/{story.shape.name}/locks").text
    assert (f"/p/{story.shape.name}/locks/{key}" in listed) is stored


def test_what_people_wrote_formats_nothing(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(LockAsked("production", "dana", HOSTILE))
    story.tell(UnlockAsked("production", "kim", HOSTILE))
    page = client.get(f"/p/{story.shape.name}/locks/production/1").text
    report = page.partition("<article")[2].partition("</article>")[0]
    assert "<script" not in report
    assert not re.search(r'href="javascript', report)
    assert "dana" in unescape(report)
    assert client.get(f"/p/{story.shape.name}/locks/production/1?format=markdown").mimetype == "text/markdown"


def test_of_a_lock_that_nobody_knows_nothing_is_said(client: FlaskClient, story: Story) -> None:
    story.start()
    assert client.get(f"/p/{story.shape.name}/locks/production/9").status_code == 404
    assert client.get(f"/api/v1/pipelines/{story.shape.name}/lock-reports/x").status_code == 404


def test_only_so_many_reports_are_kept(story: Story) -> None:
    story.start()
    for _ in range(4):
        story.tell(LockAsked("production", "dana", "why"))
        story.tell(UnlockAsked("production", "kim", "fine"))
    measuring.measure(story.context, 2)
    assert [found.key for found in lock_reports.last(story.context, 10)] == ["production/4", "production/3"]
    assert lock_reports.find(story.context, "production/1") is None
