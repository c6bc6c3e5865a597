"""`interlock doctor`: is Jenkins as the pipeline needs it? Every finding says what is wrong and how to mend it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from config.configuration import Configuration, Controller
from config.errors import SettingsError
from config.jobs.plan import PARAMETERS, JobPlan, credential, plans
from config.settings import Settings
from workers.jenkins_client import JenkinsClient, NotAllowed, NotThere, job_path
from workers.perform.outcome import NotNow

_NOTIFICATION = "com.tikal.hudson.plugins.notification.HudsonNotificationProperty"
_JOB_TREE = "buildable,concurrentBuild,property[_class,parameterDefinitions[name]]"
_PATHS = "docs/jenkins.md; `interlock jenkins-jobs` prints jobs that have it"


class Verdict(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    UNSURE = "unsure"  # works, or may work, but somebody should look
    BAD = "bad"  # runs will not get through


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `what` it is about, what was found, and how to mend it."""

    verdict: Verdict
    what: str
    found: str
    mend: str = ""


def examine_jenkins(configuration: Configuration, settings: Settings) -> Iterator[Finding]:
    """Look at every controller, and at every job on those that answer. Only reads; starts and changes nothing."""
    for controller in configuration.controllers.values():
        try:
            token = settings.jenkins_token(controller.name).get_secret_value()
        except SettingsError as error:
            yield Finding(Verdict.BAD, controller.name, str(error), "set the variable, then look again")
            continue
        client = JenkinsClient(controller, token)
        answers = True
        for finding in _controller(client, controller):
            answers &= finding.verdict is not Verdict.BAD
            yield finding
        if answers:
            for plan in plans(configuration, controller.name):
                yield from _job(client, plan)


def _controller(client: JenkinsClient, controller: Controller) -> Iterator[Finding]:
    what = f"controller {controller.name}"
    try:
        response = client.ask("GET", "api/json", params={"tree": "quietingDown"})
    except NotNow as error:
        mend = f"is {controller.url} its address, seen from here? Is it up? Is its certificate known (ca_bundle)?"
        yield Finding(Verdict.BAD, what, str(error), mend)
        return
    except NotThere as error:
        yield Finding(Verdict.BAD, what, str(error), f"{controller.url} is not a Jenkins: is a context path missing?")
        return
    except NotAllowed as error:
        mend = (
            f"make an API token for the user {controller.user} (Jenkins: People, {controller.user}, Security) and give "
            "that user Overall/Read"
        )
        yield Finding(Verdict.BAD, what, str(error), mend)
        return
    version = response.headers.get("X-Jenkins", "of unknown version")
    yield Finding(Verdict.GOOD, what, f"Jenkins {version} answers {controller.user}")
    if response.json().get("quietingDown"):
        mend = "it takes triggers but starts nothing until the shutdown is cancelled or done"
        yield Finding(Verdict.UNSURE, what, "it prepares to shut down", mend)


def _job(client: JenkinsClient, plan: JobPlan) -> Iterator[Finding]:
    what = f"job {plan.name} on {plan.controller}"
    try:
        job = client.get(job_path(plan.name), _JOB_TREE)
    except NotThere:
        mend = "create it (`interlock jenkins-jobs` prints it), or give the user Item/Read"
        yield Finding(Verdict.BAD, what, "it is not there, or may not be read", mend)
        return
    except (NotAllowed, NotNow) as error:
        yield Finding(Verdict.BAD, what, str(error), "give the user Item/Read on it")
        return
    problems = [*_parameters(what, job), *_readiness(what, job, plan), *_callback(client, what, plan)]
    yield from problems or [Finding(Verdict.GOOD, what, "it is as it must be")]


def _parameters(what: str, job: dict[str, Any]) -> Iterator[Finding]:
    declared = {
        definition.get("name")
        for entry in job.get("property") or []
        for definition in entry.get("parameterDefinitions") or []
    }
    missing = [name for name, _ in PARAMETERS if name not in declared]
    if missing:
        found = f"it does not declare {', '.join(missing)}"
        mend = "Jenkins drops undeclared parameters, so builds could not be told apart: declare them (" + _PATHS + ")"
        yield Finding(Verdict.BAD, what, found, mend)


def _readiness(what: str, job: dict[str, Any], plan: JobPlan) -> Iterator[Finding]:
    if job.get("buildable") is False:
        yield Finding(Verdict.BAD, what, "it is disabled", "enable it in Jenkins")
    if plan.concurrent and job.get("concurrentBuild") is False:
        found = "it runs one build at a time, but its stage has room for several"
        yield Finding(Verdict.UNSURE, what, found, "take disableConcurrentBuilds out of it, or set the capacity to 1")


def _callback(client: JenkinsClient, what: str, plan: JobPlan) -> Iterator[Finding]:
    """Whether the notification plugin calls us back; the configuration may be hidden from us, which is no fault."""
    mend = f"add a notification to it, with the secret text {credential(plan)} as its address (" + _PATHS + ")"
    try:
        text = client.ask("GET", f"{job_path(plan.name)}/config.xml").text
        root = ET.fromstring(text.replace("<?xml version='1.1'", "<?xml version='1.0'", 1))  # noqa: S314  our own Jenkins
    except (NotAllowed, NotThere):
        found = "whether it calls back cannot be seen: its configuration may not be read (Item/ExtendedRead)"
        yield Finding(Verdict.UNSURE, what, found, "without callbacks everything works, but later: builds are polled")
        return
    except (NotNow, ET.ParseError) as error:
        yield Finding(Verdict.UNSURE, what, f"its configuration could not be read: {error}")
        return
    endpoints = [info.findtext("urlOrId") or "" for info in root.iter("urlInfo")]
    endpoints += [url.text or "" for url in root.iter("url")]
    notifies = next(root.iter(_NOTIFICATION), None) is not None
    ours = any(credential(plan) in e or "/webhooks/jenkins" in e for e in endpoints)
    if not (notifies and ours):
        yield Finding(Verdict.UNSURE, what, "it does not call back when a build starts or ends", mend)
