"""What-if: the recorded past under another configuration, and the error of the method."""

from __future__ import annotations

import dataclasses

import pytest

from bot.core.model.pipeline import Pipeline, Policy
from bot.simulation.comparison import ComparedFigure, Comparison, compare, other_setting, range_of, recorded_setting
from bot.simulation.recorded_load import RecordedLoad, UnusableRecording, read_load
from demo.past import past, shop
from tests.simulation.test_recorded_load import recorded

#: How far plays with drawn durations may be from what was recorded. Measured in five days, and in two weeks, of the
#: town: +2.5 % and +5.0 % for lead times of half of the merges; -12.5 % and -1.5 % for nine of ten; -4.8 % and +0.8 %
#: for locks.
LEAD_ERROR, OTHER_ERROR = 0.10, 0.25


@pytest.fixture(scope="module")
def load() -> RecordedLoad:
    return read_load(recorded(past()))


@pytest.fixture(scope="module")
def same(load: RecordedLoad) -> Comparison:
    return compare(load, recorded_setting(load), draws=4)


def named(found: Comparison) -> dict[str, ComparedFigure]:
    return {each.name: each for each in found.figures}


def test_the_recorded_durations_under_the_recorded_configuration_give_back_every_figure(same: Comparison) -> None:
    assert {each.name: each.exact_error for each in same.figures if each.exact_error} == {}
    assert same.runs > 90


def test_drawn_durations_under_the_recorded_configuration_give_back_the_figures_within_the_stated_error(
    same: Comparison,
) -> None:
    found = named(same)
    half = found["lead time, half of the merges"]
    assert half.error is not None
    assert abs(half.error) < LEAD_ERROR
    for name in ("lead time, nine of ten", "runs delivered", "builds of acceptance", "pre-production locked"):
        error = found[name].error
        assert error is not None
        assert abs(error) < OTHER_ERROR, name


def test_the_same_configuration_changes_nothing(same: Comparison) -> None:
    """Both sides of a draw have the same luck."""
    assert all(each.change is None or each.change.low == each.change.high == 0 for each in same.figures)
    assert same.changed == ()


def test_more_room_shortens_the_wait_for_it(load: RecordedLoad) -> None:
    wider = other_setting(load, changed(shop(), "acceptance", capacity=8))
    found = named(compare(load, wider, draws=2))
    wait, lead = found["waiting for capacity, a run"], found["lead time, half of the merges"]
    assert wait.change is not None
    assert lead.change is not None
    assert wait.change.high < 0
    assert lead.change.high < 0


def test_a_stage_that_only_reports_is_locked_no_more(load: RecordedLoad) -> None:
    softer = changed(
        changed(shop(), "pre-production", on_failure=Policy.REPORT), "production", on_failure=Policy.REPORT
    )
    found = named(compare(load, other_setting(load, softer), draws=1))
    closed, failed = found["pre-production locked"], found["runs failed"]
    assert closed.recorded
    assert closed.other is not None
    assert closed.other.high == 0
    assert failed.change is not None
    assert failed.change.low > 0


def test_a_stage_that_locks_only_now_is_opened_as_those_that_did(load: RecordedLoad) -> None:
    """The recording knows no reaction to a failure there: a person opens it after as long as a recorded lock stood."""
    strict = changed(shop(), "acceptance", on_failure=Policy.LOCK)
    found = named(compare(load, other_setting(load, strict), draws=1))
    closed = found["acceptance locked"]
    assert closed.recorded == 0
    assert closed.other is not None
    assert closed.other.low > 0
    longest = max(each for many in load.stood.values() for each in many)
    breaks = sum(stage == "acceptance" for _, stage in load.failed)
    assert closed.other.high <= 2 * breaks * longest
    assert found["runs on their way"].other is not None
    assert found["runs on their way"].other.high < 40, "no lock stands for ever"


def test_another_order_of_the_stages_can_be_played(load: RecordedLoad) -> None:
    stages = shop().stages
    swapped = dataclasses.replace(shop(), stages=(stages[0], stages[2], stages[1], stages[3]))
    found = named(compare(load, other_setting(load, swapped), draws=1))
    before, after = found["builds of pre-production"], found["builds of acceptance"]
    assert before.same is not None
    assert before.other is not None
    assert before.other.middle > before.same.middle
    assert after.other is not None
    assert after.other.middle < before.other.middle


def test_a_stage_that_the_recording_does_not_know_is_refused(load: RecordedLoad) -> None:
    stages = shop().stages
    smoke = dataclasses.replace(stages[1], name="smoke test")
    other = dataclasses.replace(shop(), stages=(*stages, smoke))
    with pytest.raises(UnusableRecording, match=r"no build of the stage smoke test.*acceptance, build, pre-production"):
        other_setting(load, other)


def test_a_run_is_compared_with_itself(load: RecordedLoad) -> None:
    found = compare(load, other_setting(load, changed(shop(), "acceptance", capacity=8)), draws=1)
    assert 0 < len(found.changed) <= 10
    changes = [abs(run.other - run.same) for run in found.changed]
    assert changes == sorted(changes, reverse=True)
    shas = {merge.event.sha for merge in load.merges}
    assert all(run.sha in shas for run in found.changed)


def test_figures_are_made_from_a_later_moment_on(load: RecordedLoad) -> None:
    since = load.began + 86_400
    found = compare(load, recorded_setting(load), draws=1, since=since)
    assert found.runs == sum(merge.at >= since for merge in load.merges)
    assert {each.name: each.exact_error for each in found.figures if each.exact_error} == {}


def test_the_range_of_nothing_is_none_and_nine_of_ten_draws_are_inside() -> None:
    assert range_of([None, None]) is None
    found = range_of([float(number) for number in range(101)])
    assert found is not None
    assert (found.low, found.middle, found.high) == (5, 50, 95)


def changed(pipeline: Pipeline, stage: str, **fields: object) -> Pipeline:
    """The pipeline with other values of the fields of a stage."""
    stages = (dataclasses.replace(s, **fields) if s.name == stage else s for s in pipeline.stages)  # type: ignore[arg-type]
    return dataclasses.replace(pipeline, stages=tuple(stages))
