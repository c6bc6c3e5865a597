"""The keys of the pipeline file for notices to people, and for outbound webhooks to other programs."""

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
    """The notices about a stage or a run, which a pipeline can have routes for."""

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
    """A route: notices that are sent to recipients at once."""

    of: Annotated[tuple[RoutedNotice, ...], Field(min_length=1)]
    """The notices that take this route."""
    to: Recipients
    """The recipients: channels, or `authors`, who are named in a comment on the pull request of the failed commit."""
    stages: Names | None = None
    """Only notices about these stages. Default: all."""
    services: ServiceNames | None = None
    """Only notices about these services. Default: all, and notices about no service."""


class EscalationEntry(FileSection):
    """A level of the escalation: recipients of the notice that a failure still locks a stage."""

    after: Annotated[v.Duration, v.between("1m", "30d")]
    """How long the stage has been locked at that time. Each level must be later than the one before."""
    to: Recipients
    """The recipients: channels, or `authors`."""
    stages: Names | None = None
    """Only notices about these stages. Default: all."""


class ReminderEntry(FileSection):
    """The reminders of a person's lock that has no end."""

    after: Annotated[v.Duration, v.between("1m", "30d")] = 8 * 3600.0
    """The age of the lock at the first reminder. Default 8h."""
    every: Annotated[v.Duration, v.between("1m", "30d")] = 86_400.0
    """The time between two reminders. Default 1d."""
    to: Recipients
    """The recipients: channels."""


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
    """The recipients of the weekly report, and its time."""

    to: Recipients
    """The recipients: channels."""
    day: Weekday = Weekday.MONDAY
    """The day on which it is sent. It covers the last complete week. Default `monday`."""
    hour: v.Hour = 8
    """The full hour at which it is sent, 0 to 23. Default 8."""
    time_zone: TimeZone = "UTC"
    """The time zone of day and hour. Default `UTC`."""


class PipelineNotifyEntry(FileSection):
    """Notification routes of one pipeline, in addition to the global channels in `notify`."""

    routes: tuple[RouteEntry, ...] = ()
    """The routes of notices that are sent at once. Default: none."""
    escalation: tuple[EscalationEntry, ...] = ()
    """The recipients, level by level, while a failure keeps a stage locked. They also get a notice when it opens."""
    reminder: ReminderEntry | None = None
    """The reminders of a person's lock that has no end. Default: none."""
    weekly: WeeklyEntry | None = None
    """The recipients of the weekly report, and its time. Default: none."""
    people: dict[v.PersonName, v.Name] = Field(default_factory=dict)
    """The channel of each person who can ask for a notice when a stage opens, by the person's name in the log."""


# -- outbound webhooks: facts sent to other programs over HTTP ---------------------------------------------------------

_KINDS = tuple(str(kind) for kind in FactKind)


class WebhookFormat(StrEnum):
    """The format of the facts that a webhook sends."""

    INTERLOCK = "interlock"
    CDEVENTS = "cdevents"


def facts(value: object) -> tuple[FactKind, ...]:
    """Return the listed kinds of facts; empty for `all`, which includes the kinds of later versions."""
    if value == "all":
        return ()
    if not isinstance(value, list | tuple) or not value:
        v.refuse(
            f"{shown(value)} is not a list of kinds of facts", "`all`, or a list such as [stage-locked, run-failed]"
        )
    for each in value:
        if not isinstance(each, str) or each not in _KINDS:
            v.refuse(f"there is no kind of fact {shown(each)}", one_of(_KINDS), nearest(str(each), _KINDS))
    return tuple(kind for kind in FactKind if str(kind) in value)


def _some(kind: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "minItems": 1, "items": kind}]})


Facts = Annotated[tuple[FactKind, ...], BeforeValidator(facts), _some({"enum": list(_KINDS)})]
PipelineNames = Annotated[tuple[v.Name, ...], Field(min_length=1)]


class WebhookEntry(FileSection):
    """An outbound webhook. Its secret comes from the environment: INTERLOCK_WEBHOOK_SECRET_<NAME>."""

    name: v.ControllerName
    """Name of the webhook in the log, in the metrics and in the variable of its secret; each name once."""
    url: v.Url
    """The address that facts are posted to. Only `https://`, unless it is on this machine or `allow_http` is set."""
    facts: Facts = ()
    """The kinds of facts that are sent: a list, or `all`, the default."""
    format: WebhookFormat = WebhookFormat.INTERLOCK
    """The format of the facts. `interlock`: our own JSON, for every kind, the default. `cdevents`: CDEvents, for the
    kinds that have one."""
    pipelines: PipelineNames | None = None
    """The pipelines whose facts are sent. Default: all."""
    timeout: Annotated[v.Duration, v.between("1s", "1m")] = 10.0
    """The longest one delivery may take. Default 10s."""
    allow_http: v.Switch = False
    """Whether `http://` to another machine is allowed, although everybody on the way can read it. Default `false`."""
    ca_bundle: v.Plain | None = None
    """A file of certificate authorities to trust for this address, relative to this file."""

    @model_validator(mode="after")
    def _is_safe(self) -> WebhookEntry:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            v.refuse(f"webhook {shown(self.name)} has an address without TLS", "`https://`, or `allow_http: true`")
        return self


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
