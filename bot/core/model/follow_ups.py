"""What people were told of a locked stage, who waits to be told that it is open, and when the next notice is due.

Times in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.notice_plan import NoticePlan, ReminderPlan
from bot.core.model.stage_state import Lock


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who has asked to be told when a stage opens, and on which pull request if they asked there."""

    by: str
    repository: str = ""
    pull: int | None = None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What people were told of a stage since it was locked, and who waits to be told that it is open.

    `key`: the stage. `level`: the last level of the escalation that was told. `told`: who heard of an escalation or a
    reminder; they hear when the stage opens.
    """

    key: str
    level: int = 0
    #: When the last reminder went out.
    reminded: float | None = None
    told: tuple[str, ...] = ()
    watchers: tuple[Watcher, ...] = ()


def locked_since(locks: Iterable[Lock]) -> float | None:
    """Since when failures keep a stage locked: the escalation counts from the oldest automatic lock that stands."""
    return min((lock.since for lock in locks if lock.automatic), default=None)


def escalation_due(plan: NoticePlan, locks: Iterable[Lock], known: FollowUp) -> Iterator[tuple[float, int]]:
    """When each level that was not told yet is due, with its number."""
    since = locked_since(locks)
    if since is not None:
        yield from (
            (since + level.after, number) for number, level in plan.levels_of(known.key) if number > known.level
        )


def is_open_ended(lock: Lock) -> bool:
    """Whether a lock can be forgotten: a person's, that nothing but a person opens."""
    return not lock.automatic and lock.until is None


def reminder_due(plan: ReminderPlan, locks: Iterable[Lock], reminded: float | None) -> float | None:
    """When people are to be reminded next; None: nothing can be forgotten."""
    found = (_next_reminder(plan, lock.since + plan.after, reminded) for lock in locks if is_open_ended(lock))
    return min(found, default=None)


def _next_reminder(plan: ReminderPlan, first: float, reminded: float | None) -> float:
    """The first of the times `first`, `first + every`... that comes after the last reminder."""
    if reminded is None or reminded < first:
        return first
    due = first + plan.every * max(1, int((reminded - first) / plan.every))
    while due <= reminded:
        due += plan.every
    return due


def follow_up_due(plan: NoticePlan, locks: list[Lock], known: FollowUp) -> Iterator[float]:
    """When the clock matters to what people are told of a locked stage."""
    yield from (at for at, _ in escalation_due(plan, locks, known))
    if plan.reminder is not None:
        at = reminder_due(plan.reminder, locks, known.reminded)
        if at is not None:
            yield at
