"""Report the roll-out of a run in an environment as a deployment (GitHub docs: deployments), created once, and keep its
last state right.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from bot.core.model.effects import Deploy
from bot.effect_outcomes import Done, RetryLater
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubNotFound
from bot.github.written_state import FORGOTTEN, RenewedClaim, Written, WrittenSlot, mark_of
from bot.reporting.markdown import shortened
from bot.reporting.messages import words
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: The longest description that GitHub accepts, in characters (GitHub docs: deployments).
DESCRIPTION = 140
#: The content hash in the written state while the deployment exists but has no state yet.
MADE = "made"
#: States that only end a deployment: none is created for them alone.
_ONLY_ENDS = ("inactive",)


def deploy(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Deploy) -> Done:
    """Create the deployment if there is none, and set its state unless it has that state already.

    A new one has no state until its build ends; if the build is repeated, the state is set back to `in_progress`.
    """
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    body = {
        "state": effect.state,
        "description": shortened(words(effect.description), DESCRIPTION),
        "log_url": _log_url(runtime, context, effect),
    }
    written, mark = _written_state(session, context, effect, entry), _mark(body)
    if written.mark == mark or (written.id is None and effect.state in _ONLY_ENDS):
        return Done()
    number = written.id if written.id is not None else _make(session, context, effect, entry)
    if effect.state == "in_progress" and written.mark in ("", MADE):
        return Done()  # it has just begun, and GitHub shows one without a state as pending: this saves a write
    try:
        entry.write(session, "POST", f"/deployments/{number}/statuses", body, Purpose.STATUS, mark)
    except GitHubNotFound as error:
        entry.forget()
        raise RetryLater(f"deployment {number} does not exist any more: Interlock creates it again") from error
    entry.settle(mark)
    return Done()


def _written_state(session: Session, context: PipelineContext, effect: Deploy, entry: WrittenSlot) -> Written:
    """Return the written state; if the reply to a write is missing, ask GitHub first whether it arrived."""
    written = entry.read(makes=True)
    if written.unanswered and written.id is None:
        number = _find(session, context, effect, by_any_run=written.unanswered == FORGOTTEN)
        entry.looked(number, MADE if number is not None else "")
        return entry.read()
    if written.unanswered:
        last = next(session.pages(f"/deployments/{written.id}/statuses", Purpose.STATUS), None)  # the latest first
        arrived = last is not None and _mark(last) == written.unanswered
        entry.settle(written.unanswered if arrived else written.mark)
        return entry.read()
    return written


def _make(session: Session, context: PipelineContext, effect: Deploy, entry: WrittenSlot) -> int:
    """Create the deployment of exactly this commit: nothing is merged into it, and no other status is required."""
    body = {
        "ref": effect.sha,
        "auto_merge": False,
        "required_contexts": [],
        "environment": effect.environment,
        "production_environment": effect.production,
        "description": shortened(f"{effect.run} in {effect.stage}", DESCRIPTION),
        "payload": _payload(context, effect),
    }
    made = entry.write(session, "POST", "/deployments", body, Purpose.STATUS, MADE)
    number = int(made["id"])
    entry.settle(MADE, number)
    return number


def _find(session: Session, context: PipelineContext, effect: Deploy, *, by_any_run: bool) -> int | None:
    """Find the deployment of a request whose reply was lost, by commit, environment and payload.

    `by_any_run`: also accept one of another run, because the store has lost writes, and with them the name of the run
    that rolled this commit out.
    """
    query = f"sha={effect.sha}&environment={quote(effect.environment, safe='')}"
    of_another = None
    for row in session.pages(f"/deployments?{query}", Purpose.STATUS):
        carried = _read(row.get("payload"))
        if carried == _payload(context, effect):
            return int(row["id"])
        if by_any_run and of_another is None and _is_of_stage(context, effect, carried):
            of_another = int(row["id"])
    return of_another


def _is_of_stage(context: PipelineContext, effect: Deploy, carried: Any) -> bool:
    """Return whether the payload names a run of this pipeline in this stage."""
    name = str(carried.get("interlock", "")) if isinstance(carried, dict) else ""
    pipeline, _, rest = name.partition("/")
    return (pipeline, rest.partition("/")[2]) == (context.pipeline.name, effect.stage)


def _payload(context: PipelineContext, effect: Deploy) -> dict[str, str]:
    return {"interlock": f"{context.pipeline.name}/{effect.run}/{effect.stage}"}


def _read(payload: Any) -> Any:
    """Decode a payload, which GitHub returns as an object or as text."""
    try:
        return json.loads(payload) if isinstance(payload, str) else payload
    except ValueError:
        return None


def _mark(row: dict[str, Any]) -> str:
    return mark_of([row["state"], row["description"], row["log_url"]])


def _log_url(runtime: Runtime, context: PipelineContext, effect: Deploy) -> str:
    """Return the address of the build in Jenkins if that is served over HTTPS, else that of our page of the run."""
    controller = runtime.configuration.controllers.get(effect.job.controller)
    if controller is None or effect.build is None or not controller.url.startswith("https://"):
        return runtime.page_of(context.pipeline.name, effect.run)
    return controller.build_url(effect.job.name, effect.build)
