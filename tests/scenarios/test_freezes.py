"""Freeze windows in plain steps: rules W1 to W3 of docs/locks.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.core.model.effects import Notify
from bot.core.model.events import FreezesPlanned, LetThroughAsked, Merged, PullFound, PullLabelled, TimePassed
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze, FreezeWindow, PullLabels
from bot.core.model.pipeline import Policy, Step, Track
from bot.core.model.run import Status
from bot.core.rules.freeze_windows import is_freeze_lock, open_from
from bot.core.rules.freezes import LABELS
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE, PRODUCTION = "pre-production", "production"
BEGINS, ENDS = 2_000.0, 3_000.0
NEXT = FreezeWindow(5_000.0, 6_000.0)
WEEKEND = Freeze("weekend", (PRODUCTION,), (FreezeWindow(BEGINS, ENDS), NEXT), "Europe/Berlin")


def until(town: Town, at: float) -> None:
    """The clock reaches `at`."""
    town.tick(at - town.now)


def frozen(freeze: Freeze = WEEKEND) -> Town:
    """S1a, S2a and S3a have come before production, which the freeze has just closed."""
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((freeze,)))
    for service in ("S1", "S2", "S3"):
        town.merge_up_to(service, "a", PRE)
    until(town, BEGINS)
    for sha in ("S1a", "S2a", "S3a"):
        town.pass_build(sha)
    return town


def excepted(town: Town) -> list[str]:
    """What is on record of those that a freeze let through."""
    return [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_EXCEPTED]


def story(town: Town, sha: str) -> list[str]:
    """What happened to the run of a commit, in words."""
    return [text_of(each.what) for each in town.run(sha).story]


# -- W1: the window --------------------------------------------------------------------------------------------


def test_a_window_closes_its_stage_until_it_ends() -> None:
    town = frozen()
    (lock,) = town.board.locks_of(PRODUCTION)
    assert (lock.by, lock.until, text_of(lock.reason)) == (
        "Interlock",
        ENDS,
        "frozen until Thu 1970-01-01 01:50 CET (freeze weekend)",
    )
    assert town.says("S1a") == "production is frozen until Thu 1970-01-01 01:50 CET (freeze weekend)"
    assert (town.runs_in(PRODUCTION), town.queue(PRODUCTION)) == ([], ["S3a", "S2a", "S1a"])
    until(town, ENDS)
    assert (town.locks(PRODUCTION), town.runs_in(PRODUCTION)) == ([], ["S1a"])
    told = [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED]
    assert told == ["production is open: freeze weekend is over"]


def test_the_beginning_and_the_end_of_a_freeze_are_told() -> None:
    town = frozen()
    until(town, ENDS)
    assert [(mail.topic, mail.also, mail.stage) for mail in town.did(Notify)] == [("freeze", (), PRODUCTION)] * 2


def test_the_clock_is_looked_at_when_a_window_begins_and_when_it_ends() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    assert town.board.next_due(town.now) == BEGINS
    until(town, BEGINS)
    assert town.board.next_due(town.now) == ENDS
    until(town, ENDS)
    assert town.board.next_due(town.now) == NEXT.begins


def test_what_runs_in_the_stage_when_it_closes_finishes() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRODUCTION)
    town.start_build("S1a")
    until(town, BEGINS)
    assert town.status("S1a") is Status.RUNNING
    town.pass_build("S1a")
    assert town.left("S1a") == ("delivered", None)


def test_a_build_that_has_not_started_is_called_back_and_is_first_afterwards() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRODUCTION)
    town.merge_up_to("S2", "a", PRODUCTION)
    until(town, BEGINS)
    assert town.status("S1a") is Status.RECALLED
    town.confirm_withdrawal("S1a")
    assert town.queue(PRODUCTION) == ["S2a", "S1a"]
    until(town, ENDS)
    assert town.runs_in(PRODUCTION) == ["S1a"]


def test_a_trigger_says_until_when_it_may_go_out_and_a_late_one_is_called_back() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRODUCTION)
    assert town.attempt("S1a").trigger.not_after == BEGINS
    town.now = BEGINS + 500  # all processes were down: nothing was posted, and nobody saw the beginning
    town.confirm_withdrawal("S1a")
    assert (town.runs_in(PRODUCTION), town.queue(PRODUCTION), town.board.backoffs) == ([], ["S1a"], {})
    assert [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_RECALLED] == [
        "production is locked: S1 S1a is called back from production before its build started"
    ]
    until(town, ENDS)
    assert town.runs_in(PRODUCTION) == ["S1a"]
    assert town.attempt("S1a").trigger.not_after == NEXT.begins


def test_who_may_enter_a_freeze_is_asked_anew_of_a_late_trigger() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((replace(WEEKEND, services=("S1",)),)))
    town.merge_up_to("S1", "a", PRODUCTION)
    first = town.run("S1a").attempt.number
    town.now = BEGINS + 500
    town.confirm_withdrawal("S1a")
    assert (town.runs_in(PRODUCTION), town.run("S1a").attempt.number) == (["S1a"], first + 1)


def test_a_trigger_of_a_stage_without_freezes_may_go_out_at_any_time() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRE)
    assert town.attempt("S1a").trigger.not_after is None


def test_a_begin_that_nobody_saw_is_made_up_for() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRE)
    town.now = BEGINS + 500  # all processes were down meanwhile
    town.pass_build("S1a")
    assert (town.locks(PRODUCTION), town.queue(PRODUCTION)) == (["Interlock"], ["S1a"])


def test_an_end_that_nobody_saw_is_made_up_for_and_a_window_that_nobody_saw_leaves_nothing() -> None:
    town = frozen()
    town.now = ENDS + 500
    town.send(TimePassed())
    assert (town.locks(PRODUCTION), town.runs_in(PRODUCTION)) == ([], ["S1a"])
    town.now = NEXT.ends + 500
    town.send(TimePassed())
    assert town.locks(PRODUCTION) == []


def test_only_the_stages_of_the_freeze_close() -> None:
    town = frozen()
    assert town.locks(PRE) == []
    town.merge_up_to("S1", "b", PRE)
    assert town.runs_in(PRE) == ["S1b"]


def test_two_freezes_of_a_stage_are_two_locks() -> None:
    christmas = Freeze("christmas", (PRODUCTION,), (FreezeWindow(BEGINS + 500, ENDS + 500),))
    town = frozen()
    town.send(FreezesPlanned((WEEKEND, christmas)))
    until(town, BEGINS + 500)
    assert [lock.key for lock in town.board.locks_of(PRODUCTION)] == [
        "production/freeze-weekend",
        "production/freeze-christmas",
    ]
    until(town, ENDS)
    assert (len(town.locks(PRODUCTION)), town.runs_in(PRODUCTION)) == (1, [])
    until(town, ENDS + 500)
    assert town.runs_in(PRODUCTION) == ["S1a"]


def test_a_fix_does_not_pass_a_freeze_and_a_retry_does_not_either() -> None:
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((WEEKEND,)))
    town.merge_up_to("S1", "a", PRODUCTION)
    town.start_build("S1a")
    until(town, BEGINS)
    town.fail_build("S1a")
    assert town.locks(PRODUCTION) == ["Interlock", "S1a"]
    town.retry("S1a")
    assert (town.runs_in(PRODUCTION), town.queue(PRODUCTION)) == ([], ["S1a"])
    assert "locked, for fixes too: frozen until Thu 1970-01-01 01:50 CET (freeze weekend); " in town.says("S1a")
    town.merge_up_to("S1", "b", PRODUCTION)
    assert (town.on_fast_lane(), town.runs_in(PRODUCTION)) == (["S1b"], [])
    assert "locked, for fixes too: frozen until Thu 1970-01-01 01:50 CET (freeze weekend); " in town.says("S1b")
    until(town, ENDS)
    assert town.runs_in(PRODUCTION) == ["S1b"]


# -- W2: whom it lets through ----------------------------------------------------------------------------------


def test_an_excepted_service_enters_past_all_who_wait() -> None:
    town = frozen(replace(WEEKEND, services=("S3",)))
    assert town.runs_in(PRODUCTION) == ["S3a"]
    assert excepted(town) == ["S3 S3a enters production in freeze weekend: it excepts S3"]
    assert "enters production in freeze weekend: it excepts S3" in story(town, "S3a")


def test_of_an_excepted_service_only_what_waits_for_the_frozen_stage_enters_it() -> None:
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((replace(WEEKEND, services=("S3",)),)))
    town.merge_up_to("S3", "a", PRODUCTION)
    town.lock("acceptance")
    town.merge_up_to("S3", "b", "acceptance")
    town.merge_up_to("S3", "c", "build")
    until(town, BEGINS)
    town.pass_build("S3a")
    assert (town.left("S3a"), town.runs_in(PRODUCTION)) == (("delivered", None), [])
    town.lock(PRODUCTION)
    town.unlock(PRODUCTION, lock=f"{PRODUCTION}/2")
    assert (town.queue("acceptance"), town.runs_in("build")) == (["S3b"], ["S3c"])
    town.start_build("S3c")
    assert (town.status("S3b"), town.status("S3c")) == (Status.WAITING, Status.RUNNING)


def test_while_one_run_of_an_excepted_service_waits_no_other_one_of_it_is_started() -> None:
    town = Town(shop(production_locks=True, production=3))
    town.send(FreezesPlanned((replace(WEEKEND, services=("S3",)),)))
    town.merge_up_to("S3", "a", PRODUCTION)
    town.merge_up_to("S3", "b", PRE)
    town.merge_up_to("S3", "c", "build")
    numbers = [town.run(sha).attempt.number for sha in ("S3a", "S3c")]
    until(town, BEGINS)
    town.pass_build("S3b")
    assert (town.runs_in(PRODUCTION), town.queue(PRODUCTION), town.runs_in("build")) == (["S3a"], ["S3b"], ["S3c"])
    assert [town.run(sha).attempt.number for sha in ("S3a", "S3c")] == numbers


def frozen_with_labels() -> Town:
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((replace(WEEKEND, labels=("hotfix",)),)))
    for service in ("S1", "S2"):
        town.merge_up_to(service, "a", PRE)
    until(town, BEGINS)
    town.pass_build("S1a", "S2a")
    assert town.queue(PRODUCTION) == ["S2a", "S1a"]
    return town


def test_a_label_excepts_a_run_whenever_it_is_told() -> None:
    town = frozen_with_labels()
    town.send(PullFound("S2", "S2a", 12, labels=PullLabels(12, ("docs", "Hotfix"))))
    assert town.runs_in(PRODUCTION) == ["S2a"]
    assert excepted(town) == ["S2 S2a enters production in freeze weekend: #12 has the label Hotfix"]


def test_a_label_that_is_put_on_after_the_merge_counts_and_one_that_goes_counts_no_more() -> None:
    town = frozen_with_labels()
    town.send(PullFound("S2", "S2a", 12))
    assert town.runs_in(PRODUCTION) == []
    town.send(PullLabelled("S2", PullLabels(12, ("hotfix",), at=20.0)))
    assert town.status("S2a") is Status.STARTING
    town.send(PullLabelled("S2", PullLabels(12, ("docs",), at=19.0)))
    assert town.status("S2a") is Status.STARTING, "older news"
    town.send(PullLabelled("S2", PullLabels(12, (), at=21.0)))
    assert town.status("S2a") is Status.RECALLED


def test_the_labels_of_each_pull_request_of_a_run_are_told_by_themselves_and_the_later_word_counts() -> None:
    town = frozen_with_labels()
    for pull in 12, 13:
        town.send(Merged("S2", "S2a", pull=pull))
    town.send(PullLabelled("S2", PullLabels(12, ("docs",), at=20.0)))
    town.send(PullLabelled("S2", PullLabels(13, ("hotfix",), at=10.0)))
    assert town.status("S2a") is Status.STARTING
    town.send(PullLabelled("S2", PullLabels(13, (), at=10.0)))
    assert town.status("S2a") is Status.RECALLED, "told later of the same second"


def test_the_labels_that_a_pull_request_has_when_its_merge_is_told_again_count() -> None:
    town = frozen_with_labels()
    town.send(Merged("S2", "S2a", pull=12))
    town.send(Merged("S2", "S2a", pull=12, labels=PullLabels(12, ("hotfix",))))
    assert town.runs_in(PRODUCTION) == ["S2a"]


def test_the_labels_of_a_merge_come_with_it() -> None:
    town = Town(shop())
    town.send(FreezesPlanned((replace(WEEKEND, labels=("hotfix",)),)))
    town.github.commit("S1", "S1a")
    town.send(Merged("S1", "S1a", pull=7, labels=PullLabels(7, ("hotfix",))))
    for _ in range(3):
        town.pass_build("S1a")
    town.start_build("S1a")
    until(town, BEGINS)
    assert town.run("S1a").merge.labels == (PullLabels(7, ("hotfix",)),)


def test_a_person_lets_one_run_through_and_that_is_on_record() -> None:
    town = frozen(replace(WEEKEND, role="operator"))
    assert town.runs_in(PRODUCTION) == []
    town.send(LetThroughAsked(town.key("S2a"), "kim", "the shop is down"))
    assert town.runs_in(PRODUCTION) == ["S2a"]
    assert excepted(town) == [
        "kim lets S2 S2a through freezes: the shop is down",
        "S2 S2a enters production in freeze weekend: let through freezes by kim: the shop is down",
    ]
    assert "let through freezes by kim: the shop is down" in story(town, "S2a")


def test_nobody_is_let_through_a_freeze_that_allows_no_role() -> None:
    town = frozen()
    town.send(LetThroughAsked(town.key("S2a"), "kim", "the shop is down"))
    assert town.runs_in(PRODUCTION) == []
    assert town.refused().startswith("no freeze lets single runs through")


def test_nobody_is_let_through_who_is_not_there_or_leaves() -> None:
    town = frozen(replace(WEEKEND, role="operator"))
    town.send(LetThroughAsked("S9.9", "kim", "the shop is down"))
    assert town.refused() == "S9.9 is not on the board"
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((replace(WEEKEND, role="operator"),)))
    town.merge("S1", "a")
    town.start_build("S1a")
    town.cancel("S1a")
    town.send(LetThroughAsked(town.key("S1a"), "kim", "the shop is down"))
    assert town.refused() == f"{town.key('S1a')} is not on the board"


def test_so_many_labels_of_a_pull_request_are_kept_and_no_more() -> None:
    town = frozen()
    town.send(PullFound("S2", "S2a", 12, labels=PullLabels(12, tuple(f"l{n}" for n in range(LABELS + 1)))))
    ((kept,),) = (town.run("S2a").merge.labels,)
    assert kept.names == tuple(f"l{n}" for n in range(LABELS))


def test_the_labels_of_pull_requests_that_land_in_one_push_come_to_the_run_of_its_head() -> None:
    town = Town(shop())
    for letter in "-ab":
        town.github.commit("S1", f"S1{letter}")
    town.send(Merged("S1", "S1a", pull=7, labels=PullLabels(7, ("hotfix",))))
    town.send(Merged("S1", "S1b", pull=8, labels=PullLabels(8, ("docs",))))
    town.send(town.merged("S1", "S1-", "S1b", commits=("S1a",)))
    assert town.status("S1a") is Status.ENDING
    assert town.run("S1b").merge.labels == (PullLabels(7, ("hotfix",)), PullLabels(8, ("docs",)))


def test_the_key_of_a_lock_says_whether_it_is_a_freeze() -> None:
    town = frozen()
    town.lock(PRODUCTION)
    assert [is_freeze_lock(lock.key) for lock in town.board.locks_of(PRODUCTION)] == [True, False]
    assert not is_freeze_lock(None)


def test_an_exception_of_one_freeze_is_none_of_another() -> None:
    christmas = Freeze("christmas", (PRODUCTION,), (FreezeWindow(BEGINS, ENDS),))
    town = Town(shop())
    town.send(FreezesPlanned((replace(WEEKEND, services=("S1",)), christmas)))
    town.merge_up_to("S1", "a", PRE)
    until(town, BEGINS)
    town.pass_build("S1a")
    assert town.queue(PRODUCTION) == ["S1a"]


def test_an_excepted_run_is_kept_out_by_every_other_lock() -> None:
    town = frozen(replace(WEEKEND, labels=("hotfix",)))
    town.lock(PRODUCTION)
    town.send(PullFound("S2", "S2a", 12, labels=PullLabels(12, ("hotfix",))))
    assert town.runs_in(PRODUCTION) == []
    town.unlock(PRODUCTION, lock="production/1")
    assert town.runs_in(PRODUCTION) == ["S2a"]


def test_an_excepted_fix_passes_the_freeze_and_opens_the_lock() -> None:
    town = Town(shop(production_locks=True))
    town.send(FreezesPlanned((replace(WEEKEND, services=("S1",)),)))
    town.merge_up_to("S1", "a", PRODUCTION)
    until(town, BEGINS)
    assert town.status("S1a") is Status.STARTING, "excepted: it is not called back"
    town.fail_build("S1a")
    town.merge_up_to("S1", "b", PRODUCTION)
    town.pass_build("S1b")
    assert town.locks(PRODUCTION) == ["Interlock"]


# -- W3: lifting, and a configuration that changes -------------------------------------------------------------


def test_to_unlock_a_freeze_lifts_the_rest_of_its_window_and_the_next_one_comes() -> None:
    town = frozen()
    town.unlock(PRODUCTION)
    assert (town.locks(PRODUCTION), town.runs_in(PRODUCTION)) == ([], ["S1a"])
    town.tick(100)
    assert town.locks(PRODUCTION) == []
    until(town, NEXT.begins)
    assert (town.locks(PRODUCTION), town.board.header.lifted) == (["Interlock"], ())


def test_a_lift_is_forgotten_in_the_very_second_in_which_its_window_ends() -> None:
    town = frozen()
    town.unlock(PRODUCTION)
    until(town, ENDS - 1)
    assert [lift.stage for lift in town.board.header.lifted] == [PRODUCTION]
    until(town, ENDS)
    assert town.board.header.lifted == ()


def test_the_next_window_comes_though_it_begins_the_second_in_which_the_lifted_one_ends() -> None:
    town = frozen(replace(WEEKEND, windows=(FreezeWindow(BEGINS, ENDS), FreezeWindow(ENDS, ENDS + 500))))
    town.unlock(PRODUCTION)
    town.tick(ENDS - town.now - 1)
    town.send(FreezesPlanned((replace(town.board.header.freezes[0], labels=("hotfix",)),)))
    assert (town.now, town.locks(PRODUCTION), town.board.header.lifted) == (ENDS, ["Interlock"], ())


def test_a_lift_does_not_reach_into_a_window_that_begins_the_second_in_which_its_own_ends() -> None:
    town = frozen(replace(WEEKEND, windows=(FreezeWindow(BEGINS, ENDS), FreezeWindow(ENDS, ENDS + 500))))
    town.unlock(PRODUCTION)
    town.tick(ENDS - town.now - 1)
    town.send(TimePassed())
    assert (town.now, town.locks(PRODUCTION)) == (ENDS, ["Interlock"])


def test_what_was_lifted_before_all_processes_were_down_is_not_lifted_in_the_next_window() -> None:
    town = frozen()
    town.unlock(PRODUCTION)
    town.now = NEXT.begins + 10
    town.send(FreezesPlanned((replace(WEEKEND, labels=("hotfix",)),)))
    assert town.locks(PRODUCTION) == ["Interlock"]


def test_a_lift_ends_with_a_window_that_is_taken_out_of_the_file() -> None:
    town = frozen()
    town.unlock(PRODUCTION)
    town.send(FreezesPlanned((replace(WEEKEND, windows=(NEXT,)),)))
    assert town.board.header.lifted == ()


def test_only_freezes_are_lifted() -> None:
    town = Town()
    town.lock(PRODUCTION, until=town.now + 500)
    town.unlock(PRODUCTION)
    assert town.board.header.lifted == ()


def test_a_run_that_is_let_through_passes_no_freeze_that_lets_nobody_through() -> None:
    christmas = Freeze("christmas", (PRODUCTION,), (FreezeWindow(BEGINS, ENDS),))
    town = frozen(replace(WEEKEND, role="operator"))
    town.send(LetThroughAsked(town.key("S2a"), "kim", "the shop is down"))
    assert town.status("S2a") is Status.STARTING
    town.send(FreezesPlanned((replace(WEEKEND, role="operator"), christmas)))
    assert town.status("S2a") is Status.RECALLED


def test_a_lift_concerns_one_stage() -> None:
    both = replace(WEEKEND, stages=(PRE, PRODUCTION))
    town = Town(shop())
    town.send(FreezesPlanned((both,)))
    until(town, BEGINS)
    town.unlock(PRE)
    town.tick(10)
    assert (town.locks(PRE), town.locks(PRODUCTION)) == ([], ["Interlock"])


def test_a_freeze_among_several_locks_must_be_named() -> None:
    town = frozen()
    town.lock(PRODUCTION)
    town.unlock(PRODUCTION)
    assert len(town.locks(PRODUCTION)) == 2
    town.unlock(PRODUCTION, lock="production/freeze-weekend")
    assert town.locks(PRODUCTION) == ["ann"]


def test_a_window_that_is_moved_while_it_is_in_force_moves_its_lock() -> None:
    town = frozen()
    town.send(FreezesPlanned((replace(WEEKEND, windows=(FreezeWindow(BEGINS, ENDS + 500), NEXT)),)))
    assert [lock.until for lock in town.board.locks_of(PRODUCTION)] == [ENDS + 500]
    until(town, ENDS)
    assert town.locks(PRODUCTION) == ["Interlock"]
    until(town, ENDS + 500)
    assert town.locks(PRODUCTION) == []


def test_a_lift_stays_when_the_window_is_moved() -> None:
    town = frozen()
    town.unlock(PRODUCTION)
    town.send(FreezesPlanned((replace(WEEKEND, windows=(FreezeWindow(BEGINS - 100, ENDS + 500), NEXT)),)))
    until(town, ENDS + 100)
    assert town.locks(PRODUCTION) == []


def test_a_freeze_that_is_taken_out_of_the_file_opens_at_once() -> None:
    town = frozen()
    town.send(FreezesPlanned(()))
    assert (town.locks(PRODUCTION), town.runs_in(PRODUCTION)) == ([], ["S1a"])
    told = [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED]
    assert told[-1] == "production is open: freeze weekend is not in force any more: the configuration has changed"


def test_an_exception_that_is_added_in_the_middle_counts_at_once_for_labels_too() -> None:
    town = frozen()
    town.send(PullFound("S3", "S3a", 12, labels=PullLabels(12, ("hotfix",))))
    assert town.runs_in(PRODUCTION) == []
    town.send(FreezesPlanned((replace(WEEKEND, labels=("hotfix",)),)))
    assert town.runs_in(PRODUCTION) == ["S3a"]


def test_new_windows_of_the_same_freeze_are_no_news() -> None:
    town = frozen()
    told = len(town.told(FactKind.FREEZES_PLANNED))
    town.send(FreezesPlanned((replace(WEEKEND, windows=(*WEEKEND.windows, FreezeWindow(8_000.0, 9_000.0))),)))
    assert len(town.told(FactKind.FREEZES_PLANNED)) == told == 1


def test_a_stage_that_only_reports_failures_freezes_as_well() -> None:
    pipeline = shop()
    assert pipeline.stages[-1].on_failure is Policy.REPORT
    town = Town(pipeline)
    town.send(FreezesPlanned((WEEKEND,)))
    until(town, BEGINS)
    assert town.locks(PRODUCTION) == ["Interlock"]


# -- what is foretold ------------------------------------------------------------------------------------------


def test_a_run_may_enter_when_no_freeze_of_its_stage_is_in_force_that_does_not_except_it() -> None:
    christmas = Freeze("christmas", (PRODUCTION,), (FreezeWindow(ENDS - 100, ENDS + 500),), services=("S2",))
    town = frozen()
    town.send(FreezesPlanned((WEEKEND, christmas)))

    def opens(sha: str, at: float, *where: Any) -> float:
        return open_from(town.board, Step(*where or (PRODUCTION,)), town.run(sha), at)

    assert opens("S1a", BEGINS + 10) == ENDS + 500, "the second begins before the first ends"
    assert opens("S2a", BEGINS + 10) == ENDS, "the second excepts S2"
    assert opens("S1a", ENDS + 500) == ENDS + 500
    assert opens("S1a", BEGINS + 10, PRE) == BEGINS + 10
    assert opens("S1a", BEGINS + 10, PRODUCTION, Track.FAST) == BEGINS + 10
    town.unlock(PRODUCTION)
    assert opens("S1a", BEGINS + 10) == BEGINS + 10, "lifted"
    assert opens("S1a", ENDS - 50) == ENDS + 500
