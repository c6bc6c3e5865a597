"""The test report of a build. Source: junit."""

from __future__ import annotations

from typing import Any

from standins.jenkins.model import Build


def test_report(build: Build) -> dict[str, Any] | None:
    """Return the JUnit report, None if the build has none. The failing tests alternate REGRESSION and FAILED."""
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
