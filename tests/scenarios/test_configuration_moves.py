"""Changes of the configuration while runs are live: each waiting run gets its place in the new stages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.effects import Comment, Withdraw
from bot.core.model.events import AbortTaken, Configured, ContainmentKnown, HeadSeen
from bot.core.model.facts import FactKind
from bot.core.model.history import CommitHistory
from bot.core.model.messages import Unconfigured
from bot.core.model.pipeline import AbortLevel, Job, Mode, Outcome, Pipeline
from bot.core.model.run import End, Ending, Status
from bot.core.model.stage_messages import StageUnlocked
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

ACC, PRE = "acceptance", "pre-production"


def renamed(pipeline: Pipeline, stage: str, job: str) -> Pipeline:
    """The pipeline with another job for a stage."""
    stages = (replace(s, job=Job("cdp", job)) if s.name == stage else s for s in pipeline.stages)
    return replace(pipeline, stages=tuple(stages))


def test_a_stage_that_is_removed_and_put_back_is_not_skipped_by_those_who_waited() -> None:
    town = Town(shop(acceptance=1))
    town.lock(PRE)
    for service in "S1", "S2", "S3":
        town.merge(service, "a")
        town.pass_build(f"{service}a")
    assert town.queue(ACC) == ["S3a", "S2a"]
    town.configure(shop(without=(ACC,)))
    assert town.queue(PRE) == ["S3a", "S2a"]
    town.configure(shop(acceptance=1))
    assert town.queue(PRE) == []
    assert (town.queue(ACC), town.runs_in(ACC)) == (["S3a", "S2a"], ["S1a"])


def test_the_lock_of_a_service_that_goes_is_opened_and_that_of_a_person_stays() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE, by="ann")
    town.quiet()
    pipeline = shop()
    town.configure(replace(pipeline, services=tuple(each for each in pipeline.services if each.name != "S1")))
    assert town.locks(PRE) == ["ann"]
    (opened,) = [fact.why for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED]
    assert isinstance(opened, StageUnlocked) and opened.why == Unconfigured("S1")


def test_of_a_lock_whose_stage_goes_with_its_service_the_stage_is_named() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock(PRE, by="ann")
    town.quiet()
    pipeline = shop(without=(PRE,))
    town.configure(replace(pipeline, services=tuple(each for each in pipeline.services if each.name != "S1")))
    opened = [fact.why for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED]
    assert [why.why for why in opened if isinstance(why, StageUnlocked)] == [Unconfigured(PRE)] * 2


def test_whoever_has_passed_it_does_not_go_back() -> None:
    town = Town()
    town.lock(PRE)
    town.merge_up_to("S1", "a", PRE)
    town.configure(shop(without=(ACC,)))
    town.configure(shop())
    assert town.queue(PRE) == ["S1a"]


def test_runs_whose_builds_have_not_ended_in_a_removed_stage_are_on_a_tile() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    town.configure(shop(without=(ACC,)))
    (removed,) = town.view()["removed"]
    assert (removed["name"], removed["count"]) == (ACC, 1)
    assert [tile["run"] for tile in removed["runs"]] == ["S1.1"]
    town.pass_build("S1a")
    assert town.view()["removed"] == []
    assert town.at("S1a") == PRE


def test_a_job_that_is_renamed_while_its_build_is_aborted_is_asked_more_firmly_all_the_same() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    town.cancel("S1a")
    run = town.run("S1a")
    town.configure(renamed(shop(), ACC, "acceptance-2"))
    town.send(AbortTaken("cdp", ACC, run.attempt.build or 0, AbortLevel.STOP, run=run.key, attempt=run.attempt.number))
    town.quiet()
    town.tick(60)
    assert [effect.level for effect in town.did(Withdraw, of="S1a")] == [AbortLevel.TERM]


def test_a_build_of_nobody_in_a_job_that_is_no_longer_ours_takes_no_slot() -> None:
    town = Town(shop(acceptance=1))
    town.see_unmanaged(ACC)
    town.configure(renamed(shop(acceptance=1), ACC, "acceptance-2"))
    town.merge_up_to("S1", "a", ACC)
    assert town.runs_in(ACC) == ["S1a"]


@pytest.mark.parametrize("moved", [True, False])
def test_the_head_of_a_service_that_returns_is_run_if_main_has_moved_meanwhile(moved: bool) -> None:
    town = Town()
    town.send(HeadSeen("S1", "S1-"))
    town.configure(shop(services=("S2", "S3")))
    town.send(HeadSeen("S1", "S1a", moves=1))
    assert town.live() == []
    town.configure(shop())
    town.send(HeadSeen("S1", "S1a" if moved else "S1-", moves=1))
    assert town.live() == (["S1a"] if moved else [])


def without_s1() -> Pipeline:
    """The pipeline without S1."""
    return shop(services=("S2", "S3"))


@pytest.mark.parametrize("ends", ["before", "after"])
def test_the_head_of_a_service_that_returns_starts_again_if_its_run_was_under_way(ends: str) -> None:
    """Its aborted build ends before the service returns, or after."""
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.merge_up_to("S1", "b", ACC)
    town.start_build("S1b")
    first, asked = town.key("S1b"), town.attempt("S1b")
    town.configure(without_s1())
    town.confirm_withdrawal("S1a")
    if ends == "before":
        town.send(town.jenkins.end(asked, Outcome.ABORTED))
    town.configure(shop())
    if ends == "after":
        town.send(town.jenkins.end(asked, Outcome.ABORTED))
    assert town.ended[first] == ("S1b", Ending(End.DROPPED, Unconfigured("S1")))
    assert town.live() == ["S1b"]
    while town.live():
        town.pass_build("S1b")
    assert town.left("S1b") == ("delivered", None)


def test_the_head_of_a_service_that_comes_and_goes_has_one_run() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    for capacity in 2, 3, 2:
        town.configure(without_s1())
        town.configure(shop(acceptance=capacity))
        town.configure(shop(acceptance=capacity + 2))
    (run,) = [run for run in town.board.runs.values() if run.status is not Status.ENDING]
    assert (run.key, run.sha) == ("S1.4", "S1a")


def test_a_head_that_main_has_left_while_its_service_was_gone_does_not_start() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.configure(without_s1())
    town.confirm_withdrawal("S1a")
    assert town.board.service("S1").interrupted_head == "S1a"
    town.board.put(replace(town.board.service("S1"), history=CommitHistory().push(None, "S1b", forced=False)[0]))
    town.configure(shop())
    assert (town.live(), town.board.service("S1").interrupted_head) == ([], "")


@pytest.mark.parametrize("ended", ["failed", "cancelled", "delivered"])
def test_a_head_whose_run_had_ended_before_its_service_went_does_not_start_when_that_returns(ended: str) -> None:
    town = Town()
    if ended == "failed":
        town.break_stage("S1", "a")
    elif ended == "cancelled":
        town.merge_up_to("S1", "a", ACC)
        town.cancel("S1a")
        town.confirm_withdrawal("S1a")
    else:
        town.merge("S1", "a")
        while town.live():
            town.pass_build("S1a")
    town.configure(without_s1())
    town.configure(shop())
    assert town.live() == []


def test_a_run_that_a_newer_one_replaces_while_all_find_their_place_is_not_placed_again() -> None:
    """S1e was told after S1f, which contains it: it goes where S1f finds its fast job."""
    town = Town(shop(fast=False, acceptance=1))
    town.break_stage("S1", "a")
    town.merge_up_to("S3", "a", ACC)
    town.push("S1", "e")
    town.pull("S1", "f")
    town.pass_build("S1f")
    town.pull("S1", "e")
    town.pass_build("S1e")
    town.send(ContainmentKnown("S1", "S1e", "S1f", contains=True))
    assert (town.queue(ACC), town.on_fast_lane()) == (["S1e", "S1f"], ["S1e", "S1f"])
    town.configure(shop())
    assert town.left("S1e") == ("superseded", "S1f")
    assert "S1e" not in town.live()


def test_a_mode_that_the_configuration_sets_is_said_to_be_of_the_configuration() -> None:
    town = Town()
    town.mode(Mode.PAUSE)
    town.send(Configured(shop(acceptance=2), Mode.OBSERVE))
    header = town.board.header
    assert (header.mode, header.mode_by, header.mode_why) == (
        Mode.OBSERVE,
        "the configuration",
        "its mode was changed",
    )


def test_a_configuration_that_names_no_mode_leaves_that_of_a_person_and_what_was_configured_before() -> None:
    town = Town()
    town.send(Configured(shop(acceptance=2), Mode.RUN))
    town.mode(Mode.PAUSE)
    town.send(Configured(shop(acceptance=1)))
    header = town.board.header
    assert (header.mode, header.mode_by, header.mode_why) == (Mode.PAUSE, "ann", "because")
    assert header.configured_mode is Mode.RUN


def test_a_fix_that_has_failed_in_a_job_which_is_gone_ends_as_failed() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "e")
    town.pass_build("S1e")
    town.fail_build("S1e")
    assert town.at("S1e") == "fast acceptance"
    town.configure(shop(fast=False))
    assert town.left("S1e") == ("failed", None)


def test_a_board_is_born_when_it_is_configured_first_and_each_new_configuration_is_on_record() -> None:
    town = Town()
    town.configure(shop(acceptance=2))
    born = town.now
    town.configure(shop(acceptance=1))
    assert town.board.header.born == born
    assert town.told(FactKind.CONFIGURED) == [None, None]


@pytest.mark.parametrize(
    ("pipeline", "gone"), [(shop(without=(PRE,)), PRE), (shop(services=("S2", "S3")), "S1")], ids=["stage", "service"]
)
def test_a_lock_that_ends_with_its_stage_or_service_says_which_is_gone(pipeline: Pipeline, gone: str) -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.configure(pipeline)
    (opened,) = [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.STAGE_UNLOCKED]
    assert f"{gone} is no longer configured" in opened


def test_that_jenkins_refuses_builds_of_a_stage_is_known_after_a_change_elsewhere() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.refuse_trigger("S1a")
    town.configure(shop(pre_production=2))
    assert list(town.board.backoffs) == [ACC]
    assert town.runs_in(ACC) == []


def test_a_pause_that_the_configuration_sets_calls_back_what_is_not_posted_yet() -> None:
    town = Town()
    town.merge("S1", "a")
    town.send(Configured(shop(acceptance=2), Mode.PAUSE))
    assert town.status("S1a") is Status.RECALLED


def test_a_configuration_that_lets_the_pipeline_only_observe_aborts_nothing_of_what_it_takes_out() -> None:
    town = Town()
    town.merge_up_to("S1", "b", PRE)
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    town.quiet()
    town.send(Configured(shop(services=("S2", "S3")), Mode.OBSERVE))
    assert [(effect.kind, effect.run, effect.abort) for effect in town.effects] == [
        ("withdraw", town.key("S1b"), False)
    ]


def test_a_retry_that_waits_before_its_stage_stays_there_though_a_stage_is_put_before_it() -> None:
    town = Town(shop(without=(ACC,)))
    town.break_stage("S1", "a")
    town.lock(PRE)
    town.retry("S1a")
    town.configure(shop())
    assert town.queue(PRE) == ["S1a"]


def test_a_run_that_waits_elsewhere_since_its_stage_was_removed_tells_its_pull_request() -> None:
    town = Town()
    town.lock(ACC)
    town.lock(PRE)
    town.pull("S1", "a", 7)
    town.pass_build("S1a")
    town.quiet()
    town.configure(shop(without=(ACC,)))
    assert town.queue(PRE) == ["S1a"]
    assert [comment.pull for comment in town.did(Comment)] == [7]
