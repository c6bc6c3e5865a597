"""The status `lock` on open pull requests: one list of them for each change, then one status after the other.

Only when nobody else has anything to write, one at a time: a hundred of them keep nothing waiting. What is left to do
is kept beside the ledger, so that a newer notice begins anew and a crash costs nothing.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import cast
from urllib.parse import quote

import structlog

from bot.core import lock_notices
from bot.core.model.effects import LockNotice, SetStatus
from bot.store.outbox import Claim
from workers.context import Context, PipelineContext
from workers.github.limits import Purpose
from workers.github.refusals import NotAllowed, NotThere
from workers.github.session import Session
from workers.perform.github.ledger import REMEMBERED, Hold
from workers.perform.github.statuses import set_status
from workers.perform.outcome import Done, PermanentFailure, RateLimited

log = structlog.get_logger()

CONTEXT = "lock"
#: The most pull requests of a repository that are told, the newest; and how many are told before others get a turn.
PULLS, AT_ONCE = 300, 20
_SHA = re.compile(r"[0-9a-f]{40}\Z")


def tell_of_lock(context: Context, line: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Tell the open pull requests of a branch, or those that were told that it is over."""
    if effect.sha:
        return _tell_late(context, line, claim, effect)
    hold, heads = Hold(line, claim), _left(context, line, claim, effect)
    for sha in heads[:AT_ONCE]:
        if effect.locked:  # before it is: a crash in between must not lose that it was told
            _note_told(line, effect, sha)
        status = SetStatus(effect.repository, sha, CONTEXT, effect.state, effect.description, "")
        try:
            set_status(context, hold, status, Purpose.LOCK)
        except (NotThere, NotAllowed):
            raise
        except PermanentFailure as error:  # this head is gone, or has had its thousand: the others have not
            log.warning("lock-notice-skipped", repository=effect.repository, sha=sha, why=str(error))
        if not effect.locked:
            line.redis.srem(_told(line, effect), sha)
        heads = [head for head in heads if head != sha]
        _keep(line, claim, effect, heads)
    if heads:
        raise RateLimited("others get their turn", after=0.0)
    return Done()


def _tell_late(context: Context, line: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Tell one that came late what stands by now, if anything does. Noted first, so that whoever opens the lock after
    we have looked knows of it."""
    _note_told(line, effect, effect.sha)
    with line.reading:
        standing = lock_notices.standing(line.look().board)
        present = lock_notices.of_branch(standing, effect.repository, effect.branch)
    if present is not None:
        status = SetStatus(effect.repository, effect.sha, CONTEXT, present.state, present.description, "")
        set_status(context, Hold(line, claim), status, Purpose.LOCK)
    return Done()


def _note_told(line: PipelineContext, effect: LockNotice, sha: str) -> None:
    line.redis.sadd(_told(line, effect), sha)
    line.redis.expire(_told(line, effect), REMEMBERED)


def _left(context: Context, line: PipelineContext, claim: Claim, effect: LockNotice) -> list[str]:
    """The heads that this notice has not reached yet; GitHub is asked for them once for each notice."""
    known = cast("bytes | None", line.redis.hget(line.keys.wrote(effect.slot), claim.revision))
    if known is not None:
        return cast("list[str]", json.loads(known))
    told = {sha.decode() for sha in cast("set[bytes]", line.redis.smembers(_told(line, effect)))}
    heads = _open(context, effect) if effect.locked or told else []
    heads = heads if effect.locked else [sha for sha in heads if sha in told]
    if not effect.locked:
        line.redis.delete(_told(line, effect))  # those that are not open any more need not be told
        if heads:
            line.redis.sadd(_told(line, effect), *heads)
    line.redis.delete(line.keys.wrote(effect.slot))
    _keep(line, claim, effect, heads)
    return heads


def _open(context: Context, effect: LockNotice) -> list[str]:
    """The heads of the open pull requests to the branch, the newest first."""
    path = f"/pulls?state=open&base={quote(effect.branch, safe='')}"
    rows = islice(Session(context, effect.repository).pages(path, Purpose.LOCK), PULLS)
    found = (str(row["head"]["sha"]) for row in rows)
    return list(dict.fromkeys(sha for sha in found if _SHA.match(sha)))


def _keep(line: PipelineContext, claim: Claim, effect: LockNotice, heads: list[str]) -> None:
    key = line.keys.wrote(effect.slot)
    line.redis.hset(key, claim.revision, json.dumps(heads))
    line.redis.expire(key, REMEMBERED)


def _told(line: PipelineContext, effect: LockNotice) -> str:
    return line.keys.wrote(f"{effect.position}/told")
