"""The page of a run in a real browser: live, without anything that sticks out, one click from the log and the rule."""

from __future__ import annotations

import re
import time
from statistics import median

import pytest
from playwright.sync_api import Page, expect

from bot.core.model.events import BuildSeen, ModeAsked, PullMoved, RetryAsked, TriggerRefused
from bot.core.model.pipeline import Mode, Outcome
from bot.core.model.run import Run
from tests.web.story import Story, sha

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TESTS = ("shop.checkout.CheckoutTest.pays", "shop.checkout.RoundingTest.test_" + "rounds_" * 20)


def retried(story: Story) -> Run:
    """S1a fails in pre-production, is retried and fails again; S2a waits before it; S1b is on its way."""
    story.start()
    run = story.merge("S1", "a", "Round prices")
    story.pass_stages(run, 2)
    story.pass_stages(story.merge("S2", "a", "Faster search"), 2)
    story.build(run, Outcome.FAILURE, TESTS)
    story.tell(RetryAsked(run.key, "alex", "the database was restarted"))
    story.build(run, Outcome.FAILURE, TESTS[:1])
    story.pass_stages(story.merge("S1", "b", "Fix the rounding"))
    return run


def open_run(page: Page, address: str, story: Story, run: str) -> None:
    page.goto(f"{address}/p/{story.shape.name}/runs/{run}", wait_until="domcontentloaded")
    expect(page.locator("#live-text")).to_have_text("Live")


def test_it_follows_every_decision_within_a_second(address: str, page: Page, story: Story) -> None:
    run = retried(story)
    open_run(page, address, story, run.key)
    took = []
    for number in range(5):
        began = time.monotonic()
        story.tell(RetryAsked(run.key, "alex", f"once more {number}"))
        page.wait_for_function("text => document.body.innerText.includes(text)", arg=f"once more {number}")
        took.append(time.monotonic() - began)
        story.build(run, Outcome.FAILURE)
    assert median(took) < 1.0
    expect(page.locator(".attempt")).to_have_count(9)
    expect(page.locator(".answer h3")).to_contain_text("failed in pre-production")


def test_the_log_and_the_rule_are_one_click_away(address: str, page: Page, story: Story) -> None:
    run = retried(story)
    open_run(page, address, story, run.key)
    log = page.get_by_role("link", name=re.compile("^Log of build #")).first
    assert re.search(r"/job/shop/job/pre-production/\d+/console$", log.get_attribute("href") or "")
    page.locator(".fact.stage-locked .rule").first.click()
    expect(page).to_have_url(f"{address}/docs/locks#L1")
    expect(page.locator("#L1")).to_be_in_viewport()
    page.goto(address, wait_until="domcontentloaded")
    assert (page.locator(".banner .lock-reason a").get_attribute("href") or "").endswith("/console")


def test_what_is_selected_and_where_one_reads_survive_an_update(address: str, page: Page, story: Story) -> None:
    run = retried(story)
    open_run(page, address, story, run.key)
    page.locator("#attempt-1 a").first.evaluate("e => e.focus({preventScroll: true})")
    page.evaluate("() => getSelection().selectAllChildren(document.querySelector('.run .title'))")
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"), RetryAsked(run.key, "alex", "again"))
    expect(page.locator(".answer")).to_contain_text("the pipeline is paused by alex")
    assert page.evaluate("document.activeElement.closest('.attempt').id") == "attempt-1"
    assert "Round prices" in page.evaluate("getSelection().toString()")


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_nothing_sticks_out_of_the_page_of_a_run(address: str, page: Page, story: Story, width: int) -> None:
    run = retried(story)
    story.tell(TriggerRefused("S1.2", 2, "the job is disabled " * 20))
    page.set_viewport_size({"width": width, "height": 900})
    for path in (f"/p/{story.shape.name}/runs/{run.key}", f"/p/{story.shape.name}/runs/S1.2", "/docs/fast-lane"):
        page.goto(f"{address}{path}", wait_until="domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_build_of_a_pull_request_has_a_page_that_is_live(address: str, page: Page, story: Story) -> None:
    story.start()
    story.tell(PullMoved("S1", 12, sha("S1p"), at=1.0))
    open_run(page, address, story, "S1.pr12-1")
    story.tell(BuildSeen("build", "shop/verify", 4, None, "S1.pr12-1", 1))
    expect(page.locator(".answer")).to_contain_text("build #4 runs in verify")
    story.tell(BuildSeen("build", "shop/verify", 4, Outcome.FAILURE, "S1.pr12-1", 1, ("LintTest",)))
    expect(page.locator(".answer h3")).to_have_text("failed")
    expect(page.locator(".attempt.failed")).to_contain_text("LintTest")
    assert (page.locator(".answer .to-log").get_attribute("href") or "").endswith("/job/shop/job/verify/4/console")
