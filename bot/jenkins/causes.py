"""What went wrong in a build that has ended: its test report and its steps, read from Jenkins once per process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, NamedTuple

from bot.core.model.pipeline import Job
from bot.jenkins import reports
from bot.jenkins.client import JenkinsClient, NotAllowed, NotThere, job_path

#: Of how many builds the answers are kept: several words about one end come within a moment.
KEPT = 256


class Causes(NamedTuple):
    """The names of the tests that failed, the first few; the step of the Pipeline that went wrong, and what it says."""

    tests: tuple[str, ...] = ()
    step: str = ""


_known: OrderedDict[tuple[str, Job, int, Any], Causes] = OrderedDict()
_lock = threading.Lock()


def causes(client: JenkinsClient, job: Job, build: dict[str, Any]) -> Causes:
    """What went wrong in a build that has ended. Raises NotNow if Jenkins does not answer."""
    number = int(build["number"])
    key = (client.url, job, number, build.get("timestamp"))  # a job that was made anew counts from 1 again
    with _lock:
        known = _known.get(key)
    if known is None:
        known = Causes(_failed_tests(client, job, number), _failed_step(client, job, number))
        with _lock:
            _known[key] = known
            if len(_known) > KEPT:
                _known.popitem(last=False)
    return known


def _failed_tests(client: JenkinsClient, job: Job, number: int) -> tuple[str, ...]:
    """None if there is no report."""
    try:
        report = client.get(f"{job_path(job.name)}/{number}/testReport", "suites[cases[className,name,status]]")
    except (NotThere, NotAllowed):
        return ()
    return reports.failed_tests(report)


def _failed_step(client: JenkinsClient, job: Job, number: int) -> str:
    """Empty if the build is no Pipeline, or the plugin for it is not there."""
    try:
        return reports.failed_step(client.read(f"{job_path(job.name)}/{number}/wfapi/describe"))
    except (NotThere, NotAllowed):
        return ""
