"""Estimates, costs and flaky tests in words."""

from __future__ import annotations

import re

import pytest

from bot.forecast.forecast import Forecast
from bot.reporting.estimates import cost_sentence, flaky_sentence, lock_clauses, said_at
from bot.reporting.run_report import comment
from bot.statistics.parts import FailingTest
from bot.statistics.statistics import TEST_PERIOD
from tests.statistics.test_forecast import ForeseenTown

NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 run-minutes"), (60, "1 run-minute"), (5_040, "84 run-minutes"), (14_400, "4 run-hours")],
)
def test_cost_in_words(seconds: float, words: str) -> None:
    assert cost_sentence(seconds) == words


def test_a_test_that_often_passes_on_a_retry_is_called_flaky() -> None:
    lately = [NOW - hour * 3_600 for hour in range(7)]
    said = flaky_sentence("RoundingTest", FailingTest(lately, lately[:6]), NOW)
    assert said == "RoundingTest failed 7 times in 30 days, passed on retry 6 times: likely flaky"
    assert flaky_sentence("RoundingTest", FailingTest(lately, lately[:2]), NOW) is None
    assert flaky_sentence("RoundingTest", FailingTest(lately[:2], lately[:2]), NOW) is None
    assert flaky_sentence("RoundingTest", FailingTest(lately, lately[:6]), NOW + TEST_PERIOD) is None


def test_an_estimate_that_stays_says_when_it_was_said() -> None:
    town = ForeseenTown()
    s1a, s2a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2"))
    town.start_build(s1a)
    run = town.run(s2a)
    said = said_at(town.foresees(s2a), run, town.now)
    assert re.fullmatch(
        r"At 00:\d\d UTC it was expected to enter pre-production about 00:\d\d UTC \(00:\d\d to 00:\d\d\)\.", said
    )
    report = comment(town.board, run, town.now, said)
    assert (
        "it was expected to enter pre\\-production about" in report
        or "it was expected to enter pre-production" in report
    )
    assert said_at(town.foresees(s1a), town.run(s1a), town.now) == ""  # its build runs: it has entered


def test_a_notice_says_when_the_lock_is_expected_to_open_once_a_fix_is_on_its_way() -> None:
    town = ForeseenTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    town.fail_build(s1a)

    def clauses() -> list[str]:
        (lock,) = town.board.locks.values()
        forecast = Forecast(town.board, town.statistics, town.now).of_lock(lock)
        return list(lock_clauses(town.board, lock, town.statistics, forecast, town.now))

    assert not any("expected" in clause for clause in clauses()), "not known before a fix is merged"
    town.merge("S1", "b")
    (said,) = (clause for clause in clauses() if "expected" in clause)
    assert re.fullmatch(r"It is expected to open about \S+ UTC \(\S+ to \S+\): its fix is (in|before) build", said)
