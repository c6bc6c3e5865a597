"""axe-core finds no mistake of accessibility on any page, wide and narrow, light and dark."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from bot.core.model.events import LockAsked, Merged, ModeAsked
from bot.core.model.pipeline import Mode, Outcome
from tests.github import packages
from tests.web.story import Story, sha

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = ("", "/where", "/runs", "/services/S1", "/log", "/statistics", "/runs/S1.1", "/runs/nobody.1")


@pytest.fixture
def busy(story: Story) -> Story:
    """A board with everything on it: two locks, a queue that is folded, a pause, runs that have ended."""
    story.start()
    story.passes(story.merge("S2", "a"), 4)
    failing = story.merge("S1", "a", "Round prices")
    story.passes(failing, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    story.build(story.merge("S3", "a"), Outcome.FAILURE)
    story.put(LockAsked("production", "sam", "the fair"), ModeAsked(Mode.PAUSE, "alex", "to see"))
    story.put(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else sha("S2a")) for n in range(9)))
    return story


def violations(page: Page) -> list[str]:
    """What axe finds, with the first place of each kind."""
    page.evaluate(packages.file_of(packages.AXE).decode())
    found: dict[str, Any] = page.evaluate("axe.run(document)")
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(
    browser: Browser, address: str, busy: Story, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        reduced_motion="reduce",  # else a tile is looked at while it fades in
        bypass_csp=True,  # axe is put into the page
    )
    page = context.new_page()
    found = {}
    for path in (*(f"/p/{busy.shape.name}{each}" for each in PAGES), "/find", "/find?q=S"):
        page.goto(f"{address}{path}", wait_until="domcontentloaded")
        found[path] = violations(page)
    context.close()
    assert {path: each for path, each in found.items() if each} == {}
