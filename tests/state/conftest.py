"""A real server for the session, and for each test a pipeline of its own on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest
from redis import Redis

from bot.core.model.board_records import Change, Record
from bot.core.model.effects import Effect
from bot.core.model.events import Event, TimePassed
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Verbatim
from bot.store.inbox import Accepted, Inbox, InboxEntry
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from bot.store.store import Store, Work
from tests.redis_server import redis, redis_url

__all__ = ["redis", "redis_url"]

NOTHING = Work([], [], [], [], None)


@dataclass
class StoredPipeline:
    """One pipeline as the ingress, the workers and the readers see it."""

    redis: Redis
    keys: Keys
    inbox: Inbox
    store: Store
    outbox: Outbox
    records: Records

    def another(self) -> Store:
        """The store as another worker process has it."""
        return Store(self.redis, self.keys)

    def reader(self) -> BoardReplica:
        """A reader's own copy of the board, not yet loaded."""
        return BoardReplica(Scripts(self.redis), self.keys)

    def accept(self, name: str = "", event: Event | None = None) -> Accepted:
        """Put an event into the inbox under a delivery id; a fresh one if it is not named."""
        return self.inbox.add(event or TimePassed(), name or uuid.uuid4().hex)

    def turn(self, *changes: Change, effects: tuple[Effect, ...] = (), store: Store | None = None) -> int:
        """Take one turn over whatever waits, deciding this; returns how many entries it took."""
        store = store or self.store
        self.accept()
        entries = store.begin("turn")
        for change in changes:
            if change.after is not None:
                store.copy.board.put(change.after)
        store.copy.board.take_changes()
        rest = store.commit("turn", entries, Work(list(changes), [], list(effects), [], None))
        assert rest == []
        return len(entries)

    def waiting(self) -> list[InboxEntry]:
        """What is in the inbox and not taken, without taking the lease."""
        cursor = self.redis.hget(self.keys.meta, "cursor")
        rows = self.redis.xrange(self.keys.inbox, min=b"(" + (cursor or b"0-0"))
        return [InboxEntry(row[0].decode(), "", "", "", row[1][b"b"]) for row in rows]


def put(record: Record) -> Change:
    """The change that stores a record."""
    return Change(None, record)


def fact(why: str, run: str | None = None) -> Fact:
    """A fact that says only why."""
    return Fact(FactKind.RUN_QUEUED, Verbatim(why), run=run)


def stored_pipeline(redis: Redis) -> StoredPipeline:
    """A pipeline that nobody has used before."""
    keys = Keys(f"p{uuid.uuid4().hex[:12]}")
    return StoredPipeline(
        redis, keys, Inbox(redis, keys), Store(redis, keys), Outbox(redis, keys), Records(redis, keys)
    )


@pytest.fixture
def pipeline(redis: Redis) -> StoredPipeline:
    return stored_pipeline(redis)
