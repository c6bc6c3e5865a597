"""What open pull requests are told of a lock: whom it concerns, once for each change, taken back with the last lock."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.effects import LockNotice, SetStatus
from bot.core.model.events import FreezesPlanned, PullMoved
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import FastLane, FastLaneStart, LockStatus, Mode
from bot.core.model.stage_messages import FixPasses
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE = "pre-production"
HOLDER = "pre-production is locked by S1: merging this enters the fast lane"


LATE = "d" * 40
LATE_NOTICE = LockNotice("shop/S1", "main", "success", FixPasses((PRE,), "S1", on_request=False), locked=True, sha=LATE)


def town_of(policy: LockStatus, **how: object) -> Town:
    return Town(replace(shop(**how), lock_status=policy))  # type: ignore[arg-type]


def told(town: Town) -> list[tuple[str, str, str]]:
    return [(each.repository, each.state, text_of(each.description)) for each in town.did(LockNotice)]


def test_the_holders_pull_requests_are_told_that_merging_enters_the_fast_lane() -> None:
    town = town_of(LockStatus.HOLDER)
    town.break_stage("S1", "a")
    assert told(town) == [("shop/S1", "success", HOLDER)]
    town.quiet()
    town.merge("S1", "e")
    town.merge_up_to("S2", "a", PRE)
    assert told(town) == [], "others moved: that costs nothing"
    town.pass_fix("S1e")
    assert told(town) == [("shop/S1", "success", "open")]


def test_all_others_are_told_that_their_change_waits_if_that_is_wished() -> None:
    town = town_of(LockStatus.ALL)
    town.break_stage("S1", "a")
    assert [(repository, state) for repository, state, _ in told(town)] == [
        ("shop/S1", "success"),
        ("shop/S2", "pending"),
        ("shop/S3", "pending"),
    ]
    words = told(town)[1][2]
    assert words.startswith("pre-production is locked by S1 since 1970-01-01 00:16 UTC")
    assert words.endswith("merging is possible, your change waits")
    assert len(words) <= 140
    town.quiet()
    town.unlock(PRE)
    assert told(town) == [(f"shop/S{n}", "success", "open") for n in (1, 2, 3)]


def test_while_only_freezes_close_stages_all_are_told_until_when() -> None:
    town = town_of(LockStatus.ALL)
    windows = (FreezeWindow(town.now, town.now + 3_000),)
    weekend = Freeze("weekend", ("production",), windows, "Europe/Berlin")
    town.send(FreezesPlanned((weekend,)))
    frozen = "production is frozen until Thu 1970-01-01 02:06 CET (freeze weekend)"
    words = f"{frozen}; merging is possible, your change waits"
    assert told(town) == [(f"shop/S{n}", "pending", words) for n in (1, 2, 3)]
    town.quiet()
    town.send(FreezesPlanned((replace(weekend, windows=(FreezeWindow(town.now, town.now + 6_600),)),)))
    assert [row[2][:51] for row in told(town)] == ["production is frozen until Thu 1970-01-01 03:06 CET"] * 3
    town.quiet()
    town.lock("production")
    assert {row[2].partition(" since")[0] for row in told(town)} == {"production is locked by ann"}


def test_nobody_is_told_if_that_is_not_wished_or_while_observing() -> None:
    town = town_of(LockStatus.OFF)
    town.break_stage("S1", "a")
    assert told(town) == []
    town = town_of(LockStatus.ALL)
    town.mode(Mode.OBSERVE)
    town.lock(PRE)
    assert told(town) == []
    town.mode(Mode.RUN)
    assert len(told(town)) == 3, "it begins to act: what stands is told"


def test_a_persons_lock_tells_only_the_others() -> None:
    town = town_of(LockStatus.HOLDER)
    town.lock(PRE)
    assert told(town) == []
    town = town_of(LockStatus.ALL)
    town.lock(PRE)
    assert {state for _, state, _ in told(town)} == {"pending"}
    assert "locked by ann since" in told(town)[0][2]


def test_a_second_lock_changes_only_what_it_changes() -> None:
    town = town_of(LockStatus.HOLDER)
    town.break_stage("S1", "a")
    town.quiet()
    town.lock(PRE)
    assert told(town) == []
    town.unlock(PRE, lock=f"{PRE}/1")
    assert told(town) == []
    town.unlock(PRE)
    assert told(town) == [("shop/S1", "success", "open")]


def test_with_a_manual_fast_lane_the_words_say_to_ask_for_it() -> None:
    town = town_of(LockStatus.HOLDER, start=FastLaneStart.MANUAL)
    town.break_stage("S1", "a")
    assert told(town)[0][2] == "pre-production is locked by S1: merge its fix, then ask for the fast lane"


def test_what_is_told_follows_the_configuration() -> None:
    town = town_of(LockStatus.HOLDER)
    town.break_stage("S1", "a")
    town.quiet()
    town.configure(replace(town.board.pipeline, lock_status=LockStatus.ALL))
    assert [repository for repository, _, _ in told(town)] == ["shop/S2", "shop/S3"]
    town.quiet()
    town.configure(replace(town.board.pipeline, lock_status=LockStatus.OFF))
    assert [(repository, words) for repository, _, words in told(town)] == [(f"shop/S{n}", "open") for n in (1, 2, 3)]


# -- those that come while it is locked ------------------------------------------------------------------------


def test_one_that_is_opened_or_pushed_to_meanwhile_is_told_by_itself_and_only_that_one() -> None:
    town = town_of(LockStatus.HOLDER)
    town.break_stage("S1", "a")
    town.quiet()
    town.send(PullMoved("S1", 12, LATE, at=1.0))
    assert town.did(LockNotice) == [LATE_NOTICE]
    assert town.did(SetStatus, context="verify") == [], "nothing is verified because of it"
    town.quiet()
    town.send(PullMoved("S2", 13, LATE, at=1.0))
    assert told(town) == [], "S2 holds no lock"


def test_nothing_is_told_of_a_pull_request_while_nothing_is_locked() -> None:
    town = town_of(LockStatus.ALL)
    assert town.send(PullMoved("S1", 12, LATE, at=1.0)).effects == []


def test_the_late_one_and_all_others_do_not_replace_each_other() -> None:
    late = LATE_NOTICE
    assert late.slot != replace(late, sha="").slot
    assert late.branch_slot == replace(late, sha="").slot


def test_they_are_told_anew_when_the_configuration_changes_what_they_have_to_do() -> None:
    town = town_of(LockStatus.HOLDER)
    town.break_stage("S1", "a")
    town.quiet()
    town.configure(replace(town.board.pipeline, fast_lane=FastLane(FastLaneStart.MANUAL)))
    (notice,) = town.did(LockNotice)
    assert (notice.repository, notice.locked) == ("shop/S1", True)
    town.quiet()
    town.configure(replace(town.board.pipeline, retry_first=9.0))
    assert town.did(LockNotice) == []


def test_a_lock_of_a_person_is_told_to_nobody_where_only_holders_are_told_and_as_locked_where_all_are() -> None:
    for status, wanted in (LockStatus.HOLDER, []), (LockStatus.ALL, [True] * 3):
        town = town_of(status)
        town.lock("pre-production")
        assert [notice.locked for notice in town.did(LockNotice)] == wanted
        town.quiet()
        town.unlock("pre-production")
        assert [notice.locked for notice in town.did(LockNotice)] == [False] * len(wanted)
