"""A real browser before the really served page; whatever it complains about fails the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

import demo.browser
from tests.web.conftest import redis, redis_url, story
from tests.web.serving import served
from tests.web.story import Story

__all__ = ["redis", "redis_url", "story"]


def chromium() -> str:
    """The browser on this machine. Without one the test is skipped, but in CI it fails."""
    names = (demo.browser.SHELL, *demo.browser.NAMES)
    found = demo.browser.find(names)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"none of {', '.join(names)} is installed")
    return str(found)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with demo.browser.opened(chromium()) as opened:
        yield opened


@pytest.fixture
def address(story: Story, redis_url: str, tmp_path: Path) -> Iterator[str]:
    with served(story.shape, redis_url, tmp_path) as url:
        yield url


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says; a test that provokes something takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page, which is closed before the site goes, in whatever order a test names them: else it loses its stream."""
    if "address" in request.fixturenames:
        request.getfixturevalue("address")
    opened = browser.new_page(viewport={"width": 1440, "height": 900})

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert complaints == []
