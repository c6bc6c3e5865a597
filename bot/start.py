"""The configuration that a process starts with: the one in force, which its own file may become.

A file that was in force before and was replaced does not come back because a process starts that still has it. A new
one is put in force by the start of a worker or of beat; a web process is started anew too often and too quietly for
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

#: Why a process uses another configuration than its own file, by what that file is.
REPLACED = "its pipeline file was in force before and was replaced"
NEW = "its pipeline file is new and was not put in force"


@dataclass(frozen=True, slots=True)
class FirstConfiguration:
    """What a process starts with. `stored`: as it is in force; None if that is not known, then it is its own file.

    `problem`: why it is not what its file says, or may not be what is in force; empty: all is well.
    """

    configuration: Configuration
    stored: StoredConfiguration | None
    problem: str = ""


def at_start(redis: Redis, path: Path, who: str, *, puts_in_force: bool) -> FirstConfiguration:
    """The configuration in force; the own file of `who` is put in force if none is, or if it is new and it may.

    Raises ConfigurationError if its file has mistakes and no other configuration is in force.
    """
    store = ConfigurationStore(redis)
    try:
        own, mistakes = _own_file(path)
        while True:
            stored = store.read()
            if stored is None and own is None:
                raise mistakes
            begins = _given(store, stored, own, mistakes, path, puts_in_force)
            if begins is not None:
                return begins
            assert own is not None  # noqa: S101  else there would be something to begin with
            new = _stored(own, stored, path, who)
            revision = store.replace(stored.revision if stored is not None else None, new)
            if revision is not None:
                return FirstConfiguration(own, replace(new, revision=revision))
    except RedisError:  # it is asked as soon as it answers: `bot.uptake`
        return FirstConfiguration(pipeline_file.load(path), None)


def _given(
    store: ConfigurationStore,
    stored: StoredConfiguration | None,
    own: Configuration | None,
    mistakes: ConfigurationError,
    path: Path,
    puts_in_force: bool,
) -> FirstConfiguration | None:
    """What there is to begin with; None: the process' own file, which must be put in force first."""
    if stored is None:
        return None
    try:
        present = pipeline_file.parse(stored.text, path)
    except ConfigurationError as error:
        if own is None:
            raise mistakes from error
        if puts_in_force and not store.was_replaced(own.digest):
            return None  # another version wrote it, and this file is for ours
        return FirstConfiguration(own, None, f"it cannot read the configuration that is in force: {error}")
    if own is None:
        return FirstConfiguration(present, stored, f"its pipeline file has mistakes: {mistakes}")
    if own.digest == present.digest:
        return FirstConfiguration(present, stored)
    if store.was_replaced(own.digest):
        return FirstConfiguration(present, stored, REPLACED)
    return None if puts_in_force else FirstConfiguration(present, stored, NEW)


def _stored(own: Configuration, before: StoredConfiguration | None, path: Path, who: str) -> StoredConfiguration:
    present = in_force(before, path)
    changes = own.changes_from(present) if present is not None else ()
    return StoredConfiguration(Revision(own.digest), own.text, f"the start of {who}", changes)


def in_force(stored: StoredConfiguration | None, path: Path) -> Configuration | None:
    """The configuration in force, to compare another one with; None if there is none, or none that we can read."""
    try:
        return None if stored is None else pipeline_file.parse(stored.text, path)
    except ConfigurationError:
        return None


def _own_file(path: Path) -> tuple[Configuration | None, ConfigurationError]:
    """The configuration that the file describes, or its mistakes."""
    try:
        return pipeline_file.load(path), ConfigurationError([])
    except ConfigurationError as error:
        return None, error
