"""What schema 5 stored is brought to schema 6: everything loads and means what it meant, and the turn goes on."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from redis import Redis

from bot.core.model.effects import Notify
from bot.core.model.events import UnlockAsked
from bot.core.model.facts import FactKind
from bot.core.model.messages import Superseded
from bot.core.rules.decide import decide
from bot.reporting.messages import words
from bot.reporting.notices import notice
from bot.store.codec import dump_record, field_of, load_effect
from bot.store.keys import Keys
from bot.store.migrations.migration import migrate
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BARRIER, BoardReplica
from bot.store.scripts import SCHEMA, NewerSchema, Scripts, check_schema
from bot.store.statistics import StatisticsStore
from tests.state.stored import put_back, stored

PREFIX = "interlock:{shop}:"
BEFORE = stored(5)
PRE = "pre-production"


def before(name: str) -> Any:
    return BEFORE[f"{PREFIX}{name}"]["value"]


@pytest.fixture
def keys(redis: Redis) -> Keys:
    """What schema 5 stored, brought to ours."""
    found = put_back(redis, 5, f"i{uuid.uuid4().hex[:12]}")
    assert migrate(redis, found) == 5
    return found


def replica(redis: Redis, keys: Keys) -> BoardReplica:
    found = BoardReplica(Scripts(redis), keys)
    found.refresh()
    return found


def test_every_record_is_on_the_board_as_it_was(redis: Redis, keys: Keys) -> None:
    """Written again by this version each has the same JSON: no field was lost, and none says what it did not say."""
    board = replica(redis, keys).board
    was = {field: json.loads(text) for field, text in before("board").items() if field != BARRIER}
    records = [board.header, board.counters, *board.runs.values(), *board.locks.values(), *board.verifications.values()]
    found = {field_of(record): json.loads(dump_record(record)) for record in records}
    assert found.keys() == {field for field in was if field.partition("/")[0] in {f.partition("/")[0] for f in found}}
    for field, raw in found.items():
        assert raw == was[field], field
    assert sorted(redis.hkeys(keys.board)) == sorted(field.encode() for field in (*was, BARRIER))


def test_what_is_new_is_not_known_of_what_is_old(redis: Redis, keys: Keys) -> None:
    board = replica(redis, keys).board
    assert board.header.freezes == board.header.lifted == () and not board.follow_ups
    assert all(lock.build is None and lock.freeze == "" for lock in board.locks.values())
    assert all(run.moved is None and run.let_through is None for run in board.runs.values())
    ended, _ = Records(redis, keys).ended()
    superseded = [each.ending.why for each in ended if isinstance(each.ending.why, Superseded)]
    assert superseded and all(why.rule == "" for why in superseded)


def test_every_effect_and_dead_letter_is_what_it_was(redis: Redis, keys: Keys) -> None:
    was = {slot: text.partition("\n")[2] for slot, text in before("outbox").items()}
    rows = {slot.decode(): text.partition(b"\n")[2] for slot, text in redis.hgetall(keys.outbox).items()}
    assert rows.keys() == was.keys()
    for slot, text in rows.items():
        effect = load_effect(text)
        assert effect.slot == slot or slot.startswith("obey/")  # schema 3 put that there
        assert json.loads(text) == json.loads(was[slot])
        if isinstance(effect, Notify):
            assert all(notice(effect.about)) and effect.to == ()
    dead = {each.slot: each.error for each in Outbox(redis, keys).dead_letters()}
    assert dead == {slot: json.loads(text)["error"] for slot, text in before("dead-letters").items()}
    assert "it answers 500" in dead.values()


def test_the_log_and_the_statistics_go_on(redis: Redis, keys: Keys) -> None:
    records = Records(redis, keys)
    facts = records.facts_after("0-0", 2000)
    assert len(facts) == len(before("facts")) and all(words(each.fact.why) for _, each in facts)
    assert all(each.fact.lock is None for _, each in facts)
    assert any(each.fact.kind is FactKind.STAGE_LOCKED for _, each in facts)
    statistics = StatisticsStore(redis, keys, records)
    parts = {field for field in before("statistics") if field != "cursor"}
    assert statistics.load().parts.keys() == parts
    assert statistics.load().cursor == statistics.current().cursor == facts[-1][0]
    clock = statistics.current().clock(PRE)
    assert clock is not None and [(lock.holder, lock.key) for lock in clock.locks] == [("S2.3", "")]
    assert all(not run.ended for run in map(statistics.current().run, replica(redis, keys).board.runs) if run)


def test_the_story_goes_on_where_schema_5_left_it(redis: Redis, keys: Keys) -> None:
    board = replica(redis, keys).board
    (lock,) = board.locks_of(PRE)
    assert lock.automatic and lock.run == "S2.3"
    decide(board, UnlockAsked(PRE, "alex", "it is fine", lock=lock.key), lock.since + 60)
    assert board.locks_of(PRE) == []


def test_a_version_of_schema_5_is_kept_off(redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.scripts.SCHEMA", 5)
    with pytest.raises(NewerSchema, match=f"has schema {SCHEMA}, this version understands up to 5"):
        check_schema(redis, keys)
    with pytest.raises(NewerSchema):
        replica(redis, keys)
