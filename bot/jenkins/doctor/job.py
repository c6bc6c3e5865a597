"""Check that a job is as its stage needs it: that it exists, declares the parameters, and lets us build, cancel and
configure.

Each permission is tried by a request that changes nothing whether it is allowed or not. Jenkins checks the permission
first and then finds nothing to do, so its answer shows whether we have the permission:

- Item/Build: `POST buildWithParameters` with a parameter given twice: 403 without the permission, 500 with it, nothing
  queued (Jenkins: `BuildAuthorizationToken#checkPermission`, then `SimpleParameterDefinition#createValue` throws). Only
  a string parameter that was just seen is given twice. If a proxy on the way makes one value of the two, the build
  would wait for an hour, and is removed from the queue at once.
- Item/Cancel: `POST <completed build>/stop`: 403 or 302 (Jenkins: `WorkflowRun#doStop` is `#doKill` for a build without
  an executor, which checks the permission, finds that nothing is building, and returns). `AbstractBuild#doStop`
  (FreeStyle) does not check it in this case, so it cannot be tried there.
- Item/Configure: `POST description` without the field: 403 or 400 (Jenkins: `Job#doDescription`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from bot.doctor import DoctorFinding, Subject, Verdict
from bot.effect_outcomes import RetryLater
from bot.jenkins.builds import RUN, cancel_item
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound
from bot.jenkins.doctor import job_settings
from bot.jenkins.doctor.callbacks import KnownCallbacks, examine_job
from bot.jenkins.job_plan import JobPlan
from bot.jenkins.triggers import item_of
from config.configuration import job_path

_TREE = (
    "fullName,buildable,concurrentBuild,lastCompletedBuild[number,timestamp,duration],"
    "property[parameterDefinitions[name,type]],jobs[name]{0,5}"
)

#: Types of parameters that would refuse the values of a trigger, or hide them in the build.
_WRONG = {
    "BooleanParameterDefinition": "a boolean",
    "ChoiceParameterDefinition": "a choice",
    "CredentialsParameterDefinition": "a credential",
    "FileParameterDefinition": "a file",
    "PasswordParameterDefinition": "a password",
    "RunParameterDefinition": "a run",
}

_DECLARE = (
    "declare them in the job as strings: Jenkins drops other parameters, and Interlock needs them to "
    "recognize its builds"
)


def examine(
    client: JenkinsClient, plan: JobPlan, secrets: tuple[str, ...], known: KnownCallbacks, public_url: str
) -> list[DoctorFinding]:
    """Return all findings about one job, or a single good one. Raises RetryLater if Jenkins does not answer."""
    about = Subject.job(plan.controller, plan.name, plan.step)
    try:
        job = client.get(job_path(plan.name), _TREE)
    except JenkinsNotFound:
        return [missing(client, about, plan.name)]
    except JenkinsForbidden as error:
        return [about.bad(str(error), "give the user Item/Read on it")]
    if "buildable" not in job:
        return [_not_a_job(about, plan, job)]
    tried = try_permissions(client, about, plan, job)
    findings = [
        *_name(about, plan, job),
        *_parameters(about, plan, job),
        *_readiness(about, job, plan),
        *tried.findings,
    ]
    name = (plan.controller, plan.name)
    root = _settings(client, about, plan)
    if isinstance(root, DoctorFinding):
        findings.append(root)
    else:
        findings += job_settings.examine_settings(about, plan, root)
        findings += job_settings.examine_callback(
            about, plan, root, secrets, called=name in known.jobs, public_url=public_url
        )
    findings += examine_job(about, name, job.get("lastCompletedBuild") or {}, known)
    if any(finding.verdict is not Verdict.GOOD for finding in findings):
        return findings
    return [about.good(f"the doctor could not test {', '.join(tried.untried)}" if tried.untried else "")]


def _settings(client: JenkinsClient, about: Subject, plan: JobPlan) -> ET.Element | DoctorFinding:
    try:
        return job_settings.read(client, about, plan)
    except job_settings.SettingsHidden as hidden:
        return hidden.finding


def _not_a_job(about: Subject, plan: JobPlan, job: dict[str, Any]) -> DoctorFinding:
    kind = str(job.get("_class", "")).rpartition(".")[2]
    names = [f"{plan.name}/{child.get('name')}" for child in job.get("jobs") or []]
    inside = f", such as {', '.join(names[:3])}" if names else ""
    if kind == "WorkflowMultiBranchProject":
        mend = f"write the job of one branch into the pipeline file{inside} (a / in the branch is %2F there)"
        return about.bad("it is a multibranch project, which has no builds itself", mend)
    return about.bad(f"it is a folder, not a job ({kind})", f"write a job in it into the pipeline file{inside}")


def _name(about: Subject, plan: JobPlan, job: dict[str, Any]) -> Iterator[DoctorFinding]:
    """Report a wrong case in the name: Jenkins finds a job whatever the case, but uses its own name in callbacks."""
    name = job.get("fullName")
    if isinstance(name, str) and name != plan.name:
        mend = "write this name into the pipeline file: callbacks carry it"
        yield about.bad(f"its name in Jenkins is {name}", mend)


def _parameters(about: Subject, plan: JobPlan, job: dict[str, Any]) -> Iterator[DoctorFinding]:
    declared = {
        definition.get("name"): str(definition.get("type"))
        for entry in job.get("property") or []
        for definition in entry.get("parameterDefinitions") or []
    }
    lacking = [name for name, _ in plan.parameters if name not in declared]
    if lacking:
        mend = f"{_DECLARE} (`interlock jenkins-jobs` prints such jobs)"
        yield about.bad(f"it does not declare {', '.join(lacking)}", mend)
    for name, _ in plan.parameters:
        kind = declared.get(name)
        if kind in _WRONG:
            yield about.bad(f"its parameter {name} is {_WRONG[kind]}", "make it a string parameter")
        elif kind is not None and kind not in TEXTS:
            mend = "make it a string parameter, unless it accepts any text and shows it in the build"
            yield about.unsure(f"its parameter {name} is a {kind}", mend)


def _readiness(about: Subject, job: dict[str, Any], plan: JobPlan) -> Iterator[DoctorFinding]:
    if job.get("buildable") is False:
        yield about.bad("it is disabled", "enable it in Jenkins")
    if plan.concurrent and job.get("concurrentBuild") is False:
        found = "it runs one build at a time, but its stage has room for several"
        yield about.unsure(found, "remove disableConcurrentBuilds from it, or set the capacity to 1")


# -- a job that does not exist -----------------------------------------------------------------------------------------

#: The most names that are requested of a folder, and the most that a finding lists.
_ASKED, _TOLD = 1_000, 5

_CHILDREN = f"jobs[name]{{0,{_ASKED}}}"


def missing(client: JenkinsClient, about: Subject, name: str) -> DoctorFinding:
    """Report which part of the path does not exist, or may not be read, which looks the same (`Jenkins#getItem`)."""
    mend = (
        "create it (`interlock jenkins-jobs` prints it), give the user Item/Read on it, or correct "
        "its name in the pipeline file"
    )
    try:
        found = _missing_part(client, name)
    except (JenkinsNotFound, JenkinsForbidden, RetryLater):
        found = ""  # a folder cannot be read, so the part is not known
    return about.bad(found or "it does not exist, or Interlock may not read it", mend)


def _missing_part(client: JenkinsClient, name: str) -> str:
    """Return a sentence about the first part of the path that does not exist; empty if all exist."""
    folder = ""
    for part in name.split("/"):
        path = f"{job_path(folder)}/api/json" if folder else "api/json"
        inside = client.read(path, {"tree": _CHILDREN})
        names = [str(job.get("name", "")) for job in inside.get("jobs") or []]
        if part not in names:
            return _nearest(folder, part, names)
        folder = f"{folder}/{part}" if folder else part
    return ""


def _nearest(folder: str, part: str, names: list[str]) -> str:
    where = f"the folder {folder}" if folder else "the top folder"
    near = get_close_matches(part, names, n=_TOLD, cutoff=0.5) or sorted(names)[:_TOLD]
    there = f"; there is {', '.join(near)}" if near else ", where Interlock sees no job"
    return f"it does not exist, or Interlock may not read it: {where} has no {part}{there}"


# -- permissions -------------------------------------------------------------------------------------------------------

PIPELINE = "org.jenkinsci.plugins.workflow.job.WorkflowJob"

#: The types that certainly extend SimpleParameterDefinition and accept any text.
TEXTS = ("StringParameterDefinition", "TextParameterDefinition")

_TWICE = f"buildWithParameters?{RUN}=doctor&{RUN}=doctor&delay=3600sec"


@dataclass(slots=True)
class TriedPermissions:
    """The findings, and the names of the permissions that could not be tried."""

    findings: list[DoctorFinding] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def try_permissions(client: JenkinsClient, about: Subject, plan: JobPlan, job: dict[str, Any]) -> TriedPermissions:
    """Try every permission that this job's stage needs."""
    tried = TriedPermissions()
    for probe in (_build, _cancel, _configure):
        try:
            probe(client, about, plan, job, tried)
        except (JenkinsForbidden, RetryLater, JenkinsNotFound) as error:
            tried.findings.append(
                about.unsure(f"the doctor could not test {_PERMISSION[probe]}: {error}", "run the doctor again later")
            )
    return tried


def _build(client: JenkinsClient, about: Subject, plan: JobPlan, job: dict[str, Any], tried: TriedPermissions) -> None:
    definitions = [d for entry in job.get("property") or [] for d in entry.get("parameterDefinitions") or []]
    run = [d for d in definitions if d.get("name") == RUN]
    if len(run) != 1 or run[0].get("type") not in TEXTS or job.get("buildable") is False:
        tried.untried.append("Item/Build")
        return
    response = client.ask("POST", f"{job_path(plan.name)}/{_TWICE}", expect=(201, 303, 403, 409, 500))
    if response.status_code == 403:
        mend = "give the user Item/Build on it (docs/jenkins.md)"
        tried.findings.append(about.bad("Item/Build is missing: Interlock cannot start a build", mend))
    elif response.status_code == 409:
        tried.untried.append("Item/Build")
    elif response.status_code in (201, 303):
        tried.findings.append(_undo_trigger(client, about, item_of(response)))


def _undo_trigger(client: JenkinsClient, about: Subject, item: int | None) -> DoctorFinding:
    found = "Jenkins accepted a trigger that the doctor sent to be refused;"
    if item is not None and cancel_item(client, item) in (204, 302):
        mend = "let no proxy on the way to Jenkins change requests: one made one parameter out of two"
        return about.unsure(f"{found} the doctor has taken it out of Jenkins' queue again", mend)
    return about.bad(
        f"{found} it is still in Jenkins' queue (item {item or 'unknown'})", "cancel it in Jenkins by hand"
    )


def _cancel(client: JenkinsClient, about: Subject, plan: JobPlan, job: dict[str, Any], tried: TriedPermissions) -> None:
    completed = (job.get("lastCompletedBuild") or {}).get("number")
    if job.get("_class") != PIPELINE or not isinstance(completed, int):
        tried.untried.append("Item/Cancel")
        return
    path = f"{job_path(plan.name)}/{completed}/stop"
    if client.ask("POST", path, expect=(200, 302, 403, 404)).status_code == 403:
        found = "Item/Cancel is missing: Interlock cannot stop its builds"
        tried.findings.append(about.bad(found, "give the user Item/Cancel on it (docs/jenkins.md)"))


def _configure(
    client: JenkinsClient, about: Subject, plan: JobPlan, job: dict[str, Any], tried: TriedPermissions
) -> None:
    if not plan.locks:
        return
    if client.ask("POST", f"{job_path(plan.name)}/description", expect=(400, 403)).status_code == 403:
        found = "Item/Configure is missing: Interlock cannot put a banner on it when its stage locks"
        mend = "give the user Item/Configure on it; everything else works without"
        if any(str(entry.get("_class", "")).endswith(".BranchJobProperty") for entry in job.get("property") or []):
            mend = (
                "Jenkins gives it to nobody on a branch of a multibranch project: for the banner use "
                "a job that is not in one"
            )
        tried.findings.append(about.unsure(found, mend))


_PERMISSION: dict[Callable[[JenkinsClient, Subject, JobPlan, dict[str, Any], TriedPermissions], None], str] = {
    _build: "Item/Build",
    _cancel: "Item/Cancel",
    _configure: "Item/Configure",
}
