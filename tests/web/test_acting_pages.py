"""Acting from the page as plain forms: what is shown before, what is done, what is refused, and to whom."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask
from pydantic import SecretStr

from bot.core.access import NEEDED, Action
from bot.core.model.events import CancelAsked, FreezesPlanned, LockAsked, ModeAsked
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Mode, Outcome
from bot.core.model.run import Run
from bot.store.inbox import InboxEntry, park, parked
from bot.web.app import create_app
from config.configuration import Configuration, PipelineAccess, SignInSettings, WebSettings
from config.settings import Settings
from tests.roles import CASES, PEOPLE, REASON, ROLES, SAM, Case, cases, token
from tests.texts import text_of
from tests.web.plain import InProcess, PlainBrowser
from tests.web.story import Story

Person = Callable[..., PlainBrowser]


@pytest.fixture
def signing_app(settings: Settings, configuration: Configuration, story: Story) -> Flask:
    """People sign in with a token, and have the roles of the table."""
    web = WebSettings("http://localhost", False, SignInSettings(token=True))
    file = replace(configuration, web=web, accesses={story.shape.name: PipelineAccess(ROLES)})
    tokens = {who: SecretStr(token(who)) for who in (*PEOPLE, SAM)}
    update = {"session_secrets": (SecretStr("a secret for the cookies"),), "api_tokens": tokens}
    return create_app(settings.model_copy(update=update), file, lambda _: None)


@pytest.fixture
def person(signing_app: Flask) -> Person:
    """Somebody before the page, signed in unless the name is empty."""

    def made(who: str) -> PlainBrowser:
        browser = PlainBrowser(InProcess(signing_app.test_client()))
        if who:
            browser.open("/sign-in")
            browser.submit("Sign in", token=token(who))
        return browser

    return made


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a has failed in pre-production and locks it; S2a and S1b wait behind it, in this order."""
    story.start()
    run = story.merge("S1", "a")
    story.pass_stages(run, 2)
    story.build(run, Outcome.FAILURE, ("CheckoutTest",))
    story.pass_stages(story.merge("S2", "a"), 2)
    story.pass_stages(story.merge("S3", "a"), 2)
    return story.board.runs[run.key]


@contextmanager
def working(story: Story) -> Iterator[None]:
    """A worker takes each turn as soon as there is something in the inbox."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.02):
            story.turns()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()


def base(story: Story) -> str:
    return f"/p/{story.shape.name}"


# -- the way through a form --------------------------------------------------------------------------------------------


def test_a_stage_is_locked_after_it_was_shown_what_that_does(person: Person, story: Story) -> None:
    story.start()
    olga = person("olga")
    olga.open(base(story))
    assert "may-operator" in olga.html
    olga.follow("Lock a stage…")
    olga.submit("Go on", stage="production")
    olga.submit("Show what it does", let_fixes_in="yes", until="2h", reason="Black Friday")
    assert "What it does Locks production until" in olga.text
    assert ", fixes may enter" in olga.text
    assert story.board.locks_of("production") == []
    with working(story):
        olga.submit("Lock production")
    assert olga.path == base(story)
    assert olga.told == "Done: production is locked: Black Friday."
    (lock,) = story.board.locks_of("production")
    assert (lock.by, text_of(lock.reason), lock.let_fixes_in, lock.until is not None) == (
        "olga",
        "Black Friday",
        True,
        True,
    )
    olga.open(base(story))
    assert olga.told == ""


def test_the_consequence_is_the_one_of_the_rules(person: Person, story: Story, broken: Run) -> None:
    olga = person("olga")
    olga.open(f"{base(story)}/act/unlock?stage=pre-production")
    assert "opens the lock of pre-production" in olga.text.replace("Opens", "opens")
    assert "S2.1 enters pre-production" in olga.text
    with working(story):
        olga.submit("Unlock pre-production", reason=REASON)
    assert olga.told.startswith("Done: pre-production ")
    assert story.board.locks_of("pre-production") == []


def test_what_needs_no_choice_shows_at_once_what_it_does(person: Person, story: Story, broken: Run) -> None:
    dora = person("dora")
    dora.open(f"{base(story)}/runs/S1.1")
    dora.follow("Retry…")
    assert "What it does" in dora.text
    with working(story):
        dora.submit("Retry S1.1", reason="flaky network")
    assert dora.path == f"{base(story)}/runs/S1.1"
    assert dora.told.startswith("Done: dora retried S1 ")
    dora.open(f"{base(story)}/runs/S2.1")
    dora.follow("Cancel…")
    with working(story):
        dora.submit("Cancel S2.1", reason="not wanted")
    assert "S2.1" not in story.board.runs


def test_a_waiting_run_is_moved_to_the_front(person: Person, story: Story, broken: Run) -> None:
    olga = person("olga")
    olga.open(f"{base(story)}/runs/S3.1")
    olga.follow("Move to the front…")
    with working(story):
        olga.submit("Move S3.1 to the front", reason="the fair")
    assert olga.told.startswith("Done: olga moved S3 ")
    step = story.board.runs["S3.1"].step
    assert [run.key for run in story.board.queue(step)] == ["S3.1", "S2.1"]


def test_a_service_is_sent_on_the_fast_lane_past_a_lock_that_is_named(
    person: Person, story: Story, broken: Run
) -> None:
    olga = person("olga")
    olga.open(f"{base(story)}/act/fast-lane")
    olga.submit("Go on", service="S2")
    assert "That would be refused The fast lane is closed to S2" in olga.text
    olga.submit("Show what it does", into="pre-production")
    assert "S2.1 changes to the fast lane" in olga.text
    with working(story):
        olga.submit("Send S2 on the fast lane", reason="a fix")
    assert olga.told.startswith("Done: ")
    assert olga.path == f"{base(story)}/services/S2"
    sam = person("dora")
    sam.open(f"{base(story)}/act/fast-lane?service=S2&into=pre-production")
    assert "That would be refused Dora may not send a run past a lock" in sam.text


def test_the_mode_is_changed_and_changed_back(person: Person, story: Story) -> None:
    story.start()
    ada = person("ada")
    for link, button, mode in (
        ("Pause…", f"Pause {story.shape.name}", Mode.PAUSE),
        ("Resume…", f"Resume {story.shape.name}", Mode.RUN),
        ("Only observe…", f"Let {story.shape.name} only observe", Mode.OBSERVE),
        ("Resume…", f"Resume {story.shape.name}", Mode.RUN),
    ):
        ada.open(base(story))
        ada.follow(link)
        with working(story):
            ada.submit(button, reason="to see")
        assert ada.told.startswith("Done: ")
        assert story.board.header.mode is mode


# -- what changes meanwhile, and what is sent twice --------------------------------------------------------------------


def test_of_several_locks_one_is_chosen_or_all(person: Person, story: Story) -> None:
    story.start()
    story.tell(*(LockAsked("production", "alex", f"because {n}") for n in range(3)))
    olga = person("olga")
    olga.open(f"{base(story)}/act/unlock?stage=production")
    assert not olga.has_button("Unlock production")
    olga.submit("Show what it does", lock="production/2")
    assert "production stays locked by alex and alex" in olga.text.replace("Production", "production")
    with working(story):
        olga.submit("Unlock production", reason="one is over")
    assert [lock.key for lock in story.board.locks_of("production")] == ["production/1", "production/3"]
    olga.open(f"{base(story)}/act/unlock?stage=production")
    olga.submit("Show what it does", lock="all")
    with working(story):
        olga.submit("Unlock production", reason="all over")
    assert story.board.locks_of("production") == []


def test_if_the_board_has_changed_the_new_consequence_is_shown_first(person: Person, story: Story, broken: Run) -> None:
    olga = person("olga")
    olga.open(f"{base(story)}/act/unlock?stage=pre-production")
    story.tell(CancelAsked("S2.1", "alex", "not any more"))
    before = story.waiting()
    olga.submit("Unlock pre-production", reason=REASON)
    assert (olga.status, story.waiting()) == (409, before)
    assert "The board has changed: this is what it would do now." in olga.text
    assert "S3.1 enters pre-production" in olga.text
    with working(story):
        olga.submit("Unlock pre-production")
    assert story.board.locks_of("pre-production") == []


def test_a_choice_that_changes_the_consequence_is_shown_before_it_is_done(person: Person, story: Story) -> None:
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production")
    before = story.waiting()
    olga.submit("Lock production", let_fixes_in="yes", reason=REASON)
    assert (olga.status, story.waiting()) == (409, before)
    assert ", fixes may enter" in olga.text


def test_a_form_that_is_sent_twice_is_done_once(person: Person, story: Story, broken: Run) -> None:
    olga = person("olga")
    for path, button in (
        ("lock?stage=production", "Lock production"),
        ("cancel?run=S2.1", "Cancel S2.1"),
    ):
        olga.open(f"{base(story)}/act/{path}")
        form = olga.form_with(button)
        sent = {**form.fields, "reason": REASON, "step": "confirm"}
        with working(story):
            answers = [olga.site.post(form.action, sent) for _ in range(3)]
        assert [status for status, *_ in answers] == [303, 303, 303]
    assert len(story.board.locks_of("production")) == 1


def test_what_nobody_decides_yet_is_kept_and_said(
    person: Person, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.acting_pages.PATIENCE", 0)
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production")
    olga.submit("Lock production", reason=REASON)
    assert olga.told == "Lock production: this is kept, and is decided as soon as a worker takes it."
    story.turns()
    assert len(story.board.locks_of("production")) == 1


# -- mistakes and refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reason": ""}, "Give a reason: everybody who waits reads it."),
        ({"reason": REASON, "until": "soon"}, "Expected a time (16:00, "),
        ({"reason": REASON, "until": "2020-01-01T00:00:00Z"}, "within the year to come."),
    ],
)
def test_a_mistake_stands_beside_its_field(person: Person, story: Story, fields: dict[str, str], said: str) -> None:
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production")
    before = story.waiting()
    olga.submit("Lock production", **fields)
    assert (olga.status, story.waiting()) == (422, before)
    assert said in olga.text


def test_what_the_rules_would_refuse_has_no_button_and_their_words(person: Person, story: Story, broken: Run) -> None:
    ada = person("ada")
    for path, said, button in (
        ("retry?run=S2.1", "S2 ", "Retry S2.1"),
        ("unlock?stage=production", "Production is not locked.", "Unlock production"),
        ("move?run=S2.1", "S2 ", "Move S2.1 to the front"),
    ):
        ada.open(f"{base(story)}/act/{path}")
        assert f"That would be refused {said}" in ada.text
        assert not ada.has_button(button)


def test_what_does_not_exist_is_said_with_what_does(person: Person, story: Story, broken: Run) -> None:
    ada = person("ada")
    for path, said in (
        ("lock?stage=prod", "there is no stage 'prod'"),
        ("retry?run=S9.9", "there is no run 'S9.9'"),
        ("fast-lane?service=S9", "there is no service 'S9'"),
        ("retry-dead-letter?slot=x", "there is no dead letter 'x'"),
        ("drop-parked?entry=x", "there is no parked delivery 'x'"),
        ("explode", "there is no action 'explode'"),
    ):
        ada.open(f"{base(story)}/act/{path}")
        assert ada.status == 404
        assert said in ada.text


def test_a_form_without_its_token_or_key_does_nothing(person: Person, story: Story) -> None:
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production")
    form = olga.form_with("Lock production")
    before = story.waiting()
    for without, status in (("csrf_token", 403), ("key", 400), ("seen", 409)):
        sent = {**form.fields, "reason": REASON, "step": "confirm"}
        del sent[without]
        assert olga.site.post(form.action, sent)[0] == status
    assert story.waiting() == before


def test_who_is_not_signed_in_comes_back_to_the_form(person: Person, story: Story, broken: Run) -> None:
    nobody = person("")
    nobody.open(base(story))
    assert "may-" not in nobody.html.replace("may-not", "")
    nobody.open(f"{base(story)}/act/unlock?stage=pre-production&lock=pre-production/1")
    nobody.submit("Sign in", token=token("olga"))
    assert nobody.path == f"{base(story)}/act/unlock?stage=pre-production&lock=pre-production/1"
    assert nobody.has_button("Unlock pre-production")


def test_who_was_signed_out_meanwhile_signs_in_and_does_nothing_yet(person: Person, story: Story) -> None:
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production")
    form = olga.form_with("Lock production")
    olga.submit("Sign out")
    status, _, location = olga.site.post(form.action, {**form.fields, "reason": REASON, "step": "confirm"})
    assert (status, location) == (303, f"/sign-in?next={base(story)}/act/lock%3Fstage%3Dproduction")
    assert story.board.locks_of("production") == []


def test_a_link_back_leads_nowhere_else(person: Person, story: Story) -> None:
    story.start()
    olga = person("olga")
    olga.open(f"{base(story)}/act/lock?stage=production&back=https://evil.example.com/")
    assert olga.links()["Back"] == "/"


def test_hostile_words_are_shown_as_text(person: Person, story: Story, broken: Run) -> None:
    hostile = "<script>alert(1)</script>\"' onfocus=alert(1) {{7*7}}"
    story.tell(LockAsked("production", hostile[:40], hostile), LockAsked("production", "alex", hostile))
    olga = person("olga")
    for path in ("unlock?stage=production", f"lock?stage=production&reason={hostile}&until={hostile}"):
        olga.open(f"{base(story)}/act/{path}")
        assert "<script>alert" not in olga.html
        assert '" onfocus' not in olga.html


# -- dead letters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def given_up(story: Story, broken: Run) -> str:
    """A message to people that could not be sent; returns its slot."""
    outbox = story.context.outbox
    while True:
        claim, _ = outbox.claim("people", limit=5)
        assert claim is not None
        outbox.give_up(claim, "could not notify team-chat <b>(error=403)</b>", 1_700_000_000.0)
        return claim.effect.slot


def test_dead_letters_are_listed_retried_and_dropped(person: Person, story: Story, given_up: str) -> None:
    vera, ada = person("vera"), person("ada")
    vera.open(f"{base(story)}/dead-letters")
    assert "could not notify team-chat <b>(error=403)</b>" in vera.text
    assert "Retry…" not in vera.links()
    ada.open(f"{base(story)}/dead-letters")
    ada.follow("Retry…")
    assert "It is tried again at once." in ada.text
    form = ada.form_with("Retry a dead letter")
    sent = {**form.fields, "reason": "mended", "step": "confirm"}
    assert [ada.site.post(form.action, sent)[0] for _ in range(2)] == [303, 303]
    ada.open(f"{base(story)}/dead-letters")
    assert ada.told == "Done: it is tried again."
    assert story.context.outbox.dead_letters() == []
    claim, _ = story.context.outbox.claim("people", limit=5)
    assert claim is not None
    assert claim.effect.slot == given_up
    story.context.outbox.give_up(claim, "again", 1_700_000_001.0)
    ada.open(f"{base(story)}/act/drop-dead-letter?slot={given_up}")
    ada.submit("Drop a dead letter", reason="nobody needs it")
    assert ada.told == "Done: it is dropped."
    assert story.context.outbox.dead_letters() == []
    story.turns()
    for page in ("log?kind=dead-letter-taken-out", "log?by=ada"):
        vera.open(f"{base(story)}/{page}")
        assert f"ada retries the dead letter {given_up}: mended" in vera.text
        assert f"ada drops the dead letter {given_up}: nobody needs it" in vera.text


def test_a_parked_delivery_is_decided_once_more_or_dropped(person: Person, story: Story, broken: Run) -> None:
    ada = person("ada")
    for button, done in (("Retry", "Done: it is decided once more."), ("Drop", "Done: it is dropped.")):
        before = story.waiting()
        row = InboxEntry(f"17000000000{before:02}-0", "event", "nonsense", f"d{before}", b"{}")
        park(story.redis, story.keys, row, ValueError("no <b>such</b> event"))
        ada.open(f"{base(story)}/dead-letters")
        assert "nonsense of event" in ada.text
        assert "no <b>such</b> event" in ada.text
        ada.follow(f"{button}…")
        ada.submit(f"{button} a parked delivery", reason="a newer version")
        assert ada.told == done
        assert parked(story.redis, story.keys) == []
        assert story.waiting() == before + 1 + (button == "Retry")
    story.turns()
    ada.open(f"{base(story)}/log?kind=parked-delivery-taken-out")
    for verb in ("retries", "drops"):
        assert re.search(rf"ada {verb} the parked delivery 17\d+-0: a newer version", ada.text)


def test_the_picture_of_our_health_leads_to_the_dead_letters(person: Person, story: Story, given_up: str) -> None:
    ada = person("ada")
    ada.open(base(story))
    assert ada.links()["Show them"] == f"{base(story)}/dead-letters"


# -- which buttons are shown -------------------------------------------------------------------------------------------


def offered(browser: Person) -> set[str]:
    """The buttons on the page of a run that the roles of the person show; the others are hidden by the style sheet."""
    (classes,) = re.findall(r'<div id="board"[^>]*?(?: class="([^"]*)")?>', browser.html)
    found = re.findall(r'<a class="act ([^"]*)" href="[^"]*">([^<]*)</a>', browser.html)
    return {words for role, words in found if f"may-{role}" in classes.split()}


@pytest.mark.parametrize(
    ("who", "roles", "of_s1", "of_s2"),
    [
        ("vera", {"may-viewer"}, set(), set()),
        ("dora", {"may-viewer", "may-developer"}, {"Retry…", "Cancel…"}, {"Cancel…"}),
        (SAM, {"may-viewer", "may-developer"}, {"Retry…", "Cancel…"}, set()),
        (
            "olga",
            {"may-viewer", "may-developer", "may-operator"},
            {"Retry…", "Cancel…"},
            {"Move to the front…", "Cancel…"},
        ),
        (
            "ada",
            {"may-viewer", "may-developer", "may-operator", "may-admin"},
            {"Retry…", "Cancel…"},
            {"Move to the front…", "Cancel…"},
        ),
    ],
)
def test_only_those_who_may_are_shown_a_button(
    person: Person, story: Story, broken: Run, who: str, roles: set[str], of_s1: set[str], of_s2: set[str]
) -> None:
    browser = person(who)
    browser.open(base(story))
    shown = re.search(r'<div id="board"[^>]*?(?: class="([^"]*)")?>', browser.html)
    assert shown is not None
    assert set((shown[1] or "").split()) == roles
    for run, links in (("S1.1", of_s1), ("S2.1", of_s2)):
        browser.open(f"{base(story)}/runs/{run}")
        assert offered(browser) == links


@pytest.mark.parametrize("who", ["vera", "dora", SAM, "olga", "ada"])
def test_an_operator_lets_a_run_through_a_freeze_on_its_page(
    person: Person, story: Story, broken: Run, who: str
) -> None:
    window = FreezeWindow(time.time() - 60, time.time() + 3600)
    story.tell(FreezesPlanned((Freeze("fair", ("production",), (window,), role="operator"),)))
    browser, words = person(who), "Let through freezes…"
    browser.open(f"{base(story)}/runs/S2.1")
    assert (words in offered(browser)) is (who in ("olga", "ada"))
    if words not in offered(browser):
        return
    browser.follow(words)
    with working(story):
        browser.submit("Let S2.1 through freezes", reason="customers cannot pay")
    by = story.board.runs["S2.1"].let_through
    assert by is not None
    assert by.reason == "customers cannot pay"
    browser.open(f"{base(story)}/runs/S2.1")
    assert words not in offered(browser), "it is let through already"


# -- the table of roles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "who"), list(cases("form")), ids=lambda each: getattr(each, "name", each))
def test_each_role_may_do_on_the_page_what_the_table_says(
    person: Person, story: Story, broken: Run, monkeypatch: pytest.MonkeyPatch, case: Case, who: str
) -> None:
    monkeypatch.setattr("bot.web.acting_pages.PATIENCE", 0)
    if case.mode is not Mode.RUN:
        story.tell(ModeAsked(case.mode, "test", REASON))
    before, browser = story.waiting(), person(who)
    path = f"{base(story)}/act/{case.form}"
    browser.open(path)
    sent = {"reason": REASON, "key": "0" * 32, "step": "confirm"}
    sent.update(re.findall(r'name="(csrf_token|seen|lock|key)" value="([^"]*)"', browser.html))
    if into := case.body.get("stage"):
        sent["into"] = into
    status, html, _ = browser.site.post(path, sent)
    if case.may(who):
        assert status in (303, 404, 409), html
        return
    assert status == 403
    assert f"{who} may not " in html
    assert "ada" in html
    assert story.waiting() == before
    if case.action is not Action.FAST_LANE_INTO:  # which of the two it is shows when a stage is chosen
        assert browser.status == 403
        assert f"that takes the role `{NEEDED[case.action]}`" in html


def test_the_table_has_each_form_of_the_page() -> None:
    names = {case.form.partition("?")[0] for case in CASES if case.form}
    assert names == {
        "lock",
        "unlock",
        "retry",
        "cancel",
        "move",
        "watch",
        "let-through",
        "fast-lane",
        "pause",
        "resume",
        "observe",
    } | {
        "drop-dead-letter",
        "retry-parked",
    }
