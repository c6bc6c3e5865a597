"""Reloads: compares a pipeline file with the configuration in force, and applies it whole or refuses it.

The comparison includes the consequences for live runs and the reasons for a refusal. One configuration is in force for
all processes; it is stored (`bot.store.configuration`), and `bot.uptake` applies it in each process. A reload cannot
change the environment of running processes, so it checks that against `equipment`.
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

#: The age of the last heartbeat, in seconds, after which a process counts as ended. Beat has a longer limit, because
#: its heartbeats come at the pace of its clock.
HEARD, HEARD_BEAT = 10.0, 75.0


class ReloadOvertaken(Exception):
    """Raised when another configuration was put in force after the comparison. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class ReloadProposal:
    """A configuration proposed to replace the one `before`."""

    configuration: Configuration
    before: StoredConfiguration | None
    #: The differences; empty if this version cannot read the configuration before.
    changes: tuple[ConfigurationChange, ...]
    #: Whether a configuration with the same meaning is in force already.
    is_in_force: bool = False
    #: The reasons why it cannot be put in force while Interlock runs.
    refusals: tuple[str, ...] = ()
    #: By pipeline, the immediate consequences for its live runs.
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
    refusals = (*_refuse_abandoned(redis, configuration, old), *_refuse_unequipped(redis, configuration, old))
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
    """Return the configuration that each running process uses, by its kind and name. Raises RedisError."""
    noted, (seconds, _) = ConfigurationStore(redis).processes(), redis.time()
    heard = {
        f"{kind} {name}"
        for kind, rows in Heartbeats(redis).heard().items()
        for name, at in rows
        if seconds - at < (HEARD_BEAT if kind == BEAT else HEARD)
    }
    return {process: noted[process] for process in sorted(heard & noted.keys())}


def behind(redis: Redis, configuration: Configuration, revision: Revision) -> Iterator[str]:
    """Yield a sentence for each process or pipeline that does not use the new configuration yet. Raises RedisError."""
    for process, uses in running(redis).items():
        if uses.since < revision.since:
            yield f"{process} still uses the previous configuration" + (f": {uses.problem}" if uses.problem else "")
    for pipeline in configuration.pipelines:
        with pipeline_context(redis, pipeline, configuration).look() as replica:
            if replica.board.header.revision.since < revision.since:
                yield f"pipeline {pipeline.name} still decides with the previous configuration"


def _consequences(redis: Redis, configuration: Configuration) -> Iterator[tuple[str, Consequences]]:
    """Yield the immediate consequences in each pipeline that has begun."""
    now = time.time()
    for pipeline in configuration.pipelines:
        with pipeline_context(redis, pipeline, configuration).look() as replica:
            board = replica.board
            if board.header.born:
                configured, freezes = _reload_events(board, configuration, pipeline, now)
                yield pipeline.name, foresee(board, configured, now, following=[freezes])


def _reload_events(
    board: Board, configuration: Configuration, pipeline: Pipeline, now: float
) -> tuple[Configured, FreezesPlanned]:
    mode, revision = configuration.mode(pipeline.name), Revision(configuration.digest, now)
    configured = Configured(pipeline, mode if mode is not board.header.configured_mode else None, revision)
    return configured, FreezesPlanned(configuration.planned_freezes(pipeline.name, now), revision)


def _refuse_abandoned(redis: Redis, new: Configuration, old: Configuration) -> Iterator[str]:
    """Yield a refusal for each removed pipeline that has live runs or locks: nothing would manage them any more."""
    for pipeline in old.pipelines:
        if new.pipeline(pipeline.name) is not None:
            continue
        with pipeline_context(redis, pipeline, old).look() as replica:
            runs = len(replica.board.runs) + len(replica.board.verifications)
            locks = len(replica.board.locks)
        if runs or locks:
            yield (
                f"pipelines.{pipeline.name}: it still has {runs} live runs and {locks} locks: "
                "cancel or finish the runs, and unlock its stages, before you remove it"
            )


def _refuse_unequipped(redis: Redis, new: Configuration, old: Configuration) -> Iterator[str]:
    """Yield a refusal for each setting that the new configuration needs and that running processes lack."""
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for process, uses in running(redis).items():
        environment = _settings_with(uses.has)
        known = set(missing(old, environment))
        for sentence in missing(new, environment):
            if sentence not in known:
                lacking[sentence].append(process)
    for sentence, processes in lacking.items():
        yield f"{sentence}; {', '.join(processes)} started without it: set it there and restart them, then reload"


# -- the settings that an environment has, without its secrets ---------------------------------------------------------

#: The settings that a configuration may need: those needed as a whole, and those of which it needs one entry.
_WHOLE = ("github_app_id", "session_secrets", "github_oauth_client_id", "github_oauth_client_secret")
_PARTS = ("jenkins_tokens", "notify_urls", "webhook_secrets")


def equipment(settings: Settings) -> tuple[str, ...]:
    """Return the names of the given settings that a configuration may need, for example `jenkins_tokens CDP`."""
    whole = [name for name in _WHOLE if getattr(settings, name)]
    return (*whole, *(f"{name} {part}" for name in _PARTS for part in getattr(settings, name)))


def _settings_with(has: tuple[str, ...]) -> Settings:
    """Return settings in which the named entries are set, to placeholder values."""
    some = SecretStr("set")
    named = [(name, part) for name, _, part in (row.partition(" ") for row in has) if part]
    given: dict[str, Any] = {name: {part: some for each, part in named if each == name} for name in _PARTS}
    given.update({name: "set" for name in _WHOLE if name in has})
    return Settings.model_construct(**given)
