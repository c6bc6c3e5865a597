"""What a finished or running build shows of itself: tests, stages, log. Sources: junit, pipeline-rest-api."""

from __future__ import annotations

from typing import Any

from standins.jenkins.model import Build

#: The stages that a build shows when its job names no failing one.
_STAGES = ("Prepare", "Run", "Report")
_STATUS = {
    "SUCCESS": "SUCCESS",
    "UNSTABLE": "UNSTABLE",
    "FAILURE": "FAILED",
    "NOT_BUILT": "NOT_EXECUTED",
    "ABORTED": "ABORTED",
}


def test_report(build: Build) -> dict[str, Any] | None:
    """The JUnit report, None if the build has none. The failing tests alternate REGRESSION and FAILED."""
    failing = build.outcome.tests
    if not failing or build.in_progress:
        return None
    cases = [_case(name, "REGRESSION" if at % 2 == 0 else "FAILED", build.number) for at, name in enumerate(failing)]
    cases.append(_case("standin.Smoke.starts", "PASSED", 0))
    return {
        "_class": "hudson.tasks.junit.TestResult",
        "testActions": [],
        "duration": 0.5,
        "empty": False,
        "failCount": len(failing),
        "passCount": 1,
        "skipCount": 0,
        "suites": [
            {
                "cases": cases,
                "duration": 0.5,
                "enclosingBlockNames": [],
                "enclosingBlocks": [],
                "id": None,
                "name": build.job.name,
                "nodeId": None,
                "properties": {},
                "stderr": None,
                "stdout": None,
                "timestamp": None,
            }
        ],
    }


def _case(name: str, status: str, failed_since: int) -> dict[str, Any]:
    class_name, _, short = name.rpartition(".")
    bad = status != "PASSED"
    return {
        "testActions": [],
        "age": 1 if bad else 0,
        "className": class_name or "standin.Suite",
        "duration": 0.1,
        "errorDetails": f"{short} did not hold" if bad else None,
        "errorStackTrace": f"java.lang.AssertionError: {short} did not hold" if bad else None,
        "failedSince": failed_since,
        "name": short,
        "properties": {},
        "skipped": False,
        "skippedMessage": None,
        "status": status,
        "stderr": None,
        "stdout": None,
    }


def stages(build: Build, now_ms: int, path: str) -> dict[str, Any]:
    """`wfapi/describe`: FAILED here, never FAILURE. `path`: the build's path on the server."""
    start = int(build.timestamp * 1000)
    duration = build.duration_ms or max(0, now_ms - start)
    status = "IN_PROGRESS" if build.in_progress else _STATUS[str(build.result)]
    return {
        "_links": {"self": {"href": f"{path}wfapi/describe"}},
        "id": str(build.number),
        "name": build.display_name or f"#{build.number}",
        "status": status,
        "startTimeMillis": start,
        "endTimeMillis": start + duration,
        "durationMillis": duration,
        "queueDurationMillis": int(build.queued_for * 1000),
        "pauseDurationMillis": 0,
        "stages": _stages(build, status, start, duration, path),
    }


def _stages(build: Build, status: str, start: int, duration: int, path: str) -> list[dict[str, Any]]:
    names = list(_STAGES)
    step = build.outcome.failing_step
    if step and step not in names:
        names.insert(1, step)
    last = names.index(step) if step and status in ("FAILED", "UNSTABLE") else 1
    shown = names if status == "SUCCESS" else names[: last + 1]
    return [
        _stage(index, name, status if name == shown[-1] else "SUCCESS", start, duration // len(shown), path)
        for index, name in enumerate(shown)
    ]


def _stage(index: int, name: str, status: str, start: int, duration: int, path: str) -> dict[str, Any]:
    node = str(6 + 6 * index)
    stage: dict[str, Any] = {
        "_links": {"self": {"href": f"{path}execution/node/{node}/wfapi/describe"}},
        "id": node,
        "name": name,
        "execNode": "",
        "status": status,
        "startTimeMillis": start + index * duration,
        "durationMillis": duration,
        "pauseDurationMillis": 0,
    }
    if status == "FAILED":
        stage["error"] = {"message": f"{name} failed", "type": "hudson.AbortException"}
    return stage
