"""The real processes against the stand-ins: they reach the four pictures whatever is killed or lost meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.story import Story
from demo.town import Town
from launch import BackOff, Stack
from tests.logs import shown_on_failure

ROOT = Path(__file__).resolve().parents[2]
#: With two workers the death of one would be no test of anything.
LONE = {"INTERLOCK_WORKERS": "1"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Disturbed(ProcessWorld):
    """Processes to which something is done before chosen steps of a story."""

    disturb: Callable[[str], None]

    def push(self, service: str, letter: str = "", *, title: str = "") -> str:
        self.disturb(f"merge {service}{letter}")
        return super().push(service, letter, title=title)

    def pass_build(self, *names: str) -> None:
        for name in names:
            self.disturb(f"{self.at(name)} {name}")
            super().pass_build(name)

    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        self.disturb(f"{self.at(name)} {name}")
        super().fail_build(name, tests)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path) as made:
        yield made


def play(town: Town, folder: Path, disturb: Callable[[Stack, str], None]) -> Stack:
    """Start everything, play the four pictures, lock and unlock a stage by the API, and stop; returns the stack."""
    with ExitStack() as running:
        running.enter_context(shown_on_failure(folder))
        stack = running.enter_context(
            Stack(ROOT, data_dir=folder, env={**town.env, **LONE}, back_off=BackOff(first=0.1))
        )
        redis = connect(stack.url)
        running.callback(redis.close)
        world = Disturbed(town, redis, patience=180.0)
        world.disturb = lambda step: disturb(stack, step)
        world.start()
        Story(world, Console(quiet=True)).play()
        world.lock("acceptance")
        world.wait_until("acceptance is locked", lambda: world.is_locked("acceptance"))
        world.unlock("acceptance")
        world.wait_until("acceptance is open", lambda: not world.is_locked("acceptance"))
        return stack


def asking_often(folder: Path) -> None:
    """GitHub is asked for the heads of main as often as may be configured."""
    config = folder / "interlock.yaml"
    text = config.read_text()
    assert "heads: 30s" in text
    config.write_text(text.replace("heads: 30s", "heads: 10s"))


def kill(stack: Stack, name: str) -> None:
    """Kill a process that is up: one that is being started again already would not die once more."""
    os.kill(stack.supervisor.await_ready(name, within=120), signal.SIGKILL)


def test_the_pictures_come_about_through_the_death_of_every_process(town: Town, tmp_path: Path) -> None:
    """Webhooks that reach no web process or no store are lost: polling Jenkins and GitHub finds their changes."""
    asking_often(tmp_path)
    killed: list[str] = []
    deaths = {
        "acceptance S2a": "worker",
        "acceptance S1b": "server",
        "merge S3a": "web",
        "merge S2b": "beat",
        "pre-production S1a": "worker",
        "merge S1e": "server",
        "pre-production S1e": "worker",
    }

    def disturb(stack: Stack, step: str) -> None:
        name = deaths.get(step)
        if name is not None:
            kill(stack, name)
            killed.append(name)

    stack = play(town, tmp_path, disturb)
    assert killed == list(deaths.values())
    assert {name: stack.supervisor.restarts(name) for name in ("worker", "server", "web", "beat")} == {
        "worker": 3,
        "server": 2,
        "web": 1,
        "beat": 1,
    }


def test_the_pictures_come_about_when_jenkins_tells_nothing(town: Town, tmp_path: Path) -> None:
    for jenkins in town.jenkins.values():
        jenkins.control.callback_fault("drop")
    play(town, tmp_path, lambda *_: None)
    entries = [row for jenkins in town.jenkins.values() for row in jenkins.control.callbacks()]
    assert not [row for row in entries if row.get("status") == 202]
