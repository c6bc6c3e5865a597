"""Watchers get one notice when a stage opens, at the place of their request, and are then forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.effects import Mention, Notify
from bot.core.model.events import WatchAsked
from bot.core.model.facts import FactKind
from bot.core.model.notice_plan import NoticePlan
from bot.core.rules.stage_notices import WATCHERS
from bot.reporting.notices import mention
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import subject_of, text_of

PRE = "pre-production"
PLAN = NoticePlan(people=(("dana", "dana-mail"), ("github:kim", "kim-mail")))


@pytest.fixture
def town() -> Town:
    """S1a has broken the stage."""
    found = Town(replace(shop(production_locks=True), notices=PLAN))
    found.break_stage("S1", "a")
    found.quiet()
    return found


def refused(town: Town) -> list[str]:
    return [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.REQUEST_REFUSED]


def test_they_are_named_once_on_the_pull_request_where_they_asked(town: Town) -> None:
    for who, pull in (("github:kim", 7), ("github:mona", 7), ("github:kim", 8)):
        town.send(WatchAsked(PRE, who, "shop/S2", pull))
    assert town.did(Mention) == []
    town.unlock(PRE)
    told = [(each.pull, each.people) for each in town.did(Mention)]
    assert told == [(7, ("kim", "mona")), (8, ("kim",))]
    assert subject_of(town.did(Mention)[0]) == f"{PRE} is open"
    town.quiet()
    town.break_stage("S2", "b")
    town.unlock(PRE)
    assert town.did(Mention) == [], "they are forgotten"


def test_they_are_told_when_the_last_lock_is_open_and_not_before(town: Town) -> None:
    town.send(WatchAsked(PRE, "github:kim", "shop/S2", 7))
    town.lock(PRE)
    town.unlock(PRE, lock=f"{PRE}/S1.1")
    assert town.did(Mention) == []
    town.unlock(PRE)
    assert len(town.did(Mention)) == 1


def test_of_two_stages_that_open_at_once_each_watcher_hears_of_the_own_one() -> None:
    town = Town(replace(shop(), notices=PLAN))
    ends = town.now + 60
    town.lock(PRE, by="ann", until=ends)
    town.lock("production", by="bob", until=ends)
    for stage, pull in ((PRE, 7), ("production", 8)):
        town.send(WatchAsked(stage, "github:kim", "shop/S2", pull))
    town.tick(60)
    told = [(each.pull, text_of(each.about.why)) for each in town.did(Mention)]
    assert told == [
        (7, "the lock of ann has reached its end time"),
        (8, "the lock of bob has reached its end time"),
    ]


@pytest.mark.parametrize(("who", "channel"), [("dana", "dana-mail"), ("github:dana", "dana-mail"), ("kim", "kim-mail")])
def test_elsewhere_they_are_told_by_their_channel(town: Town, who: str, channel: str) -> None:
    town.send(WatchAsked(PRE, who))
    town.quiet()
    town.unlock(PRE)
    assert [(mail.to, subject_of(mail)) for mail in town.did(Notify) if mail.to] == [((channel,), f"{PRE} is open")]


def test_who_cannot_be_told_is_refused(town: Town) -> None:
    town.send(WatchAsked(PRE, "bob"))
    (why,) = refused(town)
    assert why.startswith("bob has no channel: ")
    assert town.board.follow_ups == {}


def test_without_a_stage_the_only_locked_one_is_meant(town: Town) -> None:
    town.send(WatchAsked("", "dana"))
    assert [watcher.by for watcher in town.board.follow_up(PRE).watchers] == ["dana"]
    town.lock("production")
    town.quiet()
    town.send(WatchAsked("", "github:kim"))
    assert refused(town) == [f"several stages are locked: {PRE}, production. Name one of them"]


def test_an_open_stage_is_waited_for_by_nobody() -> None:
    town = Town(replace(shop(), notices=PLAN))
    town.send(WatchAsked(PRE, "dana"))
    town.send(WatchAsked("", "dana"))
    town.send(WatchAsked("live", "dana"))
    assert refused(town) == [
        f"{PRE} is not locked",
        "no stage is locked",
        f"shop has no stage 'live'; it has build, acceptance, {PRE}, production",
    ]


def test_who_asks_twice_is_told_once(town: Town) -> None:
    town.send(WatchAsked(PRE, "dana"))
    town.send(WatchAsked(PRE, "dana"))
    assert refused(town) == ["dana already gets a notice when the stage opens"]


def test_only_so_many_are_remembered(town: Town) -> None:
    for number in range(WATCHERS + 1):
        town.send(WatchAsked(PRE, f"github:p{number}", "shop/S2", 7))
    assert refused(town) == ["200 people already get a notice when the stage opens, which is the limit"]
    assert len(town.board.follow_up(PRE).watchers) == WATCHERS


def test_the_comment_calls_them_and_nobody_else(town: Town) -> None:
    town.send(WatchAsked(PRE, "github:kim", "shop/S2", 7))
    town.send(WatchAsked(PRE, "dana"))
    town.unlock(PRE, by="@everybody")
    (named,) = town.did(Mention)
    text = mention(named.about, named.people)
    assert text.startswith("@kim **pre-production is open**")
    assert "@everybody" not in text
