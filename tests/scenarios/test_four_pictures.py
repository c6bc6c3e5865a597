"""The four pictures of the design, one after the other, each asserted in full for the rules alone.

A worker plays them too, with Redis, Jenkins and GitHub: `tests/workers/test_pictures_in_both_worlds.py`.
"""

from dataclasses import replace

import pytest

from bot.core.model.effects import Banner, Notify, Trigger, Withdraw
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Outcome
from bot.core.model.run import Status
from demo.pictures import (
    PICTURES,
    everybody_else_passes,
    first_picture,
    fourth_picture,
    second_picture,
    seen,
    third_picture,
)
from tests.core.town import Town
from tests.texts import body_of, subject_of, text_of


@pytest.fixture
def one() -> Town:
    """Picture 1: seven runs of the services S1 to S3."""
    town = Town()
    first_picture(town)
    return town


@pytest.fixture
def two(one: Town) -> Town:
    """Picture 2: S1a has failed in pre-production."""
    one.quiet()
    second_picture(one)
    return one


@pytest.fixture
def three(two: Town) -> Town:
    """After picture 3: the fix S1e stands before the real pre-production."""
    two.quiet()
    third_picture(two)
    two.pass_build("S1e")
    two.pass_build("S1e")
    return two


@pytest.fixture
def four(three: Town) -> Town:
    """Picture 4: S1e has passed pre-production."""
    three.accept_trigger("S1c")
    three.quiet()
    fourth_picture(three)
    return three


def test_picture_1_seven_runs_on_their_way(one: Town) -> None:
    assert seen(one) == PICTURES[1]
    assert one.runs_in("acceptance") == ["S2b", "S1c", "S3a"]
    assert one.on_fast_lane() == []
    assert not one.did(Notify)


def test_picture_1_everybody_who_waits_knows_why(one: Town) -> None:
    assert one.says("S1d") == "acceptance is full (3 of 3): S3 S3a, S1 S1c, S2 S2b"
    assert one.says("S2a") == "pre-production is full (1 of 1): S1 S1a"
    assert one.says("S1b") == "pre-production is full (1 of 1): S1 S1a; 1 before this run"


def test_picture_2_the_stage_locks_itself_and_nobody_passes(two: Town) -> None:
    assert seen(two) == PICTURES[2]
    assert two.status("S1a") is Status.FAILED
    assert not two.did(Trigger)


def test_picture_2_people_are_told_and_a_banner_stands_on_the_job(two: Town) -> None:
    (banner,) = two.did(Banner)
    (shown,) = banner.locks
    assert (banner.job, banner.stage) == (Job("cdp", "pre-production"), "pre-production")
    assert (text_of(shown.reason), shown.by, shown.since) == (
        "S1 S1a failed in pre-production (CheckoutTest.paysWithCard)",
        "S1.1",
        two.now,
    )
    assert [text_of(each) for each in banner.coming] == [
        "no fix is on its way: merge one to S1, it takes the fast lane"
    ]
    (mail,) = two.did(Notify)
    assert (mail.topic, subject_of(mail)) == (
        "locked",
        "pre-production is locked: S1 S1a failed in pre-production (CheckoutTest.paysWithCard)",
    )
    (lock,) = two.board.locks_of("pre-production")
    assert (lock.by, lock.run, lock.service, lock.since) == ("S1.1", "S1.1", "S1", two.now)


def test_picture_2_those_who_wait_read_what_to_do(two: Town) -> None:
    assert two.says("S2a") == (
        "pre-production is locked: S1 S1a failed in pre-production (CheckoutTest.paysWithCard) (locked by S1.1); "
        "merge the fix to S1"
    )
    assert two.says("S1b").endswith("merge the fix to S1; 1 before this run")
    assert "holds the lock" in two.says("S1a")


def test_picture_2_acceptance_goes_on_as_before(two: Town) -> None:
    two.pass_build("S3a")
    assert (two.queue("acceptance"), two.runs_in("acceptance")) == ([], ["S1d", "S2b", "S1c"])
    assert (two.queue("pre-production"), two.runs_in("pre-production")) == (["S3a", "S1b", "S2a"], [])


def test_picture_3_the_fix_takes_the_fast_lane(two: Town) -> None:
    two.merge("S1", "e")
    path = [two.at("S1e")]
    for _ in range(3):
        two.pass_build("S1e")
        path.append(two.at("S1e"))
    assert path == ["build", "fast acceptance", "fast pre-production", "pre-production"]
    assert two.on_fast_lane() == ["S1e"]


def test_picture_3_it_waits_in_no_queue_and_passes_everyone(three: Town) -> None:
    assert seen(three) == replace(PICTURES[2], pre_production=frozenset({"S1e"}))
    assert [text_of(fact.why) for fact in three.facts if fact.kind is FactKind.RUN_ADMITTED][-1] == (
        "S1 S1e enters pre-production ahead of its queue, on the fast lane"
    )
    assert three.says("S2a").endswith("; the fix S1 S1e is in pre-production")


def test_picture_3_nobody_else_is_touched(three: Town) -> None:
    assert not three.did(Withdraw)
    assert {effect.run for effect in three.did(Trigger)} == {three.key("S1e")}
    assert three.locks() == ["S1a"]


def test_picture_4_what_the_fix_contains_is_gone_and_the_stage_is_open(four: Town) -> None:
    assert seen(four) == replace(PICTURES[4], acceptance=frozenset({"S2b", "S1c", "S3a"}))
    assert [four.left(sha) for sha in ("S1a", "S1b", "S1d")] == [("superseded", "S1e")] * 3
    assert four.locks() == []


def test_picture_4_a_build_that_runs_keeps_its_slot_until_jenkins_has_ended_it(four: Town) -> None:
    assert four.status("S1c") is Status.ENDING
    (withdraw,) = four.did(Withdraw)
    assert (withdraw.run, withdraw.abort, withdraw.queue_item is not None) == (four.key("S1c"), True, True)
    four.confirm_withdrawal("S1c")
    assert seen(four) == PICTURES[4]
    assert four.left("S1c") == ("superseded", "S1e")


def test_picture_4_the_banner_goes_and_people_are_told(four: Town) -> None:
    (banner,) = four.did(Banner)
    assert banner == Banner(Job("cdp", "pre-production"), "pre-production")
    (mail,) = four.did(Notify)
    assert (mail.topic, body_of(mail)) == ("unlocked", "pre-production is open: S1 S1e has passed pre-production\n")


def test_picture_4_clean_up_unlock_and_the_next_entry_are_one_decision(three: Town) -> None:
    three.start_build("S1e")
    decision = three.send(three.jenkins.end(three.attempt("S1e"), Outcome.SUCCESS))
    kinds = [fact.kind for fact in decision.facts]
    assert kinds.index(FactKind.RUN_SUPERSEDED) < kinds.index(FactKind.STAGE_UNLOCKED)
    entered = [fact.sha for fact in decision.facts if fact.kind is FactKind.RUN_ADMITTED]
    assert entered == ["S2a", "S1e"]


def test_picture_4_runs_of_others_neither_restart_nor_lose_their_place(four: Town) -> None:
    assert [effect.run for effect in four.did(Withdraw)] == [four.key("S1c")]
    assert {four.at("S2b"), four.at("S3a")} == {"acceptance"}
    assert [four.run(sha).attempt.number for sha in ("S2b", "S3a")] == [2, 2]


def test_at_the_end_everything_is_delivered(four: Town) -> None:
    four.confirm_withdrawal("S1c")
    everybody_else_passes(four)
    assert four.live() == []
    assert [four.left(sha) for sha in ("S1e", "S2a", "S3a", "S2b")] == [("delivered", None)] * 4


def test_the_waiting_are_told_on_their_pull_request_that_a_fix_has_passed_them() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.pull("S2", "a")
    town.pass_build("S2a")
    town.pass_build("S2a")
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    told = [each.text for each in town.comments if each.run == town.key("S2a")][-1]
    assert "S1 S1e, the fix for pre-production, has passed it on the fast lane: it keeps its place" in told
