"""The report on one stage of one commit: a commit status, or a check run where we are an App and it is wanted so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from bot.core.model.effects import SetStatus
from bot.core.model.messages import IsMerged
from bot.effect_outcomes import Done, PermanentFailure
from bot.github import identity
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.github.transport import GitHubNotFound
from bot.github.wording import SUMMARY, cut, expected_of, leads_to, log_of, reported_run, shortened
from bot.github.written_state import RenewedClaim, WrittenSlot, mark_of
from bot.reporting import run_report
from bot.reporting.buttons import BUTTONS, Button, external_id, run_of
from bot.reporting.messages import words
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import ReportKind


def report_status(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Report on one stage. What stands there already is not sent again, and what only corrects where nothing stands."""
    if effect.corrects and not WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot).read().known:
        return Done()
    if runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings):
        return _report_check(runtime, context, claim, effect)
    set_status(runtime, RenewedClaim(runtime, context, claim), effect, Purpose.STATUS)
    return Done()


def set_status(runtime: Runtime, claim: RenewedClaim, effect: SetStatus, purpose: Purpose) -> None:
    """Set a commit status, unless it is what was set last in this slot."""
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.context}"
    body = {
        "state": effect.state,
        "target_url": leads_to(runtime, claim.context, effect),
        "description": shortened(words(effect.description)),
        "context": name,
    }
    entry = WrittenSlot(claim, effect.slot)
    written, mark = entry.read(), _status_mark(body)
    session = Session(runtime, effect.repository)
    if written.unanswered:
        found = session.pages(f"/commits/{effect.sha}/statuses", purpose)  # the latest first
        last = next((row for row in found if row["context"].lower() == name.lower()), None)
        arrived = last is not None and _status_mark(last) == written.unanswered
        entry.settle(written.unanswered if arrived else written.mark, counts=arrived)
        written = entry.read()
    if written.mark == mark:
        return
    most = claim.limits.statuses_of_context
    if written.count >= most:
        raise PermanentFailure(
            f"{name} was set {written.count} times on {effect.sha[:7]}, and GitHub takes no more than {most}"
        )
    entry.write(session, "POST", f"/statuses/{effect.sha}", body, purpose, mark)
    entry.settle(mark, counts=True)


def _status_mark(row: dict[str, str]) -> str:
    return mark_of([row["state"], row["description"], row["target_url"]])


# -- check runs (GitHub docs: check runs): one for each stage and commit, kept up to date by its id --------------------

_CONCLUSIONS = {"success": "success", "failure": "failure", "error": "neutral"}


def _report_check(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Make the check run, or bring it up to date; what stands there already is not sent again."""
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
            entry.forget()  # GitHub keeps a thousand of one name, and people may delete a suite: make another
        else:
            entry.settle(mark, number)
            return Done()
    made = entry.write(session, "POST", "/check-runs", {**body, "head_sha": effect.sha}, Purpose.STATUS, mark)
    entry.settle(mark, int(made["id"]))
    return Done()


def _check_body(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> dict[str, Any]:
    link = leads_to(runtime, context, effect)
    page = runtime.page_of(context.pipeline.name, effect.run) if effect.run else link
    tail = f"\n\n[Where it is now]({page})"
    explained, buttons = _explained(runtime, context, effect)
    summary = cut(explained, SUMMARY - len(tail)) + tail
    state: dict[str, Any] = {"status": "in_progress"}
    if effect.state != "pending":
        state = {"status": "completed", "conclusion": effect.conclusion or _CONCLUSIONS[effect.state]}
    return {
        "name": f"{runtime.configuration.github.status_context_prefix}/{effect.context}",
        **state,
        "external_id": external_id(context.pipeline.name, effect.run or ""),
        "details_url": link,
        "output": {"title": shortened(words(effect.description)), "summary": summary},
        "actions": [
            {"label": each.label, "description": each.description, "identifier": each.identifier} for each in buttons
        ],
    }


def _explained(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> tuple[str, Sequence[Button]]:
    """The summary, in Markdown, and the buttons of the check run, as its run is now."""
    if isinstance(effect.description, IsMerged):
        return words(effect.description), ()  # its text stays the same until the run has ended: one write
    if effect.summary or effect.buttons or effect.run is None:
        buttons = [BUTTONS[name] for name in effect.buttons if name in BUTTONS]
        return effect.summary or words(effect.description), buttons
    with reported_run(context, effect.run) as found:
        if found is None:
            return words(effect.description), ()
        board, run, _ = found
        summary = run_report.summary(*found, expected_of(context, *found), log_of(runtime, board, run))
        return summary, run_report.buttons(board, run)


def _find_check(session: Session, context: PipelineContext, name: str, sha: str) -> int | None:
    """The check run that a request made whose reply was lost: by name, commit, and whose it is."""
    path = f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=100"
    rows = session.read(path, Purpose.STATUS).data["check_runs"]
    ours = session.own_login(Purpose.STATUS).casefold()
    for row in rows:
        known = run_of(row["external_id"] or "")
        theirs = f"{(row['app'] or {}).get('slug', '')}[bot]".casefold()
        if row["name"] == name and known is not None and known[0] == context.pipeline.name and theirs == ours:
            return int(row["id"])
    return None
