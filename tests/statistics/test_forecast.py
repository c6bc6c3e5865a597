"""When runs enter and pass, and when locks open: by hand, on boards whose builds always took the same time."""

from __future__ import annotations

import pytest

from bot.core.model.events import FreezesPlanned
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Mode, Pipeline, Step
from bot.forecast import schedule
from bot.forecast.forecast import Forecast, RunForecast, Unforeseen
from bot.forecast.schedule import PLAYED
from bot.statistics.parts import PastLock, PastLocks, StepDurations, StepOutcomes
from tests.core.world import SERVICES, shop
from tests.statistics.measured import MeasuredTown

#: How long every build takes in the past of these tests, in seconds.
LONG = {"build": 60.0, "acceptance": 600.0, "fast acceptance": 300.0, "fast pre-production": 200.0}
OTHERS = 400.0


class ForeseenTown(MeasuredTown):
    """A town with a past: many builds of each step, none of which failed; they started after two seconds."""

    def __init__(self, pipeline: Pipeline | None = None) -> None:
        super().__init__(pipeline)
        for step in self.board.steps():
            long = LONG.get(str(step), OTHERS)
            for service in ("", *SERVICES):
                self.statistics.change(f"durations/{step}/{service}", StepDurations([long] * 10, [], [2.0] * 10))
            self.statistics.change(f"outcomes/{step}", StepOutcomes(10_000, 0))

    def foresees(self, sha: str) -> RunForecast:
        """The forecast of a commit's run, as of now."""
        return Forecast(self.board, self.statistics, self.now).of(self.run(sha))

    def enters_in(self, sha: str) -> float:
        """In how many seconds a commit's run will enter its step."""
        found = self.foresees(sha).enters
        assert found is not None and found.low <= found.at <= found.high
        return found.at - self.now


def test_a_build_that_runs_ends_when_builds_usually_do() -> None:
    town = ForeseenTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    town.start_build(s1a)
    town.pause(200)
    found = town.foresees(s1a)
    assert found.enters is None and found.passes is not None
    assert found.passes.at - town.now == pytest.approx(400)
    town.pause(1_000)  # it takes longer than any before: it may end at any moment
    late = town.foresees(s1a).passes
    assert late is not None and 0 < late.at - town.now < 120


def test_who_waits_enters_when_the_slot_is_free_and_the_others_have_been() -> None:
    town = ForeseenTown()
    s1a, s2a, s3a = (town.merge_up_to(service, "a", "pre-production") for service in SERVICES)
    town.start_build(s1a)
    town.pause(100)
    assert town.enters_in(s2a) == pytest.approx(300)
    assert town.enters_in(s3a) == pytest.approx(300 + 402)
    near, far = town.foresees(s2a).enters, town.foresees(s3a).enters
    assert near is not None and far is not None and far.high - far.low > near.high - near.low


def test_several_slots_are_used_at_once() -> None:
    town = ForeseenTown(shop(acceptance=2))
    for service in SERVICES:
        town.pass_build(town.merge(service, "a"))
    town.start_build("S1a", "S2a")
    assert town.enters_in("S3a") == pytest.approx(599, abs=2)


def test_one_run_of_a_service_waits_for_the_other() -> None:
    town = ForeseenTown(shop(pre_production=2))
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    began = town.now
    s1b, s2a = town.merge_up_to("S1", "b", "pre-production"), town.merge("S2", "a")
    assert town.enters_in(s1b) == pytest.approx(began + 400 - town.now)
    town.pass_build(s2a)
    assert town.at(s2a) == "acceptance"


def test_one_at_a_time_counts_where_any_number_may_enter_too() -> None:
    town = ForeseenTown(shop(production=None))
    s1a = town.merge_up_to("S1", "a", "production")
    town.start_build(s1a)
    began = town.now
    s1b = town.merge_up_to("S1", "b", "production")
    assert town.enters_in(s1b) == pytest.approx(began + 400 - town.now)


def test_a_lock_opens_when_the_fix_has_passed_the_rest_of_its_way() -> None:
    town = ForeseenTown()
    s1a, s2a, s3a = (town.merge_up_to(service, "a", "pre-production") for service in SERVICES)
    town.fail_build(s1a)
    s1b = town.merge("S1", "b")
    town.start_build(s1b)
    forecast = Forecast(town.board, town.statistics, town.now)
    (lock,) = town.board.locks_of("pre-production")
    found = forecast.of_lock(lock)
    assert found.fix is not None and found.fix.sha == s1b and not found.usual and found.opens is not None
    in_seconds = 60 + 302 + 202 + 402
    assert found.opens.at - town.now == pytest.approx(in_seconds)
    assert town.enters_in(s2a) == pytest.approx(in_seconds)
    assert town.enters_in(s3a) == pytest.approx(in_seconds + 402)
    assert [lock.fix.sha for lock in town.foresees(s3a).locks if lock.fix] == [s1b]
    town.pass_build(s1b)  # its build: on to fast acceptance
    town.start_build(s1b)
    town.pause(100)
    assert town.enters_in(s2a) == pytest.approx(200 + 202 + 402)


def test_a_run_that_the_fix_contains_does_not_enter_any_more() -> None:
    town = ForeseenTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    s1b, s2a = (town.merge_up_to("S1", "b", "pre-production"), town.merge_up_to("S2", "a", "pre-production"))
    town.fail_build(s1a)
    s1c = town.merge("S1", "c")
    town.start_build(s1c)
    found = town.foresees(s1b)
    assert found.enters is None and found.removed_by is not None and found.removed_by.sha == s1c
    assert town.enters_in(s2a) == pytest.approx(60 + 302 + 202 + 402)  # not behind S1b


def test_a_run_beyond_the_lock_enters_all_the_same() -> None:
    town = ForeseenTown()
    s2a = town.merge_up_to("S2", "a", "production")
    town.start_build(s2a)
    s1a = town.merge_up_to("S1", "a", "production")
    town.break_stage("S1", "b")
    town.start_build(town.merge("S1", "c"))
    found = town.foresees(s1a)
    assert found.removed_by is None and found.enters is not None


def test_without_a_fix_the_lock_stands_as_long_as_locks_usually_do() -> None:
    town = ForeseenTown()
    s1a, s2a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2"))
    town.fail_build(s1a)
    unknown = town.foresees(s2a)
    assert (unknown.enters, unknown.unforeseen) == (None, Unforeseen.NO_FIX)
    past = [PastLock("S3", 0.0, seconds, 0.0) for seconds in (1_800, 2_000, 2_400, 3_000)]
    town.statistics.change("locks/pre-production", PastLocks(past))
    (lock,) = town.board.locks_of("pre-production")
    found = Forecast(town.board, town.statistics, town.now).of_lock(lock)
    assert found.usual and found.opens is not None and found.fix is None
    assert 1_800 <= found.opens.at - lock.since <= 3_000
    assert found.opens.high - found.opens.low > 300


def test_the_lock_of_a_person_opens_at_its_end_or_nobody_knows() -> None:
    town = ForeseenTown()
    s2a = town.merge_up_to("S2", "a", "pre-production")
    town.start_build(s2a)
    town.lock("pre-production", until=town.now + 3_600)
    s3a = town.merge_up_to("S3", "a", "pre-production")
    assert town.enters_in(s3a) + town.now == pytest.approx(town.board.locks_of("pre-production")[0].until)
    town.lock("pre-production")
    assert town.foresees(s3a).unforeseen is Unforeseen.PERSON


def test_who_waits_for_a_freeze_enters_at_its_end_and_who_comes_into_a_later_window_at_the_end_of_that() -> None:
    town = ForeseenTown()
    now = town.now
    windows = (FreezeWindow(now + 5_000, now + 9_000),)
    town.send(FreezesPlanned((Freeze("weekend", ("pre-production",), windows, services=("S3",)),)))
    s2a = town.merge_up_to("S2", "a", "pre-production")
    town.start_build(s2a)
    town.lock("pre-production", until=now + 6_000)
    s1a, s3a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S3"))
    assert town.enters_in(s1a) + town.now == pytest.approx(now + 9_000), "the lock ends in the freeze"
    town.tick(now + 5_500 - town.now)
    assert town.enters_in(s1a) + town.now == pytest.approx(now + 9_000)
    assert [each.lock.freeze for each in town.foresees(s1a).locks] == ["", "weekend"]
    assert [each.lock.freeze for each in town.foresees(s3a).locks] == [""], "the freeze excepts it"


def test_a_paused_pipeline_lets_nobody_in() -> None:
    town = ForeseenTown()
    s1a, s2a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2"))
    town.start_build(s1a)
    town.mode(Mode.PAUSE)
    assert town.foresees(s2a).unforeseen is Unforeseen.PAUSED
    assert town.foresees(s1a).passes is not None


def test_a_step_in_which_no_build_has_passed_has_no_estimate() -> None:
    town = MeasuredTown()
    s1a, s2a = (town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2"))
    town.start_build(s1a)
    found = Forecast(town.board, town.statistics, town.now).of(town.run(s2a))
    assert found.unforeseen is Unforeseen.NO_BUILDS


def test_a_stage_that_often_locks_widens_the_range_of_those_further_back() -> None:
    calm, rough = ForeseenTown(), ForeseenTown()
    rough.statistics.change("outcomes/pre-production", StepOutcomes()).failed = 5_000
    for town in (calm, rough):
        past = [PastLock("S3", 0.0, seconds, 0.0) for seconds in (1_800, 2_000, 2_400, 3_000)]
        town.statistics.change("locks/pre-production", PastLocks(past))
        for letter in "abc":
            for service in SERVICES:
                town.merge_up_to(service, letter, "pre-production")
        town.start_build("S1a")
    last = [town.foresees("S3c").enters for town in (calm, rough)]
    assert last[0] is not None and last[1] is not None
    assert last[1].at > last[0].at + 1_800 and last[1].high - last[1].low > 2 * (last[0].high - last[0].low)


def test_a_run_deep_in_the_queue_costs_its_place_and_the_next_look_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    town = ForeseenTown(shop(acceptance=1))
    for number in range(60):
        town.pass_build(town.merge(SERVICES[number % 3], f"-{number}"))
    forecast = Forecast(town.board, town.statistics, town.now)
    queue = list(town.board.queue(Step("acceptance")))
    looked_at: list[str] = []
    gate = Forecast._gate
    monkeypatch.setattr(Forecast, "_gate", lambda self, run: looked_at.append(run.key) or gate(self, run))
    forecast.of(queue[9])
    assert len(looked_at) == 10
    for run in queue:
        forecast.of(run)
    assert len(looked_at) == len(queue) == len(set(looked_at))


@pytest.mark.parametrize("capacity", [1, 3])
def test_who_waits_behind_many_is_estimated_from_their_number_nearly_as_well(
    monkeypatch: pytest.MonkeyPatch, capacity: int
) -> None:
    town = ForeseenTown(shop(acceptance=capacity))
    for number, service in enumerate(SERVICES):
        town.statistics.change(f"durations/acceptance/{service}", StepDurations([300.0 + 200 * number] * 10, [], [2.0]))
    for number in range(260):
        town.pass_build(town.merge(SERVICES[number % 3], f"-{number}"))
    queue = list(town.board.queue(Step("acceptance")))

    def of_all() -> list[tuple[float, float]]:
        forecast = Forecast(town.board, town.statistics, town.now)
        found = [forecast.of(run).enters for run in queue]
        return [(each.at - town.now, each.high - each.low) for each in found if each is not None]

    estimated = of_all()
    monkeypatch.setattr(schedule, "PLAYED", 1_000)
    played = of_all()
    assert len(estimated) == len(played) == len(queue)
    assert estimated[:PLAYED] == played[:PLAYED]
    for (at, width), (exactly, exact_width) in zip(estimated, played, strict=True):
        assert at == pytest.approx(exactly, rel=0.02, abs=300)
        assert width == pytest.approx(exact_width, rel=0.1, abs=300)


def test_a_queue_that_is_very_long_costs_no_more_than_the_runs_that_are_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "PLAYED", 10)
    town = ForeseenTown(shop(acceptance=1))
    for number in range(60):
        town.pass_build(town.merge(SERVICES[number % 3], f"-{number}"))
    forecast = Forecast(town.board, town.statistics, town.now)
    looked_at: list[str] = []
    gate = Forecast._gate
    monkeypatch.setattr(Forecast, "_gate", lambda self, run: looked_at.append(run.key) or gate(self, run))
    forecast.of(list(town.board.queue(Step("acceptance")))[-1])
    assert len(looked_at) == 11


def test_who_waits_behind_many_for_a_locked_stage_waits_for_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "PLAYED", 4)
    town = ForeseenTown()
    for letter in "abcd":
        for service in SERVICES:
            town.merge_up_to(service, letter, "pre-production")
    last = list(town.board.queue(Step("pre-production")))[-1]
    town.lock("pre-production", until=town.now + 86_400)
    found = Forecast(town.board, town.statistics, town.now).of(last)
    assert found.enters is not None and found.enters.at >= town.now + 86_400
    town.lock("pre-production", "sam")
    found = Forecast(town.board, town.statistics, town.now).of(last)
    assert (found.enters, found.unforeseen) == (None, Unforeseen.PERSON)
