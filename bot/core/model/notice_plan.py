"""The notice plan of one pipeline: routes, escalation, reminders, weekly reports. Frozen values.

Channels are named here; their addresses are secrets of the environment. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: The recipient that stands for the authors of the commits that a notice is about.
AUTHORS = "authors"


@dataclass(frozen=True, slots=True)
class Route:
    """The recipients (`to`: channels, or `AUTHORS`) of notices, by topic, stage and service; an empty field: all."""

    to: tuple[str, ...]
    topics: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def leads(self, topic: str, stage: str, services: Iterable[str]) -> bool:
        """Return whether a notice takes this route; `services`: its services, empty if it is not about any."""
        return (
            (not self.topics or topic in self.topics)
            and (not self.stages or stage in self.stages)
            and (not self.services or any(service in self.services for service in services))
        )


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """The recipients of a notice that a failure has kept a stage locked for `after` seconds."""

    after: float
    to: tuple[str, ...]
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReminderPlan:
    """The recipients of reminders of a person's lock without an end: after `after`, then every `every` seconds."""

    after: float
    every: float
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WeeklyPlan:
    """The recipients of the weekly report, and its time: a day (Monday is 1) and an hour in a time zone."""

    to: tuple[str, ...]
    day: int = 1
    hour: int = 8
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class NoticePlan:
    """All recipients of one pipeline's notices, except the channels for all pipelines. Levels by rising time."""

    routes: tuple[Route, ...] = ()
    escalation: tuple[EscalationLevel, ...] = ()
    reminder: ReminderPlan | None = None
    #: The channel of each person who has one of their own.
    people: tuple[tuple[str, str], ...] = ()
    weekly: WeeklyPlan | None = None

    @property
    def has_times(self) -> bool:
        """Whether notices about a locked stage become due as time passes."""
        return bool(self.escalation) or self.reminder is not None

    def recipients(self, topics: Iterable[str], stage: str, services: Iterable[str]) -> tuple[str, ...]:
        """Return the recipients of a notice with these topics, each once, in the order of the routes."""
        found, about = tuple(topics), tuple(services)
        leading = (route for route in self.routes if any(route.leads(topic, stage, about) for topic in found))
        return tuple(dict.fromkeys(name for route in leading for name in route.to))

    def levels_of(self, stage: str) -> Iterator[tuple[int, EscalationLevel]]:
        """Yield the escalation levels that apply to a stage, each with its number from 1."""
        for number, level in enumerate(self.escalation, 1):
            if not level.stages or stage in level.stages:
                yield number, level

    def channel_of(self, person: str) -> str | None:
        """Return a person's channel, by their name in the log, with or without `github:`; None: no channel."""
        names = {name.casefold().removeprefix("github:"): channel for name, channel in self.people}
        return names.get(person.casefold().removeprefix("github:"))
