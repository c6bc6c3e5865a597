"""What went wrong in a build is told in a few words, whatever the report looks like."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jenkins.builds import STEP, TESTS, failed_step, failed_tests


def stage(name: str, status: str = "SUCCESS", message: str | None = None) -> dict[str, Any]:
    error = {} if message is None else {"error": {"message": message, "type": "hudson.AbortException"}}
    return {"name": name, "status": status, **error}


def report(*cases: tuple[str, str, str]) -> dict[str, Any]:
    rows = [{"className": kind, "name": name, "status": status} for kind, name, status in cases]
    return {"suites": [{"cases": rows[:1]}, {"cases": rows[1:]}]}


def test_failed_tests_are_named_by_class_and_case() -> None:
    found = report(
        ("shop.CartTest", "adds", "PASSED"),
        ("shop.CartTest", "pays", "FAILED"),
        ("shop.PriceTest", "rounds", "REGRESSION"),
        ("shop.PriceTest", "adds", "FIXED"),
    )
    assert failed_tests(found) == ("CartTest.pays", "PriceTest.rounds")


def test_so_many_are_named_and_no_more() -> None:
    many = report(*(("T", f"case{n}", "FAILED") for n in range(50)))
    assert failed_tests(many) == tuple(f"T.case{n}" for n in range(TESTS))


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([stage("Build"), stage("Roll out", "FAILED", "exit code 1")], "Roll out: exit code 1"),
        ([stage("Build"), stage("Roll out", "FAILED")], "Roll out"),
        ([stage("Test", "UNSTABLE"), stage("Roll out", "FAILED", "no")], "Roll out: no"),
        ([stage("Test", "UNSTABLE")], "Test"),
        ([stage("Roll out", "ABORTED", "Aborted by ann")], "Roll out: Aborted by ann"),
        ([stage("All", "FAILED", "no"), stage("Inner", "FAILED", "no"), stage("Post", "FAILED", "mail")], "Inner: no"),
        ([stage("Build"), stage("Roll out", "IN_PROGRESS")], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_the_step_is_the_innermost_of_the_first_that_failed(stages: list[dict[str, Any]], told: str) -> None:
    assert failed_step({"stages": stages}) == told


def test_what_strangers_write_comes_out_as_one_short_line() -> None:
    told = failed_step({"stages": [stage("Roll\nout\x1b[31m", "FAILED", "x\u202e" + "y" * 500)]})
    assert told.startswith("Roll out [31m: x y")
    assert len(told) == STEP
    assert told.isprintable()


KEYS = ["suites", "cases", "stages", "name", "status", "error", "message"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(anything)
def test_whatever_the_report_is_it_is_read_without_a_crash(value: Any) -> None:
    found = value if isinstance(value, dict) else {"suites": value, "stages": value}
    assert all(isinstance(name, str) for name in failed_tests(found))
    assert isinstance(failed_step(found), str)
