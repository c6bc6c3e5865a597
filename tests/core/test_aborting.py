"""Builds that do not end after an abort: stop, term and kill at their times; only stop in a stage that rolls out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.effects import AbortDuplicate, Look, Notify, Withdraw
from bot.core.model.events import AbortTaken, BuildHinted, BuildSeen, Event
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel, Outcome, Pipeline, Policy
from bot.core.model.run import Status, version_stamp
from bot.core.rules import unmanaged_builds
from bot.core.rules.decision import Decision
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import body_of, subject_of, text_of

STOP, TERM, KILL = AbortLevel.STOP, AbortLevel.TERM, AbortLevel.KILL


def abort_levels(town: Town, sha: str = "S1a") -> list[AbortLevel]:
    """How the run's running build was asked to end, in order."""
    return [effect.level for effect in town.did(Withdraw, sha, abort=True) if effect.build is not None]


class Obliging(Town):
    """A town whose Jenkins accepts each abort at once, whatever the build does."""

    def send(self, event: Event) -> Decision:
        decision = super().send(event)
        self.take_aborts()
        return decision


@pytest.fixture
def cancelled() -> Obliging:
    """S1a was cancelled while its build ran in acceptance."""
    town = Obliging()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.cancel("S1a")
    return town


def test_each_is_asked_when_the_one_before_has_had_its_time(cancelled: Town) -> None:
    assert abort_levels(cancelled) == [STOP]
    assert cancelled.board.next_due(cancelled.now) == cancelled.now + 60
    cancelled.tick(59)
    assert abort_levels(cancelled) == [STOP]
    cancelled.tick(1)
    assert abort_levels(cancelled) == [STOP, TERM]
    assert cancelled.says("S1a").endswith("Interlock has ended its steps by force")
    cancelled.tick(60)
    assert abort_levels(cancelled) == [STOP, TERM, KILL]
    assert cancelled.says("S1a").endswith("Interlock has killed it")


def test_a_build_that_knows_only_stop_is_not_said_to_have_been_ended_by_force() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.cancel("S1a")
    run = town.run("S1a")
    assert run.attempt.build is not None
    job = town.board.job(run.step)
    assert job is not None
    town.send(AbortTaken(job.controller, job.name, run.attempt.build, STOP))
    town.tick(60)
    town.send(AbortTaken(job.controller, job.name, run.attempt.build, TERM, only_stop=True))
    assert town.says("S1a").endswith("Interlock only asks builds there to stop, and has asked it again")


def test_a_build_that_ends_is_asked_no_more(cancelled: Town) -> None:
    cancelled.abort_build("S1a")
    cancelled.tick(600)
    assert abort_levels(cancelled) == [STOP]
    assert cancelled.board.next_due(cancelled.now) is None


def test_when_even_a_kill_does_not_help_people_are_told_once(cancelled: Town) -> None:
    for _ in range(5):
        cancelled.tick(60)
    assert abort_levels(cancelled) == [STOP, TERM, KILL]
    assert cancelled.told(FactKind.BUILD_STUCK) == ["S1a"]
    (notice,) = [effect for effect in cancelled.effects if isinstance(effect, Notify)]
    assert (notice.topic, subject_of(notice)) == ("stuck", "acceptance: build #2 does not end")
    assert "and Interlock has killed it: end it in Jenkins" in body_of(notice)
    assert cancelled.status("S1a") is Status.ENDING
    assert "build #2 does not end: end it in Jenkins" in cancelled.says("S1a")
    assert cancelled.board.next_due(cancelled.now) is None


@pytest.mark.parametrize("stage", ["pre-production", "production"])
def test_where_it_rolls_out_it_is_only_stopped(stage: str) -> None:
    """Production reports and does not lock here, but it is behind a stage that does: half a roll-out all the same."""
    town = Obliging(shop(production=1))
    town.merge_up_to("S1", "a", stage)
    town.start_build("S1a")
    town.cancel("S1a")
    for _ in range(5):
        town.tick(60)
    assert abort_levels(town) == [STOP]
    assert town.told(FactKind.BUILD_STUCK) == ["S1a"]
    assert "Interlock only asks a build that rolls out to stop: end it in Jenkins" in text_of(town.facts[-1].why)


def test_a_fast_job_may_be_killed_though_its_stage_locks() -> None:
    town = Obliging()
    town.break_stage("S1", "a")
    town.merge("S1", "b")
    town.pass_build("S1b", "S1b")
    assert town.at("S1b") == "fast pre-production"
    town.start_build("S1b")
    town.cancel("S1b")
    for _ in range(3):
        town.tick(60)
    assert abort_levels(town, "S1b") == [STOP, TERM, KILL]


def test_a_time_out_escalates_too() -> None:
    town = Obliging(shop(timeout=None))
    town.configure(_with_timeout(town, 100.0))
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.tick(100)
    assert abort_levels(town) == [STOP]
    town.tick(60)
    assert abort_levels(town) == [STOP, TERM]
    town.end_build("S1a", Outcome.ABORTED)
    assert town.left("S1a") == ("failed", None)


def test_a_build_that_starts_while_it_is_taken_back_has_its_time_from_then_on() -> None:
    town = Obliging()
    town.merge_up_to("S1", "a", "acceptance")
    town.accept_trigger("S1a")
    town.cancel("S1a")
    town.tick(500)
    assert abort_levels(town) == []  # nothing runs that could be asked to end
    town.start_build("S1a")
    assert abort_levels(town) == [STOP]
    town.tick(59)
    assert abort_levels(town) == [STOP]
    town.tick(1)
    assert abort_levels(town) == [STOP, TERM]


def test_a_repeated_build_begins_anew() -> None:
    """L4: the stage repeats a build that ran too long; the second one was asked nothing yet."""
    town = Obliging(shop(retries=1, timeout=100.0))
    town.merge_up_to("S1", "a", "pre-production")
    town.start_build("S1a")
    town.tick(100)
    town.abort_build("S1a")
    assert town.status("S1a") is Status.STARTING
    town.start_build("S1a")
    assert town.run("S1a").attempt.abort is None
    town.quiet()
    town.tick(70)
    assert abort_levels(town) == []


def test_a_duplicate_is_asked_ever_more_firmly_too() -> None:
    town = Obliging()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    run = town.run("S1a")
    town.send(BuildSeen("cdp", "acceptance", 900, None, run.key, run.attempt.number))
    for _ in range(4):
        town.tick(60)
    assert [effect.level for effect in town.did(AbortDuplicate)] == [STOP, TERM, KILL]
    assert "a second build of S1.1" in text_of(town.facts[-1].why)
    town.send(BuildSeen("cdp", "acceptance", 900, Outcome.ABORTED, run.key, run.attempt.number))
    assert town.board.unmanaged == {}
    assert town.status("S1a") is Status.RUNNING


def test_a_build_that_a_stranger_started_is_never_touched() -> None:
    town = Obliging()
    town.see_unmanaged("acceptance")
    town.tick(10_000)
    assert town.did(AbortDuplicate) == []
    assert town.did(Withdraw) == []


def test_how_long_is_configured() -> None:
    town = Obliging(replace(shop(), term_after=5.0, kill_after=7.0))
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.cancel("S1a")
    town.tick(5)
    assert abort_levels(town) == [STOP, TERM]
    town.tick(6)
    assert abort_levels(town) == [STOP, TERM]
    town.tick(1)
    assert abort_levels(town) == [STOP, TERM, KILL]


def _with_timeout(town: Town, seconds: float) -> Pipeline:
    stages = tuple(replace(s, timeout=seconds) if s.name == "acceptance" else s for s in town.board.pipeline.stages)
    assert stages[1].on_failure is Policy.REPORT
    return replace(town.board.pipeline, stages=stages)


# -- a Jenkins that is away ------------------------------------------------------------------------------------


def test_what_jenkins_has_not_taken_is_not_followed_by_something_firmer() -> None:
    """After an outage stop, term and kill would go out together, and the script had no time to clean up."""
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.cancel("S1a")
    town.tick(10_000)
    assert abort_levels(town) == [STOP]
    assert town.board.next_due(town.now) is None
    town.take_aborts()
    town.tick(59)
    assert abort_levels(town) == [STOP]
    town.tick(1)
    assert abort_levels(town) == [STOP, TERM]


def test_the_word_that_an_older_request_was_taken_changes_nothing(cancelled: Town) -> None:
    cancelled.tick(60)
    before = cancelled.run("S1a")
    job = before.step.stage
    cancelled.send(AbortTaken("cdp", job, before.attempt.build or 0, STOP))
    cancelled.send(AbortTaken("cdp", "no job of ours", 1, TERM))
    assert cancelled.run("S1a") == before


# -- builds that nobody waits for any more ---------------------------------------------------------------------


def test_a_build_of_an_attempt_that_is_over_is_stopped_before_it_rolls_out_an_old_commit() -> None:
    """Jenkins may build a queue item twice after a crash; the run has gone on meanwhile."""
    town = Obliging()
    town.merge_up_to("S1", "a", "production")
    run = town.run("S1a")
    town.quiet()
    town.send(BuildSeen("cdp", "pre-production", 900, None, run.key, run.attempt.number - 1))
    (stop,) = town.did(AbortDuplicate)
    assert (stop.number, stop.run) == (900, run.key)
    assert town.told(FactKind.BUILD_DUPLICATED) == [None]
    assert [f.number for f in town.board.unmanaged.values()] == [900]  # and takes a slot until it has ended


def test_so_is_a_build_of_a_run_that_has_left_the_board() -> None:
    town = Obliging()
    town.merge_up_to("S1", "a", "production")
    key = town.run("S1a").key
    town.pass_build("S1a")
    assert town.live() == []
    town.send(BuildSeen("cdp", "pre-production", 900, None, key, 1))
    assert [effect.number for effect in town.did(AbortDuplicate)] == [900]


@pytest.mark.parametrize("key", ["S1.99", "S9.1", "x", "S1.", "S1.-1", "S1.0"])
def test_a_build_that_names_no_run_of_ours_is_a_strangers(key: str) -> None:
    town = Obliging()
    town.merge("S1", "a")
    town.send(BuildSeen("cdp", "pre-production", 900, None, key, 1))
    assert town.did(AbortDuplicate) == []
    assert town.board.unmanaged


def ended_in_acceptance(town: Town, number: int = 77, started: float | None = 1000.0) -> BuildSeen:
    """S1a's build in acceptance has ended, the run is further; returns the late news that the build runs."""
    run = town.run("S1a")
    town.start_build("S1a")
    number = town.run("S1a").attempt.build or number
    late = BuildSeen("cdp", "acceptance", number, None, run.key, run.attempt.number, started=started)
    town.send(replace(late, result=Outcome.SUCCESS))
    assert town.at("S1a") == "pre-production"
    town.quiet()
    return late


def test_late_news_of_a_build_that_is_known_to_have_ended_is_ignored() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    late = ended_in_acceptance(town)
    for news in (late, replace(late, started=None), replace(late, run=None, attempt=None)):
        town.send(news)
    assert (town.did(AbortDuplicate), town.did(Look), town.facts, town.board.unmanaged) == ([], [], [], {})


def test_a_build_that_has_the_number_of_one_that_ended_but_began_later_is_another() -> None:
    """A job that was made anew counts from 1 again."""
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    late = ended_in_acceptance(town)
    town.send(replace(late, run=None, attempt=None, started=2000.0))
    assert [f.number for f in town.board.unmanaged.values()] == [late.number]
    town.send(replace(late, run=None, attempt=None, started=2000.0, result=Outcome.SUCCESS))
    assert town.board.unmanaged == {}


def test_ended_builds_are_remembered_up_to_a_bound_and_as_long_as_their_job_is_configured() -> None:
    town = Town()
    town.merge("S1", "a")
    for number in range(1000, 1000 + 3 * unmanaged_builds.REMEMBERED):
        town.see_unmanaged("acceptance", Outcome.SUCCESS, number)
    assert len(town.board.past) == unmanaged_builds.REMEMBERED
    town.see_unmanaged("acceptance", None, 1000 + 2 * unmanaged_builds.REMEMBERED)
    assert town.board.unmanaged == {}
    pipeline = shop()
    town.configure(replace(pipeline, stages=tuple(s for s in pipeline.stages if s.name != "acceptance")))
    assert town.board.past == {}


def test_what_a_callback_says_of_a_build_moves_nothing_before_jenkins_was_asked() -> None:
    """Invariant 8: a callback is only a hint."""
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    run = town.run("S1a")
    assert run.attempt.build is not None
    town.send(BuildHinted("cdp", "acceptance", run.attempt.build, over=True))
    assert town.run("S1a") == run
    assert [effect.number for effect in town.did(Look)] == [run.attempt.build]


def test_a_hint_that_a_build_is_over_asks_for_no_second_look() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    late = ended_in_acceptance(town)
    town.send(BuildHinted("cdp", "acceptance", late.number, over=True))
    assert town.did(Look) == []
    town.send(BuildHinted("cdp", "acceptance", late.number))  # a start: perhaps of a job that was made anew
    town.send(BuildHinted("cdp", "acceptance", late.number + 1, over=True))
    assert [effect.number for effect in town.did(Look)] == [late.number, late.number + 1]


@pytest.mark.parametrize(
    ("result", "said"),
    [(Outcome.ABORTED, "was stopped"), (Outcome.SUCCESS, "was not stopped in time: it ended as SUCCESS")],
)
def test_stopped_is_said_of_a_second_build_only_when_jenkins_says_so(result: Outcome, said: str) -> None:
    town = Obliging()
    town.merge_up_to("S1", "a", "production")
    run = town.run("S1a")
    town.quiet()
    seen = BuildSeen("cdp", "pre-production", 900, None, run.key, run.attempt.number - 1)
    town.send(seen)
    assert [text_of(fact.why).rpartition(": ")[2] for fact in town.facts] == ["Interlock asks it to stop"]
    town.send(replace(seen, result=result))
    assert text_of(town.facts[-1].why).endswith(said)


# -- builds of an older installation ---------------------------------------------------------------------------


def of_another_life(town: Town, result: Outcome | None = None, number: int = 900) -> BuildSeen:
    """A build whose run had the same name before Redis was lost."""
    run = town.run("S1a")
    return BuildSeen("cdp", "acceptance", number, result, run.key, run.attempt.number, version="S1-19690101000000")


def test_a_build_of_an_older_installation_moves_nothing_and_is_left_alone() -> None:
    town = Town()
    town.configure(replace(shop(), retry_first=1.0))  # the board is born now
    town.merge_up_to("S1", "a", "acceptance")
    town.quiet()
    town.send(of_another_life(town, Outcome.SUCCESS))
    assert town.at("S1a") == "acceptance"
    town.send(of_another_life(town, number=901))
    assert town.did(AbortDuplicate) == []
    assert [f.number for f in town.board.unmanaged.values()] == [901]
    assert town.run("S1a").attempt.build is None


def test_so_it_is_if_the_run_of_that_name_is_gone() -> None:
    town = Town()
    town.configure(replace(shop(), retry_first=1.0))
    town.merge_up_to("S1", "a", "acceptance")
    seen = of_another_life(town)
    town.fail_build("S1a")
    town.send(seen)
    assert town.did(AbortDuplicate) == []


def test_a_second_build_that_is_not_killed_where_it_rolls_out_is_told_once_and_not_asked_again() -> None:
    town = Obliging()
    town.merge_up_to("S1", "a", "production")
    run = town.run("S1a")
    town.send(BuildSeen("cdp", "pre-production", 900, None, run.key, run.attempt.number - 1))
    for _ in range(4):
        town.tick(60)
    assert [effect.level for effect in town.did(AbortDuplicate)] == [STOP]
    assert [fact.build for fact in town.facts if fact.kind is FactKind.BUILD_STUCK] == [900]
    assert [notice.topic for notice in town.did(Notify)] == ["stuck"]
    assert town.board.next_due(town.now) is None


def test_a_build_of_nobody_that_runs_is_looked_at_as_it_may_have_ended_since() -> None:
    town = Town()
    town.see_unmanaged("acceptance")
    assert [(look.job.name, look.number) for look in town.did(Look)] == [("acceptance", 900)]


def test_a_build_of_the_second_in_which_the_board_was_born_is_ours() -> None:
    town = Town()
    town.configure(replace(shop(), retry_first=1.0))
    version = f"S1-1-{version_stamp(town.board.header.born)}"
    town.fail_build(town.merge("S1", "a"))
    town.send(BuildSeen("cdp", "acceptance", 900, None, "S1.1", 1, version=version))
    assert [effect.number for effect in town.did(AbortDuplicate)] == [900]
