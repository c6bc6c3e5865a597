"""`python -m soak.fill FOLDER --days 6.4`: measures the memory of Redis when all its data has reached its bounds.

FOLDER has the store after N days of merges, from `make soak ARGS="--days N --keep FOLDER"`. Copies of its records fill
it to the bounds of `docs/store.md`: notes for as many days as they live, ended runs and facts up to the default limits
of the pipeline file. So the sizes are measured, and the numbers follow from the bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import click
from redis import Redis
from rich.console import Console

from bot.statistics.statistics import WEEKS_KEPT
from bot.store.connection import connect
from bot.store.keys import Keys
from bot.store.store import CHANGES_KEPT
from chaos.world import PIPELINE
from config.configuration import RetentionSettings
from launch.embedded import Embedded
from soak.__main__ import usage_table
from soak.store import KeyFamilies, look

#: The number of commands sent at a time.
BATCH = 2_000
DAY = 86_400.0


def fill(redis: Redis, keys: Keys, families: KeyFamilies, days: float) -> None:
    """Fill all data of a pipeline to its bounds with copies of the records of `days` days."""
    keep = RetentionSettings()
    _copy_notes(redis, families, days)
    _copy_runs(redis, keys, keep.history)
    _copy_fields(redis, keys.lock_reports, keep.history)
    _copy_entries(redis, keys.facts, keep.facts)
    _copy_entries(redis, keys.changes, CHANGES_KEPT)
    for stream, kept in ((keys.deliveries, keep.raw_deliveries), (keys.recording, keep.recording)):
        _copy_entries(redis, stream, int(redis.xlen(stream) * max(1.0, kept / DAY / days)))
    _copy_weeks(redis, keys.statistics)


def _copy_notes(redis: Redis, families: KeyFamilies, days: float) -> None:
    """Copy the keys of each family that live for days, up to the number after their whole life."""
    by_family: dict[str, tuple[float, list[bytes]]] = {}
    for key in redis.scan_iter(count=BATCH):
        family = families.of(key.decode())
        if family is not None and family.lives_for_days and "<" in family.key.partition("}:")[2]:
            lives = float(cast("re.Match[str]", re.match(r"\d+", family.stays))[0])
            by_family.setdefault(family.key, (lives, []))[1].append(key)
    for lives, names in by_family.values():
        wanted = int(len(names) * max(0.0, lives / days - 1))
        copies = enumerate(islice(cycle(names), wanted))
        _send(redis, (("COPY", name, name + b"~%d" % number) for number, name in copies))


def _copy_runs(redis: Redis, keys: Keys, most: int) -> None:
    """Copy ended runs, each with its facts."""
    runs = cast("dict[bytes, bytes]", redis.hgetall(keys.ended))
    stories = cast("dict[bytes, bytes]", redis.hgetall(keys.stories))

    def commands() -> Iterator[tuple[Any, ...]]:
        for number, (run, text) in enumerate(islice(cycle(runs.items()), most - len(runs))):
            copy = run + b"~%d" % number
            yield "HSET", keys.ended, copy, text
            yield "ZADD", keys.ended_order, number, copy
            turns = int(stories.get(run, b"0"))
            yield "HSET", keys.stories, copy, turns
            for turn in range(1, turns + 1):
                yield "HSET", keys.stories, copy + b"#%d" % turn, stories.get(run + b"#%d" % turn, b"")

    if runs:
        _send(redis, commands())


def _copy_fields(redis: Redis, key: str, most: int) -> None:
    fields = cast("dict[bytes, bytes]", redis.hgetall(key))
    copies = enumerate(islice(cycle(fields.items()), max(0, most - len(fields))))
    _send(redis, (("HSET", key, name + b"~%d" % number, text) for number, (name, text) in copies))


def _copy_entries(redis: Redis, key: str, most: int) -> None:
    """Copy the entries of a stream, with ids of the current time, later than all existing ones."""
    entries = [fields for _, fields in cast("list[Any]", redis.xrange(key))]
    copies = islice(cycle(entries), max(0, most - len(entries)))
    _send(redis, (("XADD", key, "*", *(part for pair in fields.items() for part in pair)) for fields in copies))


def _copy_weeks(redis: Redis, key: str) -> None:
    """Copy a busy week of each service for all kept weeks."""
    fields = cast("dict[bytes, bytes]", redis.hgetall(key))
    weeks = {name: text for name, text in fields.items() if name.startswith(b"week/")}
    copies = ((name, text, number) for name, text in weeks.items() for number in range(1, WEEKS_KEPT))
    _send(redis, (("HSET", key, name + b"~%d" % number, text) for name, text, number in copies))


def _send(redis: Redis, commands: Iterable[tuple[Any, ...]]) -> None:
    rest = iter(commands)
    while batch := list(islice(rest, BATCH)):
        with redis.pipeline(transaction=False) as pipe:
            for command in batch:
                pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            pipe.execute()


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--days", type=float, required=True, help="How many days of merges the folder holds.")
def main(folder: Path, days: float) -> None:
    """Fill the store in FOLDER to its bounds, and show what it takes."""
    console, families = Console(width=140), KeyFamilies()
    with Embedded(folder) as server:
        redis = connect(server.url)
        console.print(usage_table("as it was left", look(redis, families, everything=True)))
        fill(redis, Keys(PIPELINE), families, days)
        console.print(usage_table("filled to its bounds", look(redis, families, everything=True)))
        redis.close()


if __name__ == "__main__":
    main()
