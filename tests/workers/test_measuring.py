"""A worker notes estimates and compares them with the results."""

from __future__ import annotations

import pytest

from bot.statistics.parts import Foretold
from tests.statistics.test_forecast import ForeseenTown
from workers.measuring import note_estimates


def test_an_estimate_that_was_noted_is_compared_with_what_happens() -> None:
    town = ForeseenTown()
    s1a, s2a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2"))
    town.start_build(s1a)
    note_estimates(town.statistics, town.board, town.now)
    noted = town.now
    town.pause(349)
    note_estimates(town.statistics, town.board, town.now)  # the first one counts
    town.pass_build(s1a)
    passes, enters = town.statistics.errors(Foretold.PASSES), town.statistics.errors(Foretold.ENTERS)
    assert passes.errors == [pytest.approx(town.now - noted - 400)] and passes.ahead == [town.now - noted]
    assert enters.errors == [pytest.approx(-50)] and enters.inside == [0.0]
    assert town.at(s2a) == "pre-production"


def test_a_build_that_fails_says_nothing_of_the_estimate_and_the_lock_is_noted() -> None:
    town = ForeseenTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    note_estimates(town.statistics, town.board, town.now)
    town.fail_build(s1a)
    assert town.statistics.errors(Foretold.PASSES).errors == []
    s1b = town.merge("S1", "b")
    town.start_build(s1b)
    note_estimates(town.statistics, town.board, town.now)
    noted = town.now
    town.pause(900)
    town.pass_fix(s1b)
    opens = town.statistics.errors(Foretold.OPENS)
    assert opens.errors == [pytest.approx(town.now - noted - (60 + 302 + 202 + 402))]
