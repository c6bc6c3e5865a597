"""Back up everything that must last, consistent per pipeline, while Interlock runs. Restoring is in `restore.py`.

Redis copies the values of a pipeline in one step (`lua/snapshot.lua`), so board, log, inbox and outbox agree even if a
turn is committed during the backup. The copies are read page by page, so that neither this process nor a single reply
of Redis holds a whole value, and are then deleted. Until then Redis needs additional memory of the same size.

The notes about single deliveries and attempts are numerous and expire, and each is valid on its own. They are therefore
read directly: those about deliveries before the copies are made (no note may name a delivery that the copied inbox
lacks), the others afterwards (no note about anything in the copies may be missing).

The backup stores plain values, not the DUMP format of one Redis version, so it can move from Redis to Valkey and back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from redis import Redis

from bot.store.backup_file import BackupHead, BackupRow, write
from bot.store.keys import FAMILIES, Keys
from bot.store.scripts import SCHEMA, Scripts, refusal, stored_schema

#: The prefix of all keys of the installation; Celery's queues have another one (`config/broker.py`).
PREFIX = "interlock"
#: The number of elements of a value that are read at a time; fewer entries of a stream, because each may be large.
PAGE, ENTRIES = 1_000, 100
#: The lifetime of a copy that is not deleted, in milliseconds.
COPY_MS = 3_600_000
#: The prefixes, after the hash tag, of the temporary keys that a backup and a restoration write.
COPIED, RESTORING = "backup:", "restoring:"

#: Keys that a backup omits, because they are reported again, can be asked for again, or are useless to another process.
#: An entry that ends with a colon is a prefix; any other is a whole name.
PASSING = (
    *("lease", "wake-up", "wake-up:", "claimed:", "webhook-lease:", "restarted"),
    *("changes", "heads"),  # board replicas are reloaded; GitHub is asked again for the heads
    # The recording is as large as everything else together, and has its own export.
    *("recorded-turns", "recording", "recording-state", "recent-snapshots"),
    *("contacts", "heartbeats", "alerts", "told", "write", "processes"),  # the health at the time of the backup
    "sent:",  # messages that a beat has sent in this round
    *("hold", "primary", "strikes", "line", "wrote", "notices", "created", "points"),  # GitHub's limits
    *(COPIED, RESTORING),
)
#: Prefixes of the notes about single deliveries, attempts and effects. They expire.
DELIVERED = "seen:"
NOTES = (DELIVERED, "posted:", "answering:", "missing:", "given:", "wrote:")
#: The other keys that a pipeline may have. Each is copied even if it did not exist when the backup began.
_LASTING = (
    *("meta", "inbox", "board", "facts", "stories", "verified", "outbox", "tries", "delays", "failing", "dead-letters"),
    *("deliveries", "parked", "ended", "ended-order"),
    *("repairs", "statistics", "lock-reports", "lock-reports-order", "redeliveries"),
    *(f"due:{family}" for family in FAMILIES),
)

#: The type that Redis reports for a key that does not exist.
_GONE = "none"

_KEY = re.compile(rf"{PREFIX}:\{{(?P<tag>[^}}]*)\}}:(?P<name>.*)", re.DOTALL)


def split(key: str) -> tuple[str, str]:
    """Split a key into its hash tag and the name after it; return two empty strings if it is not a key of Interlock."""
    found = _KEY.fullmatch(key)
    return (found["tag"], found["name"]) if found else ("", "")


def lasts(name: str) -> bool:
    """Return whether the value under this name belongs in a backup. An unknown name does."""
    return not any(name == each or (each.endswith(":") and name.startswith(each)) for each in PASSING)


def is_note(name: str) -> bool:
    """Return whether this is the name of a note about one delivery, attempt or effect."""
    return name.startswith(NOTES)


def names_by_tag(redis: Redis) -> dict[str, list[str]]:
    """Return the names of all keys of Interlock in the store, by hash tag: one per pipeline, and the shared ones."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key in redis.scan_iter(f"{PREFIX}:*", count=PAGE):
        tag, name = split(key.decode())
        if name:
            found[tag].add(name)
    return {tag: sorted(found[tag]) for tag in sorted(found)}


def is_pipeline(names: list[str]) -> bool:
    """Return whether these names, all under one hash tag, belong to a pipeline."""
    return "meta" in names


def back_up(redis: Redis, path: Path) -> None:
    """Write a backup of the store to a new file.

    Raises FileExistsError or OSError if it cannot be written, NewerSchema if a newer version wrote the state,
    RedisError if the store cannot be reached or has no room for the copies; in each case no file is left behind.
    """
    by_tag = names_by_tag(redis)
    schemas: list[int] = []
    for tag, names in by_tag.items():
        stored = stored_schema(redis, Keys(tag)) if is_pipeline(names) else None
        if stored is not None and stored > SCHEMA:
            raise refusal(tag, stored)
        schemas += [stored] if stored is not None else []
    seconds, micros = redis.time()
    head = BackupHead(max(schemas, default=SCHEMA), version("interlock"), seconds + micros / 1e6)
    write(path, head, (row for tag, names in by_tag.items() for row in _rows(redis, tag, names)))


def _rows(redis: Redis, tag: str, names: list[str]) -> Iterator[BackupRow]:
    """Yield the rows of everything under one hash tag that must last."""
    keys = [f"{PREFIX}:{{{tag}}}:{name}" for name in names if name.startswith(DELIVERED)]
    yield from _notes(redis, keys)
    known = {name for name in names if lasts(name) and not is_note(name)}
    yield from _copied(redis, tag, sorted(known | set(_LASTING) if is_pipeline(names) else known))
    others = (
        key
        for start in NOTES
        if start != DELIVERED and is_pipeline(names)
        for key in redis.scan_iter(f"{PREFIX}:{{{_literally(tag)}}}:{start}*", count=PAGE)
    )
    yield from _notes(redis, [key.decode() for key in others])


def _notes(redis: Redis, keys: list[str]) -> Iterator[BackupRow]:
    """Yield the rows of these notes as they are now, without those that have expired in the meantime."""
    for start in range(0, len(keys), PAGE):
        some = keys[start : start + PAGE]
        seconds, micros = redis.time()
        with redis.pipeline(transaction=False) as pipe:
            for key in some:
                pipe.type(key)
                pipe.pttl(key)
            answers = pipe.execute()
            kinds = [kind.decode() for kind in answers[::2]]
            for key in some:
                pipe.get(key)
            values = pipe.execute(raise_on_error=False)  # those that are no strings are read one by one
        now = seconds * 1000 + micros // 1000
        for key, kind, left, value in zip(some, kinds, answers[1::2], values, strict=True):
            pages = [[value]] if kind == "string" else _PAGES[kind](redis, key) if kind != _GONE else []
            for page in pages:
                if page != [None]:
                    yield BackupRow(key, kind, now + left if left >= 0 else 0, page)


def _literally(text: str) -> str:
    """Escape a text for use in a SCAN pattern."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


def _copied(redis: Redis, tag: str, names: list[str]) -> Iterator[BackupRow]:
    """Yield the rows of these values, all read from copies of the same moment; the copies are deleted afterwards."""
    own = [f"{PREFIX}:{{{tag}}}:{name}" for name in names]
    copies = [f"{PREFIX}:{{{tag}}}:{COPIED}{name}" for name in names]
    pairs = [key for pair in zip(own, copies, strict=True) for key in pair]
    try:
        copied = Scripts(redis).run("snapshot", pairs, [COPY_MS]) if names else []
        for number in copied:
            yield from _value(redis, own[number - 1], copies[number - 1])
    finally:
        with redis.pipeline(transaction=False) as pipe:
            for copy in copies:
                pipe.unlink(copy)
            pipe.execute()


def _value(redis: Redis, key: str, copy: str) -> Iterator[BackupRow]:
    """Yield the pages of one value, read from its copy."""
    kind = cast("bytes", redis.type(copy)).decode()
    for page in _PAGES[kind](redis, copy):
        yield BackupRow(key, kind, 0, page)


def _string(redis: Redis, key: str) -> Iterator[list[Any]]:
    yield [redis.get(key)]


def _hash(redis: Redis, key: str) -> Iterator[list[Any]]:
    yield from _scanned(lambda cursor: redis.hscan(key, cursor, count=PAGE))


def _set(redis: Redis, key: str) -> Iterator[list[Any]]:
    yield from _scanned(lambda cursor: redis.sscan(key, cursor, count=PAGE))


def _scanned(scan: Callable[[int], Any]) -> Iterator[list[Any]]:
    """Yield the pages of a SCAN. An element may appear twice; none is missed, because a copy never changes."""
    cursor = -1
    while cursor != 0:
        cursor, found = scan(max(cursor, 0))
        cursor = int(cursor)
        rows = [part for pair in found.items() for part in pair] if isinstance(found, dict) else list(found)
        if rows:
            yield rows


def _sorted_set(redis: Redis, key: str) -> Iterator[list[Any]]:
    start = 0
    while page := cast("list[tuple[bytes, float]]", redis.zrange(key, start, start + PAGE - 1, withscores=True)):
        yield [part for member, score in page for part in (member, repr(score))]
        start += PAGE


def _list(redis: Redis, key: str) -> Iterator[list[Any]]:
    start = 0
    while page := cast("list[bytes]", redis.lrange(key, start, start + ENTRIES - 1)):
        yield list(page)
        start += ENTRIES


def _stream(redis: Redis, key: str) -> Iterator[list[Any]]:
    last = "-"
    while page := cast("list[Any]", redis.xrange(key, min=last, count=ENTRIES)):
        rows = ((identity, [part for pair in fields.items() for part in pair]) for identity, fields in page)
        yield [part for row in rows for part in row]
        last = f"({page[-1][0].decode()}"


_PAGES = {"string": _string, "hash": _hash, "set": _set, "zset": _sorted_set, "list": _list, "stream": _stream}
