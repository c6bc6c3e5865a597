"""The live page in a browser: the pictures appear by themselves, and nothing that the reader does is disturbed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from bot.core.model.events import LockAsked, Merged, ModeAsked, UnlockAsked
from bot.core.model.pipeline import Mode, Outcome
from bot.core.model.run import Run
from bot.web.live import MOST_FROM_ONE_ADDRESS
from tests.web.serving import free_port, served
from tests.web.story import Story, sha

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = '<script>window.hurt=1</script><img src=x onerror="window.hurt=1">"\' onclick=window.hurt=1 {{7*7}}'


def first_picture(story: Story) -> Run:
    """Seven runs on their way; returns S1a, which runs in pre-production."""
    story.start()
    s1a = story.merge("S1", "a", "Round prices to the cent")
    story.pass_stages(s1a, 2)
    story.build(s1a, None)
    for service, letter, passed in (("S2", "a", 2), ("S1", "b", 2), ("S3", "a", 1), ("S1", "c", 1), ("S2", "b", 1)):
        run = story.merge(service, letter)
        story.pass_stages(run, passed)
        if passed == 1:
            story.build(run, None)
    story.pass_stages(story.merge("S1", "d"), 1)
    return s1a


def is_live(page: Page) -> None:
    expect(page.locator("#live-text")).to_have_text("Live")


def names(page: Page, where: str) -> list[str]:
    """The runs in one part of the page, in their order."""
    return [re.sub(r"^t-", "", each) for each in page.locator(f"{where} .tile").evaluate_all("e => e.map(x => x.id)")]


def test_the_pictures_unfold_without_a_reload(address: str, page: Page, story: Story) -> None:
    s1a = first_picture(story)
    page.goto(address, wait_until="domcontentloaded")
    is_live(page)
    page.evaluate("window.sameDocument = true")
    assert names(page, "#c-pre-production .queue") == ["S2.1", "S1.2"]
    assert names(page, "#c-pre-production .stage") == ["S1.1"]
    expect(page.locator(".banner")).to_have_count(0)

    story.build(s1a, Outcome.FAILURE, ("CheckoutTest",))
    banner = page.get_by_role("region", name="pre-production is locked")
    expect(banner).to_contain_text("failed in pre-production (CheckoutTest)")
    expect(page).to_have_title(re.compile("^Locked: pre-production"))
    expect(page.locator("#c-pre-production .stage")).to_contain_text("Locked")
    expect(page.locator("#banners")).to_have_attribute("aria-live", "polite")

    fix = story.merge("S1", "e", "Fix the rounding")
    story.pass_stages(fix)
    expect(banner).to_contain_text("“Fix the rounding” #44 is in fast acceptance")
    assert names(page, "#c-acceptance .fast-step") == ["S1.5"]

    story.pass_stages(fix, 3)
    expect(page.locator(".banner")).to_have_count(0)
    expect(page.locator("#c-production .stage .tile")).to_have_attribute("id", "t-S1.5")
    assert names(page, "#c-pre-production .stage") == ["S2.1"]
    expect(page.locator(".ended")).to_contain_text("superseded by S1.5")
    assert page.evaluate("window.sameDocument") is True


def test_below_a_path_the_page_is_live_and_every_link_stays_there(
    page: Page, story: Story, redis_url: str, tmp_path: Path
) -> None:
    s1a = first_picture(story)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    port = free_port()
    site = f"http://127.0.0.1:{port}/ci"
    with served(story.shape, redis_url, tmp_path, f"web: {{public_url: '{site}'}}\n", port):
        page.goto(f"{site}/", wait_until="domcontentloaded")
        is_live(page)
        story.build(s1a, Outcome.FAILURE, ("CheckoutTest",))
        expect(page).to_have_title(re.compile("^Locked: pre-production"))
        expect(page.locator("#icon")).to_have_attribute("href", "/ci/static/icon-locked.svg")
        page.locator("#t-S1\\.1 a.who").click()
        is_live(page)
        assert page.url == f"{site}/p/{story.shape.name}/runs/S1.1"
        page.get_by_role("link", name="Runs", exact=True).click()
        is_live(page)
        page.get_by_role("searchbox").first.fill("S2.1")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/p/{story.shape.name}/runs/S2.1")
        page.goto("about:blank")  # the connection of a live page would be lost with the site
        assert {f"{site}/static/page.css", f"{site}/p/{story.shape.name}/live"} <= set(asked)
        assert [url for url in asked if not url.startswith((f"{site}/", "about:"))] == []


@pytest.mark.parametrize("path", ["", "/where", "/runs"])
def test_title_and_icon_follow_a_lock_that_comes_and_goes(address: str, page: Page, story: Story, path: str) -> None:
    story.start()
    page.goto(f"{address}/p/{story.shape.name}{path}", wait_until="domcontentloaded")
    is_live(page)
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", "/static/icon.svg")
    story.tell(LockAsked("production", "alex", "the fair"))
    expect(icon).to_have_attribute("href", "/static/icon-locked.svg", timeout=15_000)
    expect(page).to_have_title(re.compile("^Locked: production · "))
    story.tell(UnlockAsked("production", "alex", "it is over"))
    expect(icon).to_have_attribute("href", "/static/icon.svg", timeout=15_000)
    expect(page).not_to_have_title(re.compile("Locked"))


def test_focus_selection_and_scrolling_survive_an_update(address: str, page: Page, story: Story) -> None:
    story.start()
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else None, title=f"Change {n}") for n in range(30)))
    page.goto(address, wait_until="domcontentloaded")
    is_live(page)
    scrolled = page.locator(".facts ol")
    scrolled.evaluate("e => { e.scrollTop = 300 }")
    page.locator("[id='a-S2.2']").evaluate("e => e.focus({preventScroll: true})")
    page.evaluate(
        "() => { const t = document.querySelector(`[id='t-S2.3'] .title`).firstChild;"
        " getSelection().setBaseAndExtent(t, 0, t, 8) }"
    )
    story.tell(LockAsked("production", "alex", "a change elsewhere"))
    expect(page.locator(".banner.locked")).to_contain_text("a change elsewhere")
    assert page.evaluate("document.activeElement.id") == "a-S2.2"
    assert page.evaluate("getSelection().toString()") == "Change 2"
    assert scrolled.evaluate("e => e.scrollTop") >= 300  # more by what came in above: what is read stays where it is


def test_the_focus_follows_a_run_to_where_it_goes(address: str, page: Page, story: Story) -> None:
    story.start()
    run = story.merge("S1", "a")
    page.goto(address, wait_until="domcontentloaded")
    is_live(page)
    page.locator(f"[id='a-{run.key}']").focus()
    story.pass_stages(run)
    expect(page.locator("#c-acceptance .stage .tile")).to_have_count(1)
    assert page.evaluate("document.activeElement.id") == f"a-{run.key}"


def test_a_hostile_title_is_shown_as_text(address: str, page: Page, story: Story) -> None:
    story.start()
    page.goto(address, wait_until="domcontentloaded")
    is_live(page)
    story.tell(Merged("S1", sha("x"), sha("S1 base"), title=HOSTILE, author=HOSTILE, pull=1))
    story.tell(LockAsked("production", "alex", HOSTILE))
    expect(page.locator("[id='t-S1.1'] .title")).to_contain_text(HOSTILE)
    expect(page.locator(".banner.locked")).to_contain_text(HOSTILE)
    page.goto(f"{address}/p/{story.shape.name}/runs/S1.1", wait_until="domcontentloaded")
    expect(page.locator(".run .title")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hurt") is None


def test_a_lost_connection_is_said_and_found_again(
    page: Page, story: Story, redis_url: str, tmp_path: Path, complaints: list[str]
) -> None:
    story.start()
    with served(story.shape, redis_url, tmp_path) as address:
        page.goto(address, wait_until="domcontentloaded")
        is_live(page)
    expect(page.locator("#live-text")).to_have_text(re.compile("Connection lost, trying again, as of "))
    assert all("ERR_CONNECTION_REFUSED" in text or "ERR_INCOMPLETE_CHUNKED" in text for text in complaints)
    complaints.clear()


def test_one_page_too_many_is_late_and_becomes_live_when_there_is_room(address: str, page: Page, story: Story) -> None:
    story.start()
    with ExitStack() as others:
        for _ in range(MOST_FROM_ONE_ADDRESS):
            others.enter_context(urlopen(f"{address}/p/{story.shape.name}/live", timeout=60))
        page.goto(address, wait_until="domcontentloaded")
        sign = page.locator("#live-text")
        expect(sign).to_have_text(re.compile("^Too many live pages are open from your address; as of "))
        story.tell(LockAsked("production", "alex", "seen a little later"))
        expect(page.locator(".banner.locked")).to_contain_text("seen a little later", timeout=15_000)
        expect(sign).to_have_text(re.compile("^Too many"))
    expect(sign).to_have_text("Live", timeout=15_000)


def test_without_scripts_the_page_shows_the_board(address: str, browser: Browser, story: Story) -> None:
    story.start()
    story.tell(LockAsked("production", "alex", "plain HTML"))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address, wait_until="domcontentloaded")
    expect(page.locator(".banner.locked")).to_contain_text("plain HTML")
    expect(page).to_have_title(re.compile("^Locked: production · "))
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", "/static/icon-locked.svg")
    expect(page.locator("#live-text")).to_have_text(re.compile("^as of "))
    context.close()


def test_nothing_sticks_out_at_any_width(address: str, page: Page, story: Story) -> None:
    story.build(first_picture(story), Outcome.FAILURE, ("a_test_with_a_very_long_name_" * 6,))
    story.tell(UnlockAsked("pre-production", "alex", "x" * 400))
    story.tell(LockAsked("production", "alex", "y" * 400))
    page.goto(address, wait_until="domcontentloaded")
    is_live(page)
    for width in (360, 390, 820, 1180, 1181, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width >= 1440:
            flow = page.locator(".flow")
            assert flow.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
