"""Which permissions we have on a job, each tried by a request that changes nothing whether it is allowed or not.

Where Jenkins asks for the permission first, and then finds nothing to do, its answer tells the two apart:

- Item/Build: `POST buildWithParameters` with a parameter given twice: 403 without the permission, 500 with it, nothing
  queued (Jenkins: `BuildAuthorizationToken#checkPermission`, then `SimpleParameterDefinition#createValue` throws). Only
  a string parameter that was just seen is given twice. Should something on the way make one value of the two, the build
  would wait for an hour, and is taken out of the queue at once.
- Item/Cancel: `POST <completed build>/stop`: 403 or 302 (Jenkins: `WorkflowRun#doStop` is `#doKill` for a build without
  an executor, which asks for the permission, sees that nothing is building, and returns). `AbstractBuild#doStop`
  (FreeStyle) does not ask, so there it cannot be tried.
- Item/Configure: `POST description` without the field: 403 or 400 (Jenkins: `Job#doDescription`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.doctor.finding import About, Finding
from bot.effect_outcomes import RetryLater
from bot.jenkins.attempt import RUN
from bot.jenkins.client import JenkinsClient, NotAllowed, NotThere, job_path
from bot.jenkins.job_plan import JobPlan

PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
#: The definitions that come from SimpleParameterDefinition for certain, and hold any text.
TEXTS = ("StringParameterDefinition", "TextParameterDefinition")
_TWICE = f"buildWithParameters?{RUN}=doctor&{RUN}=doctor&delay=3600sec"
_NUMBER = re.compile(r"/(\d+)/?$")


@dataclass(slots=True)
class Tried:
    """What is missing, and what could not be tried and why."""

    findings: list[Finding] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def examine(client: JenkinsClient, about: About, plan: JobPlan, job: dict[str, Any]) -> Tried:
    """Try every permission that this job's stage needs."""
    tried = Tried()
    for probe in (_build, _cancel, _configure):
        try:
            probe(client, about, plan, job, tried)
        except (NotAllowed, RetryLater, NotThere) as error:
            tried.findings.append(about.unsure(f"{_PERMISSION[probe]} could not be tried: {error}", "look again later"))
    return tried


def _build(client: JenkinsClient, about: About, plan: JobPlan, job: dict[str, Any], tried: Tried) -> None:
    definitions = [d for entry in job.get("property") or [] for d in entry.get("parameterDefinitions") or []]
    run = [d for d in definitions if d.get("name") == RUN]
    if len(run) != 1 or run[0].get("type") not in TEXTS or job.get("buildable") is False:
        tried.untried.append("Item/Build")
        return
    response = client.ask("POST", f"{job_path(plan.name)}/{_TWICE}", expect=(201, 303, 403, 409, 500))
    if response.status_code == 403:
        mend = "give the user Item/Build on it (docs/jenkins.md)"
        tried.findings.append(about.bad("Item/Build is missing: no build can be started in it", mend))
    elif response.status_code == 409:
        tried.untried.append("Item/Build")
    elif response.status_code in (201, 303):
        number = _NUMBER.search(response.headers.get("Location", ""))
        tried.findings.append(_taken_back(client, about, number[1] if number else ""))


def _taken_back(client: JenkinsClient, about: About, item: str) -> Finding:
    found = "Jenkins took a trigger of the doctor's that it should have refused, and"
    status = 0
    if item:
        status = client.ask("POST", "queue/cancelItem", data={"id": item}, expect=(204, 302, 404, 422, 500)).status_code
    if status in (204, 302):
        mend = "does a proxy on the way to Jenkins change requests? It made one parameter out of two"
        return about.unsure(f"{found} it was taken out of its queue again", mend)
    return about.bad(f"{found} it is in its queue still (item {item or 'unknown'})", "cancel it in Jenkins by hand")


def _cancel(client: JenkinsClient, about: About, plan: JobPlan, job: dict[str, Any], tried: Tried) -> None:
    completed = (job.get("lastCompletedBuild") or {}).get("number")
    if job.get("_class") != PIPELINE or not isinstance(completed, int):
        tried.untried.append("Item/Cancel")
        return
    path = f"{job_path(plan.name)}/{completed}/stop"
    if client.ask("POST", path, expect=(200, 302, 403, 404)).status_code == 403:
        found = "Item/Cancel is missing: none of its builds can be called back, cancelled or timed out"
        tried.findings.append(about.bad(found, "give the user Item/Cancel on it (docs/jenkins.md)"))


def _configure(client: JenkinsClient, about: About, plan: JobPlan, job: dict[str, Any], tried: Tried) -> None:
    if not plan.locks:
        return
    if client.ask("POST", f"{job_path(plan.name)}/description", expect=(400, 403)).status_code == 403:
        found = "Item/Configure is missing: when its stage locks, no banner can be put on it"
        mend = "give the user Item/Configure on it; everything else works without"
        if any(str(entry.get("_class", "")).endswith(".BranchJobProperty") for entry in job.get("property") or []):
            mend = "nobody has it on a branch of a multibranch project: for the banner make the stage a job of its own"
        tried.findings.append(about.unsure(found, mend))


_PERMISSION: dict[Callable[[JenkinsClient, About, JobPlan, dict[str, Any], Tried], None], str] = {
    _build: "Item/Build",
    _cancel: "Item/Cancel",
    _configure: "Item/Configure",
}
