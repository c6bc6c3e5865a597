"""The inbox: what came in, in the order of acceptance, kept before it is answered and for some days after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from redis import Redis

from bot.core.model.events import Event
from bot.store.codec import dump_event
from bot.store.keys import Keys
from bot.store.scripts import Scripts

#: How long a wake-up counts as pending, in milliseconds: a worker that was woken up and died is woken up again then.
WAKE_UP_MS = 3_000


class Accepted(IntEnum):
    """What became of a delivery at the door."""

    DUPLICATE = 0
    KEPT = 1  # a worker has been woken up already
    WAKE_UP = 2  # kept, and the caller must wake a worker up


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One delivery: where it came from, what it was called there, and its raw body."""

    id: str
    source: str
    name: str
    delivery: str
    body: bytes

    @property
    def at(self) -> float:
        """When it was accepted, in seconds since the epoch, by the clock of Redis."""
        return int(self.id.split("-", 1)[0]) / 1000


class Inbox:
    """The inbox of one pipeline."""

    def __init__(self, redis: Redis, keys: Keys, *, seen_seconds: int = 3 * 86_400) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._seen_seconds = seen_seconds

    def accept(self, source: str, name: str, delivery: str, body: bytes) -> Accepted:
        """Keep a verified delivery, once, in one round trip. When this returns it is in the append-only file."""
        return self._accept(source, name, delivery, body)[0]

    def add(self, event: Event, delivery: str) -> Accepted:
        """Keep an event of our own (a person's request, what the reconciler saw), once per `delivery`."""
        return self.add_and_tell(event, delivery)[0]

    def add_and_tell(self, event: Event, delivery: str) -> tuple[Accepted, str]:
        """The same, and the id of its inbox entry (of the first, for a duplicate): facts that come of it carry it."""
        return self._accept("event", event.kind, delivery, dump_event(event))

    def _accept(self, source: str, name: str, delivery: str, body: bytes) -> tuple[Accepted, str]:
        keys = self._keys
        names = [keys.seen(f"{source}:{delivery}"), keys.inbox, keys.wake_up, keys.meta]
        args = [self._seen_seconds, WAKE_UP_MS, source, name, delivery, body]
        what, identity = self._scripts.run("accept", names, args, fence=keys)
        return Accepted(what), identity.decode()

    def tick(self, event: Event) -> int:
        """Add `event` if something on the board is due by now; returns how many deliveries wait for a turn."""
        return self.tick_and_look(event)[0]

    def tick_and_look(self, event: Event) -> tuple[int, bool]:
        """The same; and whether the store has changed its history, so that everything must be asked for now."""
        keys = self._keys
        names = [keys.meta, keys.inbox, keys.due("jenkins"), keys.claimed("jenkins")]
        waiting, look = self._scripts.run("tick", names, [dump_event(event)], fence=self._keys)
        return int(waiting), bool(look)

    def trim(self, keep_seconds: float) -> int:
        """Forget raw deliveries that were taken and are older than `keep_seconds`; returns how many."""
        cursor = cast("bytes | None", self._redis.hget(self._keys.meta, "cursor"))
        if cursor is None:
            return 0
        seconds, micros = self._redis.time()
        oldest = int(seconds * 1000 + micros / 1000 - keep_seconds * 1000)
        taken = int(cursor.decode().split("-", 1)[0])
        return int(self._redis.xtrim(self._keys.inbox, minid=f"{min(oldest, taken)}-0", approximate=False))


def entry(raw: tuple[bytes, list[bytes]]) -> InboxEntry:
    """An inbox entry as the scripts return it."""
    identity, flat = raw
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return InboxEntry(
        identity.decode(), fields[b"s"].decode(), fields[b"n"].decode(), fields[b"d"].decode(), fields[b"b"]
    )


def newest(redis: Redis, keys: Keys, most: int, at_a_time: int = 100) -> Iterator[InboxEntry]:
    """The last deliveries of a pipeline, the newest first, at most so many; `at_a_time`: each may be large."""
    until = "+"
    for _ in range(most // at_a_time):
        page = cast("list[Any]", redis.xrevrange(keys.inbox, max=until, count=at_a_time))
        for identity, fields in page:
            yield entry((identity, [part for pair in fields.items() for part in pair]))
        if len(page) < at_a_time:
            return
        until = f"({page[-1][0].decode()}"
