"""What is known of the stages: locks, what is in them for each service, refusals, unmanaged builds, notices.

Frozen values, by `key`; times in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.model.history import Position
from bot.core.model.messages import Message
from bot.core.model.notice_plan import NoticePlan, ReminderPlan
from bot.core.model.pipeline import Lane, Step
from bot.core.model.replaced import quick_to_make
from bot.core.model.run import Abort


@dataclass(frozen=True, slots=True)
class Lock:
    """One of the things that close a stage to the main lane (L2). `position` is set for an automatic one."""

    key: str
    stage: str
    reason: Message
    by: str
    since: float
    #: The failed run, its service and commit: the lock opens when a run that contains the commit has passed.
    run: str | None = None
    service: str | None = None
    position: Position | None = None
    let_fixes_in: bool = False
    until: float | None = None
    #: The failing build, in the stage's own job; None if Jenkins named none, or an older version locked the stage.
    build: int | None = None
    #: The freeze that it belongs to; empty: none. The clock puts such a lock up and opens it (W1).
    freeze: str = ""

    @property
    def automatic(self) -> bool:
        """Whether a failed run holds it, and not a person."""
        return self.service is not None


@quick_to_make
@dataclass(frozen=True, slots=True)
class Version:
    """One commit that a build has brought into a step: by which run, on which lane; `since` in epoch seconds."""

    position: Position
    run: str
    lane: Lane
    since: float


@quick_to_make
@dataclass(frozen=True, slots=True)
class StageVersion:
    """What is in one step for one service. The rules about it: `bot.core.rules.stage_versions`.

    `broken` is what failed on top of `whole`: while it is set, it is what is in the step. The whole version below it
    stays known, because a force-push may take the broken commit off main: then the whole one still keeps older
    commits out. `fix` is the last whole version that came on the fast lane: its clean-up (F8) goes on, where GitHub
    has not answered yet, even if another version has replaced or broken it since. `replaced` is what was whole before
    `whole`: people are shown the difference, and no rule asks for it.
    """

    key: str
    service: str
    step: Step
    whole: Version | None = None
    broken: Version | None = None
    fix: Version | None = None
    replaced: Version | None = None

    @property
    def present(self) -> Version | None:
        """What was brought there last, whole or broken."""
        return self.broken or self.whole

    @property
    def all(self) -> tuple[Version, ...]:
        """All the versions that are remembered."""
        return tuple(version for version in (self.broken, self.whole, self.fix) if version is not None)


@dataclass(frozen=True, slots=True)
class StageBackoff:
    """Jenkins refused a step's trigger; nobody enters until `retry_at` (L6)."""

    key: str
    step: Step
    why: str
    since: float
    retry_at: float
    refusals: int = 1


@dataclass(frozen=True, slots=True)
class UnmanagedBuild:
    """A build in one of our jobs that no run asked for: it moves nothing but occupies a slot (invariant 1)."""

    key: str
    step: Step
    number: int
    since: float
    #: It repeats a build of this run and was asked to end (invariant 5).
    repeats: str | None = None
    abort: Abort | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class PastBuild:
    """A build of one of our jobs that is known to have ended; `started` in seconds since the epoch, by Jenkins."""

    key: str
    number: int
    started: float | None = None


# -- what people were told of a locked stage, who waits to be told that it is open, and when the next notice is due ----


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who has asked to be told when a stage opens, and on which pull request if they asked there."""

    by: str
    repository: str = ""
    pull: int | None = None


@quick_to_make
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
    return first + plan.every * ((reminded - first) // plan.every + 1)


def follow_up_due(plan: NoticePlan, locks: list[Lock], known: FollowUp) -> Iterator[float]:
    """When the clock matters to what people are told of a locked stage."""
    yield from (at for at, _ in escalation_due(plan, locks, known))
    if plan.reminder is not None:
        at = reminder_due(plan.reminder, locks, known.reminded)
        if at is not None:
            yield at
