"""The keys of the pipeline file that say who is told of what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from config import values as v
from config.values import FileSection


class Notice(StrEnum):
    """The notices that channels can get: the topics of `bot.core.model.effects.Notify`, and Interlock's own health."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    FIX_FAILED = "fix-failed"
    FAILED = "failed"
    FREEZE = "freeze"
    STUCK = "stuck"
    HEALTH = "health"
    DEAD_LETTERS = "dead-letters"


class RoutedNotice(StrEnum):
    """The notices about a stage or a run: those that a pipeline has routes for."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    FIX_FAILED = "fix-failed"
    FAILED = "failed"
    FREEZE = "freeze"
    STUCK = "stuck"


Recipients = Annotated[tuple[v.Name, ...], Field(min_length=1)]
Names = Annotated[tuple[v.Name, ...], Field(min_length=1)]
ServiceNames = Annotated[tuple[v.ServiceName, ...], Field(min_length=1)]


class RouteEntry(FileSection):
    """Who is told of what, at once."""

    of: Annotated[tuple[RoutedNotice, ...], Field(min_length=1)]
    """The notices that take this route."""
    to: Recipients
    """Who is told: channels, or `authors`, whom a comment names on the pull request of what failed."""
    stages: Names | None = None
    """Only notices about these stages. Default: all."""
    services: ServiceNames | None = None
    """Only notices about these services. Default: all, and those that are about none."""


class EscalationEntry(FileSection):
    """Who is told that a stage is still locked by a failure."""

    after: Annotated[v.Duration, v.between("1m", "30d")]
    """How long the stage has been locked by then. Each level later than the one before."""
    to: Recipients
    """Who is told: channels, or `authors`."""
    stages: Names | None = None
    """Only of these stages. Default: all."""


class ReminderEntry(FileSection):
    """Who is reminded of a lock of a person that has no end."""

    after: Annotated[v.Duration, v.between("1m", "30d")] = 8 * 3600.0
    """How long the lock has stood at the first reminder. Default 8h."""
    every: Annotated[v.Duration, v.between("1m", "30d")] = 86_400.0
    """How long until the next one, again and again. Default 1d."""
    to: Recipients
    """Who is told: channels."""


class PipelineNotifyEntry(FileSection):
    """Who is told of what in this pipeline, beside the channels of `notify`, which hear of all pipelines."""

    routes: tuple[RouteEntry, ...] = ()
    """Who is told at once. Default: nobody else."""
    escalation: tuple[EscalationEntry, ...] = ()
    """Who is told while a stage stays locked by a failure, level by level; they also hear when it opens."""
    reminder: ReminderEntry | None = None
    """Who is reminded of a lock of a person that has no end. Default: nobody."""
    people: dict[v.PersonName, v.Name] = Field(default_factory=dict)
    """The channel of a person who wants to be told when a stage opens, by the name that the log shows."""
