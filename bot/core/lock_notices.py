"""Tells open pull requests that a stage is locked: worked out from the locks, sent when they change.

A pull request that is opened or pushed to meanwhile gets its own notice: it may be the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bot.core import sentences
from bot.core.model.board import Board
from bot.core.model.effects import LockNotice
from bot.core.model.events import Event, PullMoved
from bot.core.model.pipeline import FastLaneStart, LockStatus, Mode, Pipeline, Service
from bot.core.model.stage_state import Lock


@dataclass(frozen=True, slots=True)
class LockOverview:
    """What the notices follow from: cheap to compare, so that they are only worked out when something has changed."""

    pipeline: Pipeline
    locks: tuple[Lock, ...] = ()


def standing(board: Board) -> LockOverview:
    """What stands now; nothing while the pipeline only observes, or nobody is to be told."""
    told = board.header.mode is not Mode.OBSERVE and board.pipeline.lock_status is not LockStatus.OFF
    locks = sorted(board.locks.values(), key=lambda lock: (lock.since, lock.key)) if told and board.locks else ()
    return LockOverview(board.pipeline, tuple(locks))


def changed(before: LockOverview, after: LockOverview) -> Iterator[LockNotice]:
    """The notices that must be given, or taken back, in a fixed order."""
    if before.locks == after.locks and (not after.locks or before.pipeline == after.pipeline):
        return
    was, is_now = _notices(before), _notices(after)
    for where in sorted({**was, **is_now}):
        if where not in is_now:
            yield LockNotice(*where, "success", "open", locked=False)
        elif was.get(where) != is_now[where]:
            yield is_now[where]


def late(event: Event, standing: LockOverview) -> Iterator[LockNotice]:
    """The notice for the one pull request that an event is about, if there is one for its branch."""
    if not isinstance(event, PullMoved) or not standing.locks:
        return
    service = standing.pipeline.service(event.service)
    notice = None if service is None else of_branch(standing, service.repository, service.branch)
    if notice is not None:
        yield replace(notice, sha=event.sha)


def of_branch(standing: LockOverview, repository: str, branch: str) -> LockNotice | None:
    """The notice that stands for the pull requests to a branch."""
    return _notices(standing).get((repository, branch))


def _notices(standing: LockOverview) -> dict[tuple[str, str], LockNotice]:
    """The notice for each branch of a repository that there is one for."""
    found: dict[tuple[str, str], LockNotice] = {}
    for service in _told(standing):
        notice = _notice(standing, service)
        if notice is not None:
            found[notice.repository, notice.branch] = notice
    return found


def _told(standing: LockOverview) -> Iterable[Service]:
    """The services whose pull requests are told: of many services, mostly those few that hold a lock."""
    if not standing.locks:
        return ()
    if standing.pipeline.lock_status is LockStatus.ALL:
        return standing.pipeline.services
    holders = (standing.pipeline.service(lock.service) for lock in standing.locks if lock.service is not None)
    return [service for service in holders if service is not None]


def _notice(standing: LockOverview, service: Service) -> LockNotice | None:
    own = [lock for lock in standing.locks if lock.service == service.name]
    where = (service.repository, service.branch)
    if own:
        manual = standing.pipeline.fast_lane.start is FastLaneStart.MANUAL
        then = "merge its fix, then ask for the fast lane" if manual else "merging this enters the fast lane"
        return LockNotice(*where, "success", f"{_locked(own, service.name)}: {then}", locked=True)
    if standing.pipeline.lock_status is not LockStatus.ALL:
        return None
    first = standing.locks[0]
    who = f"{_locked(list(standing.locks), first.service or first.by)} since {sentences.moment(first.since)}"
    return LockNotice(*where, "pending", f"{who}; merging is possible, your change waits", locked=True)


def _locked(locks: list[Lock], by: str) -> str:
    stages = list(dict.fromkeys(lock.stage for lock in locks))
    return f"{' and '.join(stages)} {'is' if len(stages) == 1 else 'are'} locked by {by}"
