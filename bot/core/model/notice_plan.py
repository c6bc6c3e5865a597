"""Who is told of what in one pipeline, as its configuration says: routes, escalation, reminders. Frozen values.

Channels are called by their names; their addresses are secrets of the environment. Times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Stands among the recipients for the authors of the commits that a notice is about.
AUTHORS = "authors"


@dataclass(frozen=True, slots=True)
class Route:
    """Who (`to`: channels, or `AUTHORS`) is told of which topics, in which stages, about which services; empty: all."""

    to: tuple[str, ...]
    topics: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def leads(self, topic: str, stage: str, services: Iterable[str]) -> bool:
        """Whether a notice takes this route; `services`: those that it is about, none if only people are."""
        return (
            (not self.topics or topic in self.topics)
            and (not self.stages or stage in self.stages)
            and (not self.services or any(service in self.services for service in services))
        )


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """Who is told that a stage is still locked by a failure, `after` so long."""

    after: float
    to: tuple[str, ...]
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReminderPlan:
    """Who is reminded of a person's lock without an end: first `after` so long, then `every` so often."""

    after: float
    every: float
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WeeklyPlan:
    """Who gets the weekly report, and when: a day (Monday is 1) and an hour by the clocks of a time zone."""

    to: tuple[str, ...]
    day: int = 1
    hour: int = 8
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class NoticePlan:
    """Who is told of what in one pipeline, beside the channels that hear of all pipelines. Levels by rising time."""

    routes: tuple[Route, ...] = ()
    escalation: tuple[EscalationLevel, ...] = ()
    reminder: ReminderPlan | None = None
    #: The channel of each person who has one of their own.
    people: tuple[tuple[str, str], ...] = ()
    weekly: WeeklyPlan | None = None

    def recipients(self, topics: Iterable[str], stage: str, services: Iterable[str]) -> tuple[str, ...]:
        """Who is told of a notice with these topics, each once, in the order of the routes."""
        found, about = tuple(topics), tuple(services)
        leading = (route for route in self.routes if any(route.leads(topic, stage, about) for topic in found))
        return tuple(dict.fromkeys(name for route in leading for name in route.to))

    def levels_of(self, stage: str) -> Iterator[tuple[int, EscalationLevel]]:
        """The levels that concern a stage, each with its number from 1."""
        for number, level in enumerate(self.escalation, 1):
            if not level.stages or stage in level.stages:
                yield number, level

    def channel_of(self, person: str) -> str | None:
        """The channel of a person, by the name that the log has for them, with or without `github:`."""
        names = {name.casefold().removeprefix("github:"): channel for name, channel in self.people}
        return names.get(person.casefold().removeprefix("github:"))
