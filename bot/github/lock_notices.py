"""The status `lock` on open pull requests: one list of them for each change, then one status after the other.

Only when nobody else has anything to write, one at a time: a hundred of them keep nothing waiting. What is left to do
is kept beside the written state, so that a newer notice begins anew and a crash costs nothing.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import cast
from urllib.parse import quote

import structlog

from bot.core.model.effects import LockNotice, SetStatus
from bot.core.rules import notices
from bot.effect_outcomes import Done, PermanentFailure, RateLimited
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.github.statuses import set_status
from bot.github.transport import GitHubForbidden, GitHubNotFound
from bot.github.written_state import REMEMBERED, RenewedClaim
from bot.payloads import is_sha
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

log = structlog.get_logger()

CONTEXT = "lock"


def report_lock(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Set the status on the open pull requests of a branch; once it is unlocked, on those that have it."""
    if effect.sha:
        return _report_late(runtime, context, claim, effect)
    renewed, heads = RenewedClaim(runtime, context, claim), _left(runtime, context, claim, effect)
    for sha in heads[: renewed.limits.lock_notices_at_once]:
        if effect.locked:  # first: a crash in between must not lose that it has the status
            _note_notified(context, effect, sha)
        status = SetStatus(effect.repository, sha, CONTEXT, effect.state, effect.description, "")
        try:
            set_status(runtime, renewed, status, Purpose.LOCK)
        except (GitHubNotFound, GitHubForbidden):
            raise
        except PermanentFailure as error:  # this head is gone, or has had its thousand: the others have not
            log.warning("lock-notice-skipped", repository=effect.repository, sha=sha, why=str(error))
        if not effect.locked:
            context.redis.srem(_notified(context, effect), sha)
        heads = [head for head in heads if head != sha]
        _keep(context, claim, effect, heads)
    if heads:
        raise RateLimited("others get their turn", after=0.0)
    return Done()


def _report_late(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Set the status of what is locked by now, if anything is, on a pull request that came late.

    It is noted first, so that whoever opens the lock after we have looked knows of it.
    """
    _note_notified(context, effect, effect.sha)
    with context.look() as replica:
        standing = notices.standing(replica.board)
        present = notices.lock_notice(standing, effect.repository, effect.branch)
    if present is not None:
        status = SetStatus(effect.repository, effect.sha, CONTEXT, present.state, present.description, "")
        set_status(runtime, RenewedClaim(runtime, context, claim), status, Purpose.LOCK)
    return Done()


def _note_notified(context: PipelineContext, effect: LockNotice, sha: str) -> None:
    context.redis.sadd(_notified(context, effect), sha)
    context.redis.expire(_notified(context, effect), REMEMBERED)


def _left(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> list[str]:
    """The heads that this notice has not reached yet; GitHub is asked for them once for each notice."""
    known = cast("bytes | None", context.redis.hget(context.keys.wrote(effect.slot), claim.revision))
    if known is not None:
        return cast("list[str]", json.loads(known))
    notified = {sha.decode() for sha in cast("set[bytes]", context.redis.smembers(_notified(context, effect)))}
    heads = _open(runtime, effect) if effect.locked or notified else []
    heads = heads if effect.locked else [sha for sha in heads if sha in notified]
    if not effect.locked:
        context.redis.delete(_notified(context, effect))  # those that are not open any more need no status
        if heads:
            context.redis.sadd(_notified(context, effect), *heads)
    context.redis.delete(context.keys.wrote(effect.slot))
    _keep(context, claim, effect, heads)
    return heads


def _open(runtime: Runtime, effect: LockNotice) -> list[str]:
    """The heads of the open pull requests to the branch, the newest first."""
    path = f"/pulls?state=open&base={quote(effect.branch, safe='')}"
    rows = Session(runtime, effect.repository).pages(path, Purpose.LOCK)
    newest = islice(rows, runtime.configuration.github.limits.lock_notices)
    found = (str(row["head"]["sha"]) for row in newest)
    return list(dict.fromkeys(sha for sha in found if is_sha(sha)))


def _keep(context: PipelineContext, claim: Claim, effect: LockNotice, heads: list[str]) -> None:
    key = context.keys.wrote(effect.slot)
    context.redis.hset(key, claim.revision, json.dumps(heads))
    context.redis.expire(key, REMEMBERED)


def _notified(context: PipelineContext, effect: LockNotice) -> str:
    """Set: the heads that have the status of a lock."""
    return context.keys.wrote(f"{effect.branch_slot}/told")
