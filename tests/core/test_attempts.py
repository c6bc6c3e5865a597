"""The answer to a build that asks, before it rolls out, whether Interlock still waits for it."""

from __future__ import annotations

import pytest

from bot.core.model.events import TriggerUnanswered
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import AbortLevel, Outcome, Step
from bot.core.model.run import Abort, Attempt, Status
from bot.core.rules.unmanaged_builds import attempt_refused, job_to_look_in
from tests.core.town import Town
from tests.texts import text_of

STAGE = "pre-production"


@pytest.fixture
def town() -> Town:
    """S1a was admitted to pre-production; its build was asked for."""
    town = Town()
    town.merge_up_to("S1", "a", STAGE)
    town.quiet()
    return town


def asks(town: Town, sha: str = "S1a", stage: str = STAGE, attempt: int | None = None, **how: object) -> str:
    run = town.run(sha)
    number = run.attempt.number if attempt is None else attempt
    return text_of(attempt_refused(town.board, run.key, stage, number, **how))  # type: ignore[arg-type]


def test_the_present_attempt_goes_on_before_and_after_its_start_was_seen(town: Town) -> None:
    version = town.run("S1a").version
    assert asks(town) == asks(town, version=version, build=7) == ""
    town.start_build("S1a")
    assert asks(town, version=version, build=town.run("S1a").attempt.build) == ""


def test_jenkins_is_asked_for_a_build_until_it_is_known_which_one_carries_out_the_attempt(town: Town) -> None:
    key = town.run("S1a").key
    assert job_to_look_in(town.board, key, 7) == town.board.job(Step(STAGE))
    assert job_to_look_in(town.board, key, None) is None
    town.start_build("S1a")
    assert job_to_look_in(town.board, key, 7) is None


def test_another_attempt_stage_version_or_build_is_told_so(town: Town) -> None:
    town.start_build("S1a")
    run = town.run("S1a")
    assert asks(town, attempt=run.attempt.number - 1) == (
        f"Interlock gave up attempt {run.attempt.number - 1}: attempt {run.attempt.number} is the present one"
    )
    assert asks(town, stage="production") == "its run is at pre-production now"
    assert "older installation" in asks(town, version="S1-19690101000000")
    assert (
        asks(town, build=(run.attempt.build or 0) + 1)
        == f"build #{run.attempt.build} belongs to attempt {run.attempt.number}"
    )
    assert (
        text_of(attempt_refused(town.board, "S9.1", STAGE, 1))
        == "its run is not on the board: it has ended, or was never there"
    )


def test_an_attempt_that_was_refused_is_over_while_its_run_waits_again(town: Town) -> None:
    town.refuse_trigger("S1a")
    assert asks(town).endswith(": its run waits to enter pre-production again")


def test_a_second_build_after_the_failure_is_told_so(town: Town) -> None:
    town.fail_build("S1a")
    assert asks(town).endswith("has failed already")


def test_a_run_that_leaves_rolls_out_no_more(town: Town) -> None:
    town.cancel("S1a")
    assert asks(town) == "its run is leaving the board"


def test_one_that_is_called_back_by_a_lock_and_starts_all_the_same_finishes_as_usual(town: Town) -> None:
    town.lock(STAGE)
    assert town.status("S1a") is Status.RECALLED
    assert asks(town) == ""


def test_a_trigger_without_an_answer_is_told_once_and_said_until_its_build_is_there(town: Town) -> None:
    run = town.run("S1a")
    town.send(TriggerUnanswered(run.key, run.attempt.number, 60.0))
    assert town.told(FactKind.TRIGGER_UNANSWERED) == ["S1a"]
    assert "got no answer" in town.says("S1a")
    town.accept_trigger("S1a")
    assert "got no answer" not in town.says("S1a")
    town.send(TriggerUnanswered(run.key, run.attempt.number, 60.0))  # old news
    assert "got no answer" not in town.says("S1a")


def test_the_next_attempt_begins_without_that_word(town: Town) -> None:
    run = town.run("S1a")
    town.send(TriggerUnanswered(run.key, run.attempt.number, 60.0))
    town.refuse_trigger("S1a")
    town.tick(60)
    assert town.run("S1a").attempt.number == run.attempt.number + 1
    assert "got no answer" not in town.says("S1a")


ABORT = Abort(AbortLevel.STOP, 5.0)
FULL = Attempt(3, True, 18, 7, 9.5, "kim", True, ABORT, Outcome.FAILURE, ("Cart.pays",), "Run", "it is gone")


def test_the_next_try_knows_nothing_of_the_one_before() -> None:
    assert (FULL.next(), FULL.over()) == (Attempt(4), Attempt(3))


def test_of_a_failed_try_stays_what_broke_and_nothing_that_was_asked_of_its_build() -> None:
    broken = {"failed_tests": ("Cart.pays",), "failed_step": "Run", "lost": "it is gone"}
    assert FULL.failed(Outcome.TIMEOUT) == Attempt(3, build=7, failure=Outcome.TIMEOUT, **broken)  # type: ignore[arg-type]
