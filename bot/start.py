"""Chooses the configuration that a process starts with: the one in force, or its own file, which it may put in force.

A process that still has a file which was in force before and was replaced does not bring that file back by starting.
Only the start of a worker or of beat puts a new file in force; a web process is restarted too often and too quietly for
that (gunicorn does so by itself).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.pipeline import Revision
from bot.store.configuration import ConfigurationStore, StoredConfiguration
from config import pipeline_file
from config.configuration import Configuration
from config.errors import ConfigurationError

#: The reasons why a process uses another configuration than its own file: the file was replaced, or it is new.
REPLACED = "its pipeline file was in force before and was replaced"
NEW = "its pipeline file is new and was not put in force"


@dataclass(frozen=True, slots=True)
class FirstConfiguration:
    """The configuration that a process starts with.

    `stored`: its stored form; None if the store did not answer or its configuration could not be read, and then the
    process uses its own file. `problem`: why the process does not use its own file, or may not use the configuration in
    force; empty: no problem.
    """

    configuration: Configuration
    stored: StoredConfiguration | None
    problem: str = ""


def at_start(redis: Redis, path: Path, who: str, *, puts_in_force: bool) -> FirstConfiguration:
    """Return the configuration to start with, and put the own file of `who` in force if that is due.

    The own file is put in force if no configuration is, or if the file is new and `puts_in_force` is set. Raises
    ConfigurationError if the file has mistakes and no other configuration is in force.
    """
    store = ConfigurationStore(redis)
    try:
        own, mistakes = _own_file(path)
        while True:
            stored = store.read()
            if stored is None and own is None:
                raise mistakes
            begins = _choose(store, stored, own, mistakes, path, puts_in_force)
            if begins is not None:
                return begins
            assert own is not None  # noqa: S101  otherwise `_choose` would have returned one
            new = _to_store(own, stored, path, who)
            revision = store.replace(stored.revision if stored is not None else None, new)
            if revision is not None:
                return FirstConfiguration(own, replace(new, revision=revision))
    except RedisError:  # `bot.uptake` reads the store once it answers
        return FirstConfiguration(pipeline_file.load(path), None)


def _choose(
    store: ConfigurationStore,
    stored: StoredConfiguration | None,
    own: Configuration | None,
    mistakes: ConfigurationError,
    path: Path,
    puts_in_force: bool,
) -> FirstConfiguration | None:
    """Return the configuration to start with; None: put the process' own file in force first."""
    if stored is None:
        return None
    try:
        present = pipeline_file.parse(stored.text, path)
    except ConfigurationError as error:
        if own is None:
            raise mistakes from error
        if puts_in_force and not store.was_replaced(own.digest):
            return None  # another version wrote it, and our file is written for ours
        return FirstConfiguration(own, None, f"it cannot read the configuration that is in force: {error}")
    if own is None:
        return FirstConfiguration(present, stored, f"its pipeline file has mistakes: {mistakes}")
    if own.digest == present.digest:
        return FirstConfiguration(present, stored)
    if store.was_replaced(own.digest):
        return FirstConfiguration(present, stored, REPLACED)
    return None if puts_in_force else FirstConfiguration(present, stored, NEW)


def _to_store(own: Configuration, before: StoredConfiguration | None, path: Path, who: str) -> StoredConfiguration:
    present = in_force(before, path)
    changes = own.changes_from(present) if present is not None else ()
    return StoredConfiguration(Revision(own.digest), own.text, f"the start of {who}", changes)


def in_force(stored: StoredConfiguration | None, path: Path) -> Configuration | None:
    """Return the configuration in force, for a comparison; None if none is, or if we cannot read it."""
    try:
        return None if stored is None else pipeline_file.parse(stored.text, path)
    except ConfigurationError:
        return None


def _own_file(path: Path) -> tuple[Configuration | None, ConfigurationError]:
    """Return the configuration of the file, or None with its mistakes."""
    try:
        return pipeline_file.load(path), ConfigurationError([])
    except ConfigurationError as error:
        return None, error
