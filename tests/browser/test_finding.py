"""Many runs and many stages in a real browser: all is within reach, a locked stage is in view, lists are live."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from bot.core.model.events import LockAsked, Merged, ModeAsked
from bot.core.model.pipeline import Job, Mode, Outcome, Pipeline
from tests.web.addresses import pages
from tests.web.conftest import all_live, app, configuration, settings, wake_ups
from tests.web.serving import file_of, served
from tests.web.story import Story, pipeline, sha

__all__ = ["app", "configuration", "settings", "wake_ups"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTILE = '<script>window.hurt=1</script><img src=x onerror="window.hurt=1">'
#: A laptop.
WIDE, HIGH = 1280, 800


def long_pipeline(name: str, stages: int) -> Pipeline:
    """The pipeline of the pictures with more stages between acceptance and pre-production."""
    shape = pipeline(name)
    build, acceptance, *rest = shape.stages
    extra = [
        replace(acceptance, name=f"check-{n}", job=Job("cdp", f"shop/check-{n}"), fast_job=None)
        for n in range(stages - len(shape.stages))
    ]
    return replace(shape, stages=(build, acceptance, *extra, *rest))


@pytest.fixture
def laptop(page: Page) -> Page:
    page.set_viewport_size({"width": WIDE, "height": HIGH})
    return page


def is_live(page: Page) -> None:
    expect(page.locator("#live-text")).to_have_text("Live")


@pytest.fixture(params=[8, 20])
def long_story(request: pytest.FixtureRequest, redis: Redis, story: Story) -> Iterator[Story]:
    """Many stages, of which the last but one has locked."""
    all_live(redis)
    shape = long_pipeline(f"{story.shape.name}-long", request.param)
    told = Story(redis, shape)
    told.start()
    failing = told.merge("S1", "a")
    told.pass_stages(failing, len(shape.stages) - 2)
    told.build(failing, Outcome.FAILURE)
    told.pass_stages(told.merge("S2", "a"), 2)
    yield told


def test_any_number_of_stages_fits_a_laptop_and_the_locked_one_is_in_view(
    laptop: Page, long_story: Story, redis_url: str, tmp_path: Path
) -> None:
    with served(long_story.shape, redis_url, tmp_path) as address:
        laptop.goto(f"{address}/p/{long_story.shape.name}", wait_until="domcontentloaded")
        is_live(laptop)
        flow = laptop.locator(".flow")
        assert flow.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
        box = laptop.locator("#c-pre-production .stage.locked").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= WIDE
        assert laptop.locator(".quiet-stage").count() >= len(long_story.shape.stages) - 5
        if len(long_story.shape.stages) < 10:  # whoever may lock finds it on a narrow stage as well, inside of it
            laptop.evaluate("document.getElementById('board').classList.add('may-operator')")
            for stage in laptop.locator(".quiet-stage .main-lane .stage").all():
                around, button = stage.bounding_box(), stage.get_by_role("link", name="Lock…").bounding_box()
                assert around is not None
                assert button is not None
                assert around["x"] <= button["x"]
                assert button["x"] + button["width"] <= around["x"] + around["width"]
        laptop.get_by_role("link", name="pre-production is locked").click()
        expect(laptop).to_have_url(re.compile("#c-pre-production$"))
        laptop.goto("about:blank")


def test_a_thousand_runs_take_three_screens_and_few_bytes_and_are_all_within_reach(
    laptop: Page, address: str, story: Story
) -> None:
    story.start()
    story.tell(ModeAsked(Mode.PAUSE, "alex", "filling"))
    for service in ("S1", "S2", "S3"):
        shas = [sha(f"{service}{n}") for n in range(334)]
        merges = [
            Merged(
                service, each, shas[n - 1] if n else None, pull=n + 1, title=f"Change {n} of {service}", author="kim"
            )
            for n, each in enumerate(shas)
        ]
        story.tell(*merges)
    while len(story.board.runs) < 1_002:
        story.turns()
    url = f"{address}/p/{story.shape.name}"
    began = time.monotonic()
    laptop.goto(url, wait_until="domcontentloaded")
    is_live(laptop)
    assert time.monotonic() - began < 5  # under a second on a quiet machine; this one may be busy
    assert laptop.evaluate("document.documentElement.scrollHeight") < 3 * HIGH
    with urlopen(Request(url, headers={"Accept-Encoding": "gzip"}), timeout=30) as answer:
        assert len(answer.read()) < 40 << 10
    laptop.get_by_role("link", name=re.compile("^\\+ 998 more$")).click()
    expect(laptop.get_by_text("1,002 on the way")).to_be_visible()
    is_live(laptop)  # its script hears the keyboard now
    laptop.keyboard.press("/")
    laptop.keyboard.type("change 333 of s2")
    laptop.keyboard.press("Enter")
    expect(laptop).to_have_url(re.compile(r"/runs/S2\.334$"))
    laptop.goto("about:blank")  # the page of a run is live, too: it must not outlive the server


def test_the_lists_keep_themselves_up_to_date_and_leave_the_reader_alone(
    page: Page, address: str, story: Story
) -> None:
    story.start()
    page.goto(f"{address}/p/{story.shape.name}/runs", wait_until="domcontentloaded")
    is_live(page)
    page.evaluate("window.sameDocument = true")
    story.tell(Merged("S1", sha("x"), None, title=HOSTILE, author=HOSTILE, pull=1))
    row = page.locator("[id='r-S1.1']")
    expect(row).to_contain_text(HOSTILE, timeout=15_000)
    page.get_by_label("Words").fill("something half typed")
    page.wait_for_timeout(5_000)  # longer than the time between two questions
    expect(page.get_by_label("Words")).to_have_value("something half typed")
    assert page.evaluate("window.sameDocument && window.hurt === undefined") is True


def test_a_slash_that_is_typed_into_a_field_is_a_slash(page: Page, address: str, story: Story) -> None:
    story.start()
    page.goto(f"{address}/p/{story.shape.name}/log", wait_until="domcontentloaded")
    page.get_by_label("Via").focus()
    page.keyboard.type("shop/s1")
    expect(page.get_by_label("Via")).to_have_value("shop/s1")
    page.locator("h2").first.click()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()


def test_without_scripts_runs_are_found_and_filtered(address: str, browser: Browser, story: Story) -> None:
    story.start()
    story.merge("S1", "a", "Round prices")
    story.merge("S2", "a", "Faster search")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/p/{story.shape.name}", wait_until="domcontentloaded")
    page.locator("#find").fill("round prices")
    page.locator("#find").press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/S1\.1$"))
    page.goto(f"{address}/p/{story.shape.name}/runs", wait_until="domcontentloaded")
    page.get_by_label("Service", exact=True).fill("S2")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("table.runs tbody tr")).to_have_count(1)
    context.close()


def test_no_page_sticks_out_at_any_width(
    page: Page, address: str, app: Flask, story: Story, complaints: list[str]
) -> None:
    story.start()
    failing = story.merge("S1", "a", "a_very_long_title_without_a_blank_" * 6)
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE, ("a_test_with_a_very_long_name_" * 6,))
    story.tell(LockAsked("production", "alex", "y" * 400))
    for path in pages(app, story.shape.name).values():
        if not path.startswith("/p/"):
            continue
        page.goto(f"{address}{path}", wait_until="domcontentloaded")
        for width in (360, 390, 820, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    complaints.clear()  # the browser notes the 401 of the forms: nobody is signed in


def test_the_overview_tells_of_a_lock_without_a_reload(
    page: Page, redis: Redis, story: Story, redis_url: str, tmp_path: Path
) -> None:
    all_live(redis)
    other = Story(redis, pipeline(f"{story.shape.name}-other"))
    for each in (story, other):
        each.start()
    also = file_of(other.shape).partition("pipelines:\n")[2].replace(": shop/", ": other/")  # jobs of its own
    with served(story.shape, redis_url, tmp_path, also=also) as address:
        page.goto(address, wait_until="domcontentloaded")
        is_live(page)
        names = page.locator(".pipelines h2")
        expect(names).to_have_text([story.shape.name, other.shape.name])
        other.tell(LockAsked("production", "sam", HOSTILE))
        expect(page.locator(".has-lock")).to_contain_text(HOSTILE, timeout=15_000)
        expect(names).to_have_text([other.shape.name, story.shape.name])
        expect(page).to_have_title(re.compile(f"^Locked: {other.shape.name}"))
        expect(page.locator("link[rel=icon]")).to_have_attribute("href", "/static/icon-locked.svg")
        assert page.evaluate("window.hurt === undefined") is True
        page.goto("about:blank")
