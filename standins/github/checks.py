"""Check suites and check runs: the App's reports on a commit, with buttons for people.

Source: GitHub docs, "Check runs", "Check suites" and "Using the REST API to interact with checks".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from standins.github.model import RefusedError, Repo

if TYPE_CHECKING:
    from standins.github.world_telling import Telling

#: The most check runs of one name in a suite; older ones are deleted.
PER_NAME = 1000


@dataclass(slots=True)
class CheckSuite:
    id: int
    sha: str
    branch: str | None
    before: str
    at: float
    runs: list[int] = field(default_factory=list)


@dataclass(slots=True)
class CheckRun:
    id: int
    suite: int
    sha: str
    name: str
    at: float
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    details_url: str | None = None
    external_id: str = ""
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)


def suite_of(world: Telling, repo: Repo, sha: str, branch: str | None = None, before: str = "0" * 40) -> CheckSuite:
    """Return the App's suite on a commit, made at the first call."""
    found = next((one for one in repo.check_suites.values() if one.sha == sha), None)
    if found is None:
        branch = branch or next((name for name, at in repo.branches.items() if at == sha), None)
        found = CheckSuite(next(world.ids), sha, branch, before, world.clock.now())
        repo.check_suites[found.id] = found
    return found


def add_run(world: Telling, repo: Repo, run: CheckRun, sender: str) -> None:
    repo.check_runs[run.id] = run
    suite = repo.check_suites[run.suite]
    suite.runs.append(run.id)
    same = [number for number in suite.runs if repo.check_runs[number].name == run.name]
    for number in same[:-PER_NAME]:
        suite.runs.remove(number)
        del repo.check_runs[number]
    tell_run(world, repo, run, "created", sender)
    if run.status == "completed":
        completed(world, repo, run, sender)


def completed(world: Telling, repo: Repo, run: CheckRun, sender: str) -> None:
    """Report the end of a check run, and of its suite if no run is left in it."""
    tell_run(world, repo, run, "completed", sender)
    suite = repo.check_suites[run.suite]
    if suite_state(repo, suite)[0] == "completed":
        tell_suite(world, repo, suite, "completed", sender)


def suite_state(repo: Repo, suite: CheckSuite) -> tuple[str, str | None]:
    """Return status and conclusion of a suite, from the newest check run of each name."""
    newest = {repo.check_runs[number].name: repo.check_runs[number] for number in suite.runs}
    if not newest:
        return "queued", None
    if any(run.status != "completed" for run in newest.values()):
        begun = any(run.status != "queued" for run in newest.values())
        return ("in_progress" if begun else "queued"), None
    order = ("failure", "timed_out", "cancelled", "action_required", "neutral", "skipped", "success")
    return "completed", min((str(run.conclusion) for run in newest.values()), key=order.index)


def tell_run(world: Telling, repo: Repo, run: CheckRun, action: str, sender: str, button: str | None = None) -> None:
    """Send `check_run`: `created` and `completed` to every hook that wants them, other actions only to the App."""
    apps_only = action not in ("created", "completed")
    world.emit(
        repo,
        "check_run",
        lambda brief: world.payloads.check_run(repo, run, action, sender, button, brief=brief),
        apps_only=apps_only,
    )


def tell_suite(world: Telling, repo: Repo, suite: CheckSuite, action: str, sender: str) -> None:
    world.emit(
        repo,
        "check_suite",
        lambda brief: world.payloads.check_suite(repo, suite, action, sender, brief=brief),
        apps_only=action != "completed",
    )


def found_run(repo: Repo, number: int) -> CheckRun:
    if number not in repo.check_runs:
        raise RefusedError(404, "Not Found")
    return repo.check_runs[number]
