"""Report on one stage of one commit: by a commit status, or a check run if we are an App and the file wants these.

Also sets lock notices on open pull requests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, cast
from urllib.parse import quote

import structlog

from bot.core.model.effects import LockNotice, SetStatus
from bot.core.model.messages import IsMerged
from bot.core.rules import notices
from bot.effect_outcomes import Done, PermanentFailure, RateLimited
from bot.github import identity
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubForbidden, GitHubNotFound
from bot.github.written_state import REMEMBERED, RenewedClaim, WrittenSlot, mark_of
from bot.payloads import is_sha
from bot.reporting import run_report
from bot.reporting.markdown import cut, shortened
from bot.reporting.messages import words
from bot.reporting.run_report import BUTTONS, Button, external_id, run_of
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import ReportKind

log = structlog.get_logger()

#: GitHub's limits, in characters (GitHub docs: statuses, check runs).
DESCRIPTION, SUMMARY = 140, 65_535


def report_status(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Report on one stage. An unchanged report is not sent again, nor is a mere correction where there is no report."""
    if effect.corrects and not WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot).read().known:
        return Done()
    if runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings):
        return _report_check(runtime, context, claim, effect)
    set_status(runtime, RenewedClaim(runtime, context, claim), effect, Purpose.STATUS)
    return Done()


def set_status(runtime: Runtime, claim: RenewedClaim, effect: SetStatus, purpose: Purpose) -> None:
    """Set a commit status, unless the last one in this slot is the same."""
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.context}"
    body = {
        "state": effect.state,
        "target_url": _leads_to(runtime, claim.context, effect),
        "description": shortened(words(effect.description), DESCRIPTION),
        "context": name,
    }
    entry = WrittenSlot(claim, effect.slot)
    written, mark = entry.read(), _status_mark(body)
    session = Session(runtime, effect.repository)
    if written.unanswered:
        found = session.pages(f"/commits/{effect.sha}/statuses", purpose)  # latest first
        last = next((row for row in found if row["context"].lower() == name.lower()), None)
        arrived = last is not None and _status_mark(last) == written.unanswered
        entry.settle(written.unanswered if arrived else written.mark, counts=arrived)
        written = entry.read()
    if written.mark == mark:
        return
    most = claim.limits.statuses_of_context
    if written.count >= most:
        raise PermanentFailure(
            f"{name} has been set {written.count} times on {effect.sha[:7]}, and GitHub allows no more than {most}"
        )
    entry.write(session, "POST", f"/statuses/{effect.sha}", body, purpose, mark)
    entry.settle(mark, counts=True)


def _status_mark(row: dict[str, str]) -> str:
    return mark_of([row["state"], row["description"], row["target_url"]])


def _leads_to(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> str:
    """Return the address for a status: that of a failed build's log, the run, the build in Jenkins, or the pipeline."""
    log = runtime.log_of(effect.job, effect.build) if effect.state == "failure" else ""
    if log:
        return log
    controller = runtime.configuration.controllers.get(effect.job.controller) if effect.job is not None else None
    if effect.run is None and effect.job is not None and controller is not None and effect.build is not None:
        return controller.build_url(effect.job.name, effect.build)
    return runtime.page_of(context.pipeline.name, effect.run or "")


# -- check runs (GitHub docs: check runs): one for each stage and commit, updated by its id ----------------------------

_CONCLUSIONS = {"success": "success", "failure": "failure", "error": "neutral"}


def _report_check(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Create or update the check run; an unchanged content is not sent again."""
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    body = _check_body(runtime, context, effect)
    written, mark = entry.read(makes=True), mark_of(body)
    number = written.id
    if written.unanswered and number is None:
        number = _find_check(session, context, body["name"], effect.sha)
        entry.looked(number)
        if number is not None and written.unanswered == mark:
            entry.settle(mark, number)
            return Done()
    elif not written.unanswered and written.mark == mark:
        return Done()
    if number is not None:
        try:
            entry.write(session, "PATCH", f"/check-runs/{number}", body, Purpose.STATUS, mark)
        except GitHubNotFound:
            entry.forget()  # GitHub keeps a thousand of one name, and people may delete a suite: create another
        else:
            entry.settle(mark, number)
            return Done()
    made = entry.write(session, "POST", "/check-runs", {**body, "head_sha": effect.sha}, Purpose.STATUS, mark)
    entry.settle(mark, int(made["id"]))
    return Done()


def _check_body(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> dict[str, Any]:
    link = _leads_to(runtime, context, effect)
    page = runtime.page_of(context.pipeline.name, effect.run) if effect.run else link
    tail = f"\n\n[Where it is now]({page})"
    explained, buttons = _summary_and_buttons(runtime, context, effect)
    summary = cut(explained, SUMMARY - len(tail)) + tail
    state: dict[str, Any] = {"status": "in_progress"}
    if effect.state != "pending":
        state = {"status": "completed", "conclusion": effect.conclusion or _CONCLUSIONS[effect.state]}
    return {
        "name": f"{runtime.configuration.github.status_context_prefix}/{effect.context}",
        **state,
        "external_id": external_id(context.pipeline.name, effect.run or ""),
        "details_url": link,
        "output": {"title": shortened(words(effect.description), DESCRIPTION), "summary": summary},
        "actions": [
            {"label": each.label, "description": each.description, "identifier": each.identifier} for each in buttons
        ],
    }


def _summary_and_buttons(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> tuple[str, Sequence[Button]]:
    """Return the summary, in Markdown, and the buttons of the check run, for the present state of its run."""
    if isinstance(effect.description, IsMerged):
        return words(effect.description), ()  # a text that stays the same until the run ends takes one write
    if effect.summary or effect.buttons or effect.run is None:
        buttons = [BUTTONS[name] for name in effect.buttons if name in BUTTONS]
        return effect.summary or words(effect.description), buttons
    with context.reported(effect.run) as found:
        if found is None:
            return words(effect.description), ()
        board, run, _ = found
        summary = run_report.summary(
            *found, context.expected(*found), runtime.log_of(board.job_of(run), run.attempt.build)
        )
        return summary, run_report.buttons(board, run)


def _find_check(session: Session, context: PipelineContext, name: str, sha: str) -> int | None:
    """Find the check run of a request whose reply was lost, by name, commit, pipeline and App."""
    path = f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=100"
    rows = session.read(path, Purpose.STATUS).data["check_runs"]
    ours = session.own_login(Purpose.STATUS).casefold()
    for row in rows:
        known = run_of(row["external_id"] or "")
        theirs = f"{(row['app'] or {}).get('slug', '')}[bot]".casefold()
        if row["name"] == name and known is not None and known[0] == context.pipeline.name and theirs == ours:
            return int(row["id"])
    return None


# -- the status `lock` on open pull requests: they are listed once for each change, then set one after the other -------
# Only when no other write waits, and one at a time, so that a hundred of them delay nothing. The heads that remain are
# stored beside the written state, so that a newer notice begins again and a crash costs nothing.

CONTEXT = "lock"


def report_lock(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Set the lock notice on the open pull requests of a branch; after the unlock, on those that have one."""
    if effect.sha:
        return _report_late(runtime, context, claim, effect)
    renewed, heads = RenewedClaim(runtime, context, claim), _remaining_heads(runtime, context, claim, effect)
    for sha in heads[: renewed.limits.lock_notices_at_once]:
        if effect.locked:  # noted first, so that a crash in between does not lose the note
            _note_notified(context, effect, sha)
        status = SetStatus(effect.repository, sha, CONTEXT, effect.state, effect.description, "")
        try:
            set_status(runtime, renewed, status, Purpose.LOCK)
        except (GitHubNotFound, GitHubForbidden):
            raise
        except PermanentFailure as error:  # only this head is gone, or has reached the limit of its statuses
            log.warning("lock-notice-skipped", repository=effect.repository, sha=sha, why=str(error))
        if not effect.locked:
            context.redis.srem(_notified(context, effect), sha)
        heads = [head for head in heads if head != sha]
        _keep(context, claim, effect, heads)
    if heads:
        raise RateLimited("other writes go first", after=0.0)
    return Done()


def _report_late(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> Done:
    """Set the lock notice on a pull request that was opened after the lock, if anything is still locked.

    The head is noted first, so that the effect of an unlock in between finds it.
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


def _remaining_heads(runtime: Runtime, context: PipelineContext, claim: Claim, effect: LockNotice) -> list[str]:
    """Return the heads on which this notice is still to be set; GitHub is asked for them once for each notice."""
    known = cast("bytes | None", context.redis.hget(context.keys.wrote(effect.slot), claim.revision))
    if known is not None:
        return cast("list[str]", json.loads(known))
    notified = {sha.decode() for sha in cast("set[bytes]", context.redis.smembers(_notified(context, effect)))}
    heads = _open_heads(runtime, effect) if effect.locked or notified else []
    heads = heads if effect.locked else [sha for sha in heads if sha in notified]
    if not effect.locked:
        context.redis.delete(_notified(context, effect))  # closed pull requests need no status
        if heads:
            context.redis.sadd(_notified(context, effect), *heads)
    context.redis.delete(context.keys.wrote(effect.slot))
    _keep(context, claim, effect, heads)
    return heads


def _open_heads(runtime: Runtime, effect: LockNotice) -> list[str]:
    """Return the heads of the open pull requests to the branch, newest first."""
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
    """Return the key of a set: the heads that have a lock notice."""
    return context.keys.wrote(f"{effect.branch_slot}/told")
