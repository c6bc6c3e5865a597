"""The cost of one event does not depend on how many runs are live: counted in steps of the interpreter, not timed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from bot.core.model.board_records import ServiceState
from bot.core.model.pipeline import Lane, Step, Track
from bot.core.model.run import Attempt, Run, Status
from bot.core.rules.decision import LIMITS
from tests.core.town import Town
from tests.core.world import shop

pytestmark = pytest.mark.slow  # thousands of live runs, counted by opcode

FEW, MANY = 10, 3_000
#: How much more one event may cost with MANY live runs than with FEW.
GROWTH = 1.3


class Count:
    """How many instructions of the rules were executed."""

    def __init__(self) -> None:
        self.steps = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is executed meanwhile in bot/core."""

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if "/bot/core/" not in frame.f_code.co_filename:
                return None
            frame.f_trace_opcodes = True
            self.steps += event == "opcode"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before)


def crowd(live: int, services: list[str], pre_production: int = 1) -> Town:
    """S1a runs in pre-production, S1z in acceptance; `live` runs of `services` wait or run around them."""
    names = ("S1", *(name for name in services if name != "S1"))
    town = Town(shop(acceptance=None, services=names, pre_production=pre_production))
    town.merge_up_to("S1", "a", before="pre-production")
    town.start_build("S1a")
    town.merge_up_to("S1", "z", before="acceptance")
    town.start_build("S1z")
    for number in range(live):
        _join(town, services[number % len(services)], number)
    town.board.put(replace(town.board.counters, next_queue_number=live + 1_000))
    town.board.take_changes()
    return town


def _join(town: Town, service: str, number: int) -> None:
    state = town.board.services.get(service) or ServiceState(service)
    before = state.history.head.sha if state.history.head else None
    history, position = state.history.push(before, f"{service}x{number}", forced=False)
    town.board.put(replace(state, history=history, number=state.number + 1))
    waits = number % 3 != 0
    run = Run(
        key=f"{service}.{state.number + 1}",
        service=service,
        position=position,
        lane=Lane.MAIN,
        status=Status.WAITING if waits else Status.RUNNING,
        step=Step("pre-production" if waits else "acceptance"),
        queue_number=100 + number,
        created=town.now,
        since=town.now,
        version="1",
        attempt=Attempt(2, build=None if waits else 10_000 + number),
        passed=(Step("build"), Step("acceptance")) if waits else (Step("build"),),
    )
    town.board.put(run)


def merge(town: Town) -> None:
    """A merge of S1."""
    town.merge("S1", "m")


def pre_production_ends(town: Town) -> None:
    """S1a passes pre-production."""
    town.pass_build("S1a")


def pre_production_breaks(town: Town) -> None:
    """S1a fails in pre-production."""
    town.fail_build("S1a")


def acceptance_ends(town: Town) -> None:
    """S1z passes acceptance."""
    town.pass_build("S1z")


def cost(event: Callable[[Town], None], live: int, services: list[str], *, locked: bool) -> int:
    """What the rules execute for one event."""
    town = crowd(live, services)
    if locked:
        town.lock("pre-production")
    count = Count()
    with count.counting():
        event(town)
    assert count.steps > 100, "nothing was counted"
    return count.steps


MANY_SERVICES = [f"T{number}" for number in range(10)]


@pytest.mark.parametrize("services", [MANY_SERVICES, ["T1"], ["S1"]], ids=["of ten", "of one other", "of its own"])
@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
@pytest.mark.parametrize("event", [merge, pre_production_ends, pre_production_breaks, acceptance_ends])
def test_an_event_costs_the_same_with_many_live_runs(
    event: Callable[[Town], None], services: list[str], *, locked: bool
) -> None:
    few, many = (cost(event, live, services, locked=locked) for live in (FEW, MANY))
    assert many <= few * GROWTH, f"{few} steps with {FEW} live runs, {many} with {MANY}"


@pytest.mark.parametrize("event", [merge, pre_production_ends, pre_production_breaks, acceptance_ends])
def test_an_event_costs_the_same_with_many_services(event: Callable[[Town], None]) -> None:
    few, many = (
        cost(event, FEW, [f"T{number}" for number in range(services)], locked=False) for services in (10, 1_000)
    )
    assert many <= few * GROWTH, f"{few} steps with 10 services, {many} with 1,000"


def waits_for_its_own(live: int) -> int:
    """The cost of an event while pre-production has room, but all who wait for it wait for a run of their service."""
    town = crowd(live, ["S1"], pre_production=3)
    count = Count()
    with count.counting():
        acceptance_ends(town)
    assert town.board.queue_length(Step("pre-production")) > live // 2
    return count.steps


def test_to_wait_for_a_run_of_its_own_service_costs_the_same_however_many_wait() -> None:
    few, many = waits_for_its_own(FEW), waits_for_its_own(MANY)
    assert many <= few * GROWTH, f"{few} steps with {FEW} live runs, {many} with {MANY}"


def fix_passes(live: int) -> int:
    """The cost of the event with which the fix opens the lock, while `live` runs of others stand around."""
    town = crowd(live, MANY_SERVICES)
    town.fail_build("S1a")
    town.merge("S1", "e")
    while town.run("S1e").step != Step("pre-production", Track.REAL):
        town.pass_build("S1e")
    town.start_build("S1e")
    count = Count()
    with count.counting():
        town.pass_build("S1e")
    assert not town.locks()
    return count.steps


def test_clean_up_unlock_and_entry_cost_the_same_with_many_live_runs() -> None:
    few, many = fix_passes(FEW), fix_passes(MANY)
    assert many <= few * GROWTH, f"{few} steps with {FEW} live runs, {many} with {MANY}"


def removes(live: int) -> int:
    """The cost of the event with which a fix passes that contains `live` runs, of which so many go at once."""
    town = crowd(live, ["S1"])
    town.github.heads["S1"] = f"S1x{live - 1}"  # the fix is merged onto the last of them
    town.fail_build("S1a")
    town.merge("S1", "e")
    while town.run("S1e").step != Step("pre-production", Track.REAL):
        town.pass_build("S1e")
    town.start_build("S1e")
    count = Count()
    with count.counting():
        town.pass_build("S1e")
    assert town.board.clean_ups, "there is more to remove than goes at once"
    return count.steps


def test_the_first_part_of_a_clean_up_costs_the_same_however_much_there_is_to_remove() -> None:
    few, many = removes(3 * LIMITS.removed_at_once), removes(MANY)
    assert many <= few * GROWTH, f"{few} steps with {3 * LIMITS.removed_at_once} runs to remove, {many} with {MANY}"


def test_the_count_sees_a_walk_through_all_runs() -> None:
    towns = [crowd(live, MANY_SERVICES) for live in (FEW, MANY)]
    steps = []
    for town in towns:
        count = Count()
        with count.counting():
            town.view()
            list(town.board.queue(Step("pre-production")))
        steps.append(count.steps)
    assert steps[1] > steps[0] * GROWTH
