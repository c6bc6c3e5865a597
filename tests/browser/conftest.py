"""A real browser before the really served page; whatever it complains about fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

import demo.browser
from tests.web.conftest import redis, redis_url, story
from tests.web.serving import SharedSite
from tests.web.story import Story

__all__ = ["redis", "redis_url", "story"]


def chromium() -> str:
    """The browser on this machine. Without one the test is skipped, but in CI it fails."""
    found = demo.browser.find()
    if found is None:
        names = ", ".join(demo.browser.NAMES)
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"none of {names} is installed")
    return str(found)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with demo.browser.opened(chromium()) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_site(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedSite]:
    site = SharedSite(redis_url, tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def address(story: Story, shared_site: SharedSite) -> str:
    """The address of a site that serves the story's pipeline."""
    return shared_site.serve(story.shape)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says; a test that provokes something takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert complaints == []
