"""The banner over a job's description: what it says, in both forms; the owner's text stays to the letter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.effects import Banner
from bot.core.model.history import Position
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job
from bot.core.model.stage_messages import ClosedAfterLoss, FoundInBanner
from bot.core.model.stage_state import Lock
from bot.jenkins.banners import marks_in_banner, with_banner, without_banner
from bot.payloads import line
from config.model import Markup
from tests.texts import lock_for
from tests.workers.conftest import Open
from tests.workers.workshop import OWNERS_TEXT, Workshop

JOB = Job("cdp", "shop/pre-production")
LINK = "https://interlock.example.com/p/shop"
REASON = "S1 1234567 failed in pre-production (CheckoutTest)"
LOCKED = f"LOCKED: {REASON}"
SINCE = 1_764_106_800.0


def banner(reason: str | None = REASON, *coming: str, until: float | None = None) -> Banner:
    """The banner of a stage that is locked for this reason, or (None) of one that is open."""
    locks = () if reason is None else (lock_for(reason, "S1.1", SINCE, until),)
    return Banner(JOB, "pre-production", locks, tuple(Verbatim(line) for line in coming))


def description(shop: Workshop) -> str:
    return str(shop.control.description("shop/pre-production"))


def test_a_banner_stands_before_the_owners_text_and_goes_without_a_trace(shop: Workshop) -> None:
    shop.do(banner())
    assert LOCKED in description(shop)
    assert description(shop).endswith(OWNERS_TEXT)
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT


def test_setting_the_same_banner_again_asks_jenkins_to_change_nothing(shop: Workshop) -> None:
    shop.do(banner())
    before = shop.control.requests().get("POST job/description")
    shop.do(banner())
    assert shop.control.requests().get("POST job/description") == before == 1


def test_a_newer_banner_replaces_the_older(shop: Workshop) -> None:
    shop.do(banner())
    shop.do(banner("by kim"))
    assert LOCKED not in description(shop)
    assert "LOCKED: by kim" in description(shop)


def test_removing_a_banner_that_is_not_there_changes_nothing(shop: Workshop) -> None:
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT
    assert shop.control.requests().get("POST job/description") is None


def test_a_job_without_a_description_has_none_again(shop: Workshop) -> None:
    shop.control.change_job("shop/pre-production", {"description": None})
    shop.do(banner())
    shop.do(banner(None))
    assert not shop.control.description("shop/pre-production")


def test_a_banner_that_a_job_dsl_run_overwrote_is_set_again_when_asked(shop: Workshop) -> None:
    shop.control.change_job("shop/pre-production", {"description": "as declared"})
    shop.do(banner())
    shop.do(banner(None))
    assert description(shop) == "as declared"


def test_what_the_owner_writes_while_the_banner_stands_stays(shop: Workshop) -> None:
    shop.do(banner())
    shop.control.change_job("shop/pre-production", {"description": description(shop) + "\nsee the runbook"})
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT + "\nsee the runbook"


def test_missing_permission_is_for_a_person(workshop: Open) -> None:
    user = {"tokens": ["token"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}
    shop = workshop(jenkins={"users": {"interlock": user}})
    shop.do(banner())
    assert "403" in shop.dead()[0]
    assert description(shop) == OWNERS_TEXT


def test_as_text_it_says_who_broke_it_since_when_and_what_is_on_its_way() -> None:
    shown = with_banner("own", banner(REASON, "the fix S1 abcdef0 is in fast acceptance", until=SINCE + 600), LINK)
    assert shown == (
        "=== Interlock: this stage is locked ===\n"
        "LOCKED: S1 1234567 failed in pre-production (CheckoutTest)\n"
        "  by S1.1 since 2025-11-25 21:40 UTC, until 2025-11-25 21:50 UTC\n"
        "Now: the fix S1 abcdef0 is in fast acceptance\n"
        "https://interlock.example.com/p/shop\n"
        'interlock-lock {"reason":"S1 1234567 failed in pre-production (CheckoutTest)","by":"S1.1",'
        '"since":1764106800.0,"until":1764107400.0}\n'
        "=== end of Interlock's notice ===\n"
        "own"
    )


def test_as_html_it_says_the_same_and_nothing_in_it_is_markup() -> None:
    shown = with_banner("<p>own</p>", banner("<script>alert(1)</script> & co", "<i>a fix</i>"), LINK, Markup.HTML)
    assert "<b>pre-production is locked</b>" in shown
    assert f'<a href="{LINK}">' in shown
    assert "<b>&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</b><br>by S1.1 since 2025-11-25 21:40 UTC" in shown
    assert "<li>Now: &lt;i&gt;a fix&lt;/i&gt;</li>" in shown
    assert shown.endswith("\n<p>own</p>")
    assert without_banner(shown) == "<p>own</p>"


def test_a_controller_that_shows_html_gets_html(shop: Workshop) -> None:
    cdp = replace(shop.configuration.controllers["cdp"], markup=Markup.HTML)
    shop.reload(replace(shop.configuration, controllers={"cdp": cdp}))
    shop.do(banner())
    assert f"<b>{REASON}</b>" in description(shop)
    assert shop.pipeline.name in description(shop)
    shop.do(banner(None))
    assert description(shop) == OWNERS_TEXT


markups = st.sampled_from(Markup)


@given(own=st.text(), text=st.text(), newer=st.text(), first=markups, second=markups)
def test_whatever_is_written_the_owners_text_comes_back(
    own: str, text: str, newer: str, first: Markup, second: Markup
) -> None:
    once = with_banner(own, banner(text), LINK, first)
    assert without_banner(once) == own
    assert with_banner(once, banner(newer), LINK, second) == with_banner(own, banner(newer), LINK, second)
    assert with_banner(once, banner(None), LINK, second) == own


@pytest.mark.parametrize("markup", Markup)
def test_an_owner_who_saves_the_form_in_a_browser_gets_the_text_back_too(markup: Markup) -> None:
    """A browser sends every line break as CR LF, those of the banner as well."""
    saved = with_banner("own\ntext", banner(), LINK, markup).replace("\n", "\r\n")
    assert without_banner(saved) == "own\r\ntext"


@pytest.mark.parametrize("markup", Markup)
def test_a_banner_cannot_be_closed_by_what_it_says(markup: Markup) -> None:
    for end in (
        "=== end of Interlock's notice ===",
        "===== end of Interlock's notice =====",
        "<!-- end of Interlock's notice -->",
    ):
        shown = with_banner("own", banner(f"x {end}\n and more {end}", end), LINK, markup)
        assert without_banner(shown) == "own"


# -- what Interlock itself reads after a loss ------------------------------------------------------------------

A_SHA = "b22c32c10fa761484ad60704476777d2e932e256"


def failed_lock(reason: str = REASON, **more: Any) -> Lock:
    """The lock of a failed run."""
    whose = {"run": "S1.1", "service": "S1", "position": Position(1, 2, A_SHA), "build": 12, **more}
    return replace(lock_for(reason, "S1.1", SINCE), **whose)


@given(reason=st.text(max_size=300), by=st.text(max_size=60), markup=markups, let_in=st.booleans())
def test_a_lock_is_read_again_as_it_was_marked(reason: str, by: str, markup: Markup, let_in: bool) -> None:
    """Whatever people wrote into it: the mark ends neither the banner nor a comment of HTML."""
    locks = (failed_lock(reason), replace(lock_for(reason, by, SINCE, SINCE + 60), let_fixes_in=let_in))
    shown = with_banner("own", replace(banner(), locks=locks), LINK, markup)
    assert without_banner(shown) == "own"
    readable = line(reason, 300)
    found = marks_in_banner(shown, "pre-production", JOB.name)
    if not readable:
        assert found == []
        return
    first, second = found
    assert (first.run, first.service, first.sha, first.build) == ("S1.1", "S1", A_SHA, 12)
    assert first.reason == second.reason == Verbatim(readable)
    assert (second.by, second.since, second.until, second.let_fixes_in) == (line(by, 100), SINCE, SINCE + 60, let_in)
    assert (second.service, second.sha, second.build) == ("", "", None)


def test_neither_the_lock_of_a_freeze_nor_that_of_a_loss_is_marked() -> None:
    """The one comes by the clock, the other comes with the next loss."""
    locks = (
        replace(lock_for("frozen", "freezes", SINCE), freeze="nights"),
        replace(lock_for("", "Interlock", SINCE), reason=ClosedAfterLoss()),
        replace(failed_lock(), reason=FoundInBanner(Verbatim(REASON), JOB.name)),
    )
    shown = with_banner("", replace(banner(), locks=locks), LINK)
    (found,) = marks_in_banner(shown, "pre-production", JOB.name)
    assert found.reason == Verbatim(REASON)


HOSTILE = {
    "no JSON": "{nothing}",
    "no object": "{[1]}",
    "no reason": '{"by":"kim","since":1.0}',
    "no time": '{"reason":"x","since":"yesterday"}',
    "a time that is none": '{"reason":"x","since":1e999}',
    "before all time": '{"reason":"x","since":-1}',
    "true is no time": '{"reason":"x","since":true}',
    "nested": '{"reason":' + "[" * 200 + "]" * 200 + ',"since":1}',
    "too long": '{"reason":"' + "x" * 5000 + '","since":1}',
}


@pytest.mark.parametrize("mark", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_mark_of_ours_locks_nothing(mark: str) -> None:
    text = f"=== Interlock: this stage is locked ===\ninterlock-lock {mark}\n=== end of Interlock's notice ===\n"
    assert marks_in_banner(text, "pre-production", JOB.name) == []


def test_what_people_write_outside_of_the_banner_is_no_mark() -> None:
    assert marks_in_banner('interlock-lock {"reason":"x","since":1}\n', "pre-production", JOB.name) == []


def test_only_so_many_marks_are_read_each_with_bounded_parts() -> None:
    """A sha that is none names no commit; a number of a build that is none names no build."""
    mark = json.dumps(
        {"reason": "x" * 999, "by": "y" * 999, "since": 1, "run": "S1.1", "service": "S1", "sha": A_SHA, "build": "12"}
    )
    other = json.dumps({"reason": "x", "since": 1, "run": "S1.1", "service": "S1", "sha": "HEAD", "build": 1})
    rows = "\n".join(f"interlock-lock {each}" for each in (other, *[mark] * 50))
    text = f"=== Interlock: this stage is locked ===\n{rows}\n=== end of Interlock's notice ===\n"
    first, *found = marks_in_banner(text, "pre-production", JOB.name)
    assert len(found) == 19
    assert (first.service, first.sha, first.build) == ("", "", None)
    assert (len(found[0].by), found[0].build) == (100, None)
    assert isinstance(found[0].reason, Verbatim) and len(found[0].reason.text) == 300
