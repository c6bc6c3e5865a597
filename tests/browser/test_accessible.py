"""axe-core finds no mistake of accessibility on any page, wide and narrow, light and dark.

Which pages there are is asked of the application itself: a page that is new is looked at, or fails the test that says
what to do. The session below is signed in, so that what only some may see is looked at as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from bot.core.model.events import BuildSeen, LockAsked, Merged, ModeAsked, PullMoved, TriggerAccepted
from bot.core.model.pipeline import Mode, Outcome
from standins.github import GitHubStandIn
from tests.github import packages
from tests.web.addresses import pages
from tests.web.asked import TOKEN
from tests.web.conftest import app, configuration, settings, wake_ups
from tests.web.serving import file_of, served_with_sign_in
from tests.web.story import Story, pipeline, sha

__all__ = ["app", "configuration", "settings", "wake_ups"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def busy(story: Story) -> Story:
    """A board with everything on it: three locks, a dead letter, a fix, a folded queue, a pause, runs that ended."""
    story.start()
    story.pass_stages(story.merge("S2", "a"), 4)
    failing = story.merge("S1", "a", "Round prices")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    story.build(story.merge("S3", "a"), Outcome.FAILURE)
    story.pass_stages(story.merge("S1", "b", "Fix the rounding"))
    story.tell(LockAsked("production", "sam", "the fair"), LockAsked("production", "olga", "the database moves"))
    story.tell(PullMoved("S2", 12, sha("S2p"), at=1.0), TriggerAccepted("S2.pr12-1", 1, 7))
    story.tell(BuildSeen("build", "shop/verify", 4, Outcome.FAILURE, "S2.pr12-1", 1, ("LintTest",)))
    claim, _ = story.context.outbox.claim("people", limit=5)
    assert claim is not None
    story.context.outbox.give_up(claim, "could not notify team-chat (error=403)", time.time())
    story.tell(ModeAsked(Mode.PAUSE, "alex", "to see"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else sha("S2a"), author="alex") for n in range(9)))
    return story


@pytest.fixture
def site(busy: Story, redis_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of a site with three pipelines: a busy one, one without a run, one that the reader may not read."""
    name = busy.shape.name
    also = ""
    for each in ("quiet", "closed"):
        entry = file_of(pipeline(f"{name}-{each}")).partition("pipelines:\n")[2]
        also += entry.replace(": shop/", f": {each}/")  # jobs of its own
    also += "    roles: {admin: [{name: somebody-else}], operator: [], developer: [], viewer: []}\n"
    repositories = [{"full_name": service.repository} for service in busy.shape.services]
    with (
        GitHubStandIn(repositories) as github,  # type: ignore[arg-type]
        served_with_sign_in(busy, redis_url, tmp_path, github, also) as address,
    ):
        yield address


WIDTHS = (1280, 390)
#: What axe looks for: everything in light; what depends on colours alone again in dark. It lists violations alone.
BRIEF = {"resultTypes": ["violations"], "preload": False}
RULES: dict[Literal["light", "dark"], dict[str, Any]] = {
    "light": BRIEF,
    "dark": {**BRIEF, "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}},
}


def violations(page: Page) -> list[str]:
    """What axe finds in any width and scheme, with the first place of each kind."""
    page.evaluate(packages.file_of(packages.AXE).decode())
    seen = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in RULES.items():
            page.emulate_media(color_scheme=scheme)
            found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", rules)
            seen += [
                f"{width} px, {scheme}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]
            ]
    page.set_viewport_size({"width": WIDTHS[0], "height": 800})
    return seen


@pytest.mark.timeout(300)
def test_axe_finds_nothing(browser: Browser, site: str, app: Flask, busy: Story) -> None:
    base = f"/p/{busy.shape.name}"
    context = browser.new_context(
        viewport={"width": WIDTHS[0], "height": 800},
        reduced_motion="reduce",  # else a tile is looked at while it fades in
        bypass_csp=True,  # axe is put into the page
    )
    page = context.new_page()
    found = {}

    def look_at(path: str, status: int = 200) -> None:
        answer = page.goto(f"{site}{path}", wait_until="domcontentloaded")
        assert answer is not None
        assert (answer.status, answer.header_value("content-type")) == (status, "text/html; charset=utf-8"), path
        assert page.url == f"{site}{path}", f"{path} leads elsewhere: it is not looked at"
        found[path] = violations(page)

    every_page = pages(app, busy.shape.name)
    look_at(every_page.pop("signing.show_sign_in"))
    page.get_by_label("Your API token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    found["a wrong token"] = violations(page)
    page.get_by_label("Your API token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    for path in every_page.values():
        look_at(path)
    for path in (
        f"{base}/runs/S2.1",
        "/find?q=S",
        f"{base}/runs?q=nothing+at+all",
        f"{base}/log?by=anybody",
        f"{base}/runs/S2.pr12-1",
        "/docs/api",
        "/docs/page",
        "/docs/statistics",
    ):
        look_at(path)
    for form in ("unlock?stage=production&lock=all", "retry?run=S2.2", "fast-lane?service=S1", "fast-lane"):
        look_at(f"{base}/act/{form}")
    look_at(f"{base}/act/lock?stage=acceptance&until=soon")
    page.get_by_role("button", name="Show what it does").click()
    page.get_by_role("alert").wait_for()
    found["a mistake in a form"] = violations(page)
    look_at(f"{base}/dead-letters")
    page.get_by_role("link", name="Retry…").click()
    page.get_by_label("Reason").fill("mended")
    page.get_by_role("button", name="Retry a dead letter").click()
    page.get_by_text("Done: it is tried again").wait_for()
    found["what became of an action"] = violations(page)
    look_at(f"{base}-quiet")
    look_at(f"{base}/runs/nobody.1", 404)
    look_at(f"{base}/log?before=x", 400)
    look_at(f"{base}-closed", 403)
    context.close()
    assert {path: each for path, each in found.items() if each} == {}


def test_mistakes_are_found_in_every_width_and_scheme(browser: Browser) -> None:
    page = browser.new_page()
    style = "@media (prefers-color-scheme: dark) { p { color: #333; background: #222 } }"
    main = "<main><h1>A</h1><p>Some words<img src=x></main>"
    page.set_content(f"<!doctype html><html lang=en><title>A</title><style>{style}</style>{main}")
    found = [each.rpartition(": <")[0] for each in violations(page)]
    page.close()
    assert found == [
        f"{width} px, {mistake}" for width in WIDTHS for mistake in ("light: image-alt", "dark: color-contrast")
    ]


def test_a_page_that_nobody_said_how_to_look_at_fails() -> None:
    app = Flask(__name__)
    app.add_url_rule("/p/<pipeline>/freezes/<freeze>", "page.show_freeze", lambda: "")
    with pytest.raises(pytest.fail.Exception, match=r"page\.show_freeze .* PARTS"):
        pages(app, "shop")
