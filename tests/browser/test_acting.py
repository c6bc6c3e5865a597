"""The four pictures, and then every action from the page, with real processes: in a browser with and without
JavaScript and as plain HTTP; each person signs in in another way, and the wrong role is refused."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from rich.console import Console

from bot.core.access import Scope
from bot.core.model.pipeline import Mode, Step
from bot.core.model.run import Status
from bot.store.tokens import Tokens
from demo.story import Story
from demo.town import PIPELINE, Town
from tests.end_to_end.world import World, until, world
from tests.web.plain import OverHttp, PlainBrowser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

HEADER = "X-Forwarded-User"
#: Who signs in with a token, with the role that each has; `pia`, an admin, comes through the proxy, `kim` from GitHub.
WITH_TOKEN = {"vera": "viewer", "dora": "developer", "olga": "operator"}
BASE = f"/p/{PIPELINE}"


#: The tokens that they were given.
TOKENS: dict[str, str] = {}


def prepare(town: Town, file: dict[str, Any]) -> None:
    """Everybody has a role and a way to sign in."""
    pipeline = file["pipelines"][0]
    pipeline["roles"] = {role: [{"name": who}] for who, role in WITH_TOKEN.items()}
    pipeline["roles"]["developer"].append({"name": "github:kim"})
    pipeline["roles"]["admin"] = [{"name": "pia"}, {"name": "demo"}]
    for service in pipeline["services"]:
        service.pop("developers", None)
    proxy = {"header": HEADER, "addresses": ["127.0.0.1"]}
    file["web"] |= {"read": "signed-in", "sign_in": {"token": True, "github": True, "proxy": proxy}}
    town.github.control.register_oauth_app("client", "secret", f"http://{town.bind}/sign-in/github/callback")
    town.github.control.sign_in_browser("kim")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    secrets = {
        "INTERLOCK_SESSION_SECRETS": "a secret for the cookies",
        "INTERLOCK_GITHUB_OAUTH_CLIENT_ID": "client",
        "INTERLOCK_GITHUB_OAUTH_CLIENT_SECRET": "secret",
    }
    with world(tmp_path_factory.mktemp("acting"), prepare=prepare, **secrets) as made:
        for who in WITH_TOKEN:
            TOKENS[who], _ = Tokens(made.redis).create(who, Scope.ACT, None, time.time())
        yield made


# -- the ways to drive a page ------------------------------------------------------------------------------------------


class Driver(Protocol):
    """Somebody before the page."""

    def open(self, path: str) -> None: ...
    def follow(self, words: str) -> None: ...
    def choose(self, foreseen: str, **fields: str) -> None:
        """Fill in the form, and read in "What it does" what is foreseen."""

    def press(self, button: str, reason: str = "") -> None: ...
    def reads(self, words: str) -> None:
        """Wait until the page says it."""


class PlainDriver:
    """Plain HTTP."""

    def __init__(self, address: str, headers: dict[str, str]) -> None:
        self.browser = PlainBrowser(OverHttp(address, headers))
        self.fields: dict[str, str] = {}

    def open(self, path: str) -> None:
        self.browser.open(path)

    def follow(self, words: str) -> None:
        self.browser.follow(words)

    def choose(self, foreseen: str, **fields: str) -> None:
        self.browser.submit("Show what it does", **fields)
        self.reads(foreseen)

    def press(self, button: str, reason: str = "") -> None:
        self.browser.submit(button, **({"reason": reason} if reason else {}))

    def reads(self, words: str) -> None:
        assert words.casefold() in self.browser.text.casefold()


class BrowserDriver:
    """Chromium; without scripts the button "Show what it does" is pressed, with them it shows by itself."""

    def __init__(self, page: Page, address: str, *, scripts: bool) -> None:
        self.page, self.address, self.scripts = page, address, scripts

    def open(self, path: str) -> None:
        self.page.goto(self.address + path, wait_until="domcontentloaded")

    def follow(self, words: str) -> None:
        self.page.get_by_role("link", name=words, exact=True).first.click()

    def choose(self, foreseen: str, **fields: str) -> None:
        for name, value in fields.items():
            self._fill(name, value)
        if not self.scripts:
            self.page.get_by_role("button", name="Show what it does").click()
        expect(self.page.locator("#preview")).to_contain_text(re.compile(re.escape(foreseen), re.IGNORECASE))

    def _fill(self, name: str, value: str) -> None:
        field = self.page.locator(f"form#act [name='{name}']")
        if field.first.get_attribute("type") in ("radio", "checkbox"):
            self.page.locator(f"form#act [name='{name}'][value='{value}']").check()
        elif field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.blur()

    def press(self, button: str, reason: str = "") -> None:
        if reason:
            self.page.locator("#reason").fill(reason)
        self.page.get_by_role("button", name=button, exact=True).click()

    def reads(self, words: str) -> None:
        expect(self.page.locator("body")).to_contain_text(re.compile(re.escape(words), re.IGNORECASE))


#: Whoever it is, before the page.
Person = Callable[[str], Driver]


@contextmanager
def people(way: str, browser: Browser, site: World) -> Iterator[Person]:
    """Each person, signed in, in a window of their own."""
    with ExitStack() as windows:
        complaints: list[str] = []

        def window(who: str) -> Driver:
            headers = {HEADER: who} if who == "pia" else {}
            if way == "plain":
                return PlainDriver(site.url, headers)
            scripts = way == "scripts"
            context = browser.new_context(java_script_enabled=scripts, extra_http_headers=headers)
            windows.callback(context.close)
            page = _watched(context, complaints)
            return BrowserDriver(page, site.url, scripts=scripts)

        def made(who: str) -> Driver:
            driver = window(who)
            driver.open(BASE)
            if who in WITH_TOKEN:
                if isinstance(driver, BrowserDriver):
                    driver.page.get_by_label("Your API token").fill(TOKENS[who])
                    driver.press("Sign in")
                elif isinstance(driver, PlainDriver):
                    driver.browser.submit("Sign in", token=TOKENS[who])
            elif who == "kim":
                driver.follow("Sign in with GitHub")
            driver.reads("github:kim" if who == "kim" else who)
            return driver

        yield made
        assert complaints == []


def _watched(context: BrowserContext, complaints: list[str]) -> Page:
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "status of 403" not in message.text:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


# -- the pictures, and then everything that people may do --------------------------------------------------------------


@pytest.fixture(scope="module")
def fourth_picture(town: World, browser: Browser) -> World:
    """The four pictures have unfolded before somebody who only looks on."""
    town.pace = 1.0
    story = Story(town, Console(file=StringIO()))
    failures: list[BaseException] = []

    def play() -> None:
        try:
            story.play()
        except BaseException as error:  # told to the test below
            failures.append(error)

    with people("scripts", browser, town) as person:
        vera = person("vera")
        assert isinstance(vera, BrowserDriver)
        page = vera.page
        expect(page.locator("#live-text")).to_have_text("Live")
        page.evaluate("window.sameDocument = true")
        player = threading.Thread(target=play)
        player.start()
        banner = page.get_by_role("region", name="pre-production is locked")
        expect(page.locator("#c-pre-production .stage .tile")).to_have_attribute("id", "t-S1.1", timeout=60_000)
        expect(page.locator("#c-pre-production .queue .tile")).to_have_count(2, timeout=60_000)
        expect(page.locator("#c-acceptance .stage .tile")).to_have_count(3, timeout=60_000)
        expect(banner).to_contain_text("CheckoutTest.paysWithCard", timeout=60_000)
        expect(banner).to_contain_text("S1e: a change to S1", timeout=60_000)
        expect(page.locator("#c-acceptance .fast-step .tile")).to_have_attribute("id", "t-S1.5", timeout=60_000)
        expect(page.locator(".banner")).to_have_count(0, timeout=60_000)
        expect(page.locator("#c-production .stage .tile")).to_have_attribute("id", "t-S1.5", timeout=60_000)
        expect(page.locator("#c-pre-production .stage .tile")).to_have_attribute("id", "t-S2.1", timeout=60_000)
        player.join(60)
        assert not player.is_alive()
        assert failures == []
        assert page.evaluate("window.sameDocument") is True
    town.pace = 0.0
    town.let_go("build")
    return town


@pytest.mark.parametrize("way", ["scripts", "no scripts", "plain"])
def test_everything_that_people_may_do_is_done_from_the_page(fourth_picture: World, browser: Browser, way: str) -> None:
    site = fourth_picture
    with people(way, browser, site) as person:
        _the_wrong_role_is_refused(person)
        olga = person("olga")
        _locks(site, olga)
        run = _queue(site, olga)
        _fast_lane(site, olga, run)
        _mode(site, person("pia"))
        _unlock(site, olga, _retry(site, person("dora")))
        _dead_letters(site, person("pia"))


def _the_wrong_role_is_refused(person: Person) -> None:
    for who, name in (("vera", "vera"), ("kim", "github:kim")):
        driver = person(who)
        driver.open(f"{BASE}/act/lock?stage=production")
        driver.reads(f"{name} may not lock a stage: that takes the role `operator`. It is held by olga, pia and demo")


def _locks(site: World, olga: Driver) -> None:
    """Lock three times, open one, then both that are left."""
    for number in range(3):
        olga.open(BASE)
        olga.follow("Lock… production")
        if number == 0:
            olga.choose("fixes may enter", let_fixes_in="yes", until="2h")
        olga.press("Lock production", f"the fair, {number}")
        olga.reads(f"Done: production is locked: the fair, {number}")
    locks = site.board_now().locks_of("production")
    assert [(lock.by, lock.let_fixes_in, lock.until is not None) for lock in locks] == [
        ("olga", True, True),
        ("olga", False, False),
        ("olga", False, False),
    ]
    olga.open(f"{BASE}/act/unlock?stage=production")
    olga.choose("production stays locked by olga and olga", lock=locks[1].key)
    olga.press("Unlock production", "over")
    olga.reads("Done: ")
    assert [lock.key for lock in site.board_now().locks_of("production")] == [locks[0].key, locks[2].key]
    olga.open(f"{BASE}/act/unlock?stage=production")
    olga.choose("opens 2 locks of production", lock="all")
    olga.press("Unlock production", "all over")
    olga.reads("Done: ")
    assert site.board_now().locks_of("production") == []


def _queue(site: World, olga: Driver) -> str:
    """Pause; move one of the runs that wait to the front, cancel the other; returns the run that was moved."""
    olga.open(BASE)
    olga.follow("Pause…")
    olga.press(f"Pause {PIPELINE}", "to see")
    olga.reads("Paused by olga")
    first, second = (_waiting(site, site.push(service)) for service in ("S3", "S1"))
    olga.open(f"{BASE}/runs/{second}")
    olga.follow("Move to the front…")
    olga.press(f"Move {second} to the front", "the fair")
    olga.reads("to the front of the queue")
    board = site.board_now()
    assert next(iter(board.queue(board.runs[second].step))).key == second
    olga.open(f"{BASE}/runs/{first}")
    olga.follow("Cancel…")
    olga.press(f"Cancel {first}", "not wanted")
    olga.reads("Done: ")
    assert first not in site.board_now().runs
    return second


def _waiting(site: World, sha: str) -> str:
    return str(until("the merge waits", lambda: site.run_of(sha)).key)


def _fast_lane(site: World, olga: Driver, run: str) -> None:
    """The head of S1 goes past a lock that is not its own; then the pipeline runs again."""
    olga.open(BASE)
    olga.follow("Fast lane…")
    if isinstance(olga, BrowserDriver):
        olga.page.locator("#service").select_option("S1")
        olga.press("Go on")
    elif isinstance(olga, PlainDriver):
        olga.browser.submit("Go on", service="S1")
    olga.reads("The fast lane is closed to S1")
    olga.choose(f"{run} changes to the fast lane", into="pre-production")
    olga.press("Send S1 on the fast lane", "a fix for all")
    olga.reads("Done: ")
    assert site.board_now().runs[run].lane == "fast"
    olga.open(BASE)
    olga.follow("Resume…")
    olga.press(f"Resume {PIPELINE}", "seen")
    olga.reads("Done: ")
    assert site.board_now().header.mode is Mode.RUN


def _mode(site: World, pia: Driver) -> None:
    for link, button, mode in (
        ("Only observe…", f"Let {PIPELINE} only observe", Mode.OBSERVE),
        ("Resume…", f"Resume {PIPELINE}", Mode.RUN),
    ):
        pia.open(BASE)
        pia.follow(link)
        pia.press(button, "to see")
        pia.reads("Done: ")
        assert site.board_now().header.mode is mode


def _retry(site: World, dora: Driver) -> str:
    """A run fails in pre-production, and is retried from the banner; then it fails again. Returns the run."""
    key = until("a run is in pre-production", lambda: _inside(site, "pre-production") or _let_one_in(site))
    for again in (True, False):
        until(f"{key} runs", lambda: site.board_now().runs[key].status is Status.RUNNING)
        _release(site, "pre-production", key, "FAILURE")
        until(f"{key} has failed", lambda: site.board_now().runs[key].status is Status.FAILED)
        if again:
            dora.open(BASE)
            dora.follow(f"Retry {key}…")
            dora.press(f"Retry {key}", "the network")
            dora.reads(f"dora retried {key.partition('.')[0]}")
    return key


def _inside(site: World, stage: str) -> str:
    """A run of the main lane that is in the stage; empty: none is."""
    runs = site.board_now().runs.values()
    step = Step(stage)
    return next((run.key for run in runs if run.step == step and run.status is Status.RUNNING), "")


def _let_one_in(site: World) -> str:
    """Let a run pass acceptance."""
    key = _inside(site, "acceptance")
    if key:
        _release(site, "acceptance", key, "SUCCESS")
        until(f"{key} has left acceptance", lambda: site.board_now().runs[key].step.stage != "acceptance")
    return ""


def _release(site: World, stage: str, key: str, result: str) -> None:
    sha = site.board_now().runs[key].position.sha
    control = site.town.jenkins["cdp"].control
    control.release(site.town.job(stage), match={"INTERLOCK_SHA": sha}, result=result, seconds=60)


def _unlock(site: World, olga: Driver, key: str) -> None:
    """The lock of the run is opened from the banner, so that it ends as failed."""
    olga.open(BASE)
    olga.follow(f"Unlock… pre-production/{key}")
    olga.reads("Opens the lock of pre-production")
    olga.press("Unlock pre-production", "over")
    olga.reads("Done: ")
    assert site.board_now().locks_of("pre-production") == []


def _dead_letters(site: World, pia: Driver) -> None:
    """GitHub refuses a status twice; one of them is tried again, the other dropped."""
    for button in ("Retry", "Drop"):
        site.town.github.control.fault("status", route=r"POST /repos/\*/\*/statuses/", count=1, status=422, body="{}")
        site.push("S3", title="one whose status GitHub does not take")
        until("there is a dead letter", lambda: site.redis.hlen(site.keys.dead_letters))
        pia.open(f"{BASE}/dead-letters")
        pia.reads("commit status")
        pia.follow(f"{button}…")
        pia.press(f"{button} a dead letter", "mended")
        pia.reads("Done: it is ")
        until("there is none any more", lambda: not site.redis.hlen(site.keys.dead_letters))
