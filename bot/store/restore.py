"""Restore a backup into an empty store, or in place of the present state. No process of Interlock may run meanwhile.

The values are written under temporary keys and renamed in one step per pipeline (`lua/restore.lua`), so an interrupted
restoration never leaves a pipeline half restored.

The time since the backup counts as an outage and is noted like a fail-over that lost writes: after the first tick
Interlock asks GitHub for every head and Jenkins for every build, and before each trigger it looks in Jenkins for a
build that the store lacks. It does the latter not for half an hour but for as long as a run of the backup may wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from redis import Redis

from bot.core.model.events import StoreChanged
from bot.store import backup_file
from bot.store.backup import COPIED, PREFIX, RESTORING, is_note, lasts, names_by_tag, split
from bot.store.backup_file import BackupError, BackupHead
from bot.store.codec import dump_event
from bot.store.keys import Keys
from bot.store.scripts import SCHEMA, Scripts
from bot.store.store import LOOK_MS

#: The lifetime of the temporary keys if the restoration is interrupted, in milliseconds.
BESIDE_MS = 3_600_000
#: How long the delivery id of the event is remembered, in seconds.
DELIVERED_SECONDS = 86_400
#: The number of commands that are sent at a time; a page of a large value is sent alone.
BATCH = 500
#: Before this schema the field of the epoch was called `mark` (`bot/store/migrations/to_4.py`).
_EPOCH_SINCE = 4


def what_lasts(redis: Redis) -> list[str]:
    """Return the hash tags under which the store has anything that must last, apart from notes."""
    found = names_by_tag(redis)
    return [tag for tag, names in found.items() if any(lasts(name) and not is_note(name) for name in names)]


def restore(redis: Redis, path: Path, head: BackupHead, *, replace: bool = False) -> None:
    """Restore a backup with this head, which the caller has checked (`backup_file.check`).

    Raises BackupError if its schema is newer than ours, if the store is not empty and `replace` is not set, or if it
    contains a key that is not Interlock's; RedisError if the store cannot be reached. After an error each pipeline is
    either unchanged or restored.
    """
    if head.schema > SCHEMA:
        raise BackupError(
            f"{path} has schema {head.schema}, this version understands up to {SCHEMA}: restore it with version "
            f"{head.version} or a later one"
        )
    held = what_lasts(redis)
    if held and not replace:
        raise BackupError(f"the store is not empty: it holds {', '.join(held)}")
    written: dict[str, dict[str, int]] = {}
    with _beside(redis), redis.pipeline(transaction=False) as pipe:
        before = names_by_tag(redis)
        for row in backup_file.read(path):
            tag, name = split(row.key)
            if not name or not lasts(name):
                raise BackupError(f"{path} holds {row.key!r}, which is no key of a backup")
            beside = _key(tag, RESTORING + name)
            _PUT[row.type](pipe, beside, row.content)
            pipe.pexpire(beside, BESIDE_MS)
            if len(pipe) >= BATCH or not is_note(name):
                pipe.execute()
            written.setdefault(tag, {})[name] = row.expires
        pipe.execute()
        for tag in sorted(written, key=lambda each: "meta" in written[each]):
            _put_in_force(redis, tag, before.pop(tag, []), written[tag], head)
        for tag, names in before.items():
            _forget(redis, [_key(tag, name) for name in names])


@contextmanager
def _beside(redis: Redis) -> Iterator[None]:
    """Delete the temporary keys of backups and restorations before and after the `with` block."""
    _clear(redis)
    try:
        yield
    finally:
        _clear(redis)


def _clear(redis: Redis) -> None:
    found = names_by_tag(redis)
    starts = (RESTORING, COPIED)
    _forget(redis, [_key(tag, name) for tag, names in found.items() for name in names if name.startswith(starts)])


def _forget(redis: Redis, keys: list[str]) -> None:
    with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.unlink(key)
        pipe.execute()


def _key(tag: str, name: str) -> str:
    return f"{PREFIX}:{{{tag}}}:{name}"


def _pairs(content: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(content[::2], content[1::2], strict=True))


def _put_stream(pipe: Any, key: str, content: list[Any]) -> None:
    for identity, fields in _pairs(content):
        pipe.xadd(key, dict(_pairs(fields)), id=identity)


_PUT: dict[str, Any] = {
    "string": lambda pipe, key, content: pipe.set(key, content[0]),
    "hash": lambda pipe, key, content: pipe.hset(key, mapping=dict(_pairs(content))),
    "set": lambda pipe, key, content: pipe.sadd(key, *content),
    "zset": lambda pipe, key, content: pipe.zadd(key, {member: float(score) for member, score in _pairs(content)}),
    "list": lambda pipe, key, content: pipe.rpush(key, *content),
    "stream": _put_stream,
}


def _put_in_force(redis: Redis, tag: str, before: list[str], values: dict[str, int], head: BackupHead) -> None:
    """Replace everything under one hash tag by the restored values; for a pipeline also add the event that it was
    restored."""
    gone = [_key(tag, name) for name in before if name not in values]
    pairs = [key for name in values for key in (_key(tag, RESTORING + name), _key(tag, name))]
    keys = [*gone, *pairs]
    args: list[Any] = [len(gone), len(values), *values.values()]
    if "meta" in values:
        seconds, micros = redis.time()
        now = seconds * 1000 + micros // 1000
        of = Keys(tag)
        # `workers.tasks.sweep` delivers the same event under this name; one of them counts.
        keys += [of.meta, of.inbox, of.seen(f"event:store-changed:{str(now).encode()!r}")]
        schema = int(cast("bytes | None", redis.hget(_key(tag, f"{RESTORING}meta"), "schema")) or SCHEMA)
        epoch = "epoch" if schema >= _EPOCH_SINCE else "mark"
        args += [now, epoch, now + LOOK_MS, dump_event(StoreChanged(head.at)), DELIVERED_SECONDS]
    if not Scripts(redis).run("restore", keys, args):
        raise BackupError(f"{tag} was not restored: it took more than {BESIDE_MS / 60_000:.0f} minutes; try again")
