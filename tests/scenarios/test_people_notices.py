"""Notices about a stage: one for each decision, in order, and true when they are sent."""

from __future__ import annotations

from dataclasses import replace

from bot.core.model.effects import Notify
from bot.core.model.events import WeekEnded
from bot.core.model.messages import WeekNotice
from bot.core.model.notice_plan import NoticePlan, WeeklyPlan
from bot.core.model.pipeline import Mode
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, subject_of

PRE = "pre-production"


def mails(town: Town) -> list[Notify]:
    return list(town.did(Notify))


def thrice_locked() -> Town:
    """S1a and S2a have broken the stage, and ann has closed it."""
    town = Town(shop(pre_production=2))
    for service in "S1", "S2":
        town.merge_up_to(service, "a", PRE)
    for service in "S1", "S2":
        town.fail_build(f"{service}a")
    town.lock(PRE)
    town.quiet()
    return town


def test_three_locks_that_open_together_are_one_notice_that_says_open() -> None:
    town = thrice_locked()
    town.unlock(PRE, every=True)
    (mail,) = mails(town)
    assert (mail.topic, subject_of(mail)) == ("unlocked", "pre-production is open")
    assert body_of(mail) == "pre-production is open: unlocked by ann: it is fine\n"


def test_one_lock_of_three_says_which_ones_are_left() -> None:
    town = thrice_locked()
    town.unlock(PRE, lock=f"{PRE}/S1.1")
    (mail,) = mails(town)
    assert subject_of(mail) == "pre-production stays locked: 2 of 3 locks left"
    assert "A lock of pre-production is open: unlocked by ann: it is fine." in body_of(mail)
    assert "stays locked by pre-production/S2.1 (S2 S2a failed in pre-production, by S2.1), pre-pro" in body_of(mail)


def test_a_fix_that_fails_and_holds_a_lock_itself_is_one_notice_for_whoever_hears_of_either() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    while town.at("S1e") != PRE:
        town.pass_build("S1e")
    town.quiet()
    town.fail_build("S1e")
    (mail,) = mails(town)
    assert (mail.topic, mail.also) == ("fix-failed", ("locked",))
    assert subject_of(mail) == "fix failed: S1 S1e failed in pre-production"
    assert "It holds a lock of pre-production now, beside 1 other lock. Merge another fix, or retry S1.2" in body_of(
        mail
    )


def test_a_fix_that_fails_in_a_job_of_the_fast_lane_leaves_the_lock_as_it_is() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.quiet()
    town.fail_build("S1e")
    (mail,) = mails(town)
    assert (mail.topic, mail.also) == ("fix-failed", ())
    assert "The lock stays." in body_of(mail)


def test_the_notice_of_a_lock_that_ends_by_itself_says_when() -> None:
    town = Town()
    town.lock(PRE, until=town.now + 7_200)
    (mail,) = mails(town)
    assert "until it is unlocked, or until 1970-01-01 02:16 UTC: then it opens by itself." in body_of(mail)
    town.lock("production", let_fixes_in=True)
    assert "Nobody enters but fixes on the fast lane until it is unlocked." in body_of(mails(town)[-1])


def test_a_passing_fix_that_opens_the_stage_is_one_notice() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.quiet()
    town.pass_fix("S1e")
    assert [subject_of(mail) for mail in mails(town)] == ["pre-production is open"]


def test_later_notices_have_greater_keys_whatever_they_are_about() -> None:
    town = thrice_locked()
    town.unlock(PRE, every=True)
    town.lock("acceptance")
    town.unlock("acceptance")
    town.lock("build")
    slots = [mail.slot for mail in mails(town)]
    assert len(slots) == 4
    assert slots == sorted(slots), "of those that are due at the same moment the lesser slot goes first"


def test_each_stage_hears_of_what_happened_in_it_and_of_nothing_else() -> None:
    """A change of the configuration opens both locks at once, and a lock that came and went in between is not told."""
    town = Town(shop(production_locks=True))
    town.break_stage("S2", "a", "production")
    town.break_stage("S1", "a")
    town.quiet()
    town.configure(shop(production_locks=True, services=("S3",)))
    assert sorted((mail.topic, mail.stage, mail.also) for mail in mails(town)) == [
        ("unlocked", PRE, ()),
        ("unlocked", "production", ()),
    ]


def test_a_notice_of_a_stage_that_opened_says_why_that_one_did() -> None:
    town = Town(shop(production_locks=True))
    ends = town.now + 60
    town.lock(PRE, by="ann", until=ends)
    town.lock("production", by="kim", until=ends)
    town.now = ends
    town.quiet()
    town.tick(1)
    assert [body_of(mail).strip() for mail in mails(town)] == [
        "pre-production is open: the lock of ann has reached its end time",
        "production is open: the lock of kim has reached its end time",
    ]


def at_the_end_of_a_lock() -> Town:
    """A fix is in its fast acceptance; the lock of production ends by itself with the next thing that happens."""
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.start_build("S1e")
    town.lock("production", until=town.now + 60)
    town.now += 59
    town.quiet()
    return town


def test_what_happens_at_once_in_two_stages_is_told_of_each_by_itself() -> None:
    town = at_the_end_of_a_lock()
    town.lock(PRE)
    assert [(mail.topic, mail.stage, mail.also) for mail in mails(town)] == [
        ("locked", PRE, ()),
        ("unlocked", "production", ()),
    ]
    town = at_the_end_of_a_lock()
    town.fail_build("S1e")
    assert [(mail.topic, mail.stage, mail.also) for mail in mails(town)] == [
        ("fix-failed", "acceptance", ()),
        ("unlocked", "production", ()),
    ]


def test_a_lock_that_has_ended_already_is_told_to_nobody() -> None:
    town = Town()
    town.lock(PRE, until=town.now)
    assert (town.locks(), mails(town)) == ([], [])


# -- the report of a week --------------------------------------------------------------------------------------


def weekly(town: Town, *weeks: str) -> list[str]:
    """The weeks of which somebody is told, of these that have ended."""
    town.quiet()
    for week in weeks:
        town.send(WeekEnded(week))
    return [mail.about.week for mail in mails(town) if isinstance(mail.about, WeekNotice)]


def test_the_report_of_a_week_goes_out_once_and_never_that_of_an_earlier_one() -> None:
    town = Town(replace(shop(), notices=NoticePlan(weekly=WeeklyPlan(("team",)))))
    assert weekly(town, "2026-W48") == ["2026-W48"]
    assert [(mail.topic, mail.to) for mail in mails(town)] == [("week", ("team",))]
    assert weekly(town, "2026-W48", "2026-W47", "2026-W49") == ["2026-W49"]


def test_nobody_is_told_of_a_week_where_no_report_is_wished_or_while_the_pipeline_observes() -> None:
    assert weekly(Town(), "2026-W48") == []
    town = Town(replace(shop(), notices=NoticePlan(weekly=WeeklyPlan(("team",)))))
    town.mode(Mode.OBSERVE)
    assert weekly(town, "2026-W48") == []
    town.mode(Mode.RUN)
    assert weekly(town, "2026-W48") == ["2026-W48"], "it did not count as told"
