"""Moving through the past in a real browser: slider, steps and play, by mouse and keyboard; a gap and a failure."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from bot.core.model.events import LockAsked, UnlockAsked
from bot.core.model.pipeline import Outcome
from tests.web.story import Story
from tests.web.test_past import clock

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def lived(story: Story) -> int:
    """S1a fails in pre-production; a person locks production and opens it; returns a moment in between."""
    story.start()
    run = story.merge("S1", "a", "Round prices")
    story.pass_stages(run, 2)
    story.build(run, Outcome.FAILURE)
    story.tell(LockAsked("production", "sam", "the fair"))
    moment = clock(story)
    story.tell(UnlockAsked("production", "sam", "over"))
    for number in range(6):
        story.merge("S2", f"m{number}", "Faster search")
    return moment


def open_past(page: Page, address: str, story: Story, moment: int | None = None) -> None:
    at = "" if moment is None else f"?at={moment / 1_000}"
    page.goto(f"{address}/p/{story.shape.name}/past{at}", wait_until="domcontentloaded")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_steps_show_other_boards_without_a_new_page_and_the_address_is_that_of_the_moment(
    address: str, page: Page, story: Story
) -> None:
    lived(story)
    open_past(page, address, story)
    page.evaluate("window.stayed = true")
    banner = page.locator("#banner-production")
    expect(banner).to_have_count(0)
    page.get_by_role("link", name="Last lock before").click()
    expect(banner).to_be_visible()
    expect(page.locator("#past-latest")).to_contain_text("stage locked")
    expect(page).to_have_url(re.compile(r"/past\?at=20"))
    page.get_by_role("link", name="Previous decision").press("Enter")
    expect(banner).to_have_count(0)
    page.get_by_role("link", name="Next decision").press("Enter")
    expect(banner).to_be_visible()
    page.locator("#past-locks summary").click()
    page.locator("#past-locks a", has_text="a lock opened").click()
    expect(banner).to_have_count(0)
    assert page.evaluate("window.stayed")
    page.reload(wait_until="domcontentloaded")
    expect(page.locator("#past-latest")).to_contain_text("stage unlocked")


def test_the_slider_asks_once_for_where_it_comes_to_rest(address: str, page: Page, story: Story) -> None:
    lived(story)
    open_past(page, address, story)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/past?at=" in request.url else None)
    slider = page.get_by_label("Moment of the last day")
    slider.focus()
    for key in ("ArrowLeft", "ArrowRight", "ArrowLeft", "Home"):
        page.keyboard.press(key)
    expect(page.locator("#past-spoken")).to_contain_text("The board as of")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"\d:\d\d"))
    expect(page).to_have_url(re.compile(r"/past\?at=20"))
    assert 1 <= len(asked) <= 3


def test_play_goes_on_from_decision_to_decision_until_now(address: str, page: Page, story: Story) -> None:
    moment = lived(story)
    open_past(page, address, story, moment)
    expect(page.locator("#banner-production")).to_be_visible()
    page.get_by_label("step by").select_option("decision")
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#banner-production")).to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_label("step by").select_option("10 minutes")
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#past-board")).to_have_attribute("data-next", "")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_board_that_cannot_be_loaded_is_said_and_the_next_one_is_shown(
    address: str, page: Page, story: Story, complaints: list[str]
) -> None:
    lived(story)
    open_past(page, address, story)

    def fail(route: Route) -> None:
        route.fulfill(status=503, body="no")

    page.route("**/past?at=*", fail)
    page.get_by_role("link", name="Last lock before").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.unroute("**/past?at=*")
    page.get_by_role("link", name="Last lock before").click()
    expect(page.locator("#banner-production")).to_be_visible()
    expect(page.locator("#past-problem")).to_be_empty()
    complaints[:] = [each for each in complaints if "503" not in each]


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_nothing_sticks_out_of_the_page_of_the_past(address: str, page: Page, story: Story, width: int) -> None:
    moment = lived(story)
    page.set_viewport_size({"width": width, "height": 900})
    open_past(page, address, story, moment)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
