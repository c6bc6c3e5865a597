"""The cases that a first implementation gets wrong: one short story each."""

import pytest

from bot.core.model.effects import AbortDuplicate, Banner, Compare, Notify, Trigger, Withdraw
from bot.core.model.events import BuildSeen, Configured, ContainmentKnown, Merged
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import FastLaneStart, Mode, Outcome, Policy
from bot.core.model.run import Status
from tests.core.town import Town
from tests.core.world import shop

PRE = "pre-production"

# -- two hands on one lock -------------------------------------------------------------------------------------


def test_a_person_locks_over_an_automatic_lock_and_the_fix_opens_only_its_own() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE, by="bob", let_fixes_in=True)
    town.merge_up_to("S2", "a", PRE)
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert town.locks() == ["bob"]
    assert town.queue(PRE) == ["S2a"]
    assert town.says("S2a") == "pre-production is locked: maintenance (locked by bob)"


def test_an_end_time_passes_while_an_automatic_lock_holds() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE, until=town.now + 60)
    town.merge_up_to("S2", "a", PRE)
    town.tick(120)
    assert town.locks() == ["S1a"]
    assert not town.did(Trigger, of="S2a", stage=PRE)


def test_the_board_says_when_the_clock_matters_next() -> None:
    town = Town(shop(timeout=600))
    assert town.board.next_due(town.now) is None
    town.lock("production", until=town.now + 5_000)
    assert town.board.next_due(town.now) == town.now + 4_999
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    assert town.board.next_due(town.now) == town.now + 600


# -- production, two services, two stages ----------------------------------------------------------------------


def test_production_is_locked_and_the_fix_passes_the_real_pre_production_first() -> None:
    town = Town(shop(production_locks=True))
    town.break_stage("S1", "a", "production")
    town.merge_up_to("S2", "a", PRE)
    town.merge_up_to("S3", "a", PRE)
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    assert (town.runs_in(PRE), town.queue(PRE)) == (["S2a"], ["S3a", "S1e"])
    town.pass_build("S2a")
    assert town.runs_in(PRE) == ["S1e"]
    town.pass_build("S1e")
    assert (town.runs_in("production"), town.queue("production")) == (["S1e"], ["S2a"])
    assert town.locks("production") == ["S1a"]
    town.pass_build("S1e")
    assert town.locks("production") == []
    assert town.runs_in("production") == ["S2a"]


def test_two_services_fail_in_one_stage_and_each_fix_opens_its_own_lock() -> None:
    town = Town(shop(pre_production=2))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S2", "a", PRE)
    town.fail_build("S1a")
    town.fail_build("S2a")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert town.locks() == ["S2a"]
    town.merge("S2", "e")
    town.pass_fix("S2e")
    assert town.locks() == []


def test_one_services_fix_needs_a_stage_that_another_has_locked() -> None:
    town = Town(shop(production_locks=True))
    town.break_stage("S2", "a", "production")
    town.break_stage("S1", "a")
    town.merge("S2", "e")
    for _ in range(3):
        town.pass_build("S2e")
    assert town.says("S2e") == (
        "pre-production is locked: S1 S1a failed in pre-production (locked by S1.1); merge the fix to S1"
    )
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert town.runs_in(PRE) == ["S2e"]
    assert town.queue("production") == ["S1e"]
    town.pass_build("S2e")
    town.pass_build("S2e")
    assert town.locks("production") == []
    assert town.runs_in("production") == ["S1e"]


def test_a_fix_that_has_done_its_work_holds_up_no_later_fix() -> None:
    """S1e waits for production, locked by S2, whose fix waits for pre-production, locked by S1 again."""
    town = Town(shop(production_locks=True))
    town.break_stage("S2", "a", "production")
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    town.break_stage("S1", "f")
    town.merge("S2", "e")
    for _ in range(3):
        town.pass_build("S2e")
    town.merge("S1", "g")
    town.pass_build("S1g")
    assert town.runs_in("fast acceptance") == ["S1g"]
    town.pass_fix("S1g")
    town.pass_build("S2e")
    town.pass_build("S2e")
    assert (town.locks(), town.locks("production")) == ([], [])


def test_two_services_want_the_same_fast_lane_and_take_turns() -> None:
    town = Town(shop(pre_production=2))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S2", "a", PRE)
    town.fail_build("S1a")
    town.fail_build("S2a")
    town.merge("S2", "e")
    town.merge("S1", "e")
    town.pass_build("S1e", "S2e")
    assert (town.runs_in("fast acceptance"), town.queue("fast acceptance")) == (["S1e"], ["S2e"])
    town.pass_build("S1e")
    assert town.runs_in("fast acceptance") == ["S2e"]


# -- one merge, told in many ways ------------------------------------------------------------------------------


def test_a_merge_arrives_as_push_and_as_pull_request_and_is_one_run() -> None:
    town = Town()
    town.merge("S1", "a")
    town.pull("S1", "a", number=12)
    assert town.live() == ["S1a"]
    assert (town.run("S1a").merge.pull, town.run("S1a").merge.title) == (12, "PR 12")


def test_a_merge_arrives_as_pull_request_and_then_as_push_and_the_push_is_the_proof() -> None:
    town = Town()
    town.break_stage("S1", "a")
    push = town.push("S1", "e")
    town.pull("S1", "e")
    town.deliver(push)
    town.pass_fix("S1e")
    assert town.left("S1a") == ("superseded", "S1e")
    assert not town.did(Compare)


def test_pull_requests_in_the_wrong_order_start_nothing_twice_and_the_head_is_the_head() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.break_stage("S1", "0")
    a, b = town.push("S1", "a"), town.push("S1", "b")
    town.pull("S1", "b")
    town.pull("S1", "a")
    town.deliver(a)
    town.deliver(b)
    assert town.live() == ["S10", "S1a", "S1b"]
    town.fast_lane("S1")
    assert town.on_fast_lane() == ["S1b"]


def test_an_older_merge_that_is_told_late_does_not_take_the_fast_lane() -> None:
    town = Town()
    town.break_stage("S1", "a")
    late = town.push("S1", "b")
    town.merge("S1", "c")
    town.deliver(late)
    assert town.on_fast_lane() == ["S1c"]
    assert town.left("S1b") is None


def test_the_same_push_again_changes_nothing() -> None:
    town = Town()
    push = town.push("S1", "a")
    town.deliver(push)
    records = list(town.board.records())
    town.deliver(push)
    assert list(town.board.records()) == records


def test_a_to_b_to_a_by_force_is_three_changes() -> None:
    town = Town()
    town.merge("S1", "a")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto="S1a")
    assert town.told(FactKind.MERGE_ACCEPTED) == ["S1a", "S1b", "S1a"]


def test_a_commit_that_a_force_push_dropped_may_be_pushed_again() -> None:
    town = Town()
    town.merge("S1", "a")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto="S1a")
    town.answer_questions()
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    town.merge("S1", "b")
    assert town.at("S1b") == "build"


def test_a_fix_that_turns_out_to_be_contained_lets_the_next_one_go_on_at_once() -> None:
    """S1f was told before S1e, which it contains; S1g waits behind S1e, which ends at the door when that is proven."""
    town = Town(shop(production_locks=True))
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.push("S1", "e")
    town.pull("S1", "f")
    town.pass_build("S1f", "S1f")
    town.answer_questions()
    town.pass_build("S1f")
    town.fail_build("S1a")
    town.pull("S1", "e")
    town.pass_build("S1e", "S1e", "S1e")
    assert town.says("S1e") == "Interlock is asking GitHub whether S1f, already further, contains it"
    town.github.heads["S1"] = "S1f"
    town.merge("S1", "g")
    town.pass_build("S1g")
    assert "waits behind the older fix S1 S1e" in town.says("S1g")
    town.send(ContainmentKnown("S1", "S1e", "S1f", contains=True))
    assert town.left("S1e") == ("superseded", "S1f")
    assert town.runs_in("fast acceptance") == ["S1g"]


# -- force-pushes ----------------------------------------------------------------------------------------------


def test_a_force_push_drops_what_the_new_head_lacks_and_starts_the_new_head() -> None:
    town = Town()
    town.merge("S1", "a")
    town.merge_up_to("S1", "b", "acceptance")
    town.force_push("S1", "c", onto="S1a")
    assert town.answer_questions() == 2
    assert town.status("S1b") is Status.ENDING
    town.confirm_withdrawal("S1b")
    assert town.left("S1b") == ("dropped", None)
    assert town.live() == ["S1a", "S1c"]


def test_a_force_push_leaves_alone_what_rolls_out_and_drops_it_afterwards() -> None:
    town = Town()
    town.merge_up_to("S1", "b", PRE)
    town.start_build("S1b")
    town.force_push("S1", "c", onto="S1a")
    town.answer_questions()
    assert town.status("S1b") is Status.RUNNING
    assert not town.did(Withdraw)
    town.pass_build("S1b")
    assert town.left("S1b") == ("dropped", None)


def test_a_force_push_aborts_no_production_that_is_under_way() -> None:
    town = Town()
    town.merge_up_to("S1", "b", "production")
    town.start_build("S1b")
    town.force_push("S1", "c", onto="S1a")
    town.answer_questions()
    town.pass_build("S1b")
    assert town.left("S1b") == ("delivered", None)


@pytest.mark.parametrize("first", ["push", "pull request"])
def test_a_force_push_back_to_an_older_commit_may_be_told_after_what_was_merged_onto_it(first: str) -> None:
    """S1b locks; main goes back to S1a by force and on to S1c, which we hear of first. S1b was dropped all the same."""
    town = Town()
    town.look_at_main("S1", "0")
    town.merge_up_to("S1", "a", "production")
    town.break_stage("S1", "b")
    before, after = town.github.commit("S1", "S1a", onto="S10")
    back = town.merged("S1", before, after, forced=True)
    fix = town.push("S1", "c")
    if first == "pull request":
        town.pull("S1", "c")
    town.deliver(fix)
    town.deliver(back)
    town.answer_questions()
    town.pass_fix("S1c")
    town.answer_questions()
    assert town.locks() == []
    assert town.left("S1b") == ("dropped", None)


def test_a_merge_after_the_force_push_is_never_taken_for_dropped() -> None:
    town = Town()
    town.merge("S1", "a")
    town.force_push("S1", "c", onto=None)
    town.push("S1", "lost")
    town.pull("S1", "d")
    town.answer_questions()
    town.look_at_main("S1")
    assert town.status("S1d") is Status.STARTING


def test_a_forced_push_is_no_proof_even_if_its_commit_was_known() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.github.commit("S1", "S1x", onto="S10")
    town.look_at_main("S1")
    town.deliver(Merged("S1", "S1x", "S1a", forced=True, push_id="p"))
    town.pass_build("S1x", "S1x", "S1x")
    assert town.says("S1x") == "Interlock is asking GitHub whether S1a, already further, contains it"
    town.answer_questions()
    town.pass_build("S1x")
    assert town.locks() == []
    assert town.left("S1a") == ("dropped", None)


def test_the_lock_of_a_dropped_commit_opens_when_the_new_main_has_passed() -> None:
    town = Town()
    town.merge_up_to("S1", "0", "acceptance")
    town.break_stage("S1", "a")
    town.force_push("S1", "c", onto="S10")
    town.answer_questions()
    assert town.locks() == ["S1a"]
    town.pass_fix("S1c")
    town.answer_questions()
    assert town.locks() == []
    assert town.left("S1a") == ("dropped", None)


def test_what_passed_before_the_failure_opens_nothing() -> None:
    town = Town()
    for letter in "ab":
        town.merge("S1", letter)
        while f"S1{letter}" in town.live():
            town.pass_build(f"S1{letter}")
    town.force_push("S1", "a", onto=None)
    town.pass_build("S1a", "S1a")
    town.fail_build("S1a")
    town.send(ContainmentKnown("S1", "S1a", "S1b", contains=True))
    assert town.locks() == ["S1a"]


# -- the configuration changes ---------------------------------------------------------------------------------


def test_a_service_is_removed_while_it_holds_a_lock_and_runs() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge_up_to("S1", "b", "acceptance")
    town.merge_up_to("S2", "a", PRE)
    town.configure(shop(services=("S2", "S3")))
    assert town.left("S1a") == ("dropped", None)
    assert town.locks() == []
    assert town.runs_in(PRE) == ["S2a"]
    assert town.status("S1b") is Status.ENDING


def test_a_stage_is_removed_and_its_runs_go_on_at_the_next() -> None:
    town = Town(shop(acceptance=1))
    for service in ("S1", "S2"):
        town.merge_up_to(service, "a", "acceptance")
    town.configure(shop(without=("acceptance",)))
    assert town.runs_in(PRE) == ["S2a"]
    town.pass_build("S1a")
    assert town.queue(PRE) == ["S1a"]


def test_a_trigger_is_refused_for_a_stage_that_was_removed_meanwhile() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.configure(shop(without=("acceptance",)))
    town.refuse_trigger("S1a")
    assert town.runs_in(PRE) == ["S1a"]


def test_the_locked_stage_is_removed() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.configure(shop(without=(PRE,)))
    assert town.live() == []
    assert not town.board.locks


def test_a_stage_that_locks_no_more_still_opens_when_the_retry_has_passed() -> None:
    town = Town(shop(production_locks=True))
    town.break_stage("S1", "a", "production")
    town.configure(shop(production_locks=False))
    town.retry("S1a")
    town.pass_build("S1a")
    assert town.locks("production") == []


def test_a_repository_is_renamed() -> None:
    pipeline = shop()
    town = Town(pipeline)
    town.merge_up_to("S1", "a", "acceptance")
    renamed = tuple(type(s)(s.name, f"new/{s.name}") for s in pipeline.services)
    town.configure(type(pipeline)(pipeline.name, pipeline.stages, renamed))
    town.quiet()
    town.pass_build("S1a")
    assert [trigger.repository for trigger in town.did(Trigger)] == ["new/S1"]


# -- the seconds in between ------------------------------------------------------------------------------------


def test_a_fix_that_merges_between_roll_out_and_unlock() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    town.start_build("S1e")
    town.merge("S1", "f")
    town.pass_build("S1e")
    assert town.on_fast_lane() == ["S1e"]
    assert town.at("S1f") == "build"
    town.pass_build("S1f")
    assert town.at("S1f") == "acceptance"


def test_first_start_takes_the_heads_as_baseline_and_triggers_nothing() -> None:
    town = Town()
    town.look_at_main("S1", "a")
    assert town.live() == []
    assert not town.effects
    town.merge("S1", "b")
    assert town.live() == ["S1b"]


def test_a_lost_push_is_found_by_looking_at_main() -> None:
    town = Town()
    town.look_at_main("S1", "a")
    town.look_at_main("S1", "b")
    assert town.live() == ["S1b"]
    town.answer_questions()
    assert town.left("S1b") is None


def test_an_old_look_at_main_does_not_move_the_head_back() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.break_stage("S1", "a")
    town.push("S1", "b")
    town.merge("S1", "c")
    town.github.heads["S1"] = "S1b"
    town.look_at_main("S1")
    town.fast_lane("S1")
    assert town.on_fast_lane() == ["S1c"]


# -- pause and observe -----------------------------------------------------------------------------------------


def test_paused_everything_is_taken_in_and_nothing_is_triggered() -> None:
    town = Town(shop(retries=1))
    town.merge_up_to("S1", "a", PRE)
    town.mode(Mode.PAUSE)
    town.quiet()
    town.merge("S2", "a")
    town.fail_build("S1a")
    assert not town.did(Trigger)
    assert town.says("S2a") == "the pipeline is paused by ann: because"
    town.mode(Mode.RUN)
    assert (town.runs_in(PRE), town.runs_in("build")) == (["S1a"], ["S2a"])


def test_observing_everything_is_decided_and_nothing_is_sent() -> None:
    town = Town()
    town.mode(Mode.OBSERVE)
    town.merge("S1", "a")
    assert town.says("S1a") == "the pipeline only observes: Interlock asks for no build"
    assert not town.effects
    town.mode(Mode.RUN)
    assert town.did(Trigger, of="S1a")


def test_from_observing_to_paused_nothing_is_triggered_and_nobody_is_stuck() -> None:
    town = Town()
    town.mode(Mode.OBSERVE)
    town.merge("S1", "a")
    town.mode(Mode.PAUSE)
    assert not town.did(Trigger)
    assert town.queue("build") == ["S1a"]


def test_what_was_taken_back_while_observing_is_taken_back_afterwards() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.mode(Mode.OBSERVE)
    town.quiet()
    town.cancel("S1a")
    assert not town.did(Withdraw)
    town.lock("production")
    town.mode(Mode.RUN)
    assert town.did(Withdraw, of="S1a", abort=True)
    assert town.did(Banner, stage="production")


def test_a_new_configuration_that_ends_observing_sends_what_was_held() -> None:
    town = Town()
    town.mode(Mode.OBSERVE)
    town.merge("S1", "a")
    town.send(Configured(shop(), Mode.RUN))
    assert town.did(Trigger, of="S1a")


# -- builds that are not the one -------------------------------------------------------------------------------


def test_a_second_build_of_an_attempt_is_stopped_and_moves_nothing() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.send(BuildSeen("cdp", PRE, 99, None, "S1.1", 3))
    assert town.did(AbortDuplicate, of="S1a", number=99)
    town.send(BuildSeen("cdp", PRE, 99, Outcome.FAILURE, "S1.1", 3))
    assert town.locks() == []
    town.pass_build("S1a")
    assert town.at("S1a") == "production"


def test_a_build_started_by_hand_takes_a_slot_and_moves_nobody() -> None:
    town = Town()
    town.see_unmanaged(PRE)
    town.merge_up_to("S1", "a", PRE)
    assert town.says("S1a") == "pre-production is full (1 of 1): 1 build started by hand"
    town.see_unmanaged(PRE, Outcome.FAILURE)
    assert town.locks() == []
    assert town.runs_in(PRE) == ["S1a"]


def test_old_news_of_a_build_that_is_over_moves_nothing() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    started = town.jenkins.start(town.attempt("S1a"))
    town.pass_build("S1a")
    town.quiet()
    town.send(started)
    assert (town.effects, town.board.unmanaged) == ([], {})


def test_the_end_of_a_build_arrives_before_its_start() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    asked = town.attempt("S1a")
    town.jenkins.start(asked)
    town.send(town.jenkins.end(asked, Outcome.SUCCESS))
    assert town.at("S1a") == "production"


def test_what_a_removed_run_does_in_the_end_never_locks() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.start_build("S1a")
    town.configure(shop(services=("S2", "S3")))
    assert town.status("S1a") is Status.ENDING
    town.fail_build("S1a")
    assert town.locks() == []
    assert town.left("S1a") == ("dropped", None)


# -- who is told what ------------------------------------------------------------------------------------------


def test_a_failure_in_acceptance_is_reported_to_its_author_only() -> None:
    town = Town()
    town.pull("S1", "a", number=5)
    town.pass_build("S1a")
    town.fail_build("S1a", tests=("LoginTest",))
    told = town.comments[-1]
    assert "**S1 S1a has failed in acceptance**: S1 S1a failed in acceptance \\(LoginTest\\)." in told.text
    assert "Merge a fix to start a new run." in told.text
    assert not town.did(Notify)


def test_an_exception_from_the_policy_is_respected() -> None:
    town = Town(shop(outcomes=((Outcome.UNSTABLE, Policy.PASS),)))
    town.merge_up_to("S1", "a", PRE)
    town.end_build("S1a", Outcome.UNSTABLE)
    assert town.at("S1a") == "production"
