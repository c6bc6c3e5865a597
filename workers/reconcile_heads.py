"""Asking GitHub where main stands: a lost push becomes an event in the inbox; never touches a board.

One request per service, conditional: as long as main does not move it is answered 304, which is free. A service of
which we have just been told is not asked about.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote

import structlog

from bot.core.model.events import HeadSeen
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Service
from bot.core.model.service_state import ServiceState
from bot.effect_outcomes import PermanentFailure, RateLimited, RetryLater
from bot.github import identity
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.github.transport import GitHubUnreachable
from bot.payloads import is_sha
from bot.runtime import PipelineContext, Runtime
from bot.store.records import Repairs
from config.logs import Once

log = structlog.get_logger()

#: After so many requests in a row without an answer the rest is left for next time.
AWAY = 3
#: How many pages of facts are read to learn of whom we have just been told.
PAGES = 10
_said = Once()


@dataclass(frozen=True, slots=True)
class KnownHead:
    """What GitHub last said of a branch. `unconfirmed_head`: our head and an older one that GitHub named instead."""

    branch: str = ""
    etag: str = ""
    sha: str = ""
    unconfirmed_head: str = ""
    told: bool = False


def heads(runtime: Runtime, context: PipelineContext, *, everybody: bool = False) -> int:
    """Compare where each service's main stands with what the board knows; returns how many differ.

    Without `everybody` those are left out of whom we have just been told.
    """
    if not identity.is_known(runtime.settings):
        return 0
    told = set() if everybody else _just_told(context, runtime.configuration.polling.heads)
    found = silent = 0
    # The file's services: at the first start the board may not have taken its configuration yet.
    for service in context.pipeline.services:
        if service.name in told or silent >= AWAY:
            continue
        moves = _known(context, service).moves
        try:
            look = _ask(runtime, context, service)
        except (RetryLater, PermanentFailure) as error:
            silent = silent + 1 if isinstance(error, GitHubUnreachable) else 0
            if not isinstance(error, RateLimited) and _said.is_new(
                service.repository, str(error)
            ):  # limits tell themselves
                log.warning("reconcile-later", repository=service.repository, why=str(error))
            continue
        silent = 0
        if _said.is_over(service.repository):
            log.info("reconcile-resumed", repository=service.repository)
        found += _compare(context, service, look, moves)
    return found


def _known(context: PipelineContext, service: Service) -> ServiceState:
    """What the board knows of a service now."""
    with context.look() as replica:
        return replica.board.service(service.name)


def _just_told(context: PipelineContext, seconds: float) -> set[str]:
    """The services whose main has moved, as far as we know, in the last so many seconds."""
    records, now = context.records, int(context.redis.time()[0])
    told: set[str] = set()
    before: str | None = None
    for _ in range(PAGES):
        page = records.facts(before, 200)
        for _, row in page.facts:
            if row.at < now - seconds:
                return told
            if row.fact.kind in (FactKind.MERGE_ACCEPTED, FactKind.MERGE_KNOWN) and row.fact.service:
                told.add(row.fact.service)
        before = page.next
        if before is None:
            break
    return told


def _ask(runtime: Runtime, context: PipelineContext, service: Service) -> KnownHead:
    """What GitHub says of the branch now, or as before if nothing has changed."""
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
        raise RetryLater(f"GitHub's answer names no head of {service.repository}")
    return replace(before, branch=service.branch, etag=answer.headers.get("etag", ""), sha=sha)


def _is_elsewhere(data: Any, present: str) -> bool:
    """Whether a redirect was followed: the answer's own address has the name that the repository has now."""
    url = str(data.get("url", "")) if isinstance(data, dict) else ""
    return bool(url) and f"/repos/{present}/".casefold() not in url.casefold()


def _compare(context: PipelineContext, service: Service, look: KnownHead, moves: int) -> int:
    """Tell the board if its head is another one; returns 1 if that is news.

    `moves`: how often main had moved, as far as the board knew, before GitHub was asked. What GitHub says of a time
    before main moved is not told: the next look will know more.
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
            # A replica may lag behind what we were told already: a head that was passed is believed the second time.
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
        kind = "rewound"  # main stands where we think, and lacks a commit that was on it: the board waits for this word
    is_news = head is None or head.sha != look.sha or kind == "rewound"
    added = _tell(context, HeadSeen(service.name, look.sha, moves), version) if is_news else 0
    _remember(context, service, look if kind == "rewound" else replace(look, unconfirmed_head="", told=False))
    if added and kind != "baseline":
        Repairs(context.redis, context.keys).count(kind)
    return added


def _tell(context: PipelineContext, seen: HeadSeen, version: int) -> int:
    """Tell the board where main stands, once for each version of the board; returns 1 if that is new."""
    return 1 if context.inbox.add(seen, f"head:{version}:{seen.service}:{seen.sha}") else 0


def _remembered(context: PipelineContext, service: Service) -> KnownHead:
    text = context.redis.hget(context.keys.heads, f"{service.name} {service.repository}")
    look = KnownHead(**json.loads(text)) if text else KnownHead()
    return look if look.branch == service.branch else KnownHead()


def _remember(context: PipelineContext, service: Service, look: KnownHead) -> None:
    context.redis.hset(context.keys.heads, f"{service.name} {service.repository}", json.dumps(asdict(look)))
