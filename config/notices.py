"""The keys of the pipeline file that say who is told of what: people, and other programs by outbound webhooks."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from bot.core.model.facts import FactKind
from config import values as v
from config.errors import nearest, one_of, shown
from config.freezes import TimeZone
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


class Weekday(StrEnum):
    """The days of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class WeeklyEntry(FileSection):
    """Who gets the report of each week, and when."""

    to: Recipients
    """Who gets it: channels."""
    day: Weekday = Weekday.MONDAY
    """On which day. The report is about the last week that is over by then. Default `monday`."""
    hour: v.Hour = 8
    """At which full hour, 0 to 23. Default 8."""
    time_zone: TimeZone = "UTC"
    """By whose clocks. Default `UTC`."""


class PipelineNotifyEntry(FileSection):
    """Who is told of what in this pipeline, beside the channels of `notify`, which hear of all pipelines."""

    routes: tuple[RouteEntry, ...] = ()
    """Who is told at once. Default: nobody else."""
    escalation: tuple[EscalationEntry, ...] = ()
    """Who is told while a stage stays locked by a failure, level by level; they also hear when it opens."""
    reminder: ReminderEntry | None = None
    """Who is reminded of a lock of a person that has no end. Default: nobody."""
    weekly: WeeklyEntry | None = None
    """Who gets the report of each week, and when. Default: nobody."""
    people: dict[v.PersonName, v.Name] = Field(default_factory=dict)
    """The channel of a person who wants to be told when a stage opens, by the name that the log shows."""


# -- outbound webhooks: other programs, which are told of facts over HTTP ----------------------------------------------

_KINDS = tuple(str(kind) for kind in FactKind)


class WebhookFormat(StrEnum):
    """In which form a webhook is told."""

    INTERLOCK = "interlock"
    CDEVENTS = "cdevents"


def facts(value: object) -> tuple[FactKind, ...]:
    """A list of kinds of facts; `all` for every kind, those of later versions too, is none of them."""
    if value == "all":
        return ()
    if not isinstance(value, list | tuple) or not value:
        v.refuse(f"{shown(value)} is no list of kinds of facts", "`all`, or a list such as [stage-locked, run-failed]")
    for each in value:
        if not isinstance(each, str) or each not in _KINDS:
            v.refuse(f"there is no kind of fact {shown(each)}", one_of(_KINDS), nearest(str(each), _KINDS))
    return tuple(kind for kind in FactKind if str(kind) in value)


def _some(kind: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "minItems": 1, "items": kind}]})


Facts = Annotated[tuple[FactKind, ...], BeforeValidator(facts), _some({"enum": list(_KINDS)})]
PipelineNames = Annotated[tuple[v.Name, ...], Field(min_length=1)]


class WebhookEntry(FileSection):
    """An address that is told of facts. Its secret comes from the environment: INTERLOCK_WEBHOOK_SECRET_<NAME>."""

    name: v.ControllerName
    """Name of the webhook: in the log, in the metrics and in the variable of its secret; each once."""
    url: v.Url
    """The address that facts are posted to. Only `https://`, unless it is on this machine or `allow_http` is set."""
    facts: Facts = ()
    """The kinds of facts that it is told: a list, or `all`, the default."""
    format: WebhookFormat = WebhookFormat.INTERLOCK
    """`interlock`: JSON of our own, every kind, the default. `cdevents`: CDEvents, for the kinds that have one."""
    pipelines: PipelineNames | None = None
    """The pipelines whose facts it is told. Default: all."""
    timeout: Annotated[v.Duration, v.between("1s", "1m")] = 10.0
    """The longest that one delivery may take. Default 10s."""
    allow_http: v.Switch = False
    """Whether `http://` to another machine is meant, which everybody on the way can read. Default `false`."""
    ca_bundle: v.Plain | None = None
    """A file of certificate authorities to trust for this address, relative to this file."""

    @model_validator(mode="after")
    def _is_safe(self) -> WebhookEntry:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            v.refuse(f"webhook {shown(self.name)} would be told over plain http", "`https://`, or `allow_http: true`")
        return self


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
