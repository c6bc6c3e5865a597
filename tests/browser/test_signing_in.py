"""A person signs in and out in a real browser: with a token, and through GitHub; the content policy lets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from standins.github import GitHubStandIn
from tests.web.asked import TOKEN
from tests.web.serving import served_with_sign_in
from tests.web.story import Story

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
    expect(page.get_by_role("alert")).to_have_text("Nobody has this token.")
    complaints.clear()  # the browser notes the 403
    page.get_by_label("Your API token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".user")).to_contain_text("alex")
    expect(page.locator("#live-text")).to_have_text("Live")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_through_github(site: str, page: Page, story: Story) -> None:
    page.goto(f"{site}/p/{story.shape.name}", wait_until="domcontentloaded")
    page.get_by_role("link", name="Sign in with GitHub").click()
    expect(page.locator(".user")).to_contain_text("github:kim")
    assert page.url == f"{site}/p/{story.shape.name}"
