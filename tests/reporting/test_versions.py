"""What changed in a stage before its lock: the board has the latest version of each service, the log those between."""

from __future__ import annotations

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import StepPassed
from bot.core.model.pipeline import Step, Track
from bot.reporting import versions

Log = list[tuple[float, Fact]]


def ended(
    at: float, run: str, sha: str, kind: FactKind = FactKind.BUILD_PASSED, step: Step | None = None
) -> tuple[float, Fact]:
    """The build of a run has ended in pre-production, or in another step."""
    where = step or Step("pre-production")
    return at, Fact(kind, StepPassed(where), run, run.partition(".")[0], sha, where)


def row(run: str, sha: str, since: float, *, passed: bool = True, before: str | None = None) -> dict:
    """A version as the board has it."""
    known = {"sha": sha, "short": sha[:7], "run": run, "lane": "main", "since": since}
    return {"service": run.partition(".")[0], "passed": passed, "before": before, **known}


def found(*rows: dict, since: float | None = 10.0) -> dict:
    """What the board knows of a lock of S1, which passed with `s1-old` at `since`."""
    baseline = None if since is None else {"sha": "s1-old", "short": "s1-old", "since": since}
    lock = {"lock": "pre-production/S1", "stage": "pre-production", "service": "S1", "baseline": baseline}
    return {**lock, "changes": list(rows)}


def listed(shape: dict) -> list[tuple[str, float, bool, str | None]]:
    return [(each["run"], each["since"], each["passed"], each["before"]) for each in shape["changes"]]


def test_three_versions_of_one_service_and_one_of_another_are_all_listed_the_newest_first() -> None:
    log: Log = [
        ended(t, r, s) for t, r, s in ((40, "S2.3", "c"), (30, "S3.1", "x"), (25, "S2.2", "b"), (20, "S2.1", "a"))
    ]
    board = (
        row("S1.2", "s1-new", 50, passed=False, before="s1-old"),
        row("S2.3", "c", 40, before="b"),
        row("S3.1", "x", 30),
    )
    told = versions.add_log(found(*board), log, 5.0)
    assert listed(told) == [
        ("S1.2", 50, False, "s1-old"),
        ("S2.3", 40, True, "b"),
        ("S3.1", 30, True, None),
        ("S2.2", 25, True, "a"),
        ("S2.1", 20, True, None),
    ]
    assert (told["count"], told["known_since"]) == (5, 10.0)


def test_what_came_before_the_last_pass_or_to_another_step_is_not_a_change() -> None:
    fast, other = Step("pre-production", Track.FAST), Step("acceptance")
    log: Log = [ended(30, "S2.2", "b", step=fast), ended(20, "S2.1", "a", step=other), ended(9, "S3.1", "x")]
    assert versions.add_log(found(), log, 9.0)["changes"] == []


def test_a_commit_that_failed_and_was_retried_is_one_change_with_its_last_end() -> None:
    repeated, failed = FactKind.BUILD_REPEATED, FactKind.BUILD_FAILED
    log: Log = [ended(40, "S2.1", "a"), ended(30, "S2.1", "a", failed), ended(20, "S2.1", "a", repeated)]
    assert listed(versions.add_log(found(), log, 9.0)) == [("S2.1", 40, True, None)]


def test_what_failed_replaces_nothing_that_is_compared_with() -> None:
    log: Log = [ended(30, "S1.4", "c"), ended(20, "S1.3", "b", FactKind.BUILD_FAILED)]
    assert listed(versions.add_log(found(), log, 9.0)) == [("S1.4", 30, True, "s1-old"), ("S1.3", 20, False, "s1-old")]


def test_a_log_that_was_trimmed_says_since_when_no_version_is_missing() -> None:
    board = (row("S2.3", "c", 40), row("S3.1", "x", 15))
    told = versions.add_log(found(*board), [ended(40, "S2.3", "c"), ended(35, "S2.2", "b")], 33.0)
    assert [each["run"] for each in told["changes"]] == ["S2.3", "S2.2", "S3.1"]
    assert told["known_since"] == 33.0


def test_the_newest_of_many_are_listed_and_all_are_counted() -> None:
    log: Log = [ended(1000.0 - n, f"S2.{100 - n}", f"{n:040}") for n in range(30)]
    told = versions.add_log(found(since=None), log, 971.0)
    assert (len(told["changes"]), told["count"], told["changes"][0]["since"]) == (versions.CHANGES, 30, 1000.0)
