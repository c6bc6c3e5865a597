"""Is a job as a stage needs it?"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

from bot.doctor.finding import About, Finding, Verdict
from bot.jenkins.client import JenkinsClient, NotAllowed, NotThere, job_path
from bot.jenkins.doctor import notification, permissions, settings_xml
from bot.jenkins.doctor.heard import Heard, examine_job
from bot.jenkins.doctor.lookup import missing
from bot.jenkins.job_plan import JobPlan

_TREE = (
    "fullName,buildable,concurrentBuild,lastCompletedBuild[number,timestamp,duration],property[parameterDefinitions[name,type]],"
    "jobs[name]{0,5}"
)
#: Parameters that would refuse what a trigger carries, or keep it from being read back.
_WRONG = {
    "BooleanParameterDefinition": "a boolean",
    "ChoiceParameterDefinition": "a choice",
    "CredentialsParameterDefinition": "a credential",
    "FileParameterDefinition": "a file",
    "PasswordParameterDefinition": "a password",
    "RunParameterDefinition": "a run",
}
_DECLARE = "Jenkins drops undeclared parameters, so builds could not be told apart: declare them in the job as strings"


def examine(
    client: JenkinsClient, plan: JobPlan, secrets: tuple[str, ...], heard: Heard, public_url: str
) -> list[Finding]:
    """Everything about one job; one good finding if there is nothing else. Raises NotNow if Jenkins is gone."""
    about = About.job(plan.controller, plan.name, plan.step)
    try:
        job = client.get(job_path(plan.name), _TREE)
    except NotThere:
        return [missing(client, about, plan.name)]
    except NotAllowed as error:
        return [about.bad(str(error), "give the user Item/Read on it")]
    if "buildable" not in job:
        return [_no_job(about, plan, job)]
    tried = permissions.examine(client, about, plan, job)
    findings = [
        *_name(about, plan, job),
        *_parameters(about, plan, job),
        *_readiness(about, job, plan),
        *tried.findings,
    ]
    name = (plan.controller, plan.name)
    root = _settings(client, about, plan)
    if isinstance(root, Finding):
        findings.append(root)
    else:
        findings += settings_xml.examine(about, plan, root)
        findings += notification.examine(about, plan, root, secrets, heard=name in heard.jobs, public_url=public_url)
    findings += examine_job(about, name, job.get("lastCompletedBuild") or {}, heard)
    if any(finding.verdict is not Verdict.GOOD for finding in findings):
        return findings
    untried = f" ({', '.join(tried.untried)} could not be tried)" if tried.untried else ""
    return [about.good(f"it is as it must be{untried}")]


def _settings(client: JenkinsClient, about: About, plan: JobPlan) -> ET.Element | Finding:
    try:
        return settings_xml.read(client, about, plan)
    except settings_xml.Hidden as hidden:
        return hidden.finding


def _no_job(about: About, plan: JobPlan, job: dict[str, Any]) -> Finding:
    kind = str(job.get("_class", "")).rpartition(".")[2]
    names = [f"{plan.name}/{child.get('name')}" for child in job.get("jobs") or []]
    inside = f", such as {', '.join(names[:3])}" if names else ""
    if kind == "WorkflowMultiBranchProject":
        mend = f"name the job of one branch in the pipeline file{inside} (a / in the branch is %2F there)"
        return about.bad("it is a multibranch project, which has no builds itself", mend)
    return about.bad(f"it is no job but a folder ({kind})", f"name a job in it in the pipeline file{inside}")


def _name(about: About, plan: JobPlan, job: dict[str, Any]) -> Iterator[Finding]:
    """Jenkins finds a job whatever the case of its name, but calls it by its own name ever after."""
    name = job.get("fullName")
    if isinstance(name, str) and name != plan.name:
        mend = "write it so in the pipeline file: callbacks are known by the name that Jenkins uses"
        yield about.bad(f"its name in Jenkins is {name}", mend)


def _parameters(about: About, plan: JobPlan, job: dict[str, Any]) -> Iterator[Finding]:
    declared = {
        definition.get("name"): str(definition.get("type"))
        for entry in job.get("property") or []
        for definition in entry.get("parameterDefinitions") or []
    }
    lacking = [name for name, _ in plan.parameters if name not in declared]
    if lacking:
        mend = f"{_DECLARE} (`interlock jenkins-jobs` prints jobs that do)"
        yield about.bad(f"it does not declare {', '.join(lacking)}", mend)
    for name, _ in plan.parameters:
        kind = declared.get(name)
        if kind in _WRONG:
            yield about.bad(f"its parameter {name} is {_WRONG[kind]}", "make it a string parameter")
        elif kind is not None and kind not in permissions.TEXTS:
            mend = "does it take any text, and show it in the build? A string parameter does"
            yield about.unsure(f"its parameter {name} is a {kind}", mend)


def _readiness(about: About, job: dict[str, Any], plan: JobPlan) -> Iterator[Finding]:
    if job.get("buildable") is False:
        yield about.bad("it is disabled", "enable it in Jenkins")
    if plan.concurrent and job.get("concurrentBuild") is False:
        found = "it runs one build at a time, but its stage has room for several"
        yield about.unsure(found, "take disableConcurrentBuilds out of it, or set the capacity to 1")
