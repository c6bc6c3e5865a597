"""What schema 2 stored is brought to our schema once, whole, and whoever has another schema does nothing more."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

import bot.store
from bot.core.model.effects import Look
from bot.core.model.events import BuildSeen, TakenOut, TimePassed
from bot.core.model.pipeline import Job, Outcome, Step
from bot.core.model.run import Status
from bot.core.rules.decide import decide
from bot.store.codec import load_effect
from bot.store.deliveries import DeliveryPacks
from bot.store.inbox import Accepted, InboxEntry, park, parked, take_out
from bot.store.keys import FAMILIES, Keys
from bot.store.migrations import migration, to_3
from bot.store.migrations.migration import migrate
from bot.store.outbox import Claim, Outbox
from bot.store.recording import BoardNow, Recording
from bot.store.records import Records
from bot.store.replica import BARRIER, BoardReplica
from bot.store.scripts import SCHEMA, NewerSchema, OlderSchema, OtherSchema, Scripts, check_schema, stored_schema
from bot.store.statistics import StatisticsStore
from bot.store.store import Store
from bot.store.webhooks import OutboundState, Undelivered, UndeliveredLetter, Webhooks
from tests.state.conftest import NOTHING, StoredPipeline
from tests.state.stored import put_back, stored
from tests.texts import text_of

FENCED = {
    "webhook",
    "webhook_lease",
    "begin",
    "commit",
    "read",
    "accept",
    "tick",
    "claim",
    "renew",
    "finish",
    "postpone",
    "dead_letter",
    "unpark",
    "intent",
    "lost_writes",
    "unacknowledged",
    "statistics",
    "record",
    "recent_snapshot",
    "pack",
}
PARKED = TakenOut("parked-delivery", "1-0", True, "ann", "a newer version")
#: What another version cannot misread: giving back, counting, what concerns GitHub or the health of processes.
OPEN = {"reconfigure", "snapshot", "release", "unsend", "pause", "permit", "backlog", "contact", "heartbeat", "alert"}
OPEN |= {"find_snapshot"}
#: No scripts by themselves; and the migration and the restoration, before which the number is looked at.
APART = {"fence", "history", "claiming", "migrate", "restore"}
#: What an outbound webhook did not take.
UNDELIVERED = Undelivered("audit", "1-0", "9-0", 3)


@pytest.fixture
def keys(redis: Redis) -> Keys:
    """What schema 2 stored."""
    return put_back(redis, 2, f"i{uuid.uuid4().hex[:12]}")


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that changes every record and every effect in a way that can be seen."""

    def record(family: str, key: str, raw: dict[str, Any]) -> dict[str, Any]:
        return {f"{family}/{key}": {**raw, "seen": 1}}

    monkeypatch.setattr(to_3, "migrate_record", record)
    monkeypatch.setattr(to_3, "migrate_effect", lambda raw: {**raw, "seen": 1})


def footprint(redis: Redis, keys: Keys) -> dict[bytes, Any]:
    """Everything that is stored, but for the lease and the epoch of the version."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": redis.hgetall,
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"set": redis.smembers,
        b"stream": redis.xrange,
    }
    found = {key: read[redis.type(key)](key) for key in redis.scan_iter(f"{keys.prefix}:*", count=1000)}
    found.pop(keys.lease.encode(), None)
    found[keys.meta.encode()].pop(b"epoch")
    return found


def board(redis: Redis, keys: Keys) -> BoardReplica:
    copy = BoardReplica(Scripts(redis), keys)
    copy.refresh()
    return copy


# -- what schema 2 stored --------------------------------------------------------------------------------------


def test_everything_that_schema_2_stored_is_there_after_the_migration(redis: Redis, keys: Keys) -> None:
    before = stored(2)
    families = Counter(field.split("/")[0] for field in before["interlock:{shop}:board"]["value"])
    assert migrate(redis, keys) == 2
    found = board(redis, keys).board
    tables = {
        "run": found.runs,
        "verification": found.verifications,
        "pulls": found.pulls,
        "lock": found.locks,
        "service": found.services,
        "backoff": found.backoffs,
        "unmanaged": found.unmanaged,
    }
    was = {"backoff": "trouble", "unmanaged": "foreign"}
    sizes = {name: families[was.get(name, name)] for name in tables}
    assert {name: len(table) for name, table in tables.items()} == sizes
    assert all(tables.values())
    titles = {run.merge.title: (str(run.step), run.status) for run in found.runs.values()}
    assert titles["S1a"] == ("pre-production", Status.FAILED)
    assert titles["S1e"] == ("pre-production", Status.RUNNING)
    assert [lock.run for lock in found.locks_of("pre-production")] == ["S1.1"]

    records, outbox = Records(redis, keys), Outbox(redis, keys)
    ended, total = records.ended()
    assert sorted((e.run.merge.title, str(e.ending.end)) for e in ended) == [("S2y", "failed"), ("S3z", "delivered")]
    assert total == 2
    assert len(records.facts_after("0-0", 1000)) == len(before["interlock:{shop}:facts"]["value"])
    assert len(outbox.dead_letters()) == len(before["interlock:{shop}:dead"]["value"])
    assert outbox.size() == len(before["interlock:{shop}:outbox"]["value"])
    for text in redis.hvals(keys.outbox):
        load_effect(text.partition(b"\n")[2])
    assert len(parked(redis, keys)) == 1


def test_the_facts_of_each_run_of_the_board_and_of_the_history_are_kept_with_it(redis: Redis, keys: Keys) -> None:
    log = [json.loads(fields["f"])["fact"] for _, fields in stored(2)["interlock:{shop}:facts"]["value"]]
    migrate(redis, keys)
    records = Records(redis, keys)
    runs = [*board(redis, keys).board.runs, *(e.run.key for e in records.ended()[0])]
    for run in runs:
        wanted = [fact["why"] for fact in log if fact["run"] == run]
        assert wanted
        assert [text_of(told.fact.why) for _, told in records.facts_of(run)] == wanted
    stories = {field.decode().partition("#")[0] for field in redis.hkeys(keys.stories)}
    assert stories == set(runs)


def test_passages_locks_and_failed_runs_become_what_is_in_the_stages(redis: Redis, keys: Keys) -> None:
    migrate(redis, keys)
    found = board(redis, keys).board
    told = {
        key: [version and version.run for version in (each.whole, each.broken, each.fix)]
        for key, each in found.versions.items()
    }
    assert told == {
        "S1/pre-production": [None, "S1.1", None],
        "S3/pre-production": ["S3.1", None, None],
        "S3/production": ["S3.1", None, None],
    }
    assert {state.moves for state in found.services.values()} == {1}
    (lock,) = found.locks_of("pre-production")
    broken = found.version("S1", Step("pre-production")).broken
    assert broken is not None
    assert (broken.position, broken.since) == (lock.position, lock.since)


def test_what_is_remembered_of_a_service_is_there_in_the_order_in_which_it_came(redis: Redis, keys: Keys) -> None:
    before = json.loads(stored(2)["interlock:{shop}:board"]["value"]["service/S1"])
    migrate(redis, keys)
    state = board(redis, keys).board.service("S1")
    assert [position.sha for position in state.history.positions] == [
        position["sha"] for position in before["chain"]["places"]
    ]
    assert state.history.count == len(state.history.positions)
    assert state.history.head is not None
    assert state.history.head.sha == before["chain"]["head"]["sha"]
    full = {
        "key": "S1",
        "chain": {"head": {"segment": 1, "seq": 1, "sha": "a"}, "links": [], "places": [], "roots": [{"segment": 1}]},
        "pushes": ["1", "2"],
        "pushed": [{"head": "a", "commits": ["b"]}],
        "heard": [{"key": "1"}],
        "forces": [{"segment": 1}],
        "failed": ["a"],
    }
    assert to_3.migrate_board({"service/S1": full}) == {
        "service/S1": {
            "key": "S1",
            "chain": {"head": {"segment": 1, "seq": 1, "sha": "a"}, "told": 0},
            "pushes_told": 2,
            "pushed_told": 1,
            "moves": 1,
        },
        "proofs/S1": {"forces": [{"segment": 1}], "links": [], "roots": [{"segment": 1}]},
        "heard/S1": {"heard": [{"key": "1"}]},
        "push/S1/1": "1",
        "push/S1/2": "2",
        "pushed/S1/1": {"head": "a", "commits": ["b"]},
    }


def test_what_locked_a_stage_after_a_passage_has_broken_it_and_what_passed_after_that_is_whole() -> None:
    position = {"segment": 1, "seq": 1, "sha": "a" * 40}
    passage = {"stage": "pre-production", "place": position, "run": "S1.1", "lane": "fast", "order": 5}
    lock = {"run": "S1.2", "service": "S1", "stage": "pre-production", "place": position, "since": 7.0}
    failed = {"key": "S1.3", "service": "S1", "place": position, "lane": "fast", "status": "failed", "since": 8.0}
    step = {"stage": "acceptance", "track": "fast"}

    def moved(order: int) -> dict[str, Any]:
        records = {
            "service/S1": {"key": "S1", "passages": [passage]},
            "lock/pre-production/S1.2": {**lock, "order": order},
            "run/S1.3": {**failed, "step": step},
        }
        return to_3.migrate_board(records)

    before, after = (moved(order)["version/S1/pre-production"] for order in (4, 6))
    assert (before["whole"]["run"], before["fix"]["run"], "broken" in before) == ("S1.1", "S1.1", False)
    assert (after["whole"]["run"], after["broken"]["run"], after["broken"]["lane"]) == ("S1.1", "S1.2", "main")
    fast = moved(4)["version/S1/fast acceptance"]
    assert (fast["step"], fast["broken"]["run"]) == (step, "S1.3")


def test_the_story_goes_on_where_schema_2_left_it(redis: Redis, keys: Keys) -> None:
    """The fix S1e passes pre-production: its lock opens, what it contains is gone, S2a enters."""
    migrate(redis, keys)
    found = board(redis, keys).board
    fix = found.runs["S1.5"]
    passed = BuildSeen(
        "cdp",
        "shop/pre-production",
        fix.attempt.build or 0,
        Outcome.SUCCESS,
        fix.key,
        fix.attempt.number,
        version=fix.version,
    )
    decision = decide(found, passed, fix.since + 60)
    assert found.locks_of("pre-production") == []
    superseded = {e.run.merge.title for e in decision.ended if str(e.ending.end) == "superseded"}
    assert {"S1a", "S1b", "S1d"} <= superseded
    assert [run.merge.title for run in found.inside(Step("pre-production"))] == ["S2a"]


def test_what_waits_in_the_inbox_is_taken_after_the_migration(redis: Redis, keys: Keys) -> None:
    migrate(redis, keys)
    store = Store(redis, keys)
    entries = store.begin("me")
    assert [(entry.source, entry.name) for entry in entries] == [("github", "push"), ("event", "mode-asked")]
    assert store.commit("me", entries, NOTHING) == []


def test_the_second_start_migrates_nothing(redis: Redis, keys: Keys) -> None:
    assert migrate(redis, keys) == 2
    before = footprint(redis, keys)
    assert migrate(redis, keys) is None
    assert footprint(redis, keys) == before


def test_an_empty_store_is_ours_from_the_first_turn_on(pipeline: StoredPipeline) -> None:
    assert migrate(pipeline.redis, pipeline.keys) is None
    check_schema(pipeline.redis, pipeline.keys)
    pipeline.accept()
    pipeline.turn()
    assert int(pipeline.redis.hget(pipeline.keys.meta, "schema")) == SCHEMA
    assert pipeline.redis.hexists(pipeline.keys.board, BARRIER)  # what a version without a fence cannot load


def test_what_keeps_an_older_version_off_is_of_no_family_that_it_knows() -> None:
    known = {field.split("/")[0] for field in stored(2)["interlock:{shop}:board"]["value"]}
    assert BARRIER.split("/")[0] not in known


# -- the step, whole or not at all -----------------------------------------------------------------------------


@pytest.mark.usefixtures("changed")
def test_records_history_outbox_and_dead_letters_go_through_the_step(redis: Redis, keys: Keys) -> None:
    migrate(redis, keys)
    rows = redis.hgetall(keys.board)
    assert rows.pop(BARRIER.encode())
    moved = [text for field, text in rows.items() if not field.startswith(b"version/")]  # the others are new
    assert all(json.loads(text)["seen"] == 1 for text in moved)
    assert all(json.loads(text)["run"]["seen"] == 1 for text in redis.hvals(keys.ended))
    assert all(json.loads(text.partition(b"\n")[2])["seen"] == 1 for text in redis.hvals(keys.outbox))
    assert all(json.loads(text)["effect"]["seen"] == 1 for text in redis.hvals(keys.dead_letters))


class Cut(Redis):
    """A connection that breaks before its n-th request."""

    left = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if self.left == 0:
            raise RedisConnectionError("cut")
        self.left -= 1
        return super().execute_command(*args, **options)


@pytest.mark.usefixtures("changed")
@pytest.mark.parametrize("schema", [2, 3])
def test_wherever_a_process_dies_the_next_start_ends_with_the_same(redis: Redis, redis_url: str, schema: int) -> None:
    undisturbed = put_back(redis, schema, f"undisturbed{schema}")
    migrate(redis, undisturbed)
    wanted = {key.split(b":", 1)[1]: value for key, value in footprint(redis, undisturbed).items()}
    cut = Cut.from_url(redis_url)
    for requests in range(100):
        keys = put_back(redis, schema, f"cut{schema}-{requests}")
        before = redis.hgetall(keys.board)
        cut.left = requests
        try:
            migrate(cut, keys)
        except RedisConnectionError:
            pipeline_of = before if stored_schema(redis, keys) == schema else wanted[b"{shop}:board"]
            assert redis.hgetall(keys.board) == pipeline_of
            redis.delete(keys.lease)  # it has run out
            migrate(redis, keys)
        else:
            break
        assert {key.split(b":", 1)[1]: value for key, value in footprint(redis, keys).items()} == wanted, requests
    assert requests > 10
    cut.close()


def test_what_another_process_migrated_before_we_got_the_lease_is_left_alone(
    redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int | None] = []

    def look(*_: Any) -> int | None:
        looked.append(stored_schema(redis, keys))
        if len(looked) == 1:
            assert migrate(redis, keys) == 2  # another process, between our look and our lease
            return 2
        return looked[-1]

    monkeypatch.setattr(migration, "stored_schema", look)
    assert migrate(redis, keys) is None


def test_of_several_that_start_at_once_one_migrates_and_the_others_wait(redis: Redis, keys: Keys) -> None:
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(migrate(redis, keys))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found, key=str) == [2, None, None, None]


def test_a_turn_that_is_under_way_is_waited_for(redis: Redis, keys: Keys) -> None:
    redis.set(keys.lease, "an old worker")
    with pytest.raises(OlderSchema, match="a worker held the lease"):
        migrate(redis, keys, patience=0.05)
    redis.delete(keys.lease)
    assert migrate(redis, keys) == 2


@pytest.mark.usefixtures("changed")
def test_an_effect_that_is_done_meanwhile_does_not_come_back(
    redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = next(iter(redis.hkeys(keys.outbox)))
    step = to_3.migrate_effect

    def done_meanwhile(raw: dict[str, Any]) -> dict[str, Any]:
        redis.hdel(keys.outbox, slot)
        return step(raw)

    monkeypatch.setattr(to_3, "migrate_effect", done_meanwhile)
    migrate(redis, keys)
    assert not redis.hexists(keys.outbox, slot)


def test_copies_of_the_board_are_loaded_anew(redis: Redis, keys: Keys, changed: None) -> None:
    """Whoever read the state before cannot catch up with changes: there are none that lead over a migration."""
    migrate(redis, keys)
    assert not redis.exists(keys.changes)
    reader = BoardReplica(Scripts(redis), keys)
    reader.version, reader.epoch = int(redis.hget(keys.meta, "version")) - 1, "1"
    with pytest.raises(Exception, match="seen"):  # the whole board, whose fields are of another version
        reader.refresh()


# -- whoever has another schema --------------------------------------------------------------------------------


def calls(pipeline: StoredPipeline) -> Iterator[tuple[str, Callable[[], object]]]:
    """One call of each script that reads or writes what another version could misread."""
    claim = Claim("jenkins", Look(Job("cdp", "shop/build"), 1), "1", 0, 1)
    inbox, outbox, store = pipeline.inbox, pipeline.outbox, pipeline.store
    yield "accept", lambda: inbox.add(TimePassed(), uuid.uuid4().hex)
    yield "begin", lambda: store.begin("me")
    yield "commit", lambda: store.commit("me", pipeline.waiting(), NOTHING)
    yield "read", lambda: pipeline.reader().refresh()
    yield "tick", lambda: inbox.tick(TimePassed())
    yield "claim", lambda: [outbox.claim(family, limit=1) for family in FAMILIES]
    yield "renew", lambda: outbox.renew(claim)
    yield "intent", lambda: outbox.intend(claim, "note", "text", 1_000)
    yield "lost_writes", outbox.lost_writes
    yield "intent", lambda: outbox.intend(claim, pipeline.keys.posted("S1.1", 1), "", 1_000)
    yield "unacknowledged", store.note_unacknowledged_writes
    yield "finish", lambda: outbox.finish(claim, TimePassed())
    yield "postpone", lambda: outbox.give_up(claim, "no", 1.0)
    yield (
        "unpark",
        lambda: take_out(pipeline.redis, pipeline.keys, parked(pipeline.redis, pipeline.keys)[0], PARKED),
    )
    yield "dead_letter", lambda: outbox.take_out(TakenOut("dead-letter", claim.effect.slot, True, "ann", "mended"))
    statistics = StatisticsStore(pipeline.redis, pipeline.keys, Records(pipeline.redis, pipeline.keys))
    yield "statistics", lambda: statistics.advance(lambda found: setattr(found, "cursor", "1-0"))
    recording = Recording(pipeline.redis, pipeline.keys)
    yield "pack", lambda: DeliveryPacks(pipeline.redis, pipeline.keys).pack(0.0)
    yield "record", lambda: recording.pack(BoardNow(0, "0", []), block=1)
    yield "recent_snapshot", lambda: recording.pack(BoardNow(1, "1", []), block=1)
    webhooks = Webhooks(pipeline.redis, pipeline.keys)
    yield "webhook_lease", lambda: webhooks.lease("audit", "me", 1_000)
    yield "webhook", lambda: webhooks.store("audit", "me", 1_000, OutboundState("9-0"))
    yield "dead_letter", lambda: outbox.take_out(TakenOut("dead-letter", UNDELIVERED.slot, True, "ann", "mended"))


@pytest.mark.parametrize(("stored_number", "error"), [(SCHEMA + 1, NewerSchema), (SCHEMA - 1, OlderSchema)])
def test_another_version_reads_and_writes_nothing(
    pipeline: StoredPipeline, stored_number: int, error: type[OtherSchema]
) -> None:
    """A process that has run since before: each of its scripts is refused, and nothing is changed."""
    pipeline.turn()
    pipeline.turn(effects=(Look(Job("cdp", "shop/build"), 1),))
    claim, _ = pipeline.outbox.claim("jenkins", limit=1)
    assert claim is not None
    pipeline.outbox.give_up(claim, "no", 1.0)
    pipeline.redis.hset(
        pipeline.keys.dead_letters, UNDELIVERED.slot, UndeliveredLetter(UNDELIVERED, "no", 1.0, 1).dump()
    )
    park(pipeline.redis, pipeline.keys, InboxEntry("1-0", "github", "push", "guid", b"{}"), ValueError("no"))
    pipeline.accept()
    pipeline.redis.hset(pipeline.keys.meta, "schema", stored_number)
    before = footprint_of(pipeline)
    refused = set()
    for name, call in calls(pipeline):
        with pytest.raises(error, match=f"schema {stored_number}"):
            call()
        refused.add(name)
    assert refused == FENCED
    assert footprint_of(pipeline) == before


@pytest.mark.parametrize("stored_number", [SCHEMA + 1, SCHEMA - 1])
def test_a_raw_delivery_is_kept_whatever_the_schema(pipeline: StoredPipeline, stored_number: int) -> None:
    """A web process of the version before may be asked for some time yet: the new worker decides what it keeps."""
    pipeline.turn()
    pipeline.redis.hset(pipeline.keys.meta, "schema", stored_number)
    assert pipeline.inbox.accept("github", "push", "guid", b"{}") is Accepted.WAKE_UP
    assert pipeline.inbox.accept("github", "push", "guid", b"{}") is Accepted.DUPLICATE
    pipeline.redis.hset(pipeline.keys.meta, "schema", SCHEMA)
    assert [(entry.source, entry.body) for entry in pipeline.store.begin("me")] == [("github", b"{}")]


def test_where_every_version_keeps_a_raw_delivery_never_changes() -> None:
    """Otherwise the deliveries that an older process keeps would stay where no process looks."""
    keys = Keys("shop")
    names = (keys.seen("github:guid"), keys.inbox, keys.wake_up, keys.meta)
    assert names == tuple(f"interlock:{{shop}}:{n}" for n in ("seen:github:guid", "inbox", "wake-up", "meta"))


def test_what_is_done_is_done_though_a_newer_version_has_taken_over(pipeline: StoredPipeline) -> None:
    """No event of ours comes in; but an effect that was done is not done twice."""
    pipeline.turn(effects=(Look(Job("cdp", "shop/build"), 1),))
    claim, _ = pipeline.outbox.claim("jenkins", limit=1)
    assert claim is not None
    pipeline.redis.hset(pipeline.keys.meta, "schema", SCHEMA + 1)
    pipeline.outbox.finish(claim)
    assert pipeline.outbox.size() == 0


def test_it_is_known_of_every_script_whether_another_version_may_run_it() -> None:
    """A new script belongs into one of these; the test above shows that a fenced one is."""
    scripts = {path.stem for path in (Path(bot.store.__file__).parent / "lua").glob("*.lua")}
    assert scripts == FENCED | OPEN | APART


def footprint_of(pipeline: StoredPipeline) -> dict[bytes, bytes | None]:
    return {
        key: pipeline.redis.dump(key)
        for key in pipeline.redis.scan_iter(match=f"*{pipeline.keys.pipeline}*", count=1000)
    }


def test_the_sentence_says_what_to_do(pipeline: StoredPipeline) -> None:
    pipeline.redis.hset(pipeline.keys.meta, "schema", SCHEMA + 1)
    with pytest.raises(NewerSchema, match=re.escape("start the newer version again, or restore a backup")):
        migrate(pipeline.redis, pipeline.keys)


# -- what the step changes -------------------------------------------------------------------------------------


def test_the_permit_of_a_run_is_kept_as_one_of_several() -> None:
    run = {"key": "S1.1", "status": "waiting", "permit": "production", "cancelled_by": "ann"}
    assert to_3.migrate_record("run", "S1.1", run) == {
        "run/S1.1": {"key": "S1.1", "status": "waiting", "permits": ["production"], "cancelled_by": "ann"}
    }


def test_a_run_that_has_failed_forgets_who_cancelled_its_build() -> None:
    run = {"key": "S1.1", "status": "failed", "cancelled_by": "ann"}
    assert to_3.migrate_record("run", "S1.1", run) == {"run/S1.1": {"key": "S1.1", "status": "failed"}}
