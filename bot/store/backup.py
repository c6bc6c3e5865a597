"""A backup of everything that must last, of one moment per pipeline, while Interlock runs.

Redis copies the values of a pipeline in one step (`lua/snapshot.lua`): board, log, inbox and outbox fit together
whatever is committed meanwhile. The copies are read page by page, so neither this process nor one answer of Redis ever
holds a whole value, and then they go. Until then Redis needs that much memory once more.

The notes about single deliveries and attempts are many, expire, and are true at any time. So they are read as they are:
those about deliveries before the copies are made (none may name a delivery that the copy of the inbox lacks), the
others after (none may be missing of what the copies know).

Values are stored as such, not in the form of one version of Redis (DUMP): a backup goes from Redis to Valkey and back.
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

#: How all keys of the installation begin; Celery's queues begin otherwise (`config/broker.py`).
PREFIX = "interlock"
#: How many parts of a value are read at a time, and how many entries of a stream, each of which may be large.
PAGE, ENTRIES = 1_000, 100
#: For how long a copy is kept if nobody deletes it, in milliseconds.
COPY_MS = 3_600_000
#: How the keys begin that are written beside the state, behind the hash tag: by a backup, by a restoration.
COPIED, RESTORING = "backup:", "restoring:"

#: What is told anew, found again by asking, or of no use to another process: it is in no backup. Whole names; or, with
#: a colon or a star at the end, how they begin.
PASSING = (
    *("lease", "wake-up", "wake-up:", "claimed:", "webhook-lease:", "restarted"),
    *("changes", "heads"),  # copies of the board are loaded anew; GitHub is asked anew where main stands
    # The recording is as large as all the rest; it has an export of its own.
    *("recorded-turns", "recording", "recording-state", "recent-snapshots"),
    *("contacts", "heartbeats", "alerts", "told", "write", "processes"),  # the health, as it was
    "sent:",  # what a beat has sent in this round
    *("hold", "primary", "strikes", "line", "wrote", "notices", "created", "points"),  # the limits of GitHub
    *(COPIED, RESTORING),
)
#: The notes about single deliveries, attempts and effects; they expire.
DELIVERED = "seen:"
NOTES = (DELIVERED, "posted:", "answering:", "missing:", "given:", "wrote:")
#: What a pipeline may have besides, whether there was any when the backup began or not.
_LASTING = (
    *("meta", "inbox", "board", "facts", "stories", "verified", "outbox", "tries", "delays", "failing", "dead-letters"),
    *("deliveries", "parked", "ended", "ended-order"),
    *("repairs", "statistics", "lock-reports", "lock-reports-order", "redeliveries"),
    *(f"due:{family}" for family in FAMILIES),
)

#: What Redis calls the type of a key that is not there.
_GONE = "none"

_KEY = re.compile(rf"{PREFIX}:\{{(?P<tag>[^}}]*)\}}:(?P<name>.*)", re.DOTALL)


def split(key: str) -> tuple[str, str]:
    """The hash tag of a key and its name behind that; two empty texts for a key that is not Interlock's."""
    found = _KEY.fullmatch(key)
    return (found["tag"], found["name"]) if found else ("", "")


def lasts(name: str) -> bool:
    """Whether what is stored under this name belongs in a backup. A name that nobody knows does."""
    return not any(name == each or (each.endswith(":") and name.startswith(each)) for each in PASSING)


def is_note(name: str) -> bool:
    """Whether it is a note about one delivery, attempt or effect."""
    return name.startswith(NOTES)


def names_by_tag(redis: Redis) -> dict[str, list[str]]:
    """The names of everything of Interlock in the store, by hash tag: of a pipeline, or of what all share."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for key in redis.scan_iter(f"{PREFIX}:*", count=PAGE):
        tag, name = split(key.decode())
        if name:
            found[tag].add(name)
    return {tag: sorted(found[tag]) for tag in sorted(found)}


def is_pipeline(names: list[str]) -> bool:
    """Whether these are the names of a pipeline."""
    return "meta" in names


def back_up(redis: Redis, path: Path) -> None:
    """Write a backup of the store to a new file.

    Raises FileExistsError or OSError if it cannot be written, NewerSchema if a newer version wrote what is stored,
    RedisError if the store cannot be reached or has no room for the copies; then there is no file.
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
    """What lasts under one hash tag."""
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
    """Notes as they are now; one that has expired meanwhile is left out."""
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
    """A text as a pattern of SCAN that matches nothing else."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)


def _copied(redis: Redis, tag: str, names: list[str]) -> Iterator[BackupRow]:
    """These values as they are at one moment."""
    own = [f"{PREFIX}:{{{tag}}}:{name}" for name in names]
    copies = [f"{PREFIX}:{{{tag}}}:{COPIED}{name}" for name in names]
    pairs = [key for pair in zip(own, copies, strict=True) for key in pair]
    try:
        there = Scripts(redis).run("snapshot", pairs, [COPY_MS]) if names else []
        for number in there:
            yield from _value(redis, own[number - 1], copies[number - 1])
    finally:
        with redis.pipeline(transaction=False) as pipe:
            for copy in copies:
                pipe.unlink(copy)
            pipe.execute()


def _value(redis: Redis, key: str, copy: str) -> Iterator[BackupRow]:
    """The pages of one value, read from its copy."""
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
    """Pages of a SCAN: a part may come twice, and none is left out, for nobody changes a copy."""
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
