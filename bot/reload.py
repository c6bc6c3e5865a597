"""Puts a pipeline file in force: what differs, what that does to live runs, what stands against it; all of it, or not.

One configuration is in force for all processes; it is stored (`bot.store.configuration`), and `bot.uptake` takes it
up in each process. What only a start changes, the environment, is asked of those that run: `equipment`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.events import Configured, FreezesPlanned
from bot.core.model.pipeline import ConfigurationChange, Pipeline, Revision
from bot.core.rules.consequences import Consequences, foresee
from bot.health.contacts import BEAT, Heartbeats
from bot.runtime import pipeline_context
from bot.start import in_force
from bot.store.configuration import ConfigurationStore, ProcessConfiguration, StoredConfiguration
from config.configuration import Configuration
from config.settings import Settings, missing

#: A process that was heard so long ago, in seconds, has ended; beat speaks at the pace of its clock.
HEARD, HEARD_BEAT = 10.0, 75.0


class ReloadOvertaken(Exception):
    """Another configuration was put in force after the difference had been looked at: nothing was changed."""


@dataclass(frozen=True, slots=True)
class ReloadProposal:
    """A configuration that may be put in force in place of the one `before`."""

    configuration: Configuration
    before: StoredConfiguration | None
    #: What differs; nothing is known of that if the one before cannot be read by this version.
    changes: tuple[ConfigurationChange, ...]
    #: Whether a configuration that means the same is in force already.
    is_in_force: bool = False
    #: Why it cannot be put in force while Interlock runs.
    refusals: tuple[str, ...] = ()
    #: By pipeline, what happens to its live runs at once.
    consequences: Mapping[str, Consequences] = field(default_factory=dict)


# -- a reload ----------------------------------------------------------------------------------------------------------


def propose(redis: Redis, configuration: Configuration, path: Path) -> ReloadProposal:
    """Compare a checked configuration with the one in force. Changes nothing. Raises RedisError."""
    before = ConfigurationStore(redis).read()
    old = in_force(before, path)
    if old is None:
        return ReloadProposal(configuration, before, ())
    changes = configuration.changes_from(old)
    if not changes:
        return ReloadProposal(configuration, before, (), is_in_force=True)
    refusals = (*_left_alone(redis, configuration, old), *_not_equipped(redis, configuration, old))
    consequences = dict(_consequences(redis, configuration))
    return ReloadProposal(configuration, before, changes, refusals=refusals, consequences=consequences)


def apply(redis: Redis, proposal: ReloadProposal, by: str) -> Revision:
    """Put the proposed configuration in force. Raises ReloadOvertaken, RedisError."""
    configuration, before = proposal.configuration, proposal.before
    new = StoredConfiguration(Revision(configuration.digest), configuration.text, by, proposal.changes)
    revision = ConfigurationStore(redis).replace(before.revision if before is not None else None, new)
    if revision is None:
        raise ReloadOvertaken
    return revision


def running(redis: Redis) -> dict[str, ProcessConfiguration]:
    """What each process that runs uses, by its kind and name. Raises RedisError."""
    noted, (seconds, _) = ConfigurationStore(redis).processes(), redis.time()
    heard = {
        f"{kind} {name}"
        for kind, rows in Heartbeats(redis).heard().items()
        for name, at in rows
        if seconds - at < (HEARD_BEAT if kind == BEAT else HEARD)
    }
    return {process: noted[process] for process in sorted(heard & noted.keys())}


def behind(redis: Redis, configuration: Configuration, revision: Revision) -> Iterator[str]:
    """Who does not use the configuration yet that was put in force: a sentence for each. Raises RedisError."""
    for process, uses in running(redis).items():
        if uses.since < revision.since:
            yield f"{process} goes on with the configuration before" + (f": {uses.problem}" if uses.problem else "")
    for pipeline in configuration.pipelines:
        with pipeline_context(redis, pipeline, configuration).look() as replica:
            if replica.board.header.revision.since < revision.since:
                yield f"pipeline {pipeline.name} still decides with the configuration before"


def _consequences(redis: Redis, configuration: Configuration) -> Iterator[tuple[str, Consequences]]:
    """What follows at once in each pipeline that has begun."""
    now = time.time()
    for pipeline in configuration.pipelines:
        with pipeline_context(redis, pipeline, configuration).look() as replica:
            board = replica.board
            if board.header.born:
                configured, freezes = _events(board, configuration, pipeline, now)
                yield pipeline.name, foresee(board, configured, now, following=[freezes])


def _events(
    board: Board, configuration: Configuration, pipeline: Pipeline, now: float
) -> tuple[Configured, FreezesPlanned]:
    mode, revision = configuration.mode(pipeline.name), Revision(configuration.digest, now)
    configured = Configured(pipeline, mode if mode is not board.header.configured_mode else None, revision)
    return configured, FreezesPlanned(configuration.planned_freezes(pipeline.name, now), revision)


def _left_alone(redis: Redis, new: Configuration, old: Configuration) -> Iterator[str]:
    """The pipelines that would go with live runs or locks in them: nobody would look after these any more."""
    for pipeline in old.pipelines:
        if new.pipeline(pipeline.name) is not None:
            continue
        with pipeline_context(redis, pipeline, old).look() as replica:
            runs = len(replica.board.runs) + len(replica.board.verifications)
            locks = len(replica.board.locks)
        if runs or locks:
            yield (
                f"pipelines.{pipeline.name}: it has {runs} live runs and {locks} locks, which nobody would look after: "
                "cancel or finish them, and unlock its stages, before it goes"
            )


def _not_equipped(redis: Redis, new: Configuration, old: Configuration) -> Iterator[str]:
    """What the new configuration needs of the environment, and running processes were started without."""
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for process, uses in running(redis).items():
        environment = _equipped(uses.has)
        known = set(missing(old, environment))
        for sentence in missing(new, environment):
            if sentence not in known:
                lacking[sentence].append(process)
    for sentence, processes in lacking.items():
        yield f"{sentence}; {', '.join(processes)} started without: set it there and restart them, then reload"


# -- what an environment has, without its secrets ----------------------------------------------------------------------

#: The settings that a configuration may need, by name, and those that it may need a part of.
_WHOLE = ("github_app_id", "session_secrets", "github_oauth_client_id", "github_oauth_client_secret")
_PARTS = ("jenkins_tokens", "notify_urls", "webhook_secrets")


def equipment(settings: Settings) -> tuple[str, ...]:
    """The names of what the environment has of all that a configuration may need: `jenkins_tokens CDP`."""
    whole = [name for name in _WHOLE if getattr(settings, name)]
    return (*whole, *(f"{name} {part}" for name in _PARTS for part in getattr(settings, name)))


def _equipped(has: tuple[str, ...]) -> Settings:
    """Settings that have what is named, whatever its values are."""
    some = SecretStr("set")
    named = [(name, part) for name, _, part in (row.partition(" ") for row in has) if part]
    given: dict[str, Any] = {name: {part: some for each, part in named if each == name} for name in _PARTS}
    given.update({name: "set" for name in _WHOLE if name in has})
    return Settings.model_construct(**given)
