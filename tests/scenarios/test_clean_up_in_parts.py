"""A fix that contains thousands of runs: they are removed in parts, one per turn; the last opens the lock (F8, F9)."""

from __future__ import annotations

import pytest

from bot.core.model.board import Board, build_board
from bot.core.model.effects import Trigger
from bot.core.model.events import ModeAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Mode
from bot.core.model.run import Status
from bot.core.rules.consequences import foresee
from bot.core.rules.decision import DecisionLimits
from bot.store.codec import dump_record, field_of, load_record
from tests.core.town import Town
from tests.core.world import shop

ACC, PRE = "acceptance", "pre-production"


@pytest.fixture
def town() -> Town:
    """S1a holds the lock; S1b to S1f wait behind it and S2a behind those; the fix S1g is in pre-production."""
    opened = Town(shop(acceptance=1), DecisionLimits(removed_at_once=2))
    for service, letter in ("S1", "a"), ("S1", "b"), ("S1", "c"), ("S2", "a"):
        opened.merge_up_to(service, letter, PRE)
    for letter in "de":
        opened.merge("S1", letter)
        opened.pass_build(f"S1{letter}")
    opened.fail_build("S1a")
    opened.merge("S1", "g")
    while opened.at("S1g") != PRE:
        opened.pass_build("S1g")
    opened.start_build("S1g")
    assert (opened.queue(PRE), opened.queue(ACC), opened.runs_in(ACC)) == (["S2a", "S1c", "S1b"], ["S1e"], ["S1d"])
    opened.quiet()
    return opened


def stored(board: Board) -> Board:
    """The board as the next worker finds it, when this one died after its commit."""
    records = [load_record(field_of(record), dump_record(record)) for record in board.records()]
    return build_board(board.header, [record for record in records if record.key != board.header.key])


def test_a_part_goes_in_each_decision_and_the_next_is_due_at_once(town: Town) -> None:
    town.pass_build("S1g")
    assert town.told(FactKind.RUN_SUPERSEDED) == ["S1a", "S1b"]
    assert town.board.next_due(town.now) == town.now
    assert town.locks() == ["S1a"], "the lock stays until the last is gone"
    assert town.queue(PRE) == ["S2a", "S1c"]
    town.tick(0)
    assert town.told(FactKind.RUN_SUPERSEDED) == ["S1a", "S1b", "S1c"]
    town.tick(0)
    assert town.told(FactKind.RUN_SUPERSEDED) == ["S1a", "S1b", "S1c", "S1e"]
    assert town.board.next_due(town.now) is None


def test_who_is_leaving_and_whose_build_has_not_ended_takes_no_part_of_the_next_decision() -> None:
    town = Town(shop(acceptance=None), DecisionLimits(removed_at_once=1))
    town.merge_up_to("S1", "a", PRE)
    for letter in "bcd":
        town.merge_up_to("S1", letter, ACC)
        town.start_build(f"S1{letter}")
    town.fail_build("S1a")
    town.merge("S1", "g")
    while "S1g" in town.live():
        town.pass_build("S1g")
    for _ in "bcd":
        town.tick(0)
    assert [run.status for run in town.board.of_service("S1")] == [Status.ENDING] * 3
    assert town.locks() == []


def test_what_the_next_parts_do_is_foreseen(town: Town) -> None:
    town.pass_build("S1g")
    found = foresee(town.board, ModeAsked(Mode.PAUSE, "ann", "why"), town.now, town.limits)
    assert [each.who.sha for each in found.ends] == ["S1c", "S1e"]
    assert [lock.run for lock in found.opens] == [town.key("S1a")]
    assert town.told(FactKind.RUN_SUPERSEDED) == ["S1a", "S1b"], "nothing of it has happened"


def test_with_the_last_part_the_lock_opens_and_the_next_run_enters_in_one_decision(town: Town) -> None:
    town.pass_build("S1g")
    town.tick(0)
    assert town.runs_in(PRE) == []
    town.quiet()
    town.tick(0)
    assert town.told(FactKind.STAGE_UNLOCKED)
    assert town.runs_in(PRE) == ["S2a"]
    assert town.board.locks == {}


def test_what_is_about_to_go_enters_nowhere_meanwhile(town: Town) -> None:
    town.pass_build("S1g")
    town.start_build("S1d")
    assert town.says("S1e").startswith("Interlock is removing older runs of S1 that its fix contains")
    town.pass_build("S1d")
    assert not town.did(Trigger, of="S1e")
    assert town.left("S1e") == ("superseded", "S1g")


def test_a_worker_that_dies_between_two_parts_leaves_the_rest_to_the_next(town: Town) -> None:
    town.pass_build("S1g")
    town.board = stored(town.board)
    town.tick(0)
    town.board = stored(town.board)
    town.tick(0)
    assert (town.board.locks, town.board.clean_ups) == ({}, {})
    assert town.runs_in(PRE) == ["S2a"]
    assert town.left("S1e") == ("superseded", "S1g")


def test_a_person_may_unlock_meanwhile_and_nothing_is_left(town: Town) -> None:
    town.pass_build("S1g")
    town.unlock(PRE)
    for _ in range(3):
        town.tick(0)
    assert town.board.clean_ups == {}
    assert town.live() == ["S1d", "S1g", "S2a"], "S1d keeps its slot until its build has ended"
    assert town.runs_in(PRE) == ["S2a"]
