"""An invented load: the same for a seed, as often as the scenario says, and never stuck; its measures, its picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from statistics import median

import pytest

from bot.core.model.board import build_board
from bot.core.model.board_records import Header
from bot.core.model.effects import Trigger
from bot.core.model.events import Merged
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import FastLane, FastLaneStart, Lane, Outcome, Pipeline, Step, Track
from bot.simulation.engine import Intention, Simulated, simulate
from bot.simulation.measures import Measure, measures
from bot.simulation.scenario import DAY, HOUR, MINUTE, BuildPlan, PeoplePlan, Scenario, ScenarioLoad, WorkHours
from bot.simulation.sweep import Sweep, SweptValue, in_words, svg
from demo.pipeline import pipeline

MONDAY = 1_767_571_200.0
FIXED = BuildPlan(10 * MINUTE)
SVG = "{http://www.w3.org/2000/svg}"


def scenario(
    plan: BuildPlan = FIXED, merges: float = 4.0, days: int = 5, shape: Pipeline | None = None, **people: object
) -> Scenario:
    """Three services on the pipeline of the four pictures; every build goes by the same plan."""
    shape = shape or pipeline()
    steps = [Step(stage.name, track) for stage in shape.stages for track in (Track.REAL, Track.FAST)]
    rates = {service.name: merges for service in shape.services}
    slow = PeoplePlan(**{"fix": 45 * MINUTE, "retry": 10 * MINUTE, **people})  # type: ignore[arg-type]
    return Scenario(shape, MONDAY, days, rates, dict.fromkeys(steps, plan), slow)


def played(given: Scenario, seed: int = 1) -> Simulated:
    load = ScenarioLoad(given, seed)
    return simulate(given.pipeline, load.arrivals(), load, until=given.ends + 30 * DAY, people=load)


def times(given: Scenario, seed: int = 1) -> list[float]:
    return sorted(each.at for each in ScenarioLoad(given, seed).arrivals())


def found(given: Scenario, group: str, name: str) -> Measure:
    return next(each for each in measures(given, [1]) if (each.group, each.name) == (group, name))


# -- merges ------------------------------------------------------------------------------------------------------------


def test_merges_come_in_the_hours_of_working_days_as_often_as_asked() -> None:
    at = times(scenario(merges=6.0, days=28))
    assert 0.85 < len(at) / (3 * 6 * 20) < 1.15
    assert {int((each - MONDAY) // DAY) % 7 for each in at} == {0, 1, 2, 3, 4}
    assert all(8 * HOUR <= (each - MONDAY) % DAY < 18 * HOUR for each in at)


def test_the_merges_of_a_day_are_shared_out_over_its_hours() -> None:
    hours = (WorkHours(8 * HOUR, 12 * HOUR, 3.0), WorkHours(13 * HOUR, 18 * HOUR, 1.0))
    at = [(each - MONDAY) % DAY for each in times(replace(scenario(merges=8.0, days=28), hours=hours))]
    morning = sum(each < 12 * HOUR for each in at)
    assert 0.7 < morning / len(at) < 0.8
    assert not [each for each in at if 12 * HOUR <= each < 13 * HOUR]


def test_a_service_that_merges_nothing_has_no_merges() -> None:
    assert times(scenario(merges=0.0)) == []
    assert found(scenario(merges=0.0), "lead time", "p50").middle is None


# -- builds ------------------------------------------------------------------------------------------------------------


def trigger(sha: str, stage: str = "build", attempt: int = 1) -> Trigger:
    job = pipeline().stages[0].job
    return Trigger("S1.1", stage, Track.REAL, attempt, job, "S1", "shop/s1", sha, Lane.MAIN, "1")


def test_half_of_the_builds_take_longer_than_the_middle_and_the_scatter_is_as_asked() -> None:
    load = ScenarioLoad(scenario(BuildPlan(600.0, spread=0.2, queued=7.0)), 1)
    builds = [load.build(trigger(str(number)), 0.0) for number in range(1000)]
    assert median(each.seconds for each in builds) == pytest.approx(600.0, rel=0.03)
    assert 0.26 < sum(each.seconds > 600.0 * 1.1 for each in builds) / 1000 < 0.38  # 1 - Φ(ln 1.1 / 0.2) = 0.317
    assert {each.queued_seconds for each in builds} == {7.0}


def test_so_many_builds_fail_by_chance_and_a_retry_is_another_draw() -> None:
    load = ScenarioLoad(scenario(BuildPlan(1.0, flakes=0.1)), 1)
    first = [load.build(trigger(str(number)), 0.0).outcome for number in range(1000)]
    again = [load.build(trigger(str(number), attempt=2), 0.0).outcome for number in range(1000)]
    assert 70 <= Counter(first)[Outcome.FAILURE] <= 130
    assert sum(a is b is Outcome.FAILURE for a, b in zip(first, again, strict=True)) < 30


def test_a_commit_that_breaks_a_stage_fails_there_every_time_and_so_do_those_on_top_until_the_fix() -> None:
    given = scenario(BuildPlan(1.0, fails=1.0))
    load, board = ScenarioLoad(given, 1), build_board(Header(given.pipeline), [])
    merges = [each for each in load.arrivals() if isinstance(each, Intention)]
    first, second = (each.act(board) for each in merges[:2])
    assert isinstance(first, Merged) and isinstance(second, Merged)
    assert (first.before, second.before) == (None, first.sha)
    for sha in (first.sha, second.sha):
        assert [load.build(trigger(sha, "acceptance", n), 0.0).outcome for n in (1, 2)] == [Outcome.FAILURE] * 2
    assert load.build(trigger("unknown", "acceptance"), 0.0).outcome is Outcome.SUCCESS


# -- people ------------------------------------------------------------------------------------------------------------


def moments(simulated: Simulated, kind: FactKind) -> list[float]:
    return [at for at, fact in simulated.facts if fact.kind is kind]


def locks(simulated: Simulated, kind: FactKind) -> set[str | None]:
    return {fact.lock for _, fact in simulated.facts if fact.kind is kind}


def test_a_fix_is_merged_in_working_hours_unless_people_are_on_call() -> None:
    """One service merges on one Friday; pre-production fails until the fix, which takes 20 h of work."""
    for on_call in (False, True):
        given = scenario(shape=pipeline(services=pipeline().services[:1]), fix=20 * HOUR, on_call=on_call, days=1)
        breaks = given.builds | {Step("pre-production"): replace(FIXED, fails=1.0)}
        simulated = played(replace(given, begins=MONDAY + 4 * DAY, builds=breaks))
        locked = min(moments(simulated, FactKind.STAGE_LOCKED))
        fixed = next(at for at, fact in simulated.facts if fact.kind is FactKind.MERGE_ACCEPTED and "fix" in fact.sha)  # type: ignore[operator]
        if on_call:
            assert fixed == pytest.approx(locked + 20 * HOUR)
        else:
            assert fixed - locked > (2 * 24 + 20) * HOUR
            assert 8 * HOUR <= (fixed - MONDAY) % DAY <= 18 * HOUR


@pytest.mark.parametrize("start", FastLaneStart)
@pytest.mark.parametrize("hold_back", [True, False])
def test_however_much_fails_every_run_ends_and_every_lock_opens(start: FastLaneStart, hold_back: bool) -> None:
    plan = BuildPlan(5 * MINUTE, 0.3, 5.0, fails=0.12, flakes=0.08)
    shape = replace(pipeline(), fast_lane=FastLane(start))
    for seed in range(2):
        simulated = played(scenario(plan, 4.0, 3, shape, hold_back=hold_back, spread=0.5), seed)
        locked, opened = locks(simulated, FactKind.STAGE_LOCKED), locks(simulated, FactKind.STAGE_UNLOCKED)
        assert locked and locked == opened
        assert simulated.runs == ()


def test_the_merges_that_were_held_back_come_when_the_lock_is_open() -> None:
    plan = BuildPlan(5 * MINUTE, fails=0.1)
    counts = [
        len(
            {
                fact.sha
                for _, fact in played(scenario(plan, days=2, hold_back=back)).facts
                if "fix" not in (fact.sha or "fix")
            }
        )
        for back in (True, False)
    ]
    assert counts[0] == counts[1]


# -- measures ----------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_measures_and_another_one_others() -> None:
    given = scenario(BuildPlan(600.0, 0.2, 5.0, 0.03, 0.02), days=1)
    assert measures(given, [1, 2]) == measures(given, [1, 2])
    assert measures(given, [1]) != measures(given, [2])


def test_where_nothing_is_in_the_way_the_lead_time_is_that_of_the_builds() -> None:
    given = scenario(merges=0.4, days=10)
    for name in ("p50", "p90"):
        assert found(given, "lead time", name).middle == pytest.approx(4 * 600.0)
    assert found(given, "runs", "failed").middle == 0.0
    assert found(given, "waiting of a run", "lock").middle == 0.0


def test_how_busy_a_stage_is_counts_its_builds_in_working_hours_by_its_capacity() -> None:
    given = scenario(merges=2.0, days=5)
    merges = len(times(given))
    assert found(given, "builds", "acceptance").middle == merges
    wanted = merges * 600.0 / (5 * 10 * HOUR)
    build, acceptance = (found(given, "busy", name) for name in ("build", "acceptance"))
    assert (build.unit, acceptance.unit) == ("builds at once", "share")
    assert build.middle == pytest.approx(wanted, rel=0.05)
    assert acceptance.middle == pytest.approx(wanted / 3, rel=0.05)


def test_fewer_slots_make_the_same_merges_wait_longer() -> None:
    shape = pipeline()
    waits = []
    for capacity in (1, 2, 3):
        stages = tuple(replace(s, capacity=capacity) if s.name == "acceptance" else s for s in shape.stages)
        given = scenario(BuildPlan(20 * MINUTE, 0.2), 6.0, 2, shape=replace(shape, stages=stages))
        assert found(given, "runs", "failed").middle == 0.0
        waits.append(found(given, "lead time", "p90").middle or 0.0)
    assert waits[0] > waits[1] >= waits[2]


def test_a_measure_has_its_middle_and_its_range_and_leaves_out_what_was_not_measured() -> None:
    one = Measure("lead time", "p50", "seconds", (3.0, None, 1.0, 8.0))
    assert (one.low, one.middle, one.high) == (1.0, 3.0, 8.0)
    assert Measure("lead time", "p50", "seconds", (None,)).middle is None


# -- the picture -------------------------------------------------------------------------------------------------------


def lead(*p50: float | None, p90: float | None = 4000.0) -> list[Measure]:
    return [Measure("lead time", "p50", "seconds", p50), Measure("lead time", "p90", "seconds", (p90,))]


def test_the_picture_is_well_formed_names_its_axes_and_escapes_what_it_shows() -> None:
    swept = Sweep("stages.<b>.capacity", 'a & "b" <script>', 3, [SweptValue("1", lead(100.0, 200.0, 300.0))])
    root = ElementTree.fromstring(svg(swept))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and desc is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == 'Lead time by stages.<b>.capacity: a & "b" <script>'
    assert desc.text == "stages.<b>.capacity = 1: p50 3.3 min (1.7 min to 5 min), p90 67 min."
    assert "stages.<b>.capacity" in [each.text for each in root.iter(f"{SVG}text")]
    assert not list(root.iter(f"{SVG}script"))


def test_a_longer_lead_time_stands_higher_and_all_of_it_stands_inside() -> None:
    swept = Sweep("k", "t", 2, [SweptValue(str(n), lead(n * 3600.0, n * 4000.0, p90=n * 9000.0)) for n in (1, 2, 5)])
    root = ElementTree.fromstring(svg(swept))
    dots = [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in root.iter(f"{SVG}circle")]
    assert dots == sorted(dots)
    assert [y for _, y in dots] == sorted((y for _, y in dots), reverse=True)
    lines = [each.get("points", "") for kind in ("polyline", "polygon") for each in root.iter(f"{SVG}{kind}")]
    corners = [tuple(map(float, corner.split(","))) for line in lines for corner in line.split()]
    assert all(76 <= x <= 720 - 24 and 64 <= y <= 400 - 64 for x, y in corners)


def test_a_value_that_delivers_nothing_leaves_a_gap() -> None:
    swept = Sweep("k", "t", 1, [SweptValue("1", lead(None, p90=None)), SweptValue("2", lead(600.0))])
    text = svg(swept)
    assert "1: nothing delivered; 2: p50 10 min" in text
    assert len(list(ElementTree.fromstring(text).iter(f"{SVG}circle"))) == 1


def test_durations_are_written_in_the_unit_that_fits() -> None:
    assert [in_words(seconds) for seconds in (0, 50, 100, 3000, 9000, 259_200)] == [
        "0 min",
        "50 s",
        "1.7 min",
        "50 min",
        "2.5 h",
        "3 d",
    ]
