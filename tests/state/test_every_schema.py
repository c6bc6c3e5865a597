"""What the code of every earlier schema stored comes to ours whole: in the store, and out of a backup file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.core.model.events import UnlockAsked
from bot.core.rules.decide import decide
from bot.reporting.messages import words
from bot.store import backup_file
from bot.store.backup import back_up
from bot.store.codec import load_effect
from bot.store.inbox import parked, read_backlog
from bot.store.keys import Keys
from bot.store.migrations.migration import migrate
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BARRIER, BoardReplica
from bot.store.restore import restore
from bot.store.scripts import FIRST, SCHEMA, InvalidSchema, Scripts, stored_schema
from bot.store.store import Store
from launch.embedded import Embedded
from tests.state.stored import put_back, stored
from workers.turn import decide_all

EARLIER = range(FIRST, SCHEMA)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A store of its own: a backup is of everything in it."""
    with Embedded(tmp_path_factory.mktemp("own"), fsync="no") as running:
        client = Redis.from_url(running.url)
        yield client
        client.close()


def before(schema: int, *names: str) -> Any:
    """What a key held, under the first of these names that it had."""
    found = stored(schema)
    return next((found[f"interlock:{{shop}}:{name}"]["value"] for name in names if _is_in(found, name)), {})


def _is_in(found: dict[str, Any], name: str) -> bool:
    return f"interlock:{{shop}}:{name}" in found


def records(schema: int, family: str) -> dict[str, Any]:
    rows = before(schema, "board").items()
    return {field: json.loads(text) for field, text in rows if field.startswith(f"{family}/") and field != BARRIER}


def board_of(redis: Redis, keys: Keys) -> BoardReplica:
    copy = BoardReplica(Scripts(redis), keys)
    copy.refresh()
    return copy


@pytest.mark.parametrize("schema", EARLIER)
def test_of_each_schema_there_is_what_an_installation_at_work_stores(schema: int) -> None:
    """Whoever raises the number adds a file which holds all of this, so that the next step meets it."""
    runs = records(schema, "run").values()
    assert {"waiting", "failed"} <= {run["status"] for run in runs}
    assert {"main", "fast"} <= {run["lane"] for run in runs}
    locks = records(schema, "lock").values()
    assert any(lock.get("run") for lock in locks) and any(not lock.get("run") for lock in locks)
    meta = before(schema, "meta")
    assert int(meta["accepted"]) > int(meta["taken"])
    waiting = [fields for entry, fields in before(schema, "inbox") if _is_after(entry, meta["cursor"])]
    assert "github" in {fields["s"] for fields in waiting} or schema == 5  # of schema 5 an event of our own waits
    assert len(waiting) == int(meta["accepted"]) - int(meta["taken"])
    for names in (("outbox",), ("dead-letters", "dead"), ("facts",), ("ended",)):
        assert before(schema, *names), names


def _is_after(entry: str, cursor: str) -> bool:
    return tuple(map(int, entry.split("-"))) > tuple(map(int, cursor.split("-")))


def _is_whole(redis: Redis, keys: Keys, schema: int) -> None:
    """Everything is there and loads: board, history, log, effects, dead letters, what waits."""
    board = board_of(redis, keys).board
    assert set(board.runs) == {run["key"] for run in records(schema, "run").values()}
    statuses = {run["key"]: (run["status"], run["lane"]) for run in records(schema, "run").values()}
    assert {run.key: (str(run.status), str(run.lane)) for run in board.runs.values()} == statuses
    assert {lock.key for lock in board.locks.values()} == {lock["key"] for lock in records(schema, "lock").values()}
    ended, total = Records(redis, keys).ended()
    assert total == len(ended) == len(before(schema, "ended"))
    facts = Records(redis, keys).facts_after("0-0", 2000)
    assert len(facts) == len(before(schema, "facts")) and all(words(told.fact.why) for _, told in facts)
    assert len(redis.hvals(keys.outbox)) == len(before(schema, "outbox"))
    for text in redis.hvals(keys.outbox):
        load_effect(text.partition(b"\n")[2])
    assert len(Outbox(redis, keys).dead_letters()) == len(before(schema, "dead-letters", "dead"))
    meta, backlog = before(schema, "meta"), read_backlog(Scripts(redis), keys)
    assert backlog.undecided == int(meta["accepted"]) - int(meta["taken"])
    assert backlog.schema == SCHEMA


def _goes_on(redis: Redis, keys: Keys) -> None:
    """What waits is decided, nothing of it is parked, and the automatic lock opens as one of ours."""
    store, aside = Store(redis, keys), len(parked(redis, keys))
    entries = store.begin("me")
    work = decide_all(store.copy.board, entries, redis, keys)
    assert len(parked(redis, keys)) == aside
    assert store.commit("me", entries, work) == []
    board = board_of(redis, keys).board
    (lock,) = [lock for lock in board.locks_of("pre-production") if lock.automatic]
    decide(board, UnlockAsked("pre-production", "alex", "it is fine", lock=lock.key), lock.since + 60)
    assert board.locks_of("pre-production") == []


@pytest.mark.parametrize("schema", EARLIER)
def test_what_it_stored_is_there_after_the_migration_and_goes_on(redis: Redis, schema: int) -> None:
    keys = put_back(redis, schema, f"i{uuid.uuid4().hex[:12]}")
    assert migrate(redis, keys) == schema
    _is_whole(redis, keys, schema)
    _goes_on(redis, keys)


@pytest.mark.parametrize("schema", EARLIER)
def test_a_backup_of_it_is_restored_and_migrated_at_the_next_start(
    own_server: Redis, tmp_path: Path, schema: int
) -> None:
    """The file says its schema; what it restores is not touched by anybody before it is migrated."""
    own_server.flushall()
    keys = put_back(own_server, schema, "interlock")
    back_up(own_server, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    assert head.schema == schema
    own_server.flushall()
    restore(own_server, tmp_path / "b", head)
    assert stored_schema(own_server, keys) == schema
    assert migrate(own_server, keys) == schema
    found = board_of(own_server, keys).board
    assert set(found.runs) == {run["key"] for run in records(schema, "run").values()}
    assert any(lock.automatic for lock in found.locks_of("pre-production"))


@pytest.mark.parametrize("schema", [0, -1])
def test_a_number_that_no_version_gave_is_refused(redis: Redis, schema: int) -> None:
    keys = put_back(redis, 2, f"i{uuid.uuid4().hex[:12]}")
    redis.hset(keys.meta, "schema", schema)
    before_it = redis.dump(keys.board)
    with pytest.raises(InvalidSchema, match=f"has schema {schema}, which no version of Interlock has stored"):
        migrate(redis, keys)
    assert redis.dump(keys.board) == before_it


def test_state_without_a_number_is_not_taken_for_an_empty_store(redis: Redis) -> None:
    """A board without its `meta`, or a `meta` that lost its number, may be of any schema: nobody may guess."""
    keys = put_back(redis, 5, f"i{uuid.uuid4().hex[:12]}")
    redis.hdel(keys.meta, "schema")
    with pytest.raises(InvalidSchema, match="has no schema number"):
        migrate(redis, keys)
