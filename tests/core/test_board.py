"""The board's look-ups match its records; each change is returned once, and can be undone."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from bot.core.model import replaced
from bot.core.model.board import Board, build_board
from bot.core.model.board_records import FAMILIES, Change, CleanUp
from bot.core.model.effects import Withdraw
from bot.core.model.events import PullMoved
from bot.core.model.freezes import PullLabels
from bot.core.model.history import Position
from bot.core.model.messages import AskedBy, Verbatim
from bot.core.model.pipeline import VERIFY, AbortLevel, Job, Lane, Mode, Outcome, Step, Track, Verify
from bot.core.model.run import Abort, Attempt, Merge, Moved, PullAuthor, Run, Status, verified_pull
from bot.core.model.stage_state import Lock, StageBackoff
from bot.core.rules.notices import standing
from tests.core.town import Town
from tests.core.world import indexes_of, rebuilt, records_of, shop

ACC, PRE = "acceptance", "pre-production"


def lock(key: str, since: float = 1.0, until: float | None = None) -> Lock:
    return Lock(f"{PRE}/{key}", PRE, Verbatim("maintenance"), "ann", since, until=until)


@pytest.fixture
def board() -> Board:
    return Town().board


# -- changes ---------------------------------------------------------------------------------------------------


def test_each_record_that_was_changed_is_told_once_and_as_it_was_before_all_changes(board: Board) -> None:
    first, second = lock("1"), lock("2")
    board.put(first)
    assert board.take_changes() == [Change(None, first)]
    assert board.take_changes() == []
    later = replace(first, reason="it takes longer")
    for record in replace(first, reason="for now"), later, second:
        board.put(record)
    board.drop(second)
    assert board.take_changes() == [Change(first, later)], "what came and went meanwhile is no change"
    board.drop(later)
    assert board.take_changes() == [Change(later, None)]


def test_what_is_taken_back_is_in_no_look_up_any_more() -> None:
    town = Town()
    town.break_stage("S1", "a")
    before = records_of(town.board)
    run = town.run("S1a")
    version = town.board.version("S1", run.step)
    town.board.put(replace(version, service="S2", key=f"S2/{run.step}"))
    town.board.drop(run)
    town.board.drop(town.board.locks_of(PRE)[0])
    town.board.undo()
    assert records_of(town.board) == before
    assert town.board.version("S2", run.step).present is None
    assert town.board.of_commit("S1", "S1a") == [run]
    assert town.board.take_changes() == []


def test_a_run_that_came_and_went_is_taken_back_while_a_stage_is_locked() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.merge("S2", "b")
    board, run = town.board, town.run("S2b")
    before = standing(board), records_of(board), indexes_of(board)
    new = replace(run, key="S2.9")
    board.put(new)
    board.drop(new)
    board.undo()
    assert (standing(board), records_of(board), indexes_of(board)) == before


def test_header_and_counters_are_taken_back_like_every_record(board: Board) -> None:
    header, counters = board.header, board.counters
    paused = replace(header, mode=Mode.PAUSE)
    board.put(paused)
    number = board.queue_number()
    assert board.take_changes() == [Change(header, paused), Change(counters, board.counters)]
    board.put(header)
    board.queue_number()
    board.undo()
    assert (board.header, board.counters.next_queue_number) == (paused, number + 1)


def test_what_is_kept_without_asking_what_it_was_is_no_change_and_is_not_taken_back(board: Board) -> None:
    board.put(lock("1"))
    board.forget_changes()
    board.undo()
    assert board.stored("lock", f"{PRE}/1") == lock("1")
    assert board.take_changes() == []


def test_whatever_changes_of_a_run_it_is_found_as_on_a_board_that_is_built_anew() -> None:
    pipeline = shop()
    town = Town(replace(pipeline, stages=tuple(replace(stage, timeout=100.0) for stage in pipeline.stages)))
    town.lock(ACC)
    for letter in "ab":
        town.merge_up_to("S1", letter, ACC)
    waiting = town.run("S1b")
    running = replace(waiting, status=Status.RUNNING, attempt=Attempt(2, build=7))
    beside = replace(running, since=waiting.since + 10)
    town.board.put(replace(beside, key=town.key("S1a"), position=town.run("S1a").position))
    labels = (PullLabels(7, ("hotfix",)),)
    changes: list[tuple[Run, dict[str, Any]]] = [
        (waiting, {"status": Status.STARTING}),
        (waiting, {"step": Step(PRE)}),
        (waiting, {"lane": Lane.FAST}),
        (waiting, {"queue_number": 0}),
        (waiting, {"retrying": True}),
        (waiting, {"moved": Moved(9, "ann", "the fair")}),
        (waiting, {"merge": Merge(7, (7,), labels=labels)}),
        (waiting, {"let_through": AskedBy("kim", "the shop is down")}),
        (running, {"step": Step(PRE)}),
        (running, {"lane": Lane.FAST}),
        (running, {"since": waiting.since + 50}),
        (running, {"attempt": replace(running.attempt, timed_out=True)}),
        (running, {"attempt": replace(running.attempt, abort=Abort(AbortLevel.STOP, 1.0))}),
    ]
    for run, change in changes:
        changed = replace(run, **change)
        for each in run, changed, run:
            town.board.put(each)
            assert indexes_of(town.board) == indexes_of(rebuilt(town.board)), change


def test_a_record_is_found_by_its_family_and_key(board: Board) -> None:
    board.put(lock("1"))
    assert board.stored("lock", f"{PRE}/1") == lock("1")
    assert board.stored("run", f"{PRE}/1") is None


# -- slots -----------------------------------------------------------------------------------------------------


def test_a_build_started_by_hand_takes_a_slot_of_its_own_stage_only() -> None:
    town = Town()
    town.see_unmanaged(ACC)
    town.merge_up_to("S1", "a", PRE)
    assert town.runs_in(PRE) == ["S1a"]
    assert [len(town.board.unmanaged_builds(Step(stage))) for stage in (ACC, PRE)] == [1, 0]
    assert [town.board.occupied(Step(stage)) for stage in (ACC, PRE)] == [1, 1]
    town.see_unmanaged(ACC, Outcome.SUCCESS)
    assert [town.board.occupied(Step(stage)) for stage in (ACC, PRE)] == [0, 1]


def test_what_is_not_configured_has_no_slots(board: Board) -> None:
    steps = Step("gone"), Step("gone", Track.FAST), Step("build", Track.FAST), VERIFY
    assert [board.capacity(step) for step in steps] == [0, 0, 0, 0]
    assert board.capacity(Step("build")) is None


def test_a_pipeline_has_no_slots_for_what_it_does_not_have() -> None:
    pipeline = shop(fast=False)
    without = ("acceptance", Track.FAST), ("gone", Track.REAL), ("", Track.VERIFY)
    assert [pipeline.capacity(*step) for step in without] == [0, 0, 0]


def test_the_runs_of_every_service_are_read_oldest_first() -> None:
    """The index of a service is a set, so one service alone could be in order by chance."""
    services = tuple(f"S{number}" for number in range(12))
    town = Town(shop(services=services))
    for letter in "ab":
        for service in services:
            town.merge(service, letter)
    for service in services:
        assert [run.sha for run in town.board.of_service(service)] == [f"{service}a", f"{service}b"]


def test_a_verification_holds_a_slot_and_is_no_run_inside() -> None:
    town = Town(replace(shop(), verify=Verify(Job("build", "verify"))))
    town.send(PullMoved("S1", 12, "a" * 40, at=1.0))
    assert [built.key for built in town.board.holding(VERIFY)] == ["S1.pr12-1"]
    assert town.board.inside(VERIFY) == []


def test_all_of_a_service_enter_where_there_is_room() -> None:
    town = Town()
    town.lock(ACC)
    for letter in "ab":
        town.merge_up_to("S1", letter, ACC)
    town.unlock(ACC)
    assert town.runs_in(ACC) == ["S1b", "S1a"]


def test_of_two_runs_of_one_commit_the_other_is_found_when_one_has_left() -> None:
    town = Town()
    town.merge("S1", "a")
    town.merge("S1", "b")
    town.force_push("S1", "a", onto=None)
    older, younger = town.board.of_commit("S1", "S1a")
    town.board.drop(older)
    assert town.board.of_commit("S1", "S1a") == [younger]


def test_the_runs_of_one_commit_are_read_oldest_first() -> None:
    """Of twelve services, because the index of a commit is a set."""
    services = tuple(f"S{number}" for number in range(12))
    town = Town(shop(services=services))
    for service in services:
        for letter in "ab":
            town.merge(service, letter)
        town.force_push(service, "a", onto=None)
        assert [run.key for run in town.board.of_commit(service, f"{service}a")] == [f"{service}.1", f"{service}.3"]


def test_a_stage_that_is_gone_has_no_slots_and_its_version_is_none_of_the_configured_steps() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    assert [version.step.stage for version in town.board.versions_of("S1")] == ["build", ACC]
    assert town.board.capacity(Step(ACC)) == 3
    town.configure(shop(without=(ACC,)))
    assert [version.step.stage for version in town.board.versions_of("S1")] == ["build"]
    assert town.board.capacity(Step(ACC)) == 0


def test_a_service_waits_for_a_step_as_long_as_one_of_its_runs_does() -> None:
    town = Town()
    town.lock(ACC)
    for letter in "ab":
        town.merge_up_to("S1", letter, ACC)
    step = town.run("S1a").step
    first, second = town.board.queue(step)
    for run in first, second, first, second:  # nothing is counted twice
        town.board.put(run)
    town.board.drop(first)
    assert town.board.services_waiting(step) == {"S1"}
    town.board.drop(second)
    assert town.board.services_waiting(step) == set()


def test_the_steps_that_somebody_waits_for_are_listed_in_the_order_of_the_stages() -> None:
    town = Town()
    for stage in PRE, ACC:
        town.lock(stage)
    town.merge_up_to("S1", "a", ACC)
    assert town.board.steps_waited_for() == [Step(ACC)]
    town.unlock(ACC)
    town.pass_build("S1a")
    town.lock(ACC)
    town.merge_up_to("S2", "a", ACC)
    assert town.board.steps_waited_for() == [Step(ACC), Step(PRE)]


def test_the_queue_is_read_from_any_place_on() -> None:
    town = Town()
    town.lock(ACC)
    for service in "S1", "S2", "S3":
        town.merge_up_to(service, "a", ACC)
    step = Step(ACC)
    assert [[run.sha for run in town.board.queue(step, first)] for first in (0, 1, 3)] == [
        ["S1a", "S2a", "S3a"],
        ["S2a", "S3a"],
        [],
    ]


# -- the clock -------------------------------------------------------------------------------------------------


def test_the_locks_of_a_stage_are_read_oldest_first(board: Board) -> None:
    for key, since in ("new", 20.0), ("old", 10.0):
        board.put(replace(lock(key), since=since))
    assert [each.since for each in board.locks_of(PRE)] == [10.0, 20.0]


def test_a_board_that_is_built_of_its_records_has_no_changes(board: Board) -> None:
    board.put(lock("1"))
    anew = build_board(board.header, board.records())
    assert anew.locks_of(PRE) == board.locks_of(PRE)
    assert anew.take_changes() == []


def test_a_lock_without_an_end_is_never_due(board: Board) -> None:
    board.put(lock("1"))
    assert board.next_due(0.0) is None
    board.put(lock("2", until=70.0))
    assert board.next_due(0.0) == 70.0


def test_a_stage_that_is_tried_again_by_now_is_due_no_more(board: Board) -> None:
    board.put(StageBackoff(PRE, Step(PRE), "503", 1.0, retry_at=6.0))
    assert [board.next_due(now) for now in (5.0, 6.0, 7.0)] == [6.0, None, None]


def test_of_several_builds_in_a_stage_only_those_are_late_that_have_run_too_long() -> None:
    pipeline = shop()
    town = Town(replace(pipeline, stages=tuple(replace(stage, timeout=100.0) for stage in pipeline.stages)))
    for service in "S1", "S2":
        town.merge_up_to(service, "a", ACC)
    town.start_build("S1a")
    started = town.now
    town.tick(50)
    town.start_build("S2a")
    assert [built.sha for built in town.board.overdue(started + 99.0)] == []
    assert [built.sha for built in town.board.overdue(started + 100.0)] == ["S1a"]


# -- what goes out ---------------------------------------------------------------------------------------------


def test_cancelling_in_the_queue_stopping_and_ending_more_firmly_are_effects_of_their_own() -> None:
    cancel = Withdraw("S1.1", 1, Job("cdp", ACC), 7, 9, abort=False)
    stop = replace(cancel, abort=True)
    assert len({cancel.slot, stop.slot, replace(stop, level=AbortLevel.TERM).slot, replace(stop, build=10).slot}) == 4
    assert replace(cancel, level=AbortLevel.TERM).slot == cancel.slot, "the level counts only for an abort"


def test_a_record_is_replaced_as_dataclasses_would_do_it() -> None:
    run = Run("S1.1", "S1", Position(1, 1, "a"), Lane.MAIN, Status.WAITING, Step("build"), 1, 1.0, 1.0, "v")
    assert replaced.replace(run, queue_number=7, passed=(Step("build"),)) == dataclasses.replace(
        run, queue_number=7, passed=(Step("build"),)
    )
    assert run.queue_number == 1
    with pytest.raises(TypeError, match="Run has no field 'number'"):
        replaced.replace(run, number=7)  # type: ignore[call-arg]


def test_every_record_of_the_board_is_copied_field_by_field() -> None:
    for kind in (kind for kind in FAMILIES if kind is not CleanUp):  # which has its key only: nothing to replace
        record: Any = object.__new__(kind)
        for field in dataclasses.fields(kind):
            object.__setattr__(record, field.name, object())
        copied = replaced.replace(record)
        assert all(getattr(copied, each.name) is getattr(record, each.name) for each in dataclasses.fields(kind))


def test_a_record_that_is_made_quickly_takes_the_same_and_is_as_frozen() -> None:
    made = Position(1, seq=2, sha="a")
    assert (made.segment, made.seq, made.sha) == (1, 2, "a")
    assert type(replaced.replace(made, seq=3)) is Position
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.seq = 3  # type: ignore[misc]
    with pytest.raises(TypeError, match="sha"):
        Position(1, 2)  # type: ignore[call-arg]
    assert Attempt(3) == Attempt(number=3, build=None) != Attempt(4)


# -- names -----------------------------------------------------------------------------------------------------


def test_a_verification_is_named_by_service_and_pull_request() -> None:
    assert verified_pull("shop.web.pr12-3") == ("shop.web", 12)
    assert verified_pull("S1.12") is None


def test_whoever_wrote_a_commit_of_a_push_without_a_pull_request_is_named_once() -> None:
    merge = Merge(author="ann").with_authors(PullAuthor(0, "ann"), PullAuthor(0, "bob"), PullAuthor(0, ""))
    assert merge.authors == (PullAuthor(0, "bob"),)
    merge = Merge(7, (7,), author="ann").with_authors(PullAuthor(7, "ann"), PullAuthor(8, "ann"))
    assert merge.authors == (PullAuthor(8, "ann"),)
