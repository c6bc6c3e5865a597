"""What the facts amount to: durations, waiting by cause, locks and their cost, flaky tests."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import pytest

from bot.core.model.events import FreezesPlanned, LetThroughAsked
from bot.core.model.facts import Fact, FactKind
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Mode, Outcome, Step
from bot.statistics.fold import fold
from bot.statistics.parts import RUNS_KEPT, Cause, MeasuredRun
from bot.statistics.statistics import WEEKS_KEPT, Statistics, cost_so_far, week_of, weeks_until
from bot.statistics.waiting import account_of
from tests.core.world import shop
from tests.statistics.measured import MeasuredTown


def test_a_build_is_as_long_as_from_its_start_to_its_end() -> None:
    town = MeasuredTown()
    s1a = town.merge("S1", "a")
    town.pause(29)
    town.start_build(s1a)
    town.pause(99)
    town.pass_build(s1a)
    found = town.statistics.durations("build", "S1")
    assert (found.passed, found.failed, found.lags) == ([100.0], [], [30.0])
    assert town.statistics.durations("build").passed == [100.0]  # of all services together
    assert town.statistics.outcomes("build").passed == 1


def test_waiting_is_split_by_what_the_run_waited_for() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    s2a = town.merge_up_to("S2", "a", "pre-production")  # the stage is full
    town.pause(100)
    town.fail_build(s1a)  # and now it is locked
    locked = town.now
    town.pause(500)
    s1b = town.merge("S1", "b")
    town.pass_fix(s1b)
    opened = town.now
    assert town.at(s2a) == "pre-production"
    run = town.statistics.run(town.key(s2a))
    assert run is not None
    assert run.waits[Cause.LOCK] == pytest.approx(opened - locked)
    assert run.waits[Cause.CAPACITY] == pytest.approx(102, abs=2)
    town.pause(60)
    town.start_build(s2a)
    assert run.waits[Cause.JENKINS] == pytest.approx(61, abs=8)  # of all its builds so far


def test_a_lock_costs_the_runs_that_wait_times_how_long() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    for service in ("S2", "S3"):
        town.merge_up_to(service, "a", "pre-production")
    town.fail_build(s1a)
    began = town.now
    clock = town.statistics.clock("pre-production")
    assert clock is not None
    assert cost_so_far(clock, clock.locks[0], began + 60) == pytest.approx(2 * 60)
    town.pause(600)
    s1b = town.merge("S1", "b")
    town.pass_fix(s1b)
    week = town.week("S1")
    assert week.locked["pre-production"] == pytest.approx(town.now - began)
    assert week.cost["pre-production"] == pytest.approx(2 * (town.now - began))
    assert week.restores == [pytest.approx(town.now - began)]
    past = town.statistics.past_locks("pre-production").locks
    assert [(lock.service, lock.cost) for lock in past] == [("S1", pytest.approx(week.cost["pre-production"]))]


def test_two_locks_of_one_stage_share_its_cost() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    town.merge_up_to("S2", "a", "pre-production")
    town.lock("pre-production")
    town.fail_build(s1a)
    began = town.now
    clock = town.statistics.clock("pre-production")
    assert clock is not None and len(clock.locks) == 2
    costs = [cost_so_far(clock, lock, began + 100) for lock in clock.locks]
    assert costs[1] == pytest.approx(50)  # of one run that waits 100 seconds
    assert sum(costs) == pytest.approx(100 + (began - clock.locks[0].since))


def test_a_run_that_is_delivered_is_counted_with_its_lead_time() -> None:
    town = MeasuredTown()
    s1a = town.merge("S1", "a")
    began = town.now
    while s1a in town.live():
        town.pause(40)
        town.pass_build(s1a)
    week = town.week("S1")
    assert week.ends == {"delivered": 1}
    assert week.leads == [pytest.approx(town.now - began)]
    assert week.built + sum(week.waits.values()) == pytest.approx(week.leads[0])
    kept = account_of(town.statistics, town.now + 1_000, town.key(s1a))
    assert kept is not None and (kept.built, sum(kept.waits.values())) == (week.built, sum(week.waits.values()))
    assert (kept.began, kept.ended) == (began, town.now)
    assert week.passed == {"build": 1, "acceptance": 1, "pre-production": 1, "production": 1}


def test_a_test_that_passes_on_retry_without_a_commit_is_counted() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a, ("cart.RoundingTest",))
    town.retry(s1a)
    town.pass_build(s1a)
    found = town.statistics.failing_test("S1", "cart.RoundingTest")
    assert (len(found.failed), len(found.passed)) == (1, 1)


def test_a_test_that_passes_after_a_fix_is_not_flaky() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a, ("cart.RoundingTest",))
    town.pass_fix(town.merge("S1", "b"))
    found = town.statistics.failing_test("S1", "cart.RoundingTest")
    assert (len(found.failed), len(found.passed)) == (1, 0)


def test_an_automatic_retry_counts_as_one_too() -> None:
    town = MeasuredTown(shop(retries=1))
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a, ("cart.RoundingTest",))
    town.pass_build(s1a)
    found = town.statistics.failing_test("S1", "cart.RoundingTest")
    assert (len(found.failed), len(found.passed)) == (1, 1)
    assert len(town.statistics.durations("pre-production", "S1").failed) == 1


def test_a_failed_run_waits_for_a_person() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.fail_build(s1a)
    town.pause(300)
    town.retry(s1a)
    run = town.statistics.run(town.key(s1a))
    assert run is not None and run.waits[Cause.PERSON] == pytest.approx(301)


def test_a_pause_is_time_that_waits_for_a_person() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.start_build(s1a)
    s2a = town.merge_up_to("S2", "a", "pre-production")
    town.mode(Mode.PAUSE)
    town.pause(200)
    town.mode(Mode.RUN)
    town.pass_build(s1a)
    run = town.statistics.run(town.key(s2a))
    assert run is not None and run.waits[Cause.PERSON] == pytest.approx(201)


def test_a_refused_trigger_is_time_that_waits_for_jenkins() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "acceptance")
    town.refuse_trigger(s1a)
    town.pause(120)
    town.tick(1)
    town.start_build(s1a)
    run = town.statistics.run(town.key(s1a))
    assert run is not None and run.waits[Cause.JENKINS] >= 120


def test_a_lock_that_is_not_known_from_its_start_changes_nothing() -> None:
    statistics = Statistics()
    fact = Fact(FactKind.STAGE_UNLOCKED, Verbatim("x"), run="S1.1", service="S1", step=Step("pre-production"))
    fold(statistics, 10.0, fact)
    assert list(statistics.weeks()) == []


def test_what_is_kept_is_bounded() -> None:
    town = MeasuredTown(replace(shop(), stages=shop().stages[:1]))
    for number in range(60):
        town.pass_build(town.merge("S1", f"-{number}"))
    assert len(town.statistics.durations("build", "S1").passed) == 30
    assert len(list(town.statistics.of("run"))) == 60
    assert len(town.statistics.parts) < 70


def test_of_the_runs_that_have_ended_the_last_are_kept() -> None:
    runs = {f"run/S1.{n}": MeasuredRun("S1", 0.0, ended=float(n)) for n in range(1, RUNS_KEPT + 11)}
    statistics = Statistics({**runs, "run/S1.0": MeasuredRun("S1", 0.0)})
    statistics.forget_old(10_000.0)
    assert len(statistics.parts) == RUNS_KEPT + 1
    assert (statistics.run("S1.10"), statistics.run("S1.0")) == (None, MeasuredRun("S1", 0.0))


def test_a_run_of_which_nobody_knows_how_it_ended_is_forgotten_with_the_weeks() -> None:
    statistics = Statistics({"run/S1.0": MeasuredRun("S1", 100.0)})
    statistics.forget_old(100.0 + WEEKS_KEPT * 7 * 86_400)
    assert statistics.run("S1.0") is not None
    statistics.forget_old(101.0 + WEEKS_KEPT * 7 * 86_400)
    assert statistics.run("S1.0") is None


def test_an_account_is_whole_at_any_moment_and_changes_nothing() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    s2a = town.merge_up_to("S2", "a", "pre-production")
    town.pause(30)
    town.fail_build(s1a)
    town.pause(500)
    before = deepcopy(town.statistics.parts)
    account = account_of(town.statistics, town.now, town.key(s2a))
    assert account is not None
    assert account.waits[Cause.LOCK] == pytest.approx(500, abs=2)
    assert sum(account.waits.values()) + account.built == pytest.approx(town.now - account.began)
    assert town.statistics.parts == before
    assert account_of(town.statistics, town.now, "S9.1") is None


def test_a_run_that_has_the_name_of_one_that_ended_begins_anew() -> None:
    statistics = Statistics({"run/S1.1": MeasuredRun("S1", 0.0, built=9.0, ended=5.0)})
    fold(statistics, 50.0, Fact(FactKind.RUN_QUEUED, Verbatim("x"), run="S1.1", service="S1", step=Step("build")))
    run = statistics.run("S1.1")
    assert run is not None and (run.began, run.built, run.ended, run.queued) == (50.0, 0.0, 0.0, 50.0)


def test_old_weeks_and_tests_go() -> None:
    town = MeasuredTown()
    s1a = town.merge_up_to("S1", "a", "pre-production")
    town.end_build(s1a, Outcome.FAILURE, ("t",))
    assert {part for part in town.statistics.parts if part.startswith(("week", "test"))}
    town.statistics.forget_old(town.now + 27 * 7 * 86_400)
    assert not {part for part in town.statistics.parts if part.startswith(("week", "test"))}


def test_weeks_are_named_as_calendars_do() -> None:
    assert week_of(1_795_910_400.0) == "2026-W48"
    assert weeks_until(1_798_675_200.0, 6)[0] == "2026-W48" and weeks_until(1_798_675_200.0, 6)[-1] == "2026-W53"


# -- freezes ---------------------------------------------------------------------------------------------------

ENDS = 100_000.0
FREEZE = Freeze("fair", ("production",), (FreezeWindow(50_000.0, ENDS),), services=("S3",), role="operator")
NOBODY_EXCEPTED = replace(FREEZE, services=())


def frozen(freeze: Freeze = FREEZE) -> tuple[MeasuredTown, dict[str, MeasuredRun]]:
    """S1a, S2a and S3a have come before production, which the freeze has closed meanwhile."""
    town = MeasuredTown(shop(production_locks=True))
    town.send(FreezesPlanned((freeze,)))
    commits = [town.merge_up_to(service, "a", "pre-production") for service in ("S1", "S2", "S3")]
    town.tick(50_000.0 - town.now)
    for sha in commits:
        town.pass_build(sha)
    found = {sha: town.statistics.run(town.key(sha)) for sha in commits}
    return town, {sha: run for sha, run in found.items() if run is not None}


def test_who_waits_for_a_freeze_to_end_waits_for_that_cause() -> None:
    town, runs = frozen(NOBODY_EXCEPTED)
    since = town.now
    town.tick(ENDS - town.now)
    assert town.at("S1a") == "production"
    assert runs["S1a"].waits[Cause.FREEZE] == pytest.approx(ENDS - since, abs=10)
    assert runs["S1a"].waits.get(Cause.LOCK, 0.0) == 0.0
    assert town.statistics.totals().waits["production freeze"] >= runs["S1a"].waits[Cause.FREEZE]


def test_a_lock_that_stands_beside_a_freeze_is_what_the_run_waits_for() -> None:
    town, runs = frozen(NOBODY_EXCEPTED)
    since = town.now
    town.pause(100)
    town.lock("production", by="kim")
    (lock,) = [each.key for each in town.board.locks_of("production") if not each.freeze]
    town.pause(1_000)
    town.unlock("production", by="kim", lock=lock)
    clock = town.statistics.clock("production")
    assert clock is not None and [each.freeze for each in clock.locks] == [True]  # hers is gone, the freeze's is not
    town.tick(ENDS - town.now)
    assert runs["S1a"].waits[Cause.LOCK] == pytest.approx(1_001)
    assert runs["S1a"].waits[Cause.FREEZE] == pytest.approx(ENDS - since - 1_001, abs=10)


def test_a_run_that_the_freeze_excepts_does_not_wait_for_it() -> None:
    _, runs = frozen()
    assert runs["S3a"].step == "production"
    assert runs["S3a"].waits.get(Cause.FREEZE, 0.0) == 0.0


def test_who_is_let_through_has_waited_for_the_freeze_until_then() -> None:
    town, runs = frozen(NOBODY_EXCEPTED)
    since = town.now
    town.pause(600)
    town.send(LetThroughAsked(town.key("S2a"), "dana", "the fair needs it"))
    assert town.at("S2a") == "production"
    assert runs["S2a"].waits[Cause.FREEZE] == pytest.approx(town.now - since, abs=10)


def test_a_freeze_keeps_fixes_out_and_that_is_what_they_wait_for() -> None:
    town, runs = frozen(NOBODY_EXCEPTED)
    since = town.now
    town.pause(300)
    run = runs["S1a"]
    run.fast = True  # as of a run that has become the fix meanwhile: it waits for no lock, but for the freeze
    town.tick(ENDS - town.now)
    assert run.waits[Cause.FREEZE] == pytest.approx(ENDS - since, abs=10)


def test_what_durations_come_to_is_worked_out_again_when_they_have_changed_and_for_no_fork() -> None:
    statistics, asked = Statistics(), list[list[float]]()

    def work(seconds: Sequence[float]) -> float:
        asked.append([*seconds])
        return sum(seconds)

    durations = [1.0, 2.0]
    assert [statistics.worked_out("build", durations, work) for _ in range(2)] == [3.0, 3.0]
    assert statistics.fork().worked_out("build", durations, work) == 3.0
    durations.append(4.0)
    assert statistics.worked_out("build", durations, work) == 7.0
    assert asked == [[1.0, 2.0], [1.0, 2.0, 4.0]]


def test_no_more_runs_are_kept_than_the_history_keeps() -> None:
    statistics = Statistics({f"run/S1.{n}": MeasuredRun("S1", 0.0, ended=float(n)) for n in range(1, 11)})
    statistics.forget_old(10_000.0, runs=3)
    assert [rest for rest, _ in statistics.of("run")] == ["S1.8", "S1.9", "S1.10"]
