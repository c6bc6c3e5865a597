"""The page as HTML: what stands where, that strangers' text is text, and what a browser is told to refuse."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from bot.core.model.events import (
    BuildSeen,
    Configured,
    FreezesPlanned,
    LockAsked,
    Merged,
    ModeAsked,
    PullMoved,
    TriggerRefused,
    UnlockAsked,
)
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Mode, Outcome, Pipeline
from bot.core.model.run import Run
from bot.reporting.sentences import local_moment
from bot.store.records import Repairs
from bot.web.app import create_app
from config.configuration import Configuration, Controller
from config.settings import Settings
from tests.web.addresses import pages
from tests.web.asked import AUTH
from tests.web.story import Story, pipeline, sha

CSS = (Path(__file__).parents[2] / "bot/web/static/page.css").read_text()


def text(html: str) -> str:
    """What a reader reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def broken(story: Story) -> Run:
    """The second picture, smaller: S1a failed in pre-production, S2a waits before it, S1b runs in acceptance."""
    story.start()
    run = story.merge("S1", "a", "Round prices")
    story.pass_stages(run, 2)
    waits = story.merge("S2", "a", "Faster search")
    story.pass_stages(waits, 2)
    later = story.merge("S1", "b")
    story.pass_stages(later)
    story.build(later, None)
    story.build(run, Outcome.FAILURE, ("CheckoutTest",))
    return run


def shown(client: FlaskClient, story: Story) -> str:
    answer = client.get(f"/p/{story.shape.name}")
    assert answer.status_code == 200
    return answer.text


def test_one_pipeline_is_shown_at_once(client: FlaskClient, story: Story) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/p/{story.shape.name}")


def test_several_pipelines_are_listed(settings: Settings, story: Story, broken: Run) -> None:
    both = Configuration((story.shape, pipeline("another")), {})
    page = create_app(settings, both, lambda _: None).test_client().get("/").text
    assert f"{story.shape.name} locked: pre-production" in text(page)
    assert "another all stages open" in text(page)


def test_a_locked_stage_is_unmistakable(client: FlaskClient, story: Story, broken: Run) -> None:
    page = shown(client, story)
    words = text(page)
    assert "<title>Locked: pre-production" in page
    failed = f"pre-production is locked S1 {sha('S1a')[:7]} failed in pre-production (CheckoutTest)"
    build = story.board.runs[broken.key].attempt.build
    assert f"{failed} Log of build #{build} Held by S1.1" in words
    assert f'href="https://cdp.example.com/job/shop/job/pre-production/{build}/console"' in page
    assert "No fix is on its way yet. Merge it to main of S1" in words
    assert "1 run waits for pre-production and keeps its place" in words
    assert "Locked pre-production" in words  # the sign on the stage itself, besides its colour


def test_each_page_of_a_pipeline_says_in_title_and_icon_that_a_stage_is_locked(
    app: Flask, client: FlaskClient, story: Story, broken: Run
) -> None:
    of_the_pipeline = {view: path for view, path in pages(app, story.shape.name).items() if path.startswith("/p/")}
    assert len(of_the_pipeline) >= 7
    for path in of_the_pipeline.values():
        page = client.get(path, headers=AUTH).text
        assert "<title>Locked: pre-production · " in page, path
        assert 'href="/static/icon-locked.svg"' in page, path
    assert client.get("/static/icon-locked.svg").status_code == 200
    story.tell(UnlockAsked("pre-production", "alex", "seen to"))
    for path in of_the_pipeline.values():
        page = client.get(path, headers=AUTH).text
        assert "Locked: " not in page.partition("</title>")[0], path
        assert 'href="/static/icon.svg"' in page, path


def test_a_stage_that_only_a_freeze_closes_is_called_frozen_everywhere(client: FlaskClient, story: Story) -> None:
    now = time.time()
    window = FreezeWindow(now - 3_600, now + 36_000)
    story.start()
    story.tell(FreezesPlanned((Freeze("weekend", ("production",), (window,), "UTC"),)))
    until = f"frozen until {local_moment(window.ends, 'UTC')}"
    page = shown(client, story)
    assert f"production is {until}" in text(page)
    assert f'aria-label="Stage production, {until}"' in page
    assert f"F{until[1:]} production" in text(page)
    assert "Locked" not in text(page)
    assert "<title>Locked" not in page
    where = client.get(f"/p/{story.shape.name}/where").text
    assert f"production , {until}" in text(where)
    assert "what changed there" not in where
    overview = text(client.get("/").text)
    assert "Locked" not in overview
    story.tell(LockAsked("production", "sam", "the fair"))
    assert "production is locked" in text(shown(client, story))
    assert "<title>Locked: production" in shown(client, story)


def test_an_error_says_nothing_of_a_pipeline_that_one_may_not_read(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    page = client.get(f"/p/{story.shape.name}/runs/nobody.1").text
    assert ("pre-production" in page, "icon-locked" in page) == (False, False)


def test_every_tile_says_who_it_is_and_why_it_stands_there(client: FlaskClient, story: Story, broken: Run) -> None:
    page = shown(client, story)
    tile = re.search(r'<li class="tile[^"]*" id="t-S2\.1">.*?</li>', page, re.DOTALL)
    assert tile is not None
    words = text(tile[0])
    assert words.startswith(f"no. 1 in line: S2 {sha('S2a')[:7]} #40 Faster search waiting pre-production is locked")
    assert "main lane" in words
    assert f'href="https://github.com/shop/s2-{story.shape.name}/pull/40"' in tile[0]
    assert "<time datetime=" in tile[0]


def test_a_fix_on_its_way_is_told_with_where_it_is(client: FlaskClient, story: Story, broken: Run) -> None:
    fix = story.merge("S1", "e", "Fix the rounding")
    story.pass_stages(fix)
    story.build(fix, None)
    words = text(shown(client, story))
    assert f"The fix: S1 {sha('S1e')[:7]} “Fix the rounding” #42 is in fast acceptance : build #" in words
    assert "Fast lane Open to S1" in words


def test_lanes_and_stages_stand_in_order(client: FlaskClient, story: Story, broken: Run) -> None:
    columns = re.findall(r'<li class="column([^"]*)" id="c-([^"]+)"', shown(client, story))
    assert [name for _, name in columns] == ["merge", "build", "acceptance", "pre-production", "production"]
    by_name = {name: set(classes.split()) for classes, name in columns}
    assert by_name["build"] == {"leaves"}
    assert by_name["acceptance"] == {"unqueued", "in-lane", "lane-first"}
    assert by_name["pre-production"] == {"queued", "in-lane", "lane-last", "rejoins", "is-locked"}


def test_a_manual_lock_says_until_when_and_who_may_pass(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(LockAsked("production", "sam", "Black Friday", True, time.time() + 3600))
    words = text(shown(client, story))
    assert re.search(r"production is locked Black Friday Held by sam Since .* UTC Until .* UTC Fixes may enter", words)
    assert "free for the fix" in words


def test_unmanaged_builds_backoffs_and_a_pause_are_shown(client: FlaskClient, story: Story) -> None:
    story.start()
    run = story.merge("S1", "a")
    story.tell(TriggerRefused(run.key, 1, "build does not answer"))
    story.tell(BuildSeen("cdp", "shop/production", 99, None))
    story.tell(ModeAsked(Mode.PAUSE, "alex", "Jenkins is being upgraded"))
    words = text(shown(client, story))
    assert "Jenkins takes nothing here: build does not answer. Next try" in words
    assert "Build #99 , started by hand, takes a slot" in words
    assert "Paused by alex: Jenkins is being upgraded" in words


def test_a_run_left_in_a_stage_that_was_removed_has_a_tile(client: FlaskClient, story: Story, broken: Run) -> None:
    stages = tuple(stage for stage in story.shape.stages if stage.name != "acceptance")
    story.tell(Configured(replace(story.shape, stages=stages)))
    html = shown(client, story)
    assert "acceptance is no longer configured 1" in text(html)
    assert f"S1 {sha('S1b')[:7]}" in text(html[html.index('class="removed"') :])


def test_a_long_queue_is_folded_to_its_head_and_its_tail_and_the_count_opens(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else None) for n in range(60)))
    page = shown(client, story)
    assert re.findall(r'class="tile .*?id="t-([^"]*)"', page) == ["S2.1", "S2.2", "S2.3", "S2.60"]
    assert "+ 56 more" in text(page)
    (address,) = re.findall(r'<li class="more"><a href="([^"]*)">', page)
    listed = client.get(unescape(address)).text
    assert re.findall(r'id="r-(S2\.[0-9]+)"', listed)[:5] == [f"S2.{n}" for n in range(1, 6)]


def test_a_queue_of_five_is_shown_whole(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else None) for n in range(5)))
    page = shown(client, story)
    assert page.count('class="tile ') == 5
    assert 'class="more"' not in page


def test_the_banner_leads_to_the_stage_and_to_what_changed_there(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    page = shown(client, story)
    assert '<a href="#c-pre-production">pre-production is locked</a>' in page
    assert "Changed there what came there last" in text(page)
    address, _, anchor = re.search(r'href="(/p/[^"#]*/where#([^"]*))"', page)[1].partition("#")  # type: ignore[index]
    assert f'id="{anchor}"' in client.get(address).text


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick=x {{7*7}}"


def test_strangers_text_is_text(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(Merged("S1", sha("x"), sha("S1 base"), title=HOSTILE, author=HOSTILE, pull=1))
    story.tell(LockAsked("production", "alex", HOSTILE))
    for path in ("", "/runs/S1.1"):
        page = client.get(f"/p/{story.shape.name}{path}").text
        assert HOSTILE in unescape(page)
        assert "<script>" not in page
        assert "<img" not in page
        assert "49" not in re.findall(r"onclick=x (\S+)", page)


def test_a_browser_is_told_to_run_nothing_but_ours(client: FlaskClient, story: Story) -> None:
    answer = client.get(f"/p/{story.shape.name}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"\son\w+=|style=|<style|<script(?! src=\"/static/)", answer.text)
    assert not re.search(r'(src|href)="(https?:)?//(?!github\.com|build\.|cdp\.)', answer.text)


def test_one_run_shows_its_journey_and_what_replaced_it(client: FlaskClient, story: Story, broken: Run) -> None:
    fix = story.merge("S1", "e")
    story.pass_stages(fix, 4)
    page = text(client.get(f"/p/{story.shape.name}/runs/{broken.key}").text)
    assert f"superseded contained in {sha('S1e')[:7]}, superseded by {fix.key}" in page
    assert f"Carried on by {fix.key}" in page
    assert "stage locked" in page
    live = text(client.get(f"/p/{story.shape.name}/runs/{fix.key}").text)
    assert "starting in production" in live
    assert "acceptance (passed)" in live


def test_a_page_that_is_not_there_says_what_is(client: FlaskClient, story: Story, broken: Run) -> None:
    answer = client.get(f"/p/{story.shape.name}/runs/S1.9")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is: S1.1, S1.2" in text(answer.text)
    assert client.get("/p/nowhere").status_code == 404


def test_without_redis_the_page_says_so(settings: Settings, configuration: Configuration, story: Story) -> None:
    down = settings.model_copy(update={"redis_url": SecretStr("redis://:hush@127.0.0.1:1/0")})
    answer = create_app(down, configuration, lambda _: None).test_client().get(f"/p/{story.shape.name}")
    assert answer.status_code == 503
    assert "cannot be reached" in text(answer.text)
    assert "hush" not in answer.text


def test_a_pipeline_without_a_fast_lane_is_drawn_without_one(settings: Settings, story: Story) -> None:
    stages = tuple(type(s)(s.name, s.job, s.capacity, s.on_failure) for s in story.shape.stages)
    plain = Pipeline(f"{story.shape.name}x", stages, story.shape.services)
    controllers = {"cdp": Controller("cdp", "https://cdp.example.com/x", "u")}
    other = Story(story.redis, plain)
    other.start()
    client = create_app(settings, Configuration((plain,), controllers), lambda _: None).test_client()
    page = client.get(f"/p/{plain.name}").text
    assert "Fast lane" not in page
    assert 'href="https://cdp.example.com/x/job/shop/job/production/"' in page


def test_before_the_workers_have_run_the_page_says_so(client: FlaskClient, story: Story) -> None:
    assert "The workers have not put the configuration in force yet" in text(shown(client, story))


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})\b", block))


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "soft", "blue", "red", "violet", "green", "amber"])
@pytest.mark.parametrize("ground", ["bg", "surface", "raised", "red-bg", "violet-bg"])
def test_text_can_be_read_on_every_ground(theme: int, ink: str, ground: str) -> None:
    colours = _colours(re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[theme])
    assert _contrast(colours[ink], colours[ground]) >= 4.5


def test_what_had_to_be_found_by_asking_is_a_quiet_line(client: FlaskClient, story: Story, broken: Run) -> None:
    assert "Found by asking" not in shown(client, story)
    for kind in ("push", "build", "push"):
        Repairs(story.redis, story.keys).count(kind)
    words = text(shown(client, story))
    assert re.search(r"Found by polling: 1 change of a build, last .* ; 2 pushes to main, last ", words)


def test_pull_requests_that_are_verified_stand_small_beside_the_build(client: FlaskClient, story: Story) -> None:
    story.start()
    assert "Pull requests 0" in text(shown(client, story))
    story.tell(PullMoved("S1", 12, sha("S1p"), at=1.0), PullMoved("S2", 13, sha("S2p"), at=1.0, fork=True))
    story.tell(BuildSeen("build", "shop/verify", 4, None, "S1.pr12-1", 1))
    page = shown(client, story)
    words = text(page)
    assert f"Pull requests 2 S1 #12 {sha('S1p')[:7]} running S2 #13 {sha('S2p')[:7]} waits for a maintainer" in words
    assert 'href="https://build.example.com/job/shop/job/verify/4/"' in page
    assert f'href="/p/{story.shape.name}/runs/S1.pr12-1">S1</a>' in page


def test_the_list_of_pull_requests_is_bounded(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(*(PullMoved("S1", number, sha(f"p{number}"), at=1.0) for number in range(1, 31)))
    words = text(shown(client, story))
    assert "Pull requests 30" in words
    assert "+ 10 more" in words
