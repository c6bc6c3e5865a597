"""What schema 3 stored is brought to ours: everything loads, nothing is lost, and the turn goes on."""

from __future__ import annotations

import json
import typing
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from bot.core.model import effects, events
from bot.core.model.board_records import FAMILIES as RECORDS
from bot.core.model.events import BuildSeen
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome, Step
from bot.core.model.run import Status
from bot.core.rules.decide import decide
from bot.reporting.messages import words
from bot.store.codec import dump_event, load_effect, load_event, load_recorded_fact
from bot.store.inbox import parked
from bot.store.keys import Keys
from bot.store.migrations import to_4
from bot.store.migrations.migration import migrate
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BARRIER, BoardReplica
from bot.store.scripts import SCHEMA, NewerSchema, Scripts, check_schema
from bot.store.store import Store
from tests.state.stored import DATA, put_back, stored
from tests.texts import retried
from workers.turn import decide_all

PREFIX = "interlock:{shop}:"
BEFORE = stored(3)
#: The families of records and the kinds of effects and events that have another name since.
FAMILIES = {"trouble": "backoff", "foreign": "unmanaged", "place": "position", "heard": "commands"}
KINDS = {"obey": "authorize-command"}
EVENTS = {"banner-amiss": "banner-overwritten"}
#: The families of one service's parts: on the board they are one value.
PARTS = {"proofs", "commands", "position", "push", "pushed"}


def before(name: str) -> Any:
    return BEFORE[f"{PREFIX}{name}"]["value"]


@pytest.fixture
def keys(redis: Redis) -> Keys:
    """What schema 3 stored, brought to ours."""
    found = put_back(redis, 3, f"i{uuid.uuid4().hex[:12]}")
    assert migrate(redis, found) == 3
    return found


def replica(redis: Redis, keys: Keys) -> BoardReplica:
    found = BoardReplica(Scripts(redis), keys)
    found.refresh()
    return found


def leaves(raw: Any) -> Iterator[Any]:
    """Every value in it that is neither an object nor a list."""
    if isinstance(raw, dict):
        for each in raw.values():
            yield from leaves(each)
    elif isinstance(raw, list):
        for each in raw:
            yield from leaves(each)
    else:
        yield raw


def missing(old: Any, new: Any, *, renamed: tuple[str, ...] = ()) -> list[Any]:
    """The values that are no longer there."""
    return list((Counter(x for x in leaves(old) if x not in renamed) - Counter(leaves(new))).elements())


def raw_effects(rows: dict[str, str]) -> dict[str, Any]:
    return {slot: json.loads(text.partition("\n")[2]) for slot, text in rows.items()}


def decoded(rows: dict[bytes, bytes]) -> dict[str, str]:
    return {field.decode(): text.decode() for field, text in rows.items()}


# -- the data itself -------------------------------------------------------------------------------------------


def test_the_data_has_every_family_of_records_and_every_kind_of_effect() -> None:
    families = {FAMILIES.get(name, name) for name in (field.split("/")[0] for field in before("board"))}
    assert families >= {*RECORDS.values(), *PARTS} - {"follow-up"}  # it came with schema 6
    found = [*raw_effects(before("outbox")).values(), *(json.loads(text)["effect"] for text in before("dead").values())]
    kinds = {KINDS.get(effect["kind"], effect["kind"]) for effect in found}
    known = [typing.get_type_hints(kind)["kind"] for kind in typing.get_args(effects.Effect)]
    assert kinds == {typing.get_args(name)[0] for name in known} - {"mention", "survey"}  # they came with schema 6


# -- everything loads, and nothing is lost ---------------------------------------------------------------------


def test_every_record_is_on_the_board(redis: Redis, keys: Keys) -> None:
    sizes = Counter(FAMILIES.get(name, name) for name in (field.split("/")[0] for field in before("board")))
    board = replica(redis, keys).board
    tables = {
        "run": board.runs,
        "verification": board.verifications,
        "pulls": board.pulls,
        "lock": board.locks,
        "service": board.services,
        "version": board.versions,
        "backoff": board.backoffs,
        "unmanaged": board.unmanaged,
        "past": board.past,
        "clean-up": board.clean_ups,
    }
    assert {name: len(table) for name, table in tables.items()} == {name: sizes[name] for name in tables}
    assert sum(len(state.history.positions) for state in board.services.values()) == sizes["position"]
    assert sum(len(state.pushes) for state in board.services.values()) == sizes["push"]
    assert sum(len(state.pushed) for state in board.services.values()) == sizes["pushed"]
    history = board.service("S1").history
    assert history.links
    assert board.service("S3").history.denials
    assert board.service("S3").unconfirmed_head == board.service("S3").history.head.sha  # type: ignore[union-attr]
    assert board.service("S2").forced_heads
    assert [command.key for command in board.service("S1").handled_commands] == ["comment/1", "comment/2", "comment/3"]


def test_no_value_of_a_record_is_lost(redis: Redis, keys: Keys) -> None:
    after = {field: json.loads(text) for field, text in decoded(redis.hgetall(keys.board)).items()}
    for field, text in before("board").items():
        family, slash, key = field.partition("/")
        if field != BARRIER:
            moved = after[f"{FAMILIES.get(family, family)}{slash}{key}"]
            assert missing(json.loads(text), moved) == [], field


def test_every_effect_and_every_dead_letter_loads_and_keeps_what_it_says(redis: Redis, keys: Keys) -> None:
    after = raw_effects(decoded(redis.hgetall(keys.outbox)))
    was = raw_effects(before("outbox"))
    assert after.keys() == was.keys()
    for slot, raw in after.items():
        said = {name: value for name, value in was[slot].items() if (raw["kind"], name) != ("withdraw", "why")}
        assert missing(said, raw, renamed=tuple(KINDS)) == [], slot
    for text in redis.hvals(keys.outbox):
        load_effect(text.partition(b"\n")[2])
    assert len(Outbox(redis, keys).dead_letters()) == len(before("dead"))
    for slot, text in decoded(redis.hgetall(keys.dead_letters)).items():
        assert missing(json.loads(before("dead")[slot]), json.loads(text), renamed=tuple(KINDS)) == [], slot


def test_every_dead_letter_can_be_given_another_try(redis: Redis, keys: Keys) -> None:
    outbox = Outbox(redis, keys)
    for slot in before("dead"):
        assert outbox.take_out(retried(slot)) is not None
    assert outbox.dead_letters() == []
    assert {slot.decode() for slot in redis.hkeys(keys.outbox)} >= {*before("dead"), *before("outbox")}


def test_facts_the_history_and_parked_deliveries_are_there(redis: Redis, keys: Keys) -> None:
    records = Records(redis, keys)
    was = [json.loads(fields["f"])["fact"] for _, fields in before("facts")]
    facts = records.facts_after("0-0", 2000)
    while len(facts) < len(was):
        facts += records.facts_after(facts[-1][0], 2000)
    assert len(facts) == len(was)
    assert [found.fact.kind for _, found in facts] == [FactKind(raw["kind"]) for raw in was]
    ended, total = records.ended()
    assert total == len(before("ended"))
    assert Counter(str(each.ending.end) for each in ended) == {
        "delivered": 2,
        "failed": 1,
        "superseded": 1,
        "cancelled": 1,
    }
    for run in (*replica(redis, keys).board.runs, *(each.run.key for each in ended)):
        assert len(records.facts_of(run)) == sum(fact["run"] == run for fact in was)
    assert len(parked(redis, keys)) == 1


def test_the_fact_of_a_build_that_nobody_asked_for_is_read_under_its_old_name(redis: Redis, keys: Keys) -> None:
    texts = [fields["f"] for _, fields in before("facts") if "foreign-build-seen" in fields["f"]]
    assert texts
    records, last, found = Records(redis, keys), "0-0", []
    while page := records.facts_after(last):
        found += [each.fact for _, each in page if each.fact.kind is FactKind.UNMANAGED_BUILD_SEEN]
        last = page[-1][0]
    assert len(found) == len(texts)


def test_keys_that_have_another_name_are_carried_over(redis: Redis, keys: Keys) -> None:
    (given,) = [name.removeprefix(f"{PREFIX}said:") for name in BEFORE if name.startswith(f"{PREFIX}said:")]
    assert redis.exists(keys.given(given))
    for family in ("jenkins", "github", "people"):
        was = BEFORE.get(f"{PREFIX}held:{family}", {"value": {}})["value"]
        assert {slot.decode() for slot in redis.zrange(keys.claimed(family), 0, -1)} == set(was)
    gone = {name.removeprefix(PREFIX) for name in BEFORE}
    gone = {name for name in gone if name in ("dead", "heads") or name.startswith("held:")}
    assert len(gone) > 2
    assert not redis.exists(*(keys.named(name) for name in gone))
    assert not redis.hexists(keys.meta, "mark")


# -- and it goes on --------------------------------------------------------------------------------------------


def test_what_waits_in_the_inbox_is_decided(redis: Redis, keys: Keys) -> None:
    store = Store(redis, keys)
    entries = store.begin("me")
    assert [entry.name for entry in entries] == ["push", "build", "abort-taken", "mode-asked"]
    asked = load_event(entries[2].body)
    board = store.copy.board
    (run,) = [each for each in board.runs.values() if each.key == asked.run]  # type: ignore[union-attr]
    assert run.status is Status.ENDING
    work = decide_all(board, entries, redis, keys)
    assert len(parked(redis, keys)) == 1  # the one that was there
    assert any(fact.kind is FactKind.MERGE_ACCEPTED for _, fact in work.facts)
    assert store.commit("me", entries, work) == []
    again = replica(redis, keys).board
    assert set(again.runs) >= set(board.runs)
    assert "taken" in redis.hget(keys.board, f"run/{run.key}").decode()


def test_the_story_goes_on_where_schema_3_left_it(redis: Redis, keys: Keys) -> None:
    """The fix S1e passes pre-production: its lock opens, what it contains is gone, S2a enters."""
    board = replica(redis, keys).board
    fix = next(run for run in board.runs.values() if run.merge.title == "S1e")
    number = json.loads(before("board")[f"run/{fix.key}"])["build"]
    attempt = json.loads(before("board")[f"run/{fix.key}"])["attempt"]
    passed = BuildSeen("cdp", "shop/pre-production", number, Outcome.SUCCESS, fix.key, attempt, version=fix.version)
    decision = decide(board, passed, fix.since + 60)
    assert board.locks_of("pre-production") == []
    superseded = {each.run.merge.title for each in decision.ended if str(each.ending.end) == "superseded"}
    assert {"S1a", "S1b", "S1d"} <= superseded
    assert [run.merge.title for run in board.inside(Step("pre-production"))] == ["S2a"]


def test_a_version_of_schema_3_is_kept_off(redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is compared by each script, and at its start."""
    check_schema(redis, keys)
    monkeypatch.setattr("bot.store.scripts.SCHEMA", 3)
    with pytest.raises(NewerSchema, match=f"has schema {SCHEMA}, this version understands up to 3"):
        check_schema(redis, keys)
    monkeypatch.setattr("bot.store.migrations.migration.SCHEMA", 3)
    with pytest.raises(NewerSchema):
        migrate(redis, keys)
    assert int(redis.hget(keys.meta, "schema")) == SCHEMA


def test_a_value_of_schema_4_is_no_value_of_schema_3() -> None:
    """Every name that changes is changed: no old name is left in any record or effect."""
    old = {*to_4._OF_RECORDS} - {*to_4._OF_RECORDS.values()}
    records = to_4.migrate_board({f: json.loads(t) for f, t in before("board").items() if f != BARRIER})
    for field, raw in records.items():
        assert not old & set(names(raw)), field
    for slot, raw in raw_effects(before("outbox")).items():
        assert not {*to_4._OF_EFFECTS} & set(names(to_4.migrate_effect(raw))), slot


def names(raw: Any) -> Iterator[str]:
    """The names of all fields in it."""
    if isinstance(raw, dict):
        yield from raw
    for each in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ():
        yield from names(each)


# -- what is not rewritten: events and facts -------------------------------------------------------------------

NOT_REWRITTEN: dict[str, Any] = json.loads((DATA / "schema_3_events.json").read_text("utf-8"))


@pytest.mark.parametrize("kind", sorted(NOT_REWRITTEN["events"]))
def test_an_event_of_every_kind_is_read_whole(kind: str) -> None:
    text = NOT_REWRITTEN["events"][kind]
    event = load_event(text.encode())
    assert event.kind == EVENTS.get(kind, kind)
    assert missing(json.loads(text), json.loads(dump_event(event)), renamed=tuple(EVENTS)) == []


def test_the_events_are_all_that_schema_3_could_store() -> None:
    kinds = {typing.get_args(typing.get_type_hints(kind)["kind"])[0] for kind in typing.get_args(events.Event)}
    # The first is decided in the turn that finds it, the others came with schema 6.
    later = {"state-lost", "move-asked", "watch-asked", "pull-labelled", "freezes-planned", "let-through-asked"}
    later |= {"taken-out", "head-surveyed", "week-ended"}
    assert {EVENTS.get(kind, kind) for kind in NOT_REWRITTEN["events"]} == kinds - later


def test_a_fact_of_every_kind_is_read_with_its_words() -> None:
    found = [(json.loads(text), load_recorded_fact(text)) for text in NOT_REWRITTEN["facts"]]
    assert len({recorded.fact.kind for _, recorded in found}) == len(found)
    for raw, recorded in found:
        assert words(recorded.fact.why) == raw["fact"]["why"]
        assert (recorded.fact.by, recorded.fact.via, recorded.at) == (raw["fact"]["by"], raw["fact"]["via"], raw["at"])


# -- attempts --------------------------------------------------------------------------------------------------

_LIVE = {"key": "S1.1", "status": "running", "attempt": 3, "unanswered": 3, "build": 7, "expected": 9.5}


def test_what_belongs_to_one_try_goes_into_the_attempt() -> None:
    moved = to_4.migrate_board({"run/S1.1": {**_LIVE, "cancelled_by": "kim"}, "verification/S1.pr1-1": _LIVE})
    attempt = {"number": 3, "unanswered": True, "build": 7, "expected": 9.5}
    assert moved["run/S1.1"] == {"key": "S1.1", "status": "running", "attempt": {**attempt, "cancelled_by": "kim"}}
    assert moved["verification/S1.pr1-1"] == {"key": "S1.1", "status": "running", "attempt": attempt}


def test_the_end_that_schema_3_left_on_a_waiting_run_is_not_carried_over() -> None:
    """Its build had failed and is repeated: it would be told when that build ends."""
    moved = to_4.migrate_board({"run/S1.1": {**_LIVE, "status": "waiting", "failed_tests": ["T.t"]}})
    assert moved["run/S1.1"] == {"key": "S1.1", "status": "waiting", "attempt": {"number": 3}}


def test_an_unanswered_trigger_of_an_earlier_try_says_nothing_of_the_present_one() -> None:
    moved = to_4.migrate_board({"run/S1.1": {**_LIVE, "unanswered": 2}})
    assert "unanswered" not in moved["run/S1.1"]["attempt"]


@pytest.mark.parametrize("pulls", [{}, {"pulls": []}, {"pulls": [12]}])
def test_a_run_older_than_the_list_of_its_pull_requests_carries_the_one_it_names(pulls: dict[str, Any]) -> None:
    ended = to_4.migrate_ended({"run": {"status": "ending", "pull": 12, "title": "T", **pulls}, "at": 1.0})
    assert ended == {"run": {"status": "ending", "merge": {"pull": 12, "pulls": [12], "title": "T"}}, "at": 1.0}
