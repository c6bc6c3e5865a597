"""The notification plugin: QUEUED, STARTED, COMPLETED and FINALIZED to the endpoints that a job has.

Source: com.tikal.hudson.plugins.notification (Phase, Endpoint, JobListener).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from standins.jenkins.callbacks import Callback
from standins.jenkins.model import Build, Endpoint
from standins.jenkins.outcomes import as_text

PHASES = ("QUEUED", "STARTED", "COMPLETED", "FINALIZED")
#: Results that count as "the last build that finished" (Phase#findLastBuildThatFinished).
_FINISHED = ("SUCCESS", "FAILURE", "UNSTABLE")


def callbacks(build: Build, phase: str, root_url: str, now: float, *, manual: bool = False) -> Iterator[Callback]:
    """What the build's endpoints are told of the phase; writes into the build's log as the plugin does.

    `manual`: a script calls notifyEndpoints, which asks neither event nor branch.
    """
    for endpoint in build.job.endpoints:
        if not manual and not _wanted(endpoint, phase, build):
            continue
        url = _expanded(endpoint.url, build)
        if url is None:
            build.log.append(f"Ignoring sending notification due to unresolved variable: url '{endpoint.url}'")
        elif not manual and not _branch_fits(endpoint, build):
            build.log.append(f"BRANCH_NAME does not match configured branch filter {endpoint.branch}")
        else:
            build.log.append(f"Notifying endpoint with url '{url}'")
            body = json.dumps(payload(build, phase, root_url, now), ensure_ascii=False).encode()
            yield Callback(
                build.job.full_name,
                build.number,
                phase,
                url,
                body,
                _headers(url),
                endpoint.timeout,
                endpoint.retries,
            )


def payload(build: Build, phase: str, root_url: str, now: float) -> dict[str, Any]:
    """The JSON of one phase: snake_case, nulls left out, `name` without its folders."""
    job, ended = build.job, phase in ("COMPLETED", "FINALIZED")
    url = f"{job.url}{build.number}/"
    state: dict[str, Any] = {
        "full_url": f"{root_url}{url}",
        "number": build.number,
        "queue_id": build.queue_id,
        "timestamp": int(timestamp(build, phase, now) * 1000),
        "duration": build.duration_ms if ended else 0,
        "phase": phase,
    }
    if build.result is not None:
        state["status"] = build.result
    state |= {"url": url, "scm": {"changes": [], "culprits": []}}
    if job.parameters or build.values:
        state["parameters"] = {v.name: as_text(v.value) for v in build.values if v.kind != "password"}
    state |= {"log": "", "artifacts": {}}
    if ended and build.outcome.tests:
        failed = list(build.outcome.tests)
        state["test_summary"] = {
            "total": len(failed) + 1,
            "failed": len(failed),
            "passed": 1,
            "skipped": 0,
            "failed_tests": failed,
        }
    return {"name": job.name, "display_name": job.shown_name, "url": job.url, "build": state}


def timestamp(build: Build, phase: str, now: float) -> float:
    """When a phase was, as both plugins say it, in seconds."""
    if phase == "QUEUED":
        return now - build.queued_for
    if phase == "STARTED":
        return build.timestamp
    return build.timestamp + build.duration_ms / 1000 if phase == "COMPLETED" else now


def _wanted(endpoint: Endpoint, phase: str, build: Build) -> bool:
    if endpoint.phases:
        return phase in endpoint.phases
    event = endpoint.event
    if event in ("failed", "failedAndFirstSuccess"):
        first_success = event == "failedAndFirstSuccess" and build.result == "SUCCESS"
        recovered = first_success and _last_finished(build) == "FAILURE"
        return phase == "FINALIZED" and (build.result == "FAILURE" or recovered)
    return event == "all" or event.upper() == phase


def _last_finished(build: Build) -> str | None:
    """The result of the newest earlier build that finished by itself."""
    earlier = (one for one in reversed(build.job.builds.values()) if one.number < build.number and not one.building)
    return next((one.result for one in earlier if one.result in _FINISHED), None)


def _branch_fits(endpoint: Endpoint, build: Build) -> bool:
    """A filter that is not `.*` keeps every job quiet that has no BRANCH_NAME."""
    branch = build.job.branch
    return endpoint.branch == ".*" if branch is None else re.fullmatch(endpoint.branch, branch) is not None


def _expanded(url: str, build: Build) -> str | None:
    """Variables replaced by the build's parameters; None if one stays unresolved: then nothing is sent."""
    values = {name: as_text(value) for name, value in build.parameters.items()}
    values |= {"JOB_NAME": build.job.full_name, "BUILD_NUMBER": str(build.number)}
    if build.job.branch is not None:
        values["BRANCH_NAME"] = build.job.branch
    for name in re.findall(r"\$\{?(\w+)\}?", url):
        if name not in values:
            return None
        url = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", lambda _: values[name], url)  # noqa: B023  called at once
    return url


def _headers(url: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json;charset=UTF-8", "Accept": "*/*"}
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers
