"""Figures of tiny histories, worked out by hand."""

from __future__ import annotations

import pytest

from bot.core.model.facts import Fact
from bot.core.model.pipeline import Outcome
from bot.core.model.run import End
from bot.simulation.figures import Figures, figures
from bot.statistics.parts import Cause
from tests.core.town import Town
from tests.core.world import shop


class TimedTown(Town):
    """A town whose facts have their times; an event takes a second."""

    def __init__(self, **how: object) -> None:
        super().__init__(shop(**how))  # type: ignore[arg-type]
        self.timed: list[tuple[float, Fact]] = []

    def send(self, event: object) -> object:  # type: ignore[override]
        before = len(self.facts)
        decision = super().send(event)  # type: ignore[arg-type]
        self.timed += [(self.now, fact) for fact in self.facts[before:]]
        return decision

    def figures(self, since: float = 0.0, **how: object) -> Figures:
        return figures(self.timed, self.now, since, **how)  # type: ignore[arg-type]


def test_the_lead_time_of_a_run_is_from_its_merge_to_the_end_of_its_last_stage() -> None:
    town = TimedTown()
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    town.tick(100)
    town.pass_build("S1a")
    found = town.figures()
    (run,) = found.runs
    assert (run.service, run.sha, run.turn, run.end) == ("S1", "S1a", 1, End.DELIVERED)
    assert run.lead == found.lead(0.5) == found.lead(0.9) == town.timed[-1][0] - town.timed[0][0]
    assert run.built == pytest.approx(3 * 1 + 101)
    assert found.builds == {"build": 1, "acceptance": 1, "pre-production": 1, "production": 1}
    assert (found.aborted, found.locked, found.frozen) == (0, {}, {})


def test_a_commit_that_a_newer_run_carries_on_is_in_production_with_that() -> None:
    town = TimedTown()
    town.break_stage("S1", "a")
    town.merge("S1", "b")
    town.pass_fix("S1b", "production")
    found = {run.sha: run for run in town.figures().runs}
    assert found["S1a"].end is End.SUPERSEDED
    assert found["S1b"].end is End.DELIVERED
    assert found["S1a"].delivered == found["S1b"].delivered == found["S1b"].ended
    assert found["S1a"].lead is not None
    assert found["S1b"].lead is not None
    assert found["S1a"].lead > found["S1b"].lead


def test_a_stage_is_locked_for_as_long_as_any_lock_stands() -> None:
    town = TimedTown()
    town.tick(10)
    town.lock("acceptance")
    begin = town.now
    town.tick(100)
    town.lock("acceptance", by="ben")
    town.tick(50)
    town.unlock("acceptance", every=True)
    assert town.figures().locked == {"acceptance": town.now - begin}
    assert town.figures(since=begin + 60).locked == {"acceptance": town.now - begin - 60}
    town.lock("acceptance")
    again = town.now
    town.tick(30)
    assert town.figures(since=again).locked == {"acceptance": town.now - again}, "the lock stands still"


def test_a_run_that_waits_still_has_waited_until_now() -> None:
    town = TimedTown(pre_production=1)
    town.merge_up_to("S1", "a", "pre-production")
    town.merge_up_to("S2", "a", "pre-production")
    since = town.now
    town.tick(200)
    found = town.figures()
    assert found.ended(None) == 2
    (waiting,) = (run for run in found.runs if run.sha == "S2a")
    assert waiting.waits[Cause.CAPACITY] == pytest.approx(town.now - since)
    assert found.lead(0.5) is None


def test_builds_that_nobody_wants_any_more_and_those_that_are_cut_off_are_aborted() -> None:
    town = TimedTown(acceptance=None)
    town.merge("S1", "a")
    town.pass_build("S1a")
    town.start_build("S1a")
    town.cancel("S1a")
    town.abort_build("S1a")
    town.merge_up_to("S2", "a", "acceptance")
    town.end_build("S2a", Outcome.ABORTED)
    found = town.figures()
    assert (found.aborted, found.builds["acceptance"]) == (2, 2)
    assert (found.ended(End.CANCELLED), found.ended(End.FAILED)) == (1, 1)


def test_what_began_before_is_left_out() -> None:
    town = TimedTown()
    town.merge("S1", "a")
    town.pass_build("S1a")
    since = town.now + 0.5
    town.pass_build("S1a")
    town.merge("S2", "a")
    town.pass_build("S2a")
    found = town.figures(since)
    assert [run.sha for run in found.runs] == ["S2a"]
    assert found.builds == {"acceptance": 1, "build": 1}
    seen_from_there = figures([each for each in town.timed if each[0] >= since], town.now, older=["S1.1"])
    assert [run.sha for run in seen_from_there.runs] == ["S2a"]
