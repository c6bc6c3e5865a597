"""The records of stages: locks, stage versions, backoffs, unmanaged builds, past builds, follow-ups.

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
    """One lock that closes a stage to the main lane (L2). `position` is set for an automatic one."""

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
    #: The failed build, in the stage's own job; None if Jenkins named none, or an older version locked the stage.
    build: int | None = None
    #: The freeze that it belongs to; empty: none. Such a lock begins and ends with the freeze window (W1).
    freeze: str = ""

    @property
    def automatic(self) -> bool:
        """Whether a failed run holds it, and not a person."""
        return self.service is not None


@quick_to_make
@dataclass(frozen=True, slots=True)
class Version:
    """One commit that a build has brought into a step: its run and lane; `since` in epoch seconds."""

    position: Position
    run: str
    lane: Lane
    since: float


@quick_to_make
@dataclass(frozen=True, slots=True)
class StageVersion:
    """The versions of one service in one step. The rules about them: `bot.core.rules.stage_versions`.

    `broken` failed on top of `whole`: while it is set, it is the present version. The whole version below it is kept,
    because a force-push may take the broken commit off main: then the whole one still keeps older commits out. `fix` is
    the last whole version that came on the fast lane: its clean-up (F8) continues where GitHub has not answered yet,
    even if another version has replaced or broken it since. `replaced` was whole before `whole`: people are shown the
    difference, and no rule uses it.
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
        """The version that came last, whole or broken; None if there is none."""
        return self.broken or self.whole

    @property
    def all(self) -> tuple[Version, ...]:
        """All remembered versions that the rules use: `broken`, `whole` and `fix`."""
        return tuple(version for version in (self.broken, self.whole, self.fix) if version is not None)


@dataclass(frozen=True, slots=True)
class StageBackoff:
    """The backoff of a step after Jenkins refused its trigger; no run enters until `retry_at` (L6)."""

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
    #: The run whose build it duplicates; it was asked to end (invariant 5).
    repeats: str | None = None
    abort: Abort | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class PastBuild:
    """A build of one of our jobs that has ended; `started` in seconds since the epoch, by Jenkins' clock."""

    key: str
    number: int
    started: float | None = None


# -- notices about a locked stage, its watchers, and when the next notice is due ---------------------------------------


@dataclass(frozen=True, slots=True)
class Watcher:
    """A person who asked for a notice when a stage opens, and the pull request, if they asked there."""

    by: str
    repository: str = ""
    pull: int | None = None


@quick_to_make
@dataclass(frozen=True, slots=True)
class FollowUp:
    """The notices about a stage since it was locked, and its watchers.

    `key`: the stage. `level`: the last escalation level that was sent. `told`: the recipients of escalations and
    reminders; they get a notice when the stage opens.
    """

    key: str
    level: int = 0
    #: When the last reminder was sent.
    reminded: float | None = None
    told: tuple[str, ...] = ()
    watchers: tuple[Watcher, ...] = ()


def locked_since(locks: Iterable[Lock]) -> float | None:
    """Return since when failures keep a stage locked: the start of its oldest automatic lock; None: no failure does."""
    return min((lock.since for lock in locks if lock.automatic), default=None)


def escalation_due(plan: NoticePlan, locks: Iterable[Lock], known: FollowUp) -> Iterator[tuple[float, int]]:
    """Yield when each level that was not sent yet is due, with its number."""
    since = locked_since(locks)
    if since is not None:
        yield from (
            (since + level.after, number) for number, level in plan.levels_of(known.key) if number > known.level
        )


def is_open_ended(lock: Lock) -> bool:
    """Return whether only a person opens the lock: it is manual and has no end time."""
    return not lock.automatic and lock.until is None


def reminder_due(plan: ReminderPlan, locks: Iterable[Lock], reminded: float | None) -> float | None:
    """Return when the next reminder is due; None: no lock is open-ended."""
    found = (_next_reminder(plan, lock.since + plan.after, reminded) for lock in locks if is_open_ended(lock))
    return min(found, default=None)


def _next_reminder(plan: ReminderPlan, first: float, reminded: float | None) -> float:
    """Return the first of the times `first`, `first + every`... after the last reminder."""
    if reminded is None or reminded < first:
        return first
    return first + plan.every * ((reminded - first) // plan.every + 1)


def follow_up_due(plan: NoticePlan, locks: list[Lock], known: FollowUp) -> Iterator[float]:
    """Yield the times at which the next notices about a locked stage are due."""
    yield from (at for at, _ in escalation_due(plan, locks, known))
    if plan.reminder is not None:
        at = reminder_due(plan.reminder, locks, known.reminded)
        if at is not None:
            yield at
