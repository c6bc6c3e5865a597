"""A person signs in and out in a real browser: with a token, and through GitHub; the content policy lets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bot.core.model.events import CancelAsked, LockAsked, Merged, ModeAsked
from bot.core.model.pipeline import Mode
from standins.github import GitHubStandIn
from tests.web.asked import TOKEN
from tests.web.serving import served_with_sign_in
from tests.web.story import Story, sha

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def github(story: Story) -> Iterator[GitHubStandIn]:
    with GitHubStandIn([{"full_name": service.repository} for service in story.shape.services]) as stand_in:
        stand_in.control.set_collaborators(story.shape.services[0].repository, {"kim": "write"})
        stand_in.control.sign_in_browser("kim")
        yield stand_in


@pytest.fixture
def site(story: Story, redis_url: str, tmp_path: Path, github: GitHubStandIn) -> Iterator[str]:
    with served_with_sign_in(story, redis_url, tmp_path, github) as address:
        yield address


def test_with_a_token_and_out_again(site: str, page: Page, story: Story, complaints: list[str]) -> None:
    page.goto(f"{site}/p/{story.shape.name}", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Your API token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not known.")
    complaints.clear()  # the browser notes the 403
    page.get_by_label("Your API token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".user")).to_contain_text("alex")
    expect(page.locator("#live-text")).to_have_text("Live")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_ones_own_runs_stand_above_the_board_also_those_that_it_folds_away(site: str, page: Page, story: Story) -> None:
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    for n in range(30):
        before, author = sha(f"m{n - 1}") if n else None, "Kim" if n == 20 else "x"
        story.tell(Merged("S2", sha(f"m{n}"), before, title=f"Change {n}", author=author))
    page.goto(f"{site}/sign-in/github?next=/p/{story.shape.name}", wait_until="domcontentloaded")
    expect(page.locator("#live-text")).to_have_text("Live")
    mine = page.get_by_role("region", name="Yours in a queue 1")
    expect(mine).to_contain_text("Change 20 no. 21 before build")
    expect(page.locator("[id='t-S2.21']")).to_have_count(0)
    page.evaluate("window.sameDocument = true")
    story.tell(CancelAsked("S2.1", "alex", "not this one"))
    expect(mine).to_contain_text("no. 20 before build", timeout=15_000)
    assert page.evaluate("window.sameDocument") is True
    story.tell(LockAsked("production", "alex", "the fair"))
    page.set_viewport_size({"width": 390, "height": 844})
    banner = page.get_by_role("region", name="production is locked")
    expect(banner).to_be_visible(timeout=15_000)
    locked, own = banner.bounding_box(), mine.bounding_box()
    assert locked is not None
    assert own is not None
    assert locked["y"] + locked["height"] <= own["y"], "on a phone, what is locked comes first"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_through_github(site: str, page: Page, story: Story) -> None:
    page.goto(f"{site}/p/{story.shape.name}", wait_until="domcontentloaded")
    page.get_by_role("link", name="Sign in with GitHub").click()
    expect(page.locator(".user")).to_contain_text("github:kim")
    assert page.url == f"{site}/p/{story.shape.name}"
