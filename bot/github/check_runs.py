"""A stage as a check run (GitHub docs: check runs): one for each stage and commit, kept up to date by its id."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from bot.core.buttons import BUTTONS, external_id, run_of
from bot.core.model.effects import SetStatus
from bot.effect_outcomes import Done
from bot.github.limits import Purpose
from bot.github.refusals import NotThere
from bot.github.session import Session
from bot.github.wording import SUMMARY, cut, leads_to, shortened
from bot.github.written_state import Entry, Hold, mark_of
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

_CONCLUSIONS = {"success": "success", "failure": "failure", "error": "neutral"}


def check(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Make the check run, or bring it up to date; what stands there already is not sent again."""
    entry, session = Entry(Hold(context, claim), effect.slot), Session(runtime, effect.repository)
    body = _body(runtime, context, effect)
    written, mark = entry.read(), mark_of(body)
    number = written.id
    if written.doubt and number is None:
        number = _find(session, context, body["name"], effect.sha)
        entry.looked(number)
        if number is not None and written.doubt == mark:
            entry.settle(mark, number)
            return Done()
    elif not written.doubt and written.mark == mark:
        return Done()
    if number is not None:
        try:
            entry.write(session, "PATCH", f"/check-runs/{number}", body, Purpose.STATUS, mark)
        except NotThere:
            entry.forget()  # GitHub keeps a thousand of one name, and people may delete a suite: make another
        else:
            entry.settle(mark, number)
            return Done()
    made = entry.write(session, "POST", "/check-runs", {**body, "head_sha": effect.sha}, Purpose.STATUS, mark)
    entry.settle(mark, int(made["id"]))
    return Done()


def _body(runtime: Runtime, context: PipelineContext, effect: SetStatus) -> dict[str, Any]:
    link = leads_to(runtime, context, effect)
    tail = f"\n\n[Where it is now]({link})"
    summary = cut(effect.summary or effect.description, SUMMARY - len(tail)) + tail
    buttons = [BUTTONS[name] for name in effect.buttons if name in BUTTONS]
    state: dict[str, Any] = {"status": "in_progress"}
    if effect.state != "pending":
        state = {"status": "completed", "conclusion": effect.conclusion or _CONCLUSIONS[effect.state]}
    return {
        "name": f"{runtime.configuration.github.status_context_prefix}/{effect.context}",
        **state,
        "external_id": external_id(context.pipeline.name, effect.run or ""),
        "details_url": link,
        "output": {"title": shortened(effect.description), "summary": summary},
        "actions": [
            {"label": each.label, "description": each.description, "identifier": each.identifier} for each in buttons
        ],
    }


def _find(session: Session, context: PipelineContext, name: str, sha: str) -> int | None:
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
