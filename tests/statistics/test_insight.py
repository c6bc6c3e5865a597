"""Which locks cost what and why, where time goes, and what a change of the configuration did: figures by hand."""

from __future__ import annotations

import pytest

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import ConfigurationChange, Mode, Step
from bot.core.model.stage_messages import PipelineConfigured
from bot.statistics.fold import fold
from bot.statistics.parts import PERIODS_KEPT, Cause
from bot.statistics.periods import FEW, LeadTimeVerdict, last_changes, verdict
from bot.statistics.report import report
from bot.statistics.statistics import Statistics
from tests.statistics.measured import MeasuredTown

TESTS = ("cart.RoundingTest", "cart.TotalTest")


def test_a_lock_counts_for_its_service_with_the_runs_that_waited_and_for_the_tests_that_failed() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    for service in ("S2", "S3"):
        town.merge_up_to(service, "a", "pre-production")
    town.fail_build(s1a, TESTS)
    locked = town.now
    town.pause(600)
    town.pass_fix(town.merge("S1", "b"))
    stood = town.now - locked
    found = report(town.statistics, town.now)
    first = found["services"][0]
    assert (first["service"], first["locks"], first["held"]) == ("S1", 1, 2)
    assert (first["locked"], first["cost"]) == (pytest.approx(stood), pytest.approx(2 * stood))
    stage = next(row for row in found["stages"] if row["stage"] == "pre-production")
    assert (stage["locks"], stage["locked"]) == (1, pytest.approx(stood))
    assert [(row["test"], row["locks"], row["locked"]) for row in found["tests"]] == [
        (test, 1, pytest.approx(stood)) for test in TESTS
    ]
    assert [row["cost"] for row in found["tests"]] == [pytest.approx(2 * stood)] * 2


def test_a_lock_that_a_retry_opens_counts_for_the_test_and_a_failure_that_locks_nothing_does_not() -> None:
    town = MeasuredTown()
    town.fail_build(town.merge_up_to("S2", "a", "acceptance"), ("other.Test",))
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a, TESTS[:1])
    town.retry(s1a)
    town.pass_build(s1a)
    rows = {row["test"]: (row["failed"], row["locks"]) for row in report(town.statistics, town.now)["tests"]}
    assert rows == {TESTS[0]: (1, 1), "other.Test": (1, 0)}


def test_a_build_that_runs_when_a_fix_removes_its_run_counts_as_aborted() -> None:
    town = MeasuredTown()
    s1a, s1b = town.merge_up_to("S1", "a", "pre-production"), town.merge_up_to("S1", "b", "acceptance")
    town.start_build(s1b)
    town.fail_build(s1a)
    town.pass_fix(town.merge("S1", "c"))
    town.abort_build(s1b)
    town.cancel(town.merge_up_to("S2", "a", "pre-production"))  # its build had not started
    assert s1b not in town.live()
    found = {row["service"]: row["aborted"] for row in report(town.statistics, town.now)["services"]}
    assert (found["S1"], found.get("S2", 0)) == (1, 0)


def test_time_is_split_by_step_into_building_and_waiting_by_cause() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    began = town.now
    town.pause(29)
    town.start_build(s1a)
    town.pause(199)
    town.pass_build(s1a)
    steps = {row["step"]: row for row in report(town.statistics, town.now)["steps"]}
    assert steps["acceptance"]["built"] == pytest.approx(200)
    assert steps["acceptance"]["waits"][Cause.JENKINS] == pytest.approx(30)
    assert next(iter(steps)) == "acceptance"  # most of the time went there
    assert sum(steps["acceptance"]["waits"].values()) + 200 == pytest.approx(town.now - began)
    assert report(town.statistics, town.now, "S1")["steps"] == []


# -- before and after a change of the configuration ----------------------------------------------------------------


def put_in_force(statistics: Statistics, at: float, *keys: str) -> None:
    changes = tuple(ConfigurationChange(key, "3", "5") for key in keys)
    told = PipelineConfigured("shop", ("build",), 3, Mode.RUN, "digest", changes)
    fold(statistics, at, Fact(FactKind.CONFIGURED, told, by="kim"))


def delivered(statistics: Statistics, key: str, began: float, ended: float, *, waited: float = 0.0) -> None:
    """One run that waited for so long, was then admitted and built at once."""
    where = {"run": key, "service": "S1", "step": Step("build")}
    for at, kind in (
        (began, FactKind.RUN_QUEUED),
        (began + waited, FactKind.RUN_ADMITTED),
        (began + waited, FactKind.BUILD_STARTED),
        (ended, FactKind.BUILD_PASSED),
        (ended, FactKind.RUN_DELIVERED),
    ):
        fold(statistics, at, Fact(kind, Verbatim("x"), **where))  # type: ignore[arg-type]


def test_runs_count_under_the_configuration_under_which_they_began_and_ended() -> None:
    statistics = Statistics()
    put_in_force(statistics, 0.0)
    delivered(statistics, "S1.1", 10.0, 110.0, waited=60.0)
    delivered(statistics, "S1.2", 20.0, 320.0, waited=100.0)
    put_in_force(statistics, 500.0, "pipelines.shop.stages.acceptance.capacity")
    delivered(statistics, "S1.3", 400.0, 600.0)
    delivered(statistics, "S1.4", 550.0, 600.0)
    (change,) = last_changes(statistics, 700.0)
    assert (change["at"], change["by"], change["straddling"]) == (500.0, "kim", 1)
    assert change["changes"] == [{"key": "pipelines.shop.stages.acceptance.capacity", "before": "3", "after": "5"}]
    before, after = change["before"], change["after"]
    assert (before["since"], before["until"], before["delivered"], before["lead"]) == (0.0, 500.0, 2, 200.0)
    assert (before["waiting"], before["waits"]["capacity"], before["built"]) == (80.0, 80.0, 120.0)
    assert before["lead_p90"] == pytest.approx(280.0)
    assert (after["since"], after["until"], after["delivered"], after["lead"]) == (500.0, 700.0, 1, 50.0)
    assert change["verdict"] == LeadTimeVerdict.TOO_FEW


def test_a_lock_counts_under_the_configuration_under_which_it_stood() -> None:
    town = MeasuredTown()
    put_in_force(town.statistics, town.now)
    town.lock("production")
    town.pause(99)
    town.unlock("production")
    town.lock("production")
    town.pause(10)
    put_in_force(town.statistics, town.now, "github.lock_status")
    town.pause(99)
    town.unlock("production")
    (change,) = last_changes(town.statistics, town.now)
    assert (change["before"]["locks"], change["before"]["locked"]) == (1, pytest.approx(100))
    assert (change["after"]["locks"], change["after"]["locks_per_100"]) == (0, None)


@pytest.mark.parametrize(
    "key",
    ["web.public_url", "notify.channels.team", "pipelines.shop.notify.weekly.hour", "pipelines.other.mode",
     "pipelines.shop.services.S1.developers"],
)  # fmt: skip
def test_a_change_that_concerns_no_run_begins_no_period(key: str) -> None:
    statistics = Statistics()
    put_in_force(statistics, 0.0)
    put_in_force(statistics, 500.0, key)
    assert last_changes(statistics, 700.0) == []


def test_statistics_that_begin_after_the_configuration_have_a_period_all_the_same() -> None:
    statistics = Statistics()
    delivered(statistics, "S1.1", 10.0, 110.0)
    put_in_force(statistics, 500.0, "pipelines.shop.fast_lane.start")
    assert last_changes(statistics, 700.0)[0]["before"]["lead"] == 100.0


def test_of_the_changes_the_last_are_kept() -> None:
    statistics = Statistics()
    for number in range(PERIODS_KEPT + 3):
        put_in_force(statistics, 1_000.0 * number, "pipelines.shop.stages.acceptance.capacity")
    statistics.forget_old(9_000.0)
    found = last_changes(statistics, 9_000.0)
    assert len(found) == PERIODS_KEPT - 1 and found[0]["at"] == 1_000.0 * (PERIODS_KEPT + 2)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([100.0] * FEW, [50.0] * (FEW - 1), LeadTimeVerdict.TOO_FEW),
        ([], [50.0] * FEW, LeadTimeVerdict.TOO_FEW),
        ([100.0] * FEW, [100.0] * FEW, LeadTimeVerdict.UNCLEAR),
        ([float(n) for n in range(40)], [n + 1.0 for n in range(40)], LeadTimeVerdict.UNCLEAR),
        ([float(n) for n in range(40)], [n + 20.0 for n in range(40)], LeadTimeVerdict.LONGER),
        ([n + 20.0 for n in range(40)], [float(n) for n in range(40)], LeadTimeVerdict.SHORTER),
    ],
)
def test_a_difference_is_called_one_if_chance_seldom_makes_it(
    before: list[float], after: list[float], found: LeadTimeVerdict
) -> None:
    assert verdict(before, after) is found


def test_a_pipeline_without_a_past_has_no_insight() -> None:
    found = report(Statistics(), 1_000.0)
    assert (found["services"], found["steps"], found["tests"], found["changes"]) == ([], [], [], [])
