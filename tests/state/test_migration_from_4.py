"""What schema 4 stored is brought to our schema: everything loads and says what it said, and the turn goes on."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from redis import Redis

from bot.core.model.effects import Banner, Notify
from bot.core.model.events import UnlockAsked
from bot.core.rules.decide import decide
from bot.reporting.messages import words
from bot.reporting.notices import notice
from bot.store.codec import load_effect
from bot.store.keys import Keys
from bot.store.migrations.migration import migrate
from bot.store.records import Records
from bot.store.replica import BARRIER, BoardReplica
from bot.store.scripts import SCHEMA, NewerSchema, Scripts, check_schema
from tests.state.stored import put_back, stored

PREFIX = "interlock:{shop}:"
BEFORE = stored(4)
PRE = "pre-production"


def before(name: str) -> Any:
    return BEFORE[f"{PREFIX}{name}"]["value"]


@pytest.fixture
def keys(redis: Redis) -> Keys:
    """What schema 4 stored, brought to ours."""
    found = put_back(redis, 4, f"i{uuid.uuid4().hex[:12]}")
    assert migrate(redis, found) == 4
    return found


def replica(redis: Redis, keys: Keys) -> BoardReplica:
    found = BoardReplica(Scripts(redis), keys)
    found.refresh()
    return found


def test_every_record_is_on_the_board(redis: Redis, keys: Keys) -> None:
    board = replica(redis, keys).board
    fields = [field for field in before("board") if field != BARRIER]
    assert sorted(redis.hkeys(keys.board)) == sorted(field.encode() for field in (*fields, BARRIER))
    raw = {field: json.loads(before("board")[field]) for field in fields}
    assert set(board.runs) == {each["key"] for field, each in raw.items() if field.startswith("run/")}
    reasons = {each["key"]: each["reason"] for field, each in raw.items() if field.startswith("lock/")}
    assert {lock.key: words(lock.reason) for lock in board.locks.values()} == reasons
    ending = {each["key"]: each["ending"]["why"] for each in raw.values() if isinstance(each.get("ending"), dict)}
    assert len(ending) == 2
    assert {key: words(board.runs[key].ending.why) for key in ending} == ending  # type: ignore[union-attr]


def test_every_effect_loads_and_says_what_it_said(redis: Redis, keys: Keys) -> None:
    was = {slot: json.loads(text.partition("\n")[2]) for slot, text in before("outbox").items()}
    rows = {slot.decode(): text.partition(b"\n")[2] for slot, text in redis.hgetall(keys.outbox).items()}
    found = {slot: load_effect(text) for slot, text in rows.items()}
    assert found.keys() == was.keys()
    for slot, effect in found.items():
        assert effect.slot == slot
        if isinstance(effect, Notify):
            assert notice(effect.about) == (was[slot]["subject"], was[slot]["text"])
        if isinstance(effect, Banner):
            shown = [(words(lock.reason), lock.by, lock.since, lock.until) for lock in effect.locks]
            assert shown == [(raw["reason"], raw["by"], raw["since"], raw["until"]) for raw in was[slot]["locks"]]
            assert [words(each) for each in effect.coming] == was[slot]["coming"]
    assert {effect.kind for effect in found.values()} >= {"notify", "banner", "withdraw", "lock-notice"}


def test_the_log_and_the_history_say_what_they_said(redis: Redis, keys: Keys) -> None:
    records = Records(redis, keys)
    facts = records.facts_after("0-0", 2000)
    assert len(facts) == len(before("facts"))
    assert all(words(each.fact.why) for _, each in facts)
    ended, _ = records.ended()
    was = {raw["run"]["key"]: raw["ending"]["why"] for raw in map(json.loads, before("ended").values())}
    assert {each.run.key: words(each.ending.why) for each in ended} == was


def test_the_story_goes_on_where_schema_4_left_it(redis: Redis, keys: Keys) -> None:
    board = replica(redis, keys).board
    (lock,) = [each for each in board.locks_of(PRE) if each.automatic]
    decide(board, UnlockAsked(PRE, "alex", "it is fine", lock=lock.key), lock.since + 60)
    assert board.locks_of(PRE) == []


def test_a_version_of_schema_4_is_kept_off(redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.scripts.SCHEMA", 4)
    with pytest.raises(NewerSchema, match=f"has schema {SCHEMA}, this version understands up to 4"):
        check_schema(redis, keys)
