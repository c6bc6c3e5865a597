"""The configuration is changed while real processes run: all of them use it, or none; no process restarts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Step
from bot.reload import apply, propose
from bot.reload import running as running_processes
from bot.store.configuration import ConfigurationStore
from bot.store.records import Records
from config.pipeline_file import load
from demo.town import Town
from tests.end_to_end.world import World, until, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ACCEPTANCE = 1
PROCESSES = ("worker", "worker-2", "beat", "web")


def one_at_a_time(_town: Town, data: dict[str, Any]) -> None:
    """Two runs in acceptance are one too many."""
    data["pipelines"][0]["stages"][ACCEPTANCE]["capacity"] = 1


@pytest.fixture(scope="module")
def interlock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("town"), prepare=one_at_a_time, INTERLOCK_WORKERS="2") as made:
        made.town.jenkins["cdp"].control.hold(made.town.job("acceptance"))
        yield made


def file_of(interlock: World) -> Path:
    return Path(interlock.town.env["INTERLOCK_CONFIG"])


def write(interlock: World, capacity: object, file: Path | None = None) -> Path:
    """Write a pipeline file that differs in the capacity of acceptance."""
    data = yaml.safe_load(file_of(interlock).read_text())
    data["pipelines"][0]["stages"][ACCEPTANCE]["capacity"] = capacity
    found = file or file_of(interlock)
    found.write_text(yaml.safe_dump(data, sort_keys=False))
    return found


def command(interlock: World, *words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "interlock"), "reload", *words]


def environment(interlock: World) -> dict[str, str]:
    return {**interlock.town.env, "INTERLOCK_REDIS_URL": interlock.stack.url}


def reload(interlock: World, *words: str) -> tuple[int, str]:
    """What `interlock reload` prints, and its exit code."""
    done = subprocess.run(
        command(interlock, *words), env=environment(interlock), capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def capacity(interlock: World) -> int | None:
    return interlock.board_now().pipeline.stage("acceptance").capacity


def in_acceptance(interlock: World) -> list[str]:
    return sorted(
        run.key for run in interlock.board_now().runs.values() if run.step == Step("acceptance") and run.holds_slot
    )


def pids(interlock: World) -> list[int]:
    return [interlock.pid(name) for name in PROCESSES]


def all_use_what_is_in_force(interlock: World) -> bool:
    since = ConfigurationStore(interlock.redis).since()
    uses = running_processes(interlock.redis)
    return len(uses) == len(PROCESSES) and all(each.since == since for each in uses.values())


def test_a_raised_capacity_lets_in_who_waits_and_no_process_starts_anew(interlock: World) -> None:
    for service in ("S1", "S2"):
        sha = interlock.push(service)
        until(
            f"{service} has passed its build",
            lambda sha=sha: (run := interlock.run_of(sha)) and run.step == Step("acceptance"),
        )
    (first,) = until("one is in acceptance", lambda: in_acceptance(interlock))
    before = pids(interlock)
    write(interlock, 2)
    code, shown = reload(interlock, "--dry-run")
    assert code == 0, shown
    assert "stages.acceptance.capacity: 1 → 2" in shown
    assert "enters acceptance" in shown and "Nothing was changed." in shown
    assert capacity(interlock) == 1
    code, shown = reload(interlock)
    assert code == 0, shown
    assert "is in force; 4 processes use it" in shown
    both = until("the other one has entered", lambda: len(found := in_acceptance(interlock)) == 2 and found)
    assert first in both
    assert pids(interlock) == before
    (told,) = [
        fact
        for _, fact in rows(interlock)
        if fact.fact.kind is FactKind.CONFIGURED and "capacity" in str(fact.fact.why)
    ]
    assert " at " in str(told.fact.by)
    assert reload(interlock) == (0, f"{file_of(interlock)} is in force already: nothing differs.\n")


def rows(interlock: World) -> list[Any]:
    return list(Records(interlock.redis, interlock.keys).facts(limit=500).facts)


def test_a_file_with_a_mistake_changes_nothing_by_command_or_by_signal_and_is_said(interlock: World) -> None:
    file = write(interlock, 2)
    good, since = file.read_text(), ConfigurationStore(interlock.redis).since()
    file.write_text(good.replace("capacity: 2", "capcity: 2"))
    code, shown = reload(interlock)
    assert code == 1 and "did you mean `capacity`?" in shown
    interlock.send("worker", signal.SIGHUP)
    until("the health says it", lambda: "configuration" in interlock.causes())
    (finding,) = [each for each in interlock.ready()[1]["findings"] if each["cause"] == "configuration"]
    assert "capcity" in finding["what"] and "worker " in finding["what"]
    assert (ConfigurationStore(interlock.redis).since(), capacity(interlock)) == (since, 2)
    file.write_text(good.replace("capacity: 2", "capacity: 3"))
    interlock.send("worker", signal.SIGHUP)
    until("it is in force", lambda: capacity(interlock) == 3 and all_use_what_is_in_force(interlock))
    until("the health is silent again", lambda: "configuration" not in interlock.causes())


@pytest.mark.parametrize(("process", "new"), [("beat", 8), ("web", 7)])
def test_beat_and_the_web_server_put_the_file_in_force_as_well(interlock: World, process: str, new: int) -> None:
    """The web server's own processes start anew with it: all of them use it, and the page goes on answering."""
    before = pids(interlock)
    write(interlock, new)
    interlock.send(process, signal.SIGHUP)
    until("it is in force", lambda: capacity(interlock) == new and all_use_what_is_in_force(interlock))
    assert pids(interlock) == before
    assert interlock.ready()[0] == 200
    assert reload(interlock) == (0, f"{file_of(interlock)} is in force already: nothing differs.\n")


def test_a_reload_that_is_killed_is_in_force_for_all_and_a_worker_that_is_killed_starts_with_it(
    interlock: World,
) -> None:
    before = ConfigurationStore(interlock.redis).since()
    write(interlock, 4)
    with interlock.stopped(*PROCESSES):  # so that the command has to wait for them
        killed = subprocess.Popen(command(interlock), env=environment(interlock), stdout=subprocess.DEVNULL)
        until("it is stored", lambda: ConfigurationStore(interlock.redis).since() > before)
        killed.kill()
        killed.wait(30)
        interlock.send("worker", signal.SIGKILL)
    until("all of it is in force", lambda: capacity(interlock) == 4 and all_use_what_is_in_force(interlock))


def test_a_worker_that_wakes_up_late_does_not_bring_back_what_it_had(interlock: World) -> None:
    write(interlock, 5)
    with interlock.stopped("worker"):
        apply(interlock.redis, propose(interlock.redis, load(file_of(interlock)), file_of(interlock)), "this test")
        until("the other worker has decided with it", lambda: capacity(interlock) == 5)
        revision = interlock.board_now().header.revision
    until("both use it", lambda: all_use_what_is_in_force(interlock))
    sha = interlock.push("S3")
    until("turns go on", lambda: interlock.run_of(sha))
    assert (interlock.board_now().header.revision, capacity(interlock)) == (revision, 5)


def test_a_file_that_was_replaced_does_not_come_back_with_a_restart(interlock: World, tmp_path: Path) -> None:
    other = write(interlock, 6, tmp_path / "other.yaml")
    code, shown = reload(interlock, "--config", str(other))
    assert code == 0, shown
    pid = interlock.pid("worker")  # whose file says 5, as it was in force before
    interlock.send("worker", signal.SIGKILL)
    until("it runs again", lambda: interlock.pid("worker") != pid and all_use_what_is_in_force(interlock))
    until("the health says it", lambda: "configuration" in interlock.causes())
    assert capacity(interlock) == 6
    code, shown = reload(interlock)  # on purpose
    assert code == 0, shown
    assert capacity(interlock) == 5
    until("the health is silent again", lambda: "configuration" not in interlock.causes())
