"""Whether a job declares what tells its builds apart: Jenkins drops the undeclared, and folds what is then alike."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bot.core.model.pipeline import Job
from bot.jenkins import attempt
from bot.jenkins.client import JenkinsClient, job_path

#: How long a job that was found good is not asked again, in seconds.
TRUSTED_FOR = 600.0
_TREE = "property[parameterDefinitions[name]]"

_good_until: dict[tuple[str, Job], float] = {}


def missing(jenkins: JenkinsClient, job: Job) -> list[str]:
    """Which of the parameters that say whose a build is the job does not declare; asked once in a while.

    Raises what the client raises: then nothing was posted.
    """
    key = (jenkins.url, job)
    if _good_until.get(key, 0.0) > time.monotonic():
        return []
    answer = jenkins.get(job_path(job.name), _TREE)
    names = {
        definition.get("name")
        for entry in answer.get("property") or []
        for definition in (entry or {}).get("parameterDefinitions") or []
    }
    lacking = [name for name in (attempt.RUN, attempt.ATTEMPT) if name not in names]
    if not lacking:
        _good_until[key] = time.monotonic() + TRUSTED_FOR
    return lacking


def known_good(url: str, jobs: Iterable[Job]) -> list[Job]:
    """Those of the jobs on this controller that `missing` would not ask about now."""
    now = time.monotonic()
    return [job for job in jobs if _good_until.get((url, job), 0.0) > now]


def refusal(job: Job, names: list[str]) -> str:
    """Why nothing is started in a job that declares too little, and what to do."""
    return (
        f"{job.name} does not declare {' and '.join(names)}, so nobody could tell whose its builds are; declare what "
        f"`interlock doctor` lists"
    )
