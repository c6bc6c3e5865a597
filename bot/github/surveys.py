"""After a loss: what GitHub still shows of a service, by what Interlock wrote there: statuses and deployments.

Asked about the services of which neither a worker nor Jenkins knows anything. Whoever may set statuses in the
repository may have written them: they start nothing but the head of main.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote

from bot.core.model.effects import Survey
from bot.core.model.events import HeadSurveyed
from bot.core.model.traces import DeployedCommit
from bot.effect_outcomes import Done, RetryLater
from bot.github import identity
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.payloads import is_sha, moment, text
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import ReportKind

#: How many of the newest deployments of an environment are looked at for one that succeeded.
DEPLOYMENTS = 5

_State = Literal["", "pending", "success", "failure", "error"]
_STATES: tuple[_State, ...] = ("pending", "success", "failure", "error")


def survey(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Survey) -> Done:
    """Ask where main stands, how far it had come, and what is in the environments."""
    if not identity.is_known(runtime.settings):
        return Done()  # nobody can be asked
    session = Session(runtime, effect.repository)
    sha = text(session.read(f"/git/ref/heads/{quote(effect.branch)}", Purpose.HEADS).data, "object", "sha")
    if not is_sha(sha):
        raise RetryLater(f"GitHub's answer names no head of {effect.repository}")
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.last_stage}"
    checks = runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings)
    state = _check(session, sha, name) if checks else ""
    state = state or _status(session, sha, name)  # also where check runs came later than statuses
    deployed = [found for stage, environment in effect.environments for found in _deployed(session, stage, environment)]
    return Done(HeadSurveyed(effect.service, sha, state, tuple(deployed)))


def _status(session: Session, sha: str, name: str) -> _State:
    """The last commit status of the last stage (GitHub docs: commit statuses; the latest first)."""
    for row in session.pages(f"/commits/{sha}/statuses", Purpose.HEADS):
        if text(row, "context").lower() == name.lower():
            return next((state for state in _STATES if state == text(row, "state")), "")
    return ""


def _check(session: Session, sha: str, name: str) -> _State:
    """What the last check run of the last stage amounts to (GitHub docs: check runs)."""
    path = f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=1"
    rows: list[Any] = session.read(path, Purpose.HEADS).data["check_runs"]
    if not rows:
        return ""
    if text(rows[0], "status") != "completed":
        return "pending"
    return "success" if text(rows[0], "conclusion") == "success" else "failure"


def _deployed(session: Session, stage: str, environment: str) -> Iterator[DeployedCommit]:
    """The commit of the newest deployment that succeeded, if it is one of the last few; at most one."""
    path = f"/deployments?environment={quote(environment, safe='')}&per_page={DEPLOYMENTS}"
    for row in session.read(path, Purpose.HEADS).data:
        states = session.read(f"/deployments/{row['id']}/statuses?per_page=1", Purpose.HEADS).data
        at = moment(text(row, "created_at"))
        if states and text(states[0], "state") == "success" and is_sha(text(row, "sha")) and at is not None:
            yield DeployedCommit(stage, text(row, "sha"), at)
            return
