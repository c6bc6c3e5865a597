"""A stage that is frozen, and one that soon will be, in a real browser: words, widths, and axe."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.core.model.events import FreezesPlanned
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.reporting.sentences import local_moment
from tests.github import packages
from tests.web.story import Story

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ZONE = "Europe/Berlin"
HOUR = 3_600.0


def freezes(story: Story) -> tuple[str, str]:
    """Production is frozen and pre-production will be; S1 waits. In words: until when, and from when."""
    now = time.time()
    story.start()
    story.tell(
        FreezesPlanned(
            (
                Freeze("weekend", ("production",), (FreezeWindow(now - HOUR, now + 60 * HOUR),), ZONE, role="operator"),
                Freeze("fair", ("pre-production",), (FreezeWindow(now + 24 * HOUR, now + 30 * HOUR),), ZONE),
            )
        )
    )
    story.pass_stages(story.merge("S1", "a", "Round prices"), 3)
    return local_moment(now + 60 * HOUR, ZONE), local_moment(now + 24 * HOUR, ZONE)


def wider_than_the_window(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.mark.parametrize("width", [1440, 900, 390])
def test_the_board_says_until_when_a_stage_is_frozen_and_when_the_next_one_closes(
    browser: Browser, address: str, story: Story, width: int
) -> None:
    ends, begins = freezes(story)
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/p/{story.shape.name}")
    closes = page.locator("#c-pre-production .closes")
    expect(closes).to_have_text(f"Closes {begins} (freeze fair)")
    expect(closes).to_be_visible()
    banner = page.locator("#banner-production")
    expect(banner.locator("h2")).to_have_text(f"production is frozen until {ends}")
    expect(page.locator("#c-production .shut-sign")).to_have_text(f"Frozen until {ends}")
    expect(page).to_have_title(f"{story.shape.name} · Interlock")
    expect(banner).to_contain_text(f"frozen until {ends} (freeze weekend)")
    expect(page.locator("#c-production")).to_contain_text(f"production is frozen until {ends} (freeze weekend)")
    assert not wider_than_the_window(page)
    page.evaluate(packages.file_of(packages.AXE).decode())
    assert page.evaluate("axe.run(document)")["violations"] == []
    page.goto(f"{address}/p/{story.shape.name}/runs/S1.1")
    expect(page.locator("main")).to_contain_text(f"production is frozen until {ends} (freeze weekend)")
    assert not wider_than_the_window(page)
    context.close()
