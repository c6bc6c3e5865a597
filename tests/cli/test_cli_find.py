"""Finding from the command line: what is where, and the pipeline named before the command."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.cli import find, read
from bot.cli.client import ApiClient
from bot.core.model.events import FreezesPlanned, LockAsked
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.cli.conftest import Interlock, serving, typed
from tests.web.conftest import Story
from tests.web.story import pipeline, sha


@pytest.fixture
def locked(story: Story) -> Run:
    """S1a is in production and S2a in pre-production; then S1b failed in pre-production."""
    story.start()
    story.pass_stages(story.merge("S1", "a"), 4)
    story.pass_stages(story.merge("S2", "a", "Faster\x1b[31m search"), 3)
    failing = story.merge("S1", "b")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE)
    return failing


def test_where_shows_what_passed_each_stage_and_what_failed_on_top(interlock: Interlock, locked: Run) -> None:
    output = interlock("where").output
    assert "pre-production LOCKED" in output
    assert f"failed {sha('S1b')[:7]}" in output
    row = next(line for line in output.splitlines() if line.startswith("S2"))
    assert row.split()[1] == sha("S2a")[:7]


def test_where_says_what_changed_before_a_lock(interlock: Interlock, locked: Run) -> None:
    output = interlock("where").output
    assert f"What changed in pre-production since S1 last passed ({sha('S1a')[:7]}," in output
    after = output.partition("What changed")[2]
    assert after.index(f"S1 {sha('S1b')[:7]} failed") < after.index(f"S2 {sha('S2a')[:7]} passed")
    assert f"/compare/{sha('S1a')}...{sha('S1b')}" in after
    assert "\x1b[31m" not in output


def test_where_lists_every_version_of_a_service_that_came_since(interlock: Interlock, story: Story) -> None:
    story.start()
    story.pass_stages(story.merge("S1", "a"), 3)
    for letter in "abc":
        story.pass_stages(story.merge("S2", letter), 4)
    failing = story.merge("S1", "b")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE)
    after = interlock("where").output.partition("What changed")[2]
    lines = [f"S1 {sha('S1b')[:7]} failed", *(f"S2 {sha(f'S2{letter}')[:7]} passed" for letter in "cba")]
    assert [after.index(line) for line in lines] == sorted(after.index(line) for line in lines)
    story.redis.xtrim(story.keys.facts, 1, approximate=False)
    assert "only the latest version of each service is listed" in interlock("where").output


def test_where_calls_a_stage_frozen_that_only_a_freeze_closes(interlock: Interlock, story: Story) -> None:
    story.start()
    window = FreezeWindow(time.time() - 60, time.time() + 3_600)
    story.tell(FreezesPlanned((Freeze("fair", ("production",), (window,), "UTC"),)))
    output = interlock("where").output
    assert "production FROZEN" in output
    assert "LOCKED" not in output
    assert "What changed" not in output


def test_where_of_one_service_and_for_programs(interlock: Interlock, locked: Run) -> None:
    output = interlock("where", "S2").output
    assert "S1 " not in output
    found = json.loads(interlock("where", "--json").output)
    assert [row["service"] for row in found["services"]] == ["S1", "S2", "S3"]
    missing = interlock("where", "S9")
    assert missing.exit_code == 1
    assert "S9" in missing.output


def test_the_pipeline_may_be_named_before_the_command_and_after_it(
    interlock: Interlock, story: Story, locked: Run
) -> None:
    name = story.shape.name
    assert interlock("-p", name, "status").output == interlock("status", "-p", name).output
    assert interlock("-p", "another", "status").exit_code == 1
    assert interlock("-p", "another", "status", "-p", name).exit_code == 0


def test_the_address_may_be_given_before_the_command(interlock: Interlock, address: str, locked: Run) -> None:
    dead = {"INTERLOCK_URL": "http://127.0.0.1:9"}
    assert interlock("--url", address, "status", **dead).exit_code == 0
    assert interlock("--url", "http://127.0.0.1:9", "status", "--url", address, **dead).exit_code == 0
    assert interlock("status", **dead).exit_code == 3


def test_runs_are_listed_by_what_is_known_of_them(interlock: Interlock, locked: Run) -> None:
    lines = interlock("runs").output.splitlines()
    assert [line.split()[0] for line in lines] == ["S1.2", "S2.1", "S1.1"]
    assert [line.split()[0] for line in interlock("runs", "faster").output.splitlines()] == ["S2.1"]
    assert [line.split()[0] for line in interlock("runs", "--state", "delivered").output.splitlines()] == ["S1.1"]
    assert interlock("runs", "--service", "S3").output == "No run matches.\n"
    assert interlock("runs", "-n", "1").output.splitlines()[1] == "2 more; --limit shows more of them."
    assert [run["run"] for run in json.loads(interlock("runs", "#40", "--json").output)["runs"]] == ["S2.1", "S1.1"]
    assert interlock("runs", "--state", "happy").exit_code == 1


def test_a_run_that_has_ended_is_told_at_once_with_an_exit_code(
    interlock: Interlock, story: Story, locked: Run
) -> None:
    told = interlock("watch", "S1.1")
    assert (told.exit_code, told.output.startswith("S1.1 (S1")) == (0, True)
    failing = story.merge("S3", "a")
    story.build(failing, Outcome.FAILURE)
    ended = interlock("watch", failing.key)
    assert (ended.exit_code, "failed" in ended.output) == (1, True)


@pytest.mark.slow
def test_a_run_is_followed_to_the_one_that_carries_it_on(interlock: Interlock, story: Story, locked: Run) -> None:
    story.pass_stages(story.board.runs["S2.1"])  # out of production
    fix = story.merge("S1", "c")

    def go_on() -> None:
        story.pass_stages(fix, 4)
        story.pass_stages(story.board.runs[fix.key], 1)

    later = threading.Timer(0.5, go_on)
    later.start()
    told = interlock("watch", "S1.2")
    later.join()
    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[0].startswith("S1.2")
    assert any("superseded" in line for line in lines)
    assert lines[-1].startswith(f"{fix.key} (S1 {sha('S1c')[:7]}) delivered")


@pytest.mark.slow
def test_who_watches_a_run_is_told_when_it_goes_on(interlock: Interlock, story: Story, locked: Run) -> None:
    run = story.merge("S3", "a")
    story.build(run, None)
    listed = next(line for line in interlock("runs").output.splitlines() if line.startswith(run.key))
    assert " by kim. It passes build about " in listed
    later = threading.Timer(0.5, lambda: story.build(run, Outcome.FAILURE))
    later.start()
    first, *_ = interlock("watch", run.key).output.splitlines()
    later.join()
    assert " It passes build about " in first


def test_several_runs_cannot_be_watched_at_once(interlock: Interlock, story: Story, locked: Run) -> None:
    story.merge("S2", "b")
    told = interlock("watch", "S2")
    assert (told.exit_code, "S2 matches several runs: S2.1, S2.2" in told.output) == (2, True)
    assert interlock("watch", "nothing").exit_code == 1


def interrupt(_: float) -> None:
    """As somebody who presses Ctrl-C at once."""
    raise KeyboardInterrupt


def test_status_of_several_pipelines_has_the_locked_one_first(
    settings: Settings, story: Story, locked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = Story(story.redis, pipeline("a-quiet"))
    quiet.start()
    app = create_app(settings, Configuration((quiet.shape, story.shape), {}), lambda _: None)
    with serving(app) as url:
        lines = typed("status", "--url", url).output.splitlines()
        assert lines[0].split()[:2] == [story.shape.name, "LOCKED"]
        assert "pre-production is locked since" in lines[1]
        assert lines[2].split() == ["a-quiet", "open", "0", "runs"]
        found = json.loads(typed("status", "--json", "--url", url).output)
        assert [each["name"] for each in found["pipelines"]] == [story.shape.name, "a-quiet"]
        with monkeypatch.context() as patched:
            patched.setattr(read, "time", SimpleNamespace(sleep=interrupt))
            watched = typed("status", "--watch", "--url", url).output
        assert watched.index("LOCKED") < watched.index("a-quiet")
        assert "pre-production LOCKED" in typed("status", "-p", story.shape.name, "--url", url).output


def test_the_log_is_narrowed_down(interlock: Interlock, story: Story, locked: Run) -> None:
    story.tell(LockAsked("production", "sam", "the fair"))
    told = interlock("log", "--by", "anybody").output.splitlines()
    assert [line.split()[2] for line in told] == ["stage-locked"]
    assert "the fair" in told[0]
    assert interlock("log", "--kind", "nonsense").exit_code == 1
    about = interlock("log", "--run", "S2.1", "--json", "-n", "100").output.splitlines()
    assert {json.loads(line)["run"] for line in about} == {"S2.1"}


class Paged:
    """The API of a pipeline with three services, two to a page."""

    def get(self, *path: str, has: str, offset: int = 0, **query: str) -> dict[str, Any]:
        names = ("S1", "S2", "S3")[offset : offset + 2]
        rows = [{"service": name} for name in names]
        return {"services": rows, "next": 2 if offset == 0 else None, "locks": []}


def test_the_pages_of_many_services_are_one_table() -> None:
    found = find.all_services(cast(ApiClient, Paged()), None)
    assert ([row["service"] for row in found["services"]], found["next"]) == (["S1", "S2", "S3"], None)
