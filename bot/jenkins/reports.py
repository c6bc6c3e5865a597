"""What went wrong in a build, in a few words: the tests that failed, the step of the Pipeline that ended it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.payloads import at, line, text

#: How many failing tests are named, and how long a name may be.
TESTS = 10
TEST_NAME = 120
#: How much is told of a step.
STEP = 160
#: The statuses of a stage or step that went wrong, worst first (pipeline-rest-api: `StatusExt`).
_WRONG = ("FAILED", "UNSTABLE", "ABORTED")


def failed_tests(report: dict[str, Any]) -> tuple[str, ...]:
    """The first few tests that failed, as `Class.case` (junit plugin: `TestResult`; a new failure is a REGRESSION)."""
    failing = (case for case in _cases(report) if text(case, "status") in ("FAILED", "REGRESSION"))
    return tuple(_test(case) for case in failing)[:TESTS]


def _cases(report: dict[str, Any]) -> Iterator[Any]:
    for suite in _list(report, "suites"):
        yield from _list(suite, "cases")


def _test(case: Any) -> str:
    return line(f"{text(case, 'className').rpartition('.')[2]}.{text(case, 'name')}", TEST_NAME)


def failed_step(run: dict[str, Any]) -> str:
    """The stage that went wrong and what it says, as `Roll out: script returned exit code 1`; empty if none did.

    Source: pipeline-rest-api, `wfapi/describe`. An outer stage stands before the inner one that ended it, with the same
    error; what came after it (post actions) may have failed as well: so it is the innermost of the first that failed.
    """
    stages = _list(run, "stages")
    for status in _WRONG:
        wrong = [stage for stage in stages if text(stage, "status") == status]
        if wrong:
            error = text(wrong[0], "error", "message")
            same = [stage for stage in wrong if text(stage, "error", "message") == error]
            told = (line(text(same[-1], "name"), STEP), line(error, STEP))
            return ": ".join(part for part in told if part)[:STEP]
    return ""


def _list(value: Any, name: str) -> list[Any]:
    found = at(value, name)
    return found if isinstance(found, list) else []
