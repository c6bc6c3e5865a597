"""Poll Jenkins and GitHub: each change that no callback or webhook reported becomes an event in the inbox.

`builds` compares the jobs in Jenkins with the board, `heads` the main branches at GitHub. Neither changes a board.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote

import structlog

from bot.core.model.board import Board
from bot.core.model.board_records import ServiceState
from bot.core.model.effects import Banner
from bot.core.model.events import BannerOverwritten, BuildLost, BuildSeen, Event, HeadSeen, Withdrawn
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Job, Mode, Service, Step, Track
from bot.core.model.run import Buildable
from bot.core.rules.notices import banners
from bot.effect_outcomes import PermanentFailure, RateLimited, RetryLater
from bot.github import identity
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubUnreachable
from bot.jenkins import triggers
from bot.jenkins.banners import shown_on
from bot.jenkins.client import JenkinsForbidden, JenkinsNotFound, client_for
from bot.jenkins.differences import ControllerPoll, WatchedJob, differences
from bot.payloads import is_sha
from bot.runtime import PipelineContext, Runtime
from bot.store.records import Repairs
from config.logs import Once

log = structlog.get_logger()

#: The number of unanswered requests to GitHub in a row after which a poll stops until the next time.
AWAY = 3
#: The most pages of facts that are read to find the services whose main has just moved.
PAGES = 10
_said = Once()


# -- Jenkins: builds ---------------------------------------------------------------------------------------------------


def builds(runtime: Runtime, context: PipelineContext) -> int:
    """Compare every relevant job with Jenkins; returns how many differences were added to the inbox.

    Relevant are jobs with live builds, jobs with a limited number of slots, because an unmanaged build may take one,
    and jobs with a banner. This takes one request per job and one per controller, however many builds run (Jenkins:
    `builds[...]{0,N}` under `tree=`).
    """
    with context.look() as copy:
        lives = _watched_jobs(context, copy.board, copy.version)
    poll: dict[str, ControllerPoll] = {}
    later: dict[str, dict[str, str]] = {}
    found = 0
    for live in lives:
        try:
            if live.job.controller not in poll:
                poll[live.job.controller] = _poll(runtime, context, live.job)
            found += sum(_add(context, live, event) for event in differences(poll[live.job.controller], live))
        except (RetryLater, JenkinsForbidden, JenkinsNotFound, PermanentFailure) as error:
            later.setdefault(live.job.controller, {})[live.job.name] = str(error)
    for controller in {live.job.controller for live in lives}:
        _log_unreachable(context, controller, later.get(controller, {}))
    return found


def _log_unreachable(context: PipelineContext, controller: str, later: dict[str, str]) -> None:
    """Log which jobs of a controller could not be compared, if they are not the same as last time."""
    matter = (context.pipeline.name, controller)
    if not later:
        if _said.is_over(matter):
            log.info("reconcile-resumed", pipeline=context.pipeline.name, controller=controller)
    elif _said.is_new(matter, frozenset(later)):
        job, why = next(iter(later.items()))
        log.warning("reconcile-later", controller=controller, jobs=len(later), job=job, why=why)


def _watched_jobs(context: PipelineContext, board: Board, version: int) -> list[WatchedJob]:
    watched = board.jobs()
    at: dict[Job, list[Buildable]] = defaultdict(list)
    everything: list[Buildable] = [*board.runs.values(), *board.verifications.values()]
    inside = sorted((built for built in everything if built.holds_slot), key=lambda b: (b.queue_number, b.key))
    for run, job in zip(inside, triggers.posted_jobs(context, inside), strict=True):
        # A build runs in the job to which it was sent, even if the configuration has another job or no such stage now.
        where = job or board.job_of(run)
        if where is not None:
            at[where].append(run)
    shown = banners(board)
    lives = [_watched_job(board, version, job, step, at.pop(job, []), shown.get(job)) for job, step in watched.items()]
    few = [live for live in lives if _matters(board, live, watched[live.job], shown)]
    return few + [WatchedJob(version, job, tuple(runs), None, None) for job, runs in at.items()]


def _watched_job(
    board: Board, version: int, job: Job, step: Step, runs: list[Buildable], shown: Banner | None
) -> WatchedJob:
    # A job without a lock may still have a banner of ours, for example after its description was applied again.
    wanted = shown or Banner(job, step.stage)
    real = step.track is Track.REAL and board.pipeline.stage(step.stage) is not None
    # Until it is proven that no state was lost, a banner may be the only trace of a lock.
    carries = real and board.header.mode is not Mode.OBSERVE and not board.header.unproven
    return WatchedJob(version, job, tuple(runs), tuple(board.unmanaged_builds(step)), wanted if carries else None)


def _matters(board: Board, live: WatchedJob, step: Step, shown: dict[Job, Banner]) -> bool:
    return bool(live.runs or live.unmanaged_builds) or board.capacity(step) is not None or live.job in shown


def _poll(runtime: Runtime, context: PipelineContext, job: Job) -> ControllerPoll:
    jenkins = client_for(runtime, job)
    lost_after = jenkins.limits.lost_after
    patience = lost_after + 2 * runtime.configuration.polling.builds

    def amiss(description: str, banner: Banner) -> bool:
        wrong = shown_on(runtime, context, description, banner) != description
        return wrong and not context.outbox.has(
            banner.slot
        )  # the effect is pending, or a dead letter, which people see

    return ControllerPoll(jenkins, lambda run: _missing_for(context, run, patience) >= lost_after, amiss)


def _missing_for(context: PipelineContext, run: Buildable, patience: float) -> float:
    """Return for how long every look at a run's build has missed it, in seconds; after `patience` seconds without a
    look this begins again."""
    now, key = time.time(), context.keys.missing(run.key, run.attempt.number)
    context.redis.set(key, repr(now), nx=True)
    context.redis.pexpire(key, int(patience * 1000))
    return now - float(context.redis.get(key) or now)


def _add(context: PipelineContext, live: WatchedJob, event: Event) -> int:
    """Add one difference to the inbox, once however often it is seen before the next turn; returns 1 if it was added.

    A difference that is still there after a turn is reported again: the turn may have been about another event.
    """
    name = f"{live.job.controller}/{live.job.name}"
    match event:
        case BuildSeen():
            key = f"{name}/{event.number}/{event.result or 'building'}/{event.run}/{event.attempt}"
        case BuildLost() | Withdrawn():
            key = f"{name}/{event.kind}/{event.run}/{event.attempt}"
        case BannerOverwritten():
            key = f"{name}/{event.kind}"
        case _:
            raise AssertionError(f"the reconciler of builds made a {event.kind}")
    if not context.inbox.add(event, f"seen:{live.version}:{key}"):
        return 0
    if not isinstance(event, BannerOverwritten):
        Repairs(context.redis, context.keys).count("build")
    return 1


# -- GitHub: the heads of main -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KnownHead:
    """GitHub's last answer about a branch. `unconfirmed_head`: our head and an older one that GitHub named instead;
    `told`: whether that was reported to the board."""

    branch: str = ""
    etag: str = ""
    sha: str = ""
    unconfirmed_head: str = ""
    told: bool = False


def heads(runtime: Runtime, context: PipelineContext, *, everybody: bool = False) -> int:
    """Compare the head of each service's main with the board; returns how many differ.

    This takes one conditional request per service: as long as main does not move, GitHub answers 304, which costs no
    limit. Without `everybody`, services whose main has just moved according to the facts are left out.
    """
    if not identity.is_known(runtime.settings):
        return 0
    moved = set() if everybody else _just_moved(context, runtime.configuration.polling.heads)
    found = silent = 0
    # The file's services: at the first start the board may not have taken its configuration yet.
    for service in context.pipeline.services:
        if service.name in moved or silent >= AWAY:
            continue
        moves = _known(context, service).moves
        try:
            look = _ask(runtime, context, service)
        except (RetryLater, PermanentFailure) as error:
            silent = silent + 1 if isinstance(error, GitHubUnreachable) else 0
            is_limit = isinstance(error, RateLimited)  # limits are logged by the session
            if not is_limit and _said.is_new(service.repository, str(error)):
                log.warning("reconcile-later", repository=service.repository, why=str(error))
            continue
        silent = 0
        if _said.is_over(service.repository):
            log.info("reconcile-resumed", repository=service.repository)
        found += _compare(context, service, look, moves)
    return found


def _known(context: PipelineContext, service: Service) -> ServiceState:
    """Return the present state of a service on the board."""
    with context.look() as replica:
        return replica.board.service(service.name)


def _just_moved(context: PipelineContext, seconds: float) -> set[str]:
    """Return the services whose main has moved in the last `seconds`, according to the facts."""
    records, now = context.records, int(context.redis.time()[0])
    moved: set[str] = set()
    before: str | None = None
    for _ in range(PAGES):
        page = records.facts(before, 200)
        for _, row in page.facts:
            if row.at < now - seconds:
                return moved
            if row.fact.kind in (FactKind.MERGE_ACCEPTED, FactKind.MERGE_KNOWN) and row.fact.service:
                moved.add(row.fact.service)
        before = page.next
        if before is None:
            break
    return moved


def _ask(runtime: Runtime, context: PipelineContext, service: Service) -> KnownHead:
    """Ask GitHub for the head of the branch; returns the former answer if nothing has changed."""
    session = Session(runtime, service.repository)
    before = _remembered(context, service)
    path = f"/git/ref/heads/{quote(service.branch)}"
    answer = session.read(path, Purpose.HEADS, before.etag)
    known = runtime.repositories.get(service.repository)
    if known is None or (answer.status != 304 and _is_elsewhere(answer.data, known.present)):
        session.look_up()
    if answer.status == 304:
        return before
    sha = answer.data["object"]["sha"] if isinstance(answer.data, dict) else ""
    if not is_sha(sha):
        raise RetryLater(f"GitHub's answer contains no head of main of {service.repository}")
    return replace(before, branch=service.branch, etag=answer.headers.get("etag", ""), sha=sha)


def _is_elsewhere(data: Any, present: str) -> bool:
    """Return whether a redirect was followed: the address in the answer has another name than the one known."""
    url = str(data.get("url", "")) if isinstance(data, dict) else ""
    return bool(url) and f"/repos/{present}/".casefold() not in url.casefold()


def _compare(context: PipelineContext, service: Service, look: KnownHead, moves: int) -> int:
    """Report a head that the board does not have; returns 1 if it was not reported before.

    `moves`: how often main had moved on the board before GitHub was asked. If it has moved since, the answer may be
    older than that move; then it is not reported, and the next poll decides.
    """
    with context.look() as copy:
        state, version = copy.board.service(service.name), copy.version
    if state.moves != moves:
        _remember(context, service, replace(look, unconfirmed_head="", told=False))
        return 0
    history = state.history
    head, is_known = history.head, history.find(look.sha) is not None
    kind = "baseline" if head is None else "push"
    if head is not None and is_known and head.sha != look.sha:
        kind = "rewound"
        unconfirmed_head = f"{head.sha} {look.sha}"
        if look.unconfirmed_head != unconfirmed_head or look.told:
            # A replica of GitHub may lag behind a push that we have: an older head is reported only the second time.
            _remember(
                context,
                service,
                replace(
                    look,
                    unconfirmed_head=unconfirmed_head,
                    told=look.told and look.unconfirmed_head == unconfirmed_head,
                ),
            )
            return 0
        look = replace(look, told=True)
    if head is not None and head.sha == look.sha == state.unconfirmed_head:
        kind = "rewound"  # the head is as expected, and the board waits for this confirmation
    is_news = head is None or head.sha != look.sha or kind == "rewound"
    added = _report(context, HeadSeen(service.name, look.sha, moves), version) if is_news else 0
    _remember(context, service, look if kind == "rewound" else replace(look, unconfirmed_head="", told=False))
    if added and kind != "baseline":
        Repairs(context.redis, context.keys).count(kind)
    return added


def _report(context: PipelineContext, seen: HeadSeen, version: int) -> int:
    """Report the head of main, once for each version of the board; returns 1 if it was not reported before."""
    return 1 if context.inbox.add(seen, f"head:{version}:{seen.service}:{seen.sha}") else 0


def _remembered(context: PipelineContext, service: Service) -> KnownHead:
    text = context.redis.hget(context.keys.heads, f"{service.name} {service.repository}")
    look = KnownHead(**json.loads(text)) if text else KnownHead()
    return look if look.branch == service.branch else KnownHead()


def _remember(context: PipelineContext, service: Service, look: KnownHead) -> None:
    context.redis.hset(context.keys.heads, f"{service.name} {service.repository}", json.dumps(asdict(look)))
