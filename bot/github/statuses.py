"""The report on one stage of one commit: a commit status, or a check run where we are an App and it is wanted so."""

from __future__ import annotations

from bot.core.model.effects import SetStatus
from bot.effect_outcomes import Done, PermanentFailure
from bot.github import check_runs as checks
from bot.github import identity
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.github.wording import leads_to, shortened
from bot.github.written_state import Entry, Hold, mark_of
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import ReportKind

#: So many statuses of one context GitHub takes on one commit, ever (GitHub docs: commit statuses).
PER_CONTEXT = 1000


def status(runtime: Runtime, context: PipelineContext, claim: Claim, effect: SetStatus) -> Done:
    """Report on one stage. What stands there already is not sent again."""
    if runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings):
        return checks.check(runtime, context, claim, effect)
    set_status(runtime, Hold(context, claim), effect, Purpose.STATUS)
    return Done()


def set_status(runtime: Runtime, hold: Hold, effect: SetStatus, purpose: Purpose) -> None:
    """Set a commit status, unless it is what was set last in this slot."""
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.context}"
    body = {
        "state": effect.state,
        "target_url": leads_to(runtime, hold.context, effect),
        "description": shortened(effect.description),
        "context": name,
    }
    entry = Entry(hold, effect.slot)
    written, mark = entry.read(), _mark(body)
    session = Session(runtime, effect.repository)
    if written.doubt:
        found = session.pages(f"/commits/{effect.sha}/statuses", purpose)  # the latest first
        last = next((row for row in found if row["context"].lower() == name.lower()), None)
        arrived = last is not None and _mark(last) == written.doubt
        written = entry.settle(written.doubt if arrived else written.mark, counts=arrived)
    if written.mark == mark:
        return
    if written.count >= PER_CONTEXT:
        raise PermanentFailure(
            f"{name} was set {written.count} times on {effect.sha[:7]}, and GitHub takes no more than {PER_CONTEXT}"
        )
    entry.write(session, "POST", f"/statuses/{effect.sha}", body, purpose, mark)
    entry.settle(mark, counts=True)


def _mark(row: dict[str, str]) -> str:
    return mark_of([row["state"], row["description"], row["target_url"]])
