"""The notification plugin: QUEUED, STARTED, COMPLETED and FINALIZED to the endpoints of a job.

Source: com.tikal.hudson.plugins.notification (Phase, Endpoint, JobListener).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from standins.jenkins.callbacks import Callback
from standins.jenkins.model import Build, Endpoint
from standins.jenkins.outcomes import as_text

if TYPE_CHECKING:
    from standins.jenkins.settings import Settings

PHASES = ("QUEUED", "STARTED", "COMPLETED", "FINALIZED")
#: The line in the build's log, for each phase, if the credential is missing.
NO_CREDENTIAL = (
    "ERROR: Failed to notify endpoint",
    "java.lang.NullPointerException",
    *("\tat com.tikal.hudson.plugins.notification.Utils.getSecretUrl(Utils.java)" for _ in range(20)),
)
#: Results that count as "the last build that finished" (Phase#findLastBuildThatFinished).
_FINISHED = ("SUCCESS", "FAILURE", "UNSTABLE")


def callbacks(build: Build, phase: str, settings: Settings, now: float, *, manual: bool = False) -> Iterator[Callback]:
    """Return the callbacks of the phase; write into the build's log as the plugin does.

    `manual`: a script calls notifyEndpoints, which asks neither event nor branch.
    """
    for endpoint in build.job.endpoints:
        if not manual and not _wanted(endpoint, phase, build):
            continue
        address = endpoint.url or settings.credentials.get(endpoint.credential)
        if address is None:
            build.log += NO_CREDENTIAL  # the plugin does not check whether there is one (Utils#getSecretUrl)
            continue
        url = _expanded(address, build)
        if url is None:
            build.log.append(f"Ignoring sending notification due to unresolved variable: {_named(endpoint, address)}")
        elif not manual and not _branch_fits(endpoint, build):
            build.log.append(f"BRANCH_NAME does not match configured branch filter {endpoint.branch}")
        else:
            build.log.append(f"Notifying endpoint with {_named(endpoint, url)}")
            body = json.dumps(payload(build, phase, settings.root_url, now, endpoint), ensure_ascii=False).encode()
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


def _named(endpoint: Endpoint, url: str) -> str:
    """Return the endpoint's name in the build's log, without a secret address."""
    return f"credentials id '{endpoint.credential}'" if endpoint.credential else f"url '{url}'"


def payload(build: Build, phase: str, root_url: str | None, now: float, endpoint: Endpoint) -> dict[str, Any]:
    """Return the JSON of one phase: snake_case, without nulls, `name` without its folders.

    `root_url`: the configured address of Jenkins, with a slash at its end; without one there is no `full_url`.
    """
    job, ended = build.job, phase in ("COMPLETED", "FINALIZED")
    url = f"{job.url}{build.number}/"
    state: dict[str, Any] = {
        **({} if root_url is None else {"full_url": f"{root_url}{url}"}),
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
    state |= {"log": "\n".join(_last(build.log, endpoint.log_lines))}
    state |= {} if endpoint.notes is None else {"notes": endpoint.notes}
    state |= {"artifacts": {}}
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


def _last(log: list[str], lines: int) -> list[str]:
    return log if lines < 0 else log[len(log) - lines :] if lines else []


def timestamp(build: Build, phase: str, now: float) -> float:
    """Return the time of a phase as both plugins give it, in seconds.

    QUEUED is sent after the start and counts back to the end of the quiet period, so that it may come out some
    milliseconds later than STARTED (53 of 127 builds of a real core).
    """
    if phase == "QUEUED":
        return now - build.ready_for
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
    return event == "all" or event == phase.lower()  # compared exactly: "ALL", "Finalized" and "" send nothing


def _last_finished(build: Build) -> str | None:
    """Return the result of the newest earlier build that finished by itself."""
    earlier = (one for one in reversed(build.job.builds.values()) if one.number < build.number and not one.building)
    return next((one.result for one in earlier if one.result in _FINISHED), None)


def _branch_fits(endpoint: Endpoint, build: Build) -> bool:
    """Return whether the branch filter passes; without BRANCH_NAME only `.*` does."""
    branch = build.job.branch
    if endpoint.branch is None:
        return False
    return endpoint.branch == ".*" if branch is None else re.fullmatch(endpoint.branch, branch) is not None


def _expanded(url: str, build: Build) -> str | None:
    """Replace variables by the build's parameters; return None if a `$` is left: then nothing is sent."""
    values = {name: as_text(value) for name, value in build.parameters.items()}
    values |= {"JOB_NAME": build.job.full_name, "BUILD_NUMBER": str(build.number)}
    if build.job.branch is not None:
        values["BRANCH_NAME"] = build.job.branch
    for name in re.findall(r"\$\{?(\w+)\}?", url):
        if name not in values:
            return None
        url = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", lambda _: values[name], url)  # noqa: B023  called at once
    return None if "$" in url else url


def _headers(url: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json;charset=UTF-8", "Accept": "*/*"}
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{parts.username}:{parts.password or ''}".encode()  # as written in the URL, not decoded
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers
