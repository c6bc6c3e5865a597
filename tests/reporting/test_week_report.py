"""The report of a week: its text is that of the snapshot, its figures are counted by hand."""

from __future__ import annotations

import pytest

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import WeekNotice
from bot.core.model.pipeline import ConfigurationChange, Mode
from bot.core.model.stage_messages import PipelineConfigured
from bot.reporting.notices import NoticeDetails, notice
from bot.statistics.fold import fold
from bot.statistics.report import week_figures
from bot.statistics.statistics import begin_of, is_week, week_of
from tests.reporting.test_messages import compared
from tests.statistics.measured import MeasuredTown

WEEK = "2026-W48"
DAY = 86_400.0


def town_of_two_weeks() -> MeasuredTown:
    """A week in which S1 is delivered; then one with a lock by a test, two runs held up, a build aborted."""
    town = MeasuredTown()
    town.now = begin_of(WEEK) - 3 * DAY
    s1a = town.merge("S1", "a")
    while s1a in town.live():
        town.pause(600)
        town.pass_build(s1a)
    town.now = begin_of(WEEK) + DAY
    s1b, s1c = town.merge_up_to("S1", "b", "pre-production"), town.merge_up_to("S1", "c", "acceptance")
    town.start_build(s1c)
    for service in ("S2", "S3"):
        town.merge_up_to(service, "a", "pre-production")
    town.fail_build(s1b, ("cart.RoundingTest",))
    town.pause(3_600)
    change = ConfigurationChange("pipelines.shop.stages.acceptance.capacity", "3", "5")
    told = PipelineConfigured("shop", ("build",), 3, Mode.RUN, "digest", (change,))
    fold(town.statistics, town.now, Fact(FactKind.CONFIGURED, told, by="kim"))
    s1d = town.merge("S1", "d")
    town.pass_fix(s1d)
    town.abort_build(s1c)
    for sha in (s1d, "S2a", "S3a"):
        while sha in town.live():
            town.pause(900)
            town.pass_build(sha)
    town.lock("production", by="ann")
    return town


def test_it_reads_as_its_snapshot(request: pytest.FixtureRequest) -> None:
    town = town_of_two_weeks()
    figures = week_figures(town.statistics, WEEK, begin_of(WEEK) + 7.4 * DAY)
    subject, text = notice(WeekNotice("shop", WEEK), NoticeDetails("https://ci.example.com/p/shop", week=figures))
    compared(request, "week_report.txt", f"Subject: {subject}\n\n{text}")


def test_its_figures_are_those_of_the_week_and_of_the_week_before() -> None:
    town = town_of_two_weeks()
    figures = week_figures(town.statistics, WEEK, town.now)
    now, before = figures["numbers"], figures["before"]
    assert (now["delivered"], now["ended"].get("superseded"), before["delivered"]) == (3, 2, 1)
    assert (now["locks"], now["held"], now["aborted"], before["locks"]) == (1, 2, 1, 0)
    assert [(row["service"], row["locks"]) for row in figures["services"]] == [("S1", 1)]
    assert [(row["test"], row["failed"], row["locks"]) for row in figures["tests"]] == [("cart.RoundingTest", 1, 1)]
    assert [(row["stage"], row["service"]) for row in figures["standing"]] == [("production", None)]
    assert [change["by"] for change in figures["changes"]] == ["kim"]
    assert week_figures(town.statistics, "2026-W49", town.now)["numbers"]["locks"] == 0


def test_what_happens_at_midnight_is_of_the_week_that_begins() -> None:
    town = MeasuredTown()
    town.lock("production")
    for at, ends in ((begin_of(WEEK) - 2, "2026-W47"), (begin_of(WEEK) - 1, WEEK)):
        town.now = at  # what a person asks is decided one second later
        town.lock("acceptance")
        town.now = at
        town.unlock("acceptance")
        assert week_figures(town.statistics, ends, town.now)["numbers"]["locks"] == 1


@pytest.mark.parametrize("text", ["2026-W54", "2026-48", "W48", "", "last", "2026-W00", "2026-W1"])
def test_what_names_no_week_is_told_from_what_does(text: str) -> None:
    assert not is_week(text) and is_week(WEEK)
    assert week_of(begin_of(WEEK)) == WEEK and week_of(begin_of(WEEK) - 1) == "2026-W47"
