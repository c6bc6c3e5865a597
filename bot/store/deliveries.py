"""Keep the raw deliveries that were decided: compressed in packs, and bounded by age and size.

A delivery stays in the inbox as it was sent until a turn has decided it, and for an hour longer. Then it is packed with
its neighbours: a pack is one entry of a stream, compressed with zlib. Deliveries of one kind are similar, so a pack
takes a small part of the space. A delivery that no turn has decided is never packed and never deleted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from redis import Redis

from bot.store.inbox import InboxEntry, entry
from bot.store.keys import Keys
from bot.store.scripts import Scripts

#: The most deliveries in a pack, and the most bytes of them before compression.
PACK, PACK_BYTES = 128, 1 << 20
#: How long after its acceptance a decided delivery is packed at the latest, in seconds, even if the pack is not full.
PACKED_AFTER = 3_600.0
#: The number of inbox entries that are read at a time: each may be large.
ENTRIES = 64
#: A stream of packs that exceeds its bound is cut to this share of it, so that it is seldom cut.
ROOM = 0.9


class DeliveryPacks:
    """The packs of one pipeline. Every method raises RedisError if the store cannot be reached."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)

    def pack(self, after: float = PACKED_AFTER) -> int:
        """Move decided deliveries from the inbox into packs; returns how many deliveries.

        Continues as long as they fill a pack, or the first was accepted more than `after` seconds ago. Several
        processes may do so at once: each pack is made by one of them.
        """
        packed = 0
        while found := self._decided():
            fills = len(found) >= PACK or sum(len(each.body) for each in found) >= PACK_BYTES
            if not fills and found[0].at > self._now() - after:
                break
            for part in _parts(found):
                text = _packed(part)
                names, args = [self._keys.inbox, self._keys.deliveries], [part[0].id, part[-1].id, text]
                if not self._scripts.run("pack", names, args, fence=self._keys):
                    return packed  # another process is packing
                packed += len(part)
        return packed

    def forget(self, seconds: float, most_bytes: int) -> int:
        """Delete the packs older than `seconds`, and the oldest ones while all packs together take more than
        `most_bytes` of Redis; returns how many packs were deleted."""
        key, oldest = self._keys.deliveries, int((self._now() - seconds) * 1000)
        gone = int(self._redis.xtrim(key, minid=f"{max(0, oldest)}-0", approximate=False))
        while (size := self.size()) > most_bytes and (count := int(self._redis.xlen(key))):
            left = min(count - 1, int(count * most_bytes / size * ROOM))
            gone += int(self._redis.xtrim(key, maxlen=left, approximate=False))
        return gone

    def size(self) -> int:
        """Return how many bytes of Redis the packs take."""
        return int(self._redis.memory_usage(self._keys.deliveries, samples=0) or 0)

    def newest(self, most: int) -> Iterator[InboxEntry]:
        """Yield the last `most` deliveries, including undecided ones, newest first."""
        return islice(self._all(), most)

    def _all(self) -> Iterator[InboxEntry]:
        last: tuple[int, int] | None = None
        for each in self._in_inbox():
            last = _order(each.id)
            yield each
        for each in self._in_packs():
            if last is None or _order(each.id) < last:  # one that was packed in the meantime has been yielded already
                yield each

    def _in_inbox(self) -> Iterator[InboxEntry]:
        until = "+"
        while page := cast("list[Any]", self._redis.xrevrange(self._keys.inbox, max=until, count=ENTRIES)):
            yield from map(_entry, page)
            until = f"({page[-1][0].decode()}"

    def _in_packs(self) -> Iterator[InboxEntry]:
        until = "+"
        while page := cast("list[Any]", self._redis.xrevrange(self._keys.deliveries, max=until, count=1)):
            ((identity, fields),) = page
            yield from reversed(_unpacked(fields[b"z"]))
            until = f"({identity.decode()}"

    def _decided(self) -> list[InboxEntry]:
        """Return the first decided entries of the inbox, without the last decided one: the cursor points to that."""
        cursor = cast("bytes | None", self._redis.hget(self._keys.meta, "cursor"))
        found: list[InboxEntry] = []
        if cursor is None:
            return found
        start, size = "-", 0
        while len(found) < PACK and size < PACK_BYTES:
            rows = self._redis.xrange(self._keys.inbox, min=start, max=f"({cursor.decode()}", count=ENTRIES)
            page = [_entry(row) for row in cast("list[Any]", rows)]
            if not page:
                break
            found += page
            size += sum(len(each.body) for each in page)
            start = f"({page[-1].id}"
        return found[:PACK]

    def _now(self) -> float:
        """Return the time of the store, in seconds since the epoch; the ids are made of the same clock."""
        seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1e6


def _parts(found: list[InboxEntry]) -> Iterator[list[InboxEntry]]:
    """Yield these entries in groups of at most `PACK_BYTES`, or of one larger entry."""
    part: list[InboxEntry] = []
    size = 0
    for each in found:
        if part and size + len(each.body) > PACK_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each.body)
    yield part


def _packed(part: list[InboxEntry]) -> bytes:
    """Compress these entries into one pack. A body may be any bytes; as Latin-1 each becomes one character."""
    rows = [[each.id, each.source, each.name, each.delivery, each.body.decode("latin-1")] for each in part]
    return zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode())


def _unpacked(text: bytes) -> list[InboxEntry]:
    rows = json.loads(zlib.decompress(text))
    return [InboxEntry(at, source, name, delivery, body.encode("latin-1")) for at, source, name, delivery, body in rows]


def _entry(row: tuple[bytes, dict[bytes, bytes]]) -> InboxEntry:
    identity, fields = row
    return entry((identity, [part for pair in fields.items() for part in pair]))


def _order(identity: str) -> tuple[int, int]:
    milliseconds, _, number = identity.partition("-")
    return int(milliseconds), int(number)
