"""News that follow from a decision: comments on pull requests, banners, lock notices, weekly reports.

All of it follows from the board and from the news that the decision collected, once at its end. The effects carry data;
`bot.reporting` makes the words when they are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot.core.model.board import Board
from bot.core.model.effects import Banner, Comment, FindPull, LockNotice, Notify
from bot.core.model.events import BannerOverwritten, Event, PullMoved, WeekEnded
from bot.core.model.facts import FactKind
from bot.core.model.messages import Message, WeekNotice
from bot.core.model.pipeline import FastLaneStart, Job, LockStatus, Mode, Service, Stage, Step
from bot.core.model.replaced import replace
from bot.core.model.run import Run, Status
from bot.core.model.stage_messages import (
    BannerPutBack,
    FixComing,
    FixPasses,
    MergesFrozen,
    MergesWait,
    NoFixComing,
    NothingLocked,
)
from bot.core.model.stage_state import Lock
from bot.core.model.standing import Standing
from bot.core.rules.decision import Decision, News
from bot.core.rules.fast_lane import fixes
from bot.core.rules.freeze_windows import last_freeze


def standing(board: Board) -> Standing:
    """Return the present state; it is empty while the pipeline observes. Most decisions leave it as it is."""
    if board.standing is None:
        board.standing = _standing(board)
    return board.standing


def _standing(board: Board) -> Standing:
    if not board.locks or board.header.mode is Mode.OBSERVE:
        return Standing(board.pipeline)
    locks = tuple(board.every_lock())
    coming = {lock.service: fixes(board, lock.service) for lock in locks if lock.service is not None}
    return Standing(board.pipeline, locks, coming, board.header.unproven)


def tell_what_stands(decision: Decision, event: Event, before: Standing) -> None:
    """Update banners and lock notices; `before`: the state when the decision began."""
    after = standing(decision.board)
    if before is not after and before != after:
        decision.effects += _changed_banners(_banners(before), _banners(after))
        decision.effects += _changed_lock_notices(before, after)
    decision.effects += _late_lock_notice(event, after)


def report_week(decision: Decision, event: WeekEnded) -> None:
    """Send the report of a week once. While the pipeline observes, it is neither sent nor counted as sent."""
    header = decision.board.header
    plan = header.pipeline.notices.weekly
    if plan is None or header.mode is Mode.OBSERVE or event.week <= header.reported_week:
        return
    decision.board.put(replace(header, reported_week=event.week))
    about = WeekNotice(header.pipeline.name, event.week)
    decision.notify([Notify("week", "", about, f"week/{event.week}", to=plan.to)])


# -- the pull requests of a run --------------------------------------------------------------------------------


def tell_pull_requests(decision: Decision) -> None:
    """Add the news of this decision to the stories of the runs, and update their pull requests.

    Moves of other runs are no news for a run, except that a fix has passed it: a long queue must not cost requests.
    """
    runs = decision.board.runs
    positions = {ended.run.key: position for position, ended in enumerate(decision.ended)}
    for key, news in decision.news.items():
        position = positions.get(key)
        run = runs.get(key) if position is None else decision.ended[position].run
        if run is not None:
            if news.what:
                run = replace(run, story=decision.story(run, *news.what))
                _keep(decision, run, position)
            if run.merge.pulls or key not in runs:
                _comment(decision, run, news)


def _keep(decision: Decision, run: Run, position: int | None) -> None:
    """Store the run with its story: on the board, or at its place among the ended runs."""
    if position is None:
        decision.board.put(run)
    else:
        decision.ended[position] = replace(decision.ended[position], run=run)


def _comment(decision: Decision, run: Run, news: News) -> None:
    """Update the comments on the pull requests of a run.

    For a run that ended before GitHub named its pull request, GitHub is asked for it.
    """
    service = decision.board.pipeline.service(run.service)
    if service is None:
        return
    patience = run.created + decision.limits.pull_told - decision.now
    if not run.merge.pulls and patience > 0:
        where = (run.service, service.repository, service.branch, run.sha)
        decision.do(FindPull(*where, patience, run.key, began=run.created))
    for pull in run.merge.pulls:
        debounce = 0.0 if news.soon else decision.limits.comment_debounce
        told = Comment(service.repository, pull, run.key, began=run.created, debounce=debounce, corrects=not news.soon)
        decision.do(told)


# -- banners over the jobs of locked stages ----------------------------------------------------------------------


#: How many locks of one stage, and fixes of one service, a banner shows.
SHOWN = 5


def banners(board: Board) -> dict[Job, Banner]:
    """Return the banner of every locked stage, by its job; none while the pipeline observes."""
    return _banners(standing(board))


def _banners(standing: Standing) -> dict[Job, Banner]:
    if standing.unproven or not standing.locks:
        return {}
    locked: dict[str, list[Lock]] = {}
    for lock in standing.locks:
        locked.setdefault(lock.stage, []).append(lock)
    stages = [stage for stage in standing.pipeline.stages if stage.name in locked]
    return {stage.job: _banner(standing, stage, locked[stage.name]) for stage in stages}


def _banner(standing: Standing, stage: Stage, locks: list[Lock]) -> Banner:
    return Banner(stage.job, stage.name, tuple(locks[:SHOWN]), tuple(_coming(standing, locks)))


def _coming(standing: Standing, locks: Iterable[Lock]) -> Iterator[Message]:
    """Yield a message about each fix on its way to open the stage, or that a service has none."""
    for service in dict.fromkeys(lock.service for lock in locks if lock.service is not None):
        coming = standing.fixes[service][-SHOWN:]
        yield from (fix_coming(run) for run in coming)
        if not coming:
            yield NoFixComing(service)


def fix_coming(run: Run) -> FixComing:
    """Return the message about a run that may open a lock."""
    waits = run.status is Status.WAITING
    return FixComing(run.who, run.step, waits, run.retrying, None if waits else run.attempt.expected)


def _changed_banners(before: dict[Job, Banner], after: dict[Job, Banner]) -> Iterator[Banner]:
    """Yield the banners to add, replace or remove, in a fixed order."""
    if before == after:
        return
    for job in sorted({**before, **after}, key=lambda job: (job.controller, job.name)):
        if job not in after:
            yield Banner(job, before[job].stage)
        elif before.get(job) != after[job]:
            yield after[job]


def put_back_banner(decision: Decision, event: BannerOverwritten) -> None:
    """Restore the banner of a job after somebody has overwritten it, or remove one that should not be there."""
    job = Job(event.controller, event.job)
    stage = next((stage for stage in decision.board.pipeline.stages if stage.job == job), None)
    if stage is None:
        return
    shown = banners(decision.board).get(job)
    told = BannerPutBack(event.job, left=shown is None)
    decision.tell(FactKind.BANNER_PUT_BACK, told, step=Step(stage.name))
    decision.do(shown or Banner(job, stage.name))


# -- the open pull requests, while a stage is locked -------------------------------------------------------------


def _changed_lock_notices(before: Standing, after: Standing) -> Iterator[LockNotice]:
    """Yield the lock notices to give or take back, in a fixed order."""
    if before.locks == after.locks and before.pipeline == after.pipeline:
        return
    was, is_now = _lock_notices(before), _lock_notices(after)
    for where in sorted({**was, **is_now}):
        if where not in is_now:
            yield LockNotice(*where, "success", NothingLocked(), locked=False)
        elif was.get(where) != is_now[where]:
            yield is_now[where]


def _late_lock_notice(event: Event, standing: Standing) -> Iterator[LockNotice]:
    """Yield the notice for a pull request opened or pushed to while a stage is locked: it may be the fix."""
    if not isinstance(event, PullMoved) or not standing.locks:
        return
    service = standing.pipeline.service(event.service)
    notice = None if service is None else lock_notice(standing, service.repository, service.branch)
    if notice is not None:
        yield replace(notice, sha=event.sha)


def lock_notice(standing: Standing, repository: str, branch: str) -> LockNotice | None:
    """Return the lock notice for the pull requests to a branch; None if there is none."""
    return _lock_notices(standing).get((repository, branch))


def _lock_notices(standing: Standing) -> dict[tuple[str, str], LockNotice]:
    """Return the lock notices by repository and branch."""
    found: dict[tuple[str, str], LockNotice] = {}
    for service in _concerned(standing):
        notice = _lock_notice(standing, service)
        if notice is not None:
            found[notice.repository, notice.branch] = notice
    return found


def _concerned(standing: Standing) -> Iterable[Service]:
    """Return the services whose pull requests may get a lock notice: of many, mostly the few that hold a lock."""
    if not standing.locks or standing.pipeline.lock_status is LockStatus.OFF:
        return ()
    if standing.pipeline.lock_status is LockStatus.ALL:
        return standing.pipeline.services
    holders = (standing.pipeline.service(lock.service) for lock in standing.locks if lock.service is not None)
    return [service for service in holders if service is not None]


def _lock_notice(standing: Standing, service: Service) -> LockNotice | None:
    own = [lock for lock in standing.locks if lock.service == service.name]
    where = (service.repository, service.branch)
    if own:
        on_request = standing.pipeline.fast_lane.start is FastLaneStart.MANUAL
        return LockNotice(*where, "success", FixPasses(_stages(own), service.name, on_request), locked=True)
    if standing.pipeline.lock_status is not LockStatus.ALL:
        return None
    return LockNotice(*where, "pending", _merges_wait(standing.locks), locked=True)


def _merges_wait(locks: Sequence[Lock]) -> Message:
    """Return the message about the lock that a merge waits for, or about the last freeze to end."""
    frozen = last_freeze(locks)
    if frozen is not None:
        return MergesFrozen(_stages(locks), frozen)
    first = next(lock for lock in locks if not lock.freeze)
    return MergesWait(_stages(locks), first.service or first.by, first.since)


def _stages(locks: Iterable[Lock]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lock.stage for lock in locks))
