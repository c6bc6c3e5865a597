"""A copy of the board that catches up with what others committed is the board as it is stored."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import (
    FAMILIES,
    Change,
    CleanUp,
    Counters,
    HandledCommand,
    Header,
    Pulls,
    PushedCommits,
    Record,
    ServiceState,
)
from bot.core.model.history import CommitHistory, Position
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job, Lane, Mode, Pipeline, Service, Step
from bot.core.model.run import Attempt, Merge, Run, Status, Verification
from bot.core.model.stage_state import FollowUp, Lock, PastBuild, StageBackoff, StageVersion, UnmanagedBuild
from bot.store.codec import dump_record, field_of, load_record
from bot.store.parts import changed_fields, fields_of, records_of, with_changes
from bot.store.replica import BoardReplica
from bot.store.store import Store
from demo.pipeline import pipeline as pictures
from tests.state.conftest import StoredPipeline, put, stored_pipeline

STEPS = (Step("build"), Step("acceptance"), Step("pre-production"))
WORDS = st.text(max_size=8).filter(lambda t: t.isprintable())


def shape(name: str, capacity: int | None = 3) -> Pipeline:
    services = [Service("S1", "shop/s1")]
    return pictures(name, services=services, fast=False, changes={"acceptance": {"capacity": capacity}})


@st.composite
def runs(draw: st.DrawFn) -> Run:
    number = draw(st.integers(1, 6))
    return Run(
        f"S1.{number}",
        "S1",
        Position(1, number, f"{number:040x}"),
        draw(st.sampled_from(Lane)),
        draw(st.sampled_from(Status)),
        draw(st.sampled_from(STEPS)),
        draw(st.integers(1, 20)),
        1.5,
        draw(st.floats(0, 2e9, allow_nan=False)),
        "S1-1",
        attempt=Attempt(draw(st.integers(0, 3)), build=draw(st.none() | st.integers(1, 9))),
        retrying=draw(st.booleans()),
        merge=Merge(title=draw(WORDS)),
    )


LOCKS = st.builds(
    lambda n, until, words: Lock(f"pre-production/{n}", "pre-production", Verbatim(words), "kim", 1.0, until=until),
    st.integers(1, 3),
    st.none() | st.floats(0, 2e9),
    WORDS,
)


@st.composite
def services(draw: st.DrawFn) -> ServiceState:
    """What is remembered of S1 after some pushes and commands: the first and the last of what came."""
    history, head = CommitHistory(), None
    for number in range(draw(st.integers(0, 60))):
        before = head if draw(st.booleans()) else "?"
        head = f"c{draw(st.integers(0, 40))}-{number}"
        history, _ = history.push(before, head, forced=draw(st.booleans()))
    told = draw(st.integers(0, 9))
    pushes = tuple(f"push {number}" for number in range(max(1, told - 3), told + 1))
    pushed = tuple(PushedCommits(f"head {number}", ("a", "b")) for number in range(max(1, told - 1), told + 1))
    heard = tuple(HandledCommand(f"comment/{number}", "ann", 1.0) for number in range(draw(st.integers(0, 2))))
    counts = {"push_count": told, "pushed_count": told, "number": draw(st.integers(0, 99))}
    return ServiceState(
        "S1", history, pushes=pushes, pushed=pushed, handled_commands=heard, answered=((1, 2.0),) * told, **counts
    )


SERVICES = services()
TROUBLES = st.builds(
    lambda s, n: StageBackoff(str(s), s, "why", 1.0, 2.0, n), st.sampled_from(STEPS), st.integers(1, 9)
)
STRANGERS = st.builds(lambda s, n: UnmanagedBuild(f"cdp/job/{n}", s, n, 1.0), st.sampled_from(STEPS), st.integers(1, 3))
COUNTERS = st.builds(Counters, st.integers(1, 99), st.integers(1, 99))
RECORDS = st.one_of(runs(), LOCKS, SERVICES, TROUBLES, STRANGERS, COUNTERS)
#: A step of somebody's life with the board: put or drop a record, commit, or let a reader catch up.
STEPS_OF_LIFE = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "drop", "commit", "commit", "read"]), RECORDS), max_size=25
)


def everything(board: Board) -> dict[str, Record]:
    return {field_of(record): record for record in board.records()}


def whole(pipeline: StoredPipeline) -> Board:
    """The board as a reader loads it that has never seen it."""
    reader = pipeline.reader()
    reader.refresh()
    return reader.board


def commit(pipeline: StoredPipeline, board: Board) -> None:
    pipeline.turn(*board.take_changes())


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STEPS_OF_LIFE)
def test_a_reader_that_catches_up_sees_what_a_full_load_shows(redis: Redis, story: list[tuple[str, Record]]) -> None:
    pipeline = stored_pipeline(redis)
    board, reader = pipeline.store.copy.board, pipeline.reader()
    board.put(Header(shape(pipeline.keys.pipeline), Mode.RUN))
    commit(pipeline, board)
    reader.refresh()
    for what, record in story:
        if what == "put":
            board.put(record)
        elif what == "drop" and not isinstance(record, (Counters, Header)):
            board.drop(record)
        elif what == "commit":
            commit(pipeline, pipeline.store.copy.board)
        elif what == "read":
            reader.refresh()
    commit(pipeline, pipeline.store.copy.board)
    reader.refresh()
    stored = whole(pipeline)
    assert everything(reader.board) == everything(stored) == everything(pipeline.store.copy.board)
    assert reader.version == pipeline.store.copy.version
    for step in STEPS:
        queues = [[r.key for r in b.queue(step)] for b in (reader.board, stored)]
        assert queues[0] == queues[1]
        assert reader.board.inside(step) == stored.inside(step)
    pipeline.redis.delete(*redis.scan_iter(match=f"*{pipeline.keys.pipeline}*", count=1000))


@given(record=RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert load_record(field_of(record), dump_record(record)) == record
    assert list(records_of(fields_of(record).items())) == [record]


@given(before=SERVICES, after=SERVICES)
def test_the_parts_of_a_service_that_changed_make_the_old_one_the_new_one(
    before: ServiceState, after: ServiceState
) -> None:
    changed = list(changed_fields(Change(before, after)))
    assert with_changes(before, "S1", changed) == after
    stored = fields_of(before) | dict(changed)
    assert list(records_of((field, text) for field, text in stored.items() if text)) == [after]
    assert with_changes(after, "S1", changed_fields(Change(after, None))) is None


def test_a_configuration_is_read_as_it_was_written() -> None:
    header = Header(shape("p"), Mode.OBSERVE, "kim", "to look first")
    assert load_record(field_of(header), dump_record(header)) == header


def unmanaged(number: int) -> UnmanagedBuild:
    return UnmanagedBuild(f"cdp/job/{number}", STEPS[0], number, 1.0)


def requests_for_everything(pipeline: StoredPipeline, reader: BoardReplica) -> int:
    """How often a refresh asks for the whole board."""
    pipeline.redis.config_resetstat()
    reader.refresh()
    return int(pipeline.redis.info("commandstats").get("cmdstat_hgetall", {}).get("calls", 0))


def test_a_reader_loads_everything_once_and_then_only_what_changed(pipeline: StoredPipeline) -> None:
    pipeline.turn(put(unmanaged(1)))
    reader = pipeline.reader()
    assert requests_for_everything(pipeline, reader) == 1
    pipeline.turn(put(unmanaged(2)))
    assert requests_for_everything(pipeline, reader) == 0
    assert requests_for_everything(pipeline, reader) == 0
    assert len(reader.board.unmanaged) == 2


@pytest.mark.slow
def test_a_copy_that_lags_too_far_behind_is_loaded_anew(pipeline: StoredPipeline) -> None:
    store = Store(pipeline.redis, pipeline.keys, changes_kept=10)
    pipeline.turn(put(unmanaged(0)), store=store)
    reader, worker = pipeline.reader(), pipeline.another()
    reader.refresh()
    worker.begin("w")
    worker.release("w")
    for number in range(1, 250):
        pipeline.turn(put(unmanaged(number)), store=store)
    assert pipeline.redis.xlen(pipeline.keys.changes) < 200
    reader.refresh()
    assert len(reader.board.unmanaged) == 250
    pipeline.accept()
    worker.begin("w")
    assert len(worker.copy.board.unmanaged) == 250


def test_a_record_that_came_and_went_within_one_turn_leaves_nothing(pipeline: StoredPipeline) -> None:
    reader = pipeline.reader()
    reader.refresh()
    pipeline.turn(Change(unmanaged(1), None))
    reader.refresh()
    assert reader.board.unmanaged == {}


def test_a_pipeline_that_nobody_configured_is_an_empty_board(pipeline: StoredPipeline) -> None:
    assert list(whole(pipeline).records()) == [Header(Pipeline(pipeline.keys.pipeline, (), ())), Counters()]


@pytest.mark.parametrize(
    "record",
    [
        Run("S1.1", "S1", Position(1, 1, "a"), Lane.MAIN, Status.WAITING, STEPS[0], 1, 0.0, 0.0, "v"),
        Verification("S1.pr1-1", "S1", 1, "a", Status.WAITING, 1, 0.0, 0.0, "v", Job("cdp", "verify")),
        Pulls("S1"),
        Lock("build/1", "build", Verbatim("why"), "ann", 0.0),
        ServiceState("S1"),
        StageVersion("S1/build", "S1", STEPS[0]),
        StageBackoff("build", STEPS[0], "why", 0.0, 1.0),
        UnmanagedBuild("cdp/build/1", STEPS[0], 1, 0.0),
        PastBuild("cdp/build/1", 1, 0.0),
        CleanUp("S1"),
        FollowUp("build", 1),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_of_every_kind_is_gone_from_a_copy_when_it_was_dropped(
    pipeline: StoredPipeline, record: Record
) -> None:
    reader = pipeline.reader()
    pipeline.turn(put(record))
    reader.refresh()
    assert record in list(reader.board.records())
    pipeline.turn(Change(record, None))
    reader.refresh()
    assert record not in list(reader.board.records())


def test_every_kind_of_record_is_among_them() -> None:
    mark = test_a_record_of_every_kind_is_gone_from_a_copy_when_it_was_dropped.pytestmark[0]
    assert {type(record) for record in mark.args[1]} == {*FAMILIES} - {Header, Counters}
