"""The banner of a locked stage follows the board: when its text would change, Interlock writes it again."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.effects import Banner
from bot.core.model.events import BannerOverwritten, BuildSeen, Configured, FirstStart
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Mode, Outcome
from bot.core.model.stage_messages import BannerPutBack
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, text_of

PRE = Job("cdp", "pre-production")


def broken() -> Town:
    """S1a has locked pre-production."""
    town = Town()
    town.break_stage("S1", "a")
    town.quiet()
    return town


def coming(town: Town) -> list[str]:
    """What the banners since then said to be on its way, in order."""
    return [text_of(line) for banner in town.did(Banner) for line in banner.coming]


def test_it_follows_the_fix_from_job_to_job() -> None:
    town = broken()
    town.merge("S1", "b")
    town.pass_build("S1b", "S1b")
    assert coming(town) == [
        "the fix S1 S1b is in build",
        "the fix S1 S1b is in fast acceptance",
        "the fix S1 S1b is in fast pre-production",
    ]


def test_it_says_until_when_jenkins_expects_the_fix_to_take() -> None:
    town = broken()
    town.merge("S1", "b")
    town.pass_build("S1b")
    town.quiet()
    run = town.run("S1b")
    town.send(BuildSeen("cdp", "fast-acceptance", 77, None, run.key, run.attempt.number, expected=1_764_106_800.0))
    assert coming(town) == ["the fix S1 S1b is in fast acceptance, until about 2025-11-25 21:40 UTC"]
    town.now = 1_764_106_800.0 - 61
    assert town.says("S1b") == "build #77 runs in fast acceptance, about 2 min left"
    town.now += 70
    assert town.says("S1b") == "build #77 runs in fast acceptance, longer than usual"


def test_a_retry_is_on_its_way_too() -> None:
    town = broken()
    town.retry("S1a")
    assert coming(town) == ["the repeated build of S1 S1a is in pre-production"]


def test_what_others_do_changes_nothing_on_it() -> None:
    town = broken()
    town.merge_up_to("S2", "a", "pre-production")
    town.merge("S3", "a")
    assert town.did(Banner) == []


def test_it_goes_when_the_last_lock_opens() -> None:
    town = broken()
    town.unlock("pre-production")
    assert town.did(Banner) == [Banner(PRE, "pre-production")]


def test_while_observing_none_is_put_up_and_then_all_are() -> None:
    town = Town()
    town.mode(Mode.OBSERVE)
    town.lock("pre-production")
    assert town.did(Banner) == []
    town.mode(Mode.RUN)
    assert [(banner.job, len(banner.locks)) for banner in town.did(Banner)] == [(PRE, 1)]


def test_it_moves_with_the_job_of_its_stage() -> None:
    town = broken()
    stages = tuple(
        replace(stage, job=Job("cdp", "roll-out")) if stage.name == "pre-production" else stage
        for stage in shop().stages
    )
    town.configure(shop())
    town.send(FirstStart())
    town.quiet()
    town.configure(replace(shop(), stages=stages))
    assert [(banner.job.name, bool(banner.locks)) for banner in town.did(Banner)] == [
        ("pre-production", False),
        ("roll-out", True),
    ]


def test_one_that_was_overwritten_is_put_back() -> None:
    town = broken()
    town.send(BannerOverwritten("cdp", "pre-production"))
    (banner,) = town.did(Banner)
    assert [lock.by for lock in banner.locks] == ["S1.1"]
    assert [fact.why for fact in town.facts] == [BannerPutBack("pre-production", left=False)]


def test_one_that_was_left_over_is_taken_away() -> None:
    town = Town()
    town.send(BannerOverwritten("cdp", "pre-production"))
    town.send(BannerOverwritten("cdp", "no job of ours"))
    assert town.did(Banner) == [Banner(PRE, "pre-production")]
    assert [fact.why for fact in town.facts] == [BannerPutBack("pre-production", left=True)]


def test_the_step_that_failed_is_in_the_reason_everywhere() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "pre-production")
    town.start_build("S1a")
    run = town.run("S1a")
    number = town.jenkins.last_number
    failed = BuildSeen(
        "cdp", "pre-production", number, Outcome.FAILURE, run.key, run.attempt.number, ("CheckoutTest.pays",)
    )
    town.send(replace(failed, failed_step="Roll out: script returned exit code 1"))
    wanted = "S1 S1a failed in pre-production (CheckoutTest.pays; step Roll out: script returned exit code 1)"
    assert [text_of(lock.reason) for banner in town.did(Banner) for lock in banner.locks] == [wanted]
    assert wanted in town.says("S1a")
    assert any(wanted in body_of(effect) for effect in town.effects if effect.kind == "notify")


def test_a_build_that_jenkins_lost_is_told_as_lost_and_why_wherever_the_lock_is_told() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "pre-production")
    town.start_build("S1a")
    town.quiet()
    town.lose_build("S1a")
    sentence = "S1 S1a was lost in pre-production: it was deleted"
    (lock,) = town.board.locks_of("pre-production")
    failed = next(text_of(fact.why) for fact in town.facts if fact.kind is FactKind.BUILD_FAILED)
    (banner,) = town.did(Banner)
    assert [text_of(lock.reason), failed, text_of(banner.locks[0].reason)] == [sentence] * 3
    assert town.says("S1a").startswith(f"{sentence}; it holds the lock")
    town.retry("S1a")
    town.fail_build("S1a")
    assert town.says("S1a").startswith("S1 S1a failed in pre-production")


def test_a_stage_that_is_locked_before_the_first_start_is_proven_gets_its_banner_then() -> None:
    """Else the look for what a lost state has left behind would find our own banner."""
    town = Town()
    town.send(Configured(shop()))
    assert town.board.header.unproven
    town.lock("production")
    assert town.did(Banner) == []
    town.send(FirstStart())
    assert [banner.stage for banner in town.did(Banner)] == ["production"]
