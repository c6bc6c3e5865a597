"""A backup holds all that must last of one moment, as a whole or not at all; a restored store goes on from there."""

from __future__ import annotations

import dataclasses
import gzip
import inspect
import json
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.board_records import Counters
from bot.core.model.effects import Banner, Trigger
from bot.core.model.events import StoreChanged, TimePassed
from bot.core.model.pipeline import Job, Lane, Track
from bot.store import backup_file, scripts
from bot.store.backup import COPIED, RESTORING, back_up, lasts, names_by_tag, split
from bot.store.backup_file import BackupError
from bot.store.codec import dump_effect
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.outbox import NotedPost, Outbox, PostNotes, UnacknowledgedWrites
from bot.store.replica import BoardReplica
from bot.store.restore import restore, what_lasts
from bot.store.scripts import SCHEMA, Scripts
from bot.store.store import Store, Work
from launch.embedded import Embedded
from tests.state.conftest import NOTHING, fact, put


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A store of its own: a backup is of everything in it."""
    with Embedded(tmp_path_factory.mktemp("own"), fsync="no") as running:
        client = Redis.from_url(running.url)
        yield client
        client.close()


@pytest.fixture
def empty(server: Redis) -> Redis:
    server.flushall()
    return server


def dump(redis: Redis) -> dict[str, Any]:
    """Everything that lasts, by key: what it consists of, and when it expires (in seconds; None: never)."""
    found: dict[str, Any] = {}
    read = {
        "string": redis.get,
        "hash": redis.hgetall,
        "set": redis.smembers,
        "zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        "list": lambda key: redis.lrange(key, 0, -1),
        "stream": redis.xrange,
    }
    for tag, names in names_by_tag(redis).items():
        for name in filter(lasts, names):
            key = f"interlock:{{{tag}}}:{name}"
            left = redis.pttl(key)
            expires = None if left < 0 else round((time.time() * 1000 + left) / 1000)
            found[key] = (read[redis.type(key).decode()](key), expires)
    return found


def without_the_doubt(found: dict[str, Any], name: str) -> dict[str, Any]:
    """The same without what a restoration notes, so that what it puts back can be compared."""
    rest = {key: value for key, value in found.items() if ":seen:event:store-changed" not in key}
    meta = dict(rest[f"interlock:{{{name}}}:meta"][0])
    for field in (b"version", b"epoch", b"accepted", b"history", b"changed", b"look", b"followed"):
        meta.pop(field, None)
    meta.pop(b"unacknowledged_until", None)
    inbox = [row for row in rest.get(f"interlock:{{{name}}}:inbox", ([], None))[0] if row[1][b"n"] != b"store-changed"]
    return {**rest, f"interlock:{{{name}}}:meta": meta, f"interlock:{{{name}}}:inbox": inbox}


def busy(redis: Redis, name: str) -> Keys:
    """A pipeline with something under every name that it may have."""
    keys = Keys(name)
    inbox, store, outbox = Inbox(redis, keys), Store(redis, keys), Outbox(redis, keys)
    inbox.accept("github", "push", "1", b'{"title": "caf\xc3\xa9"}')
    inbox.accept("github", "push", "2", b"\xff\xfe no text")
    effect = Banner(Job("cdp", "shop/acceptance"), "acceptance")
    taken = store.begin("t")
    store.commit("t", taken, Work([put(Counters(7, 3))], [(taken[0], fact("one"))], [effect], [], 12.5))
    inbox.add(TimePassed(), "3")
    redis.set(keys.posted("S1.1", 1), "cdp\nshop", px=14 * 86_400_000)
    redis.hset(keys.wrote("status/x"), mapping={"a": "b"})
    redis.expire(keys.wrote("status/x"), 1000)
    redis.zadd(keys.ended_order, {"S1.1": 0.1 + 0.2})
    redis.hset(keys.ended, "S1.1", "{}")
    redis.lpush(keys.parked, *[json.dumps({"n": n}) for n in range(250)])
    redis.hset(keys.stories, mapping={f"S1.{n}": "1" for n in range(2_500)})
    redis.sadd(f"interlock:{{{name}}}:something-new", "a", "b")
    redis.hset("interlock:{access}:tokens", "digest", '{"name": "robot"}')
    redis.hset("interlock:{github}:repositories", "shop/s1", "[]")
    redis.set("interlock-celery:turns", "not ours")
    assert outbox.due("jenkins") is not None
    return keys


def test_what_is_restored_is_what_there_was_with_types_values_and_times(empty: Redis, tmp_path: Path) -> None:
    busy(empty, "shop")
    busy(empty, "web [1]*")
    before = dump(empty)
    back_up(empty, tmp_path / "b")
    assert dump(empty) == before, "a backup changes nothing"
    assert not [name for names in names_by_tag(empty).values() for name in names if name.startswith(COPIED)]
    empty.flushall()
    summary = backup_file.check(tmp_path / "b")
    assert summary.head.schema == SCHEMA
    restore(empty, tmp_path / "b", summary.head)
    after = dump(empty)
    for name in ("shop", "web [1]*"):
        before, after = without_the_doubt(before, name), without_the_doubt(after, name)
    assert after == before
    assert not empty.keys("interlock-celery:*")
    assert not [name for names in names_by_tag(empty).values() for name in names if name.startswith(RESTORING)]


def test_the_file_is_of_its_owner_alone_compressed_and_never_overwritten(empty: Redis, tmp_path: Path) -> None:
    busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    content = (tmp_path / "b").read_bytes()
    head = json.loads(gzip.decompress(content).splitlines()[0])
    assert (head["interlock-backup"], head["schema"]) == (1, SCHEMA)
    assert abs(head["at"] - time.time()) < 60
    with pytest.raises(FileExistsError):
        back_up(empty, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["b"], "nothing is left of the one that failed"


def test_every_key_of_a_pipeline_lasts_or_is_known_to_pass() -> None:
    """Who adds a key decides whether it must last: a new one does, until it is in `PASSING`."""
    keys = Keys("p")
    properties = [name for name, value in vars(Keys).items() if isinstance(value, property)]
    names = {split(getattr(keys, name))[1] for name in properties}
    for name, method in inspect.getmembers(keys, inspect.ismethod):
        if name not in ("named",) and not name.startswith("_"):
            names.add(split(method(*["1"] * len(inspect.signature(method).parameters)))[1])
    passing = {"lease", "wake-up", "wake-up:1", "claimed:1", "webhook-lease:1", "restarted", "changes", "heads"}
    passing |= {"recorded-turns", "recording", "recording-state", "recent-snapshots"}
    assert {name for name in names if not lasts(name)} == passing
    assert {field.name for field in dataclasses.fields(Keys)} == {"pipeline", "prefix"}


class Committer(threading.Thread):
    """Decides, claims and finishes as fast as it can; what it stores says by itself whether it is of one moment.

    Each turn puts its number on the board, into the log, into the outbox and into the history.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        super().__init__(daemon=True)
        self._store, self._inbox = Store(redis, keys), Inbox(redis, keys)
        self._outbox, self._redis, self._keys = Outbox(redis, keys), redis, keys
        self.over = threading.Event()
        self.turns = 0

    def run(self) -> None:
        while not self.over.is_set():
            self.turns += 1
            self._inbox.add(TimePassed(), uuid.uuid4().hex)
            taken = self._store.begin("t")
            effect = Banner(Job("cdp", f"job-{self.turns}"), "acceptance")
            work = Work([put(Counters(self.turns, 1))], [(taken[0], fact(f"turn {self.turns}"))], [effect], [], None)
            rest = self._store.commit("t", taken, work)
            if rest:
                self._store.release("t")
            claim, _ = self._outbox.claim("jenkins", limit=1)
            if claim is not None:
                self._outbox.finish(claim, TimePassed())


def test_board_log_outbox_and_inbox_are_of_one_moment_while_a_worker_commits(empty: Redis, tmp_path: Path) -> None:
    """Ten backups in the middle of it: in each, as many facts as the board counts turns, and nothing done or undone."""
    keys = Keys("shop")
    worker = Committer(empty, keys)
    worker.start()
    files = [tmp_path / f"b{number}" for number in range(10)]
    try:
        for file in files:
            before, deadline = worker.turns, time.monotonic() + 20
            while worker.turns < before + 5:
                assert time.monotonic() < deadline
            back_up(empty, file)
    finally:
        worker.over.set()
        worker.join(20)
    counts: list[int] = []
    for file in files:
        rows: dict[str, list[Any]] = {}
        for row in backup_file.read(file):
            rows.setdefault(split(row.key)[1], []).extend(row.content)
        meta = dict(zip(rows["meta"][::2], rows["meta"][1::2], strict=True))
        board = dict(zip(rows["board"][::2], rows["board"][1::2], strict=True))
        turn = json.loads(board[b"counters/counters"])["next_queue_number"]
        facts = [json.loads(fields[1])["fact"]["why"] for fields in rows["facts"][1::2]]
        assert facts == [f"turn {number}" for number in range(1, turn + 1)]
        assert int(meta[b"version"]) == turn
        cursor = tuple(map(int, meta[b"cursor"].split(b"-")))
        waiting = [i for i in rows["inbox"][::2] if tuple(map(int, i.split(b"-"))) > cursor]
        assert len(waiting) == int(meta[b"accepted"]) - int(meta[b"taken"])
        slots = set(rows.get("outbox", [])[::2])
        assert slots == set(rows.get("due:jenkins", [])[::2]), "what is to be done is due, and the other way round"
        # Each effect is still to be done, or what came of it is in the inbox; each turn had one event besides.
        came_of_effects = turn - len(slots)
        assert len(rows["inbox"][::2]) - came_of_effects in (turn, turn + 1)
        assert int(meta[b"accepted"]) == len(rows["inbox"][::2])
        counts.append(turn)
    assert counts == sorted(set(counts)), "each is of a later moment"


def test_deliveries_in_the_backup_are_those_that_are_noted_as_delivered(empty: Redis, tmp_path: Path) -> None:
    """While deliveries come in: a note without its delivery would have a repeated one thrown away."""
    keys, over = Keys("shop"), threading.Event()
    inbox = Inbox(empty, keys)
    inbox.add(TimePassed(), "first")
    empty.hset(keys.meta, "schema", SCHEMA)

    def accept() -> None:
        while not over.is_set():
            inbox.add(TimePassed(), uuid.uuid4().hex)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        for number in range(10):
            back_up(empty, tmp_path / f"b{number}")
    finally:
        over.set()
        thread.join(20)
    for number in range(10):
        rows = list(backup_file.read(tmp_path / f"b{number}"))
        noted = {row.content[0] for row in rows if split(row.key)[1].startswith("seen:")}
        kept = {identity for row in rows if split(row.key)[1] == "inbox" for identity in row.content[::2]}
        assert noted
        assert noted <= kept


def test_a_store_that_is_not_empty_is_not_touched_unless_it_is_to_be_replaced(empty: Redis, tmp_path: Path) -> None:
    busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    empty.flushall()
    busy(empty, "other")
    empty.hset("interlock:{shop}:board", "run/S9.9", "{}")
    empty.set("interlock:{shop}:lease", "somebody")
    before = dump(empty)
    assert what_lasts(empty) == ["access", "github", "other", "shop"]
    with pytest.raises(BackupError, match="not empty: it holds access, github, other, shop"):
        restore(empty, tmp_path / "b", head)
    assert dump(empty) == before
    restore(empty, tmp_path / "b", head, replace=True)
    assert what_lasts(empty) == ["access", "github", "shop"]
    assert not empty.hexists("interlock:{shop}:board", "run/S9.9")
    assert not empty.exists("interlock:{shop}:lease")
    assert empty.exists("interlock-celery:turns"), "Celery's queues are not ours to delete"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_found_wherever_it_is_damaged(empty: Redis, tmp_path: Path, data: st.DataObject) -> None:
    whole = tmp_path / "whole"
    if not whole.exists():
        busy(empty, "shop")
        back_up(empty, whole)
    content = whole.read_bytes()
    lines = gzip.decompress(content).splitlines(keepends=True)
    what = data.draw(st.sampled_from(("cut", "bit", "line", "change")))
    number = data.draw(st.integers(0, len(lines) - 1))
    if what == "cut":
        damaged = content[: data.draw(st.integers(0, len(content) - 1))]
    elif what == "bit":
        at = data.draw(st.integers(10, len(content) - 1))  # what comes before is the name and time of gzip, unused
        damaged = content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :]
    elif what == "line":
        damaged = gzip.compress(b"".join(lines[:number] + lines[number + 1 :]))
    else:
        damaged = gzip.compress(
            b"".join([*lines[:number], lines[number].replace(b"1", b"2", 1) + b" ", *lines[number + 1 :]])
        )
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(BackupError):
        backup_file.check(tmp_path / "damaged")


def test_a_file_that_is_no_backup_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "zip").write_bytes(gzip.compress(b'{"hello": 1}\n'))
    for name in ("text", "zip"):
        with pytest.raises(BackupError, match="is not a backup of Interlock"):
            backup_file.check(tmp_path / name)


def test_a_backup_of_a_newer_schema_or_format_is_refused(
    empty: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    empty.flushall()
    with pytest.raises(BackupError, match=f"schema {SCHEMA + 1}, this version understands up to {SCHEMA}"):
        restore(empty, tmp_path / "b", dataclasses.replace(head, schema=SCHEMA + 1))
    assert not empty.keys()
    backup_file.write(tmp_path / "new", dataclasses.replace(head, format=2), [])
    with pytest.raises(BackupError, match="format 2, this version reads 1"):
        backup_file.check(tmp_path / "new")


def test_a_newer_store_is_not_backed_up_by_an_older_version(empty: Redis, tmp_path: Path) -> None:
    keys = busy(empty, "shop")
    empty.hset(keys.meta, "schema", SCHEMA + 1)
    with pytest.raises(scripts.NewerSchema):
        back_up(empty, tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_what_happened_since_is_asked_for_and_said_once(empty: Redis, tmp_path: Path) -> None:
    keys = busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    old = Store(empty, keys)
    old.copy.refresh()
    restore(empty, tmp_path / "b", head, replace=True)
    inbox = Inbox(empty, keys)
    _, look = inbox.tick_and_look(TimePassed())
    assert look
    when = empty.hget(keys.meta, "changed")
    inbox.add(StoreChanged(), f"store-changed:{when!r}")  # as `workers.tasks.sweep` does
    taken = old.begin("t")
    told = [entry for entry in taken if entry.name == "store-changed"]
    assert [json.loads(entry.body)["backup"] for entry in told] == [pytest.approx(head.at)]


def test_jenkins_is_looked_at_before_each_trigger_for_as_long_as_a_run_may_wait(empty: Redis, tmp_path: Path) -> None:
    """After a fail-over it is half an hour: here a run may stand in front of a locked stage for days."""
    keys = busy(empty, "shop")
    trigger = Trigger("S1.1", "build", Track.REAL, 1, Job("cdp", "job"), "S1", "shop/s1", "a" * 40, Lane.MAIN, "v-1")
    empty.hset(keys.outbox, trigger.slot, b"1\n" + dump_effect(trigger).encode())
    empty.zadd(keys.due("jenkins"), {trigger.slot: 1})
    back_up(empty, tmp_path / "b")
    empty.flushall()
    restore(empty, tmp_path / "b", backup_file.read_head(tmp_path / "b"))
    empty.hincrby(keys.meta, "changed", -13 * 86_400_000)
    outbox = Outbox(empty, keys)
    claim, _ = outbox.claim("jenkins", limit=1, notes=PostNotes({trigger.job: "note"}, 1000))
    assert claim is not None
    assert claim.effect == trigger
    assert claim.noted is None
    noted = outbox.intend(claim, keys.posted("S1.1", 1), "note", 1000)
    assert isinstance(noted, UnacknowledgedWrites)
    empty.hset(keys.meta, "unacknowledged_until", 1)
    assert isinstance(outbox.intend(claim, keys.posted("S1.1", 1), "note", 1000), NotedPost)


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    """The server has no room for anything more."""
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


def test_without_room_for_the_copies_there_is_no_backup_and_nothing_is_left(empty: Redis, tmp_path: Path) -> None:
    busy(empty, "shop")
    before = dump(empty)
    with full(empty), pytest.raises(RedisError):
        back_up(empty, tmp_path / "b")
    assert not list(tmp_path.iterdir())
    assert dump(empty) == before
    back_up(empty, tmp_path / "b")


def test_a_restoration_that_is_interrupted_leaves_what_there_was(empty: Redis, tmp_path: Path) -> None:
    """Whether the server refuses, or the process dies: what it had written is cleared away by the next one."""
    busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    empty.hset("interlock:{shop}:board", "run/S9.9", "{}")
    before = dump(empty)
    with full(empty), pytest.raises(RedisError):
        restore(empty, tmp_path / "b", head, replace=True)
    assert dump(empty) == before
    empty.set(f"interlock:{{shop}}:{RESTORING}board", "half")
    restore(empty, tmp_path / "b", head, replace=True)
    assert not empty.hexists("interlock:{shop}:board", "run/S9.9")
    assert not [name for names in names_by_tag(empty).values() for name in names if name.startswith(RESTORING)]


def test_a_copy_of_the_board_from_before_the_restoration_is_loaded_anew(empty: Redis, tmp_path: Path) -> None:
    keys = busy(empty, "shop")
    back_up(empty, tmp_path / "b")
    head = backup_file.read_head(tmp_path / "b")
    store = Store(empty, keys)
    taken = store.begin("t")
    store.commit("t", taken, dataclasses.replace(NOTHING, changes=[put(Counters(99, 9))]))
    copy = BoardReplica(Scripts(empty), keys)
    copy.refresh()
    assert copy.board.counters.next_queue_number == 99
    restore(empty, tmp_path / "b", head, replace=True)
    copy.refresh()
    assert copy.board.counters.next_queue_number == 7
