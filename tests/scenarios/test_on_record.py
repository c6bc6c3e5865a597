"""Each event is recorded as a fact and in the story of the run, which its pull request shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.model.effects import AbortDuplicate, Comment, SetStatus
from bot.core.model.events import BuildSeen, ContainmentKnown, PullMoved, StoreChanged, TakenOut
from bot.core.model.facts import FactKind
from bot.core.model.messages import Entered
from bot.core.model.pipeline import AbortLevel, Job, Mode, Outcome, Step, Verify
from bot.reporting import explain
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE, ACC = "pre-production", "acceptance"


def story(town: Town, sha: str) -> list[str]:
    """What happened to the run of a commit, in words."""
    return [text_of(each.what) for each in town.run(sha).story]


def rejoined() -> Town:
    """S1 has locked pre-production; its fix S1b is on the fast lane when a person opens the lock."""
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "b")
    town.quiet()
    town.unlock(PRE)
    return town


def recalled() -> Town:
    """S2a has entered pre-production and has not started when S1a locks it."""
    town = Town(shop(pre_production=2))
    town.merge_up_to("S1", "a", PRE)
    town.merge_up_to("S2", "a", PRE)
    town.fail_build("S1a")
    return town


def taken_out() -> Town:
    """S1a runs in acceptance when a person cancels it."""
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    town.cancel("S1a")
    return town


def refused() -> Town:
    """Jenkins does not take the build of S1a for acceptance."""
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.refuse_trigger("S1a")
    return town


def aborted_firmly() -> Town:
    """S1a runs in acceptance, is cancelled, and does not end."""
    town = taken_out()
    town.take_aborts()
    town.tick(60)
    return town


@pytest.mark.parametrize(
    ("happens", "kind", "sha", "last"),
    [
        (rejoined, FactKind.RUN_REJOINED, "S1b", "on the main lane again: the last lock of S1 is open"),
        (recalled, FactKind.RUN_RECALLED, "S2a", f"called back from {PRE} before its build started: {PRE} is locked"),
        (taken_out, FactKind.RUN_LEAVING, "S1a", "cancelled by ann: not wanted"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_it_is_a_fact_and_the_last_thing_in_the_story_of_the_run(
    happens: Callable[[], Town], kind: FactKind, sha: str, last: str
) -> None:
    town = happens()
    assert town.told(kind) == [sha]
    assert story(town, sha)[-1] == last


def test_a_pause_that_calls_a_build_back_is_in_the_story_of_its_run() -> None:
    town = Town()
    town.merge("S1", "a")
    town.mode(Mode.PAUSE)
    assert story(town, "S1a")[-1] == "called back from build before its build started: the pipeline is paused"


@pytest.mark.parametrize(
    ("happens", "kind"),
    [
        (refused, FactKind.TRIGGER_REFUSED),
        (refused, FactKind.RUN_RETURNED),
        (aborted_firmly, FactKind.BUILD_ABORTED_FIRMLY),
    ],
)
def test_it_is_a_fact(happens: Callable[[], Town], kind: FactKind) -> None:
    assert happens().told(kind) == ["S1a"]


def test_a_second_build_that_does_not_end_is_aborted_firmly_in_the_name_of_the_run_that_it_repeats() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.start_build("S1a")
    town.send(BuildSeen("cdp", ACC, 99, None, town.key("S1a"), town.run("S1a").attempt.number))
    assert town.told(FactKind.BUILD_DUPLICATED) == ["S1a"]
    town.take_aborts()
    town.quiet()
    town.tick(60)
    assert [(effect.number, effect.level) for effect in town.did(AbortDuplicate, of="S1a")] == [(99, AbortLevel.TERM)]
    assert [fact.build for fact in town.facts if fact.kind is FactKind.BUILD_ABORTED_FIRMLY] == [99]


@pytest.mark.parametrize(
    ("run", "said"), [(None, "was not started by Interlock"), ("S1.1", "belongs to no present attempt of S1.1")]
)
def test_a_build_of_nobody_is_said_to_be_started_by_hand_only_if_it_names_no_run(run: str | None, said: str) -> None:
    town = Town()
    town.send(BuildSeen("cdp", ACC, 99, None, run, 1 if run else None, version="another installation"))
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.UNMANAGED_BUILD_SEEN]
    assert said in text_of(fact.why)


def test_the_start_of_a_build_is_a_fact_and_so_is_its_end() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.quiet()
    town.start_build("S1a")
    assert [text_of(fact.why) for fact in town.facts] == ["build #2 of S1 S1a runs in acceptance"]
    town.pass_build("S1a")
    (fact,) = [fact for fact in town.facts if fact.kind is FactKind.BUILD_PASSED]
    assert (fact.run, fact.service, fact.sha, fact.step, fact.build) == ("S1.1", "S1", "S1a", Step(ACC), 2)


def test_the_status_of_a_failure_leads_to_its_build_and_no_other_does() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.fail_build("S1a")
    statuses = {(each.state, each.job.name if each.job else None, each.build) for each in town.did(SetStatus)}
    assert {state for state, job, build in statuses if job or build} == {"failure"}
    assert ("failure", ACC, 2) in statuses


def test_why_a_stage_is_tried_again_later_is_what_was_told_of_the_build_that_was_given_back() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.confirm_withdrawal("S1a", "it is gone from the queue")
    assert explain.refused(town.board.backoffs[ACC]) == "it is gone from the queue"


def test_what_we_have_not_posted_was_called_back_and_is_no_trouble_of_the_stage() -> None:
    town = Town()
    town.merge_up_to("S1", "a", ACC)
    town.confirm_withdrawal("S1a")
    assert town.board.backoffs == {}
    assert [fact.kind for fact in town.facts if fact.run == "S1.1"][-3:-1] == [
        FactKind.RUN_RECALLED,
        FactKind.RUN_RETURNED,
    ]


@pytest.mark.parametrize(("contains", "said"), [(True, "S1e contains S1a"), (False, "S1e does not contain S1a")])
def test_what_github_says_of_two_commits_is_a_fact(contains: bool, said: str) -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.look_at_main("S1", "e")
    town.quiet()
    town.send(ContainmentKnown("S1", base="S1a", head="S1e", contains=contains))
    assert said in [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.CONTAINMENT_KNOWN]


def test_that_the_store_goes_on_with_another_history_or_the_mode_is_changed_is_a_fact() -> None:
    town = Town()
    town.send(StoreChanged())
    town.mode(Mode.PAUSE)
    told = [text_of(fact.why) for fact in town.facts]
    assert [(fact.kind, fact.by) for fact in town.facts] == [
        (FactKind.STORE_CHANGED, None),
        (FactKind.MODE_CHANGED, "ann"),
    ]
    assert "backup" not in told[0]


def test_of_a_store_that_was_restored_it_is_on_record_from_when_the_backup_is() -> None:
    town = Town()
    town.send(StoreChanged(1_000_000.0))
    (fact,) = town.facts
    assert text_of(fact.why).startswith("restored from the backup of 1970-01-12 13:46 UTC")


def test_the_story_of_a_run_does_not_name_the_run_and_its_facts_do() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.retry("S1a")
    assert "ann retried its build in pre-production: flaky" in story(town, "S1a")
    assert "ann retried S1 S1a in pre-production: flaky" in [text_of(fact.why) for fact in town.facts]


def test_only_the_fix_that_enters_a_stage_which_keeps_others_out_is_said_to() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S1", "b")
    while town.at("S1b") != PRE:
        town.pass_build("S1b")
    admitted = [fact for fact in town.facts if fact.kind is FactKind.RUN_ADMITTED]
    locked = [(fact.sha, fact.step) for fact in admitted if isinstance(fact.why, Entered) and fact.why.locked]
    assert locked == [("S1b", Step(PRE))]


@pytest.mark.parametrize(
    ("what", "kind"),
    [("dead-letter", FactKind.DEAD_LETTER_TAKEN_OUT), ("parked-delivery", FactKind.PARKED_DELIVERY_TAKEN_OUT)],
)
def test_who_takes_out_what_was_given_up_is_a_fact(what: str, kind: FactKind) -> None:
    town = Town()
    town.send(TakenOut(what, "people/1", False, "ann", "nobody needs it"))
    assert [(fact.kind, fact.by) for fact in town.facts] == [(kind, "ann")]


def test_a_fact_of_an_older_log_is_read_by_its_name_of_today_and_no_other_name_is() -> None:
    assert FactKind("foreign-build-seen") is FactKind.UNMANAGED_BUILD_SEEN
    with pytest.raises(ValueError, match="nonsense"):
        FactKind("nonsense")


def test_what_ends_a_run_is_told_on_its_pull_request_at_once_and_what_passes_only_corrects_it() -> None:
    town = Town()
    town.merge("S1", "a")
    town.pull("S1", "a", 7)
    town.quiet()
    town.pass_build("S1a")
    assert {(told.pull, told.corrects, told.debounce > 0) for told in town.did(Comment)} == {(7, True, True)}
    town.quiet()
    town.fail_build("S1a")
    assert {(told.pull, told.corrects, told.debounce > 0) for told in town.did(Comment)} == {(7, False, False)}


def entered(town: Town, sha: str) -> list[str]:
    """What was told of the admissions of a run, in words."""
    return [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_ADMITTED and fact.sha == sha]


def test_only_of_a_fix_that_passes_a_queue_it_is_told_that_it_does() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge_up_to("S2", "b", PRE)
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert not [told for told in entered(town, "S2b") if "fast lane" in told or "ahead" in told]
    assert [told for told in entered(town, "S1e") if "ahead" in told] == [
        f"S1 S1e enters {PRE} ahead of its queue, on the fast lane"
    ]


def test_that_a_pull_request_passed_or_failed_is_on_record_as_that() -> None:
    for outcome, kind, said in (
        (Outcome.SUCCESS, FactKind.BUILD_PASSED, "passed"),
        (Outcome.FAILURE, FactKind.BUILD_FAILED, "failed"),
    ):
        town = Town(replace(shop(), verify=Verify(Job("build", "verify"))))
        town.send(PullMoved("S1", 12, "a" * 40, at=1.0))
        (verification,) = town.board.verifications.values()
        town.send(BuildSeen("build", "verify", 5, outcome, verification.key, 1))
        (fact,) = [fact for fact in town.facts if fact.kind is kind]
        assert said in text_of(fact.why)
