"""All of Interlock as real processes in the demo's town, and what people see of how it is: for tests that break it."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.town import Town
from launch import BackOff, Stack
from tests.cli.conftest import typed
from tests.logs import shown_on_failure

#: The stages of the demo, in their order.
STAGES = ("build", "acceptance", "pre-production", "production")
ROOT = Path(__file__).resolve().parents[2]
#: The longest that anything here may take, in seconds: machines that build are busy.
PATIENCE = 60.0


def until(what: str, so: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until something is so, and return it; fails with `what` and the last that was seen."""
    deadline = time.monotonic() + patience
    while not (found := so()):
        assert time.monotonic() < deadline, f"after {patience:.0f} seconds it is still not so that {what}"
        time.sleep(0.05)
    return found


class World(ProcessWorld):
    """A running Interlock, and those who break it."""

    def __init__(self, town: Town, stack: Stack) -> None:
        super().__init__(town, connect(stack.url), patience=PATIENCE)
        self.stack = stack
        self.url = stack.web_url

    # -- what happens ------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        return int(until(f"{name} runs", lambda: self.stack.supervisor.pid(name)))

    def send(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """Processes that hang: they live, and do nothing."""
        pids = [pid for name in names for pid in self._family(name)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):  # the test has killed it meanwhile
                    os.kill(pid, signal.SIGCONT)

    def _family(self, name: str) -> list[int]:
        """A process and its children (gunicorn's are its workers), by the kernel's list of them."""
        pid = self.pid(name)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    # -- what is seen ------------------------------------------------------------------------------------------

    def run_of(self, sha: str) -> Any:
        """The live run of a commit, or None."""
        return next((run for run in self.board_now().runs.values() if run.position.sha == sha), None)

    def builds(self, stage: str, sha: str) -> int:
        """How many builds of a commit Jenkins has in a stage's job."""
        controller = "build" if stage == "build" else "cdp"
        rows = self.town.jenkins[controller].control.builds(self.town.job(stage))
        return sum(row["params"]["INTERLOCK_SHA"] == sha for row in rows)

    def get(self, path: str, timeout: float = 30.0) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self) -> tuple[int, dict[str, Any]]:
        status, body = self.get("/readyz")
        return status, json.loads(body)

    def causes(self) -> dict[str, str]:
        """What /readyz finds wrong: its status by its cause."""
        return {each["cause"]: each["status"] for each in self.ready()[1]["findings"]}

    def typed(self, *words: str) -> str:
        return typed(*words, INTERLOCK_URL=self.url, INTERLOCK_TOKEN=self.town.token, COLUMNS="400").output

    def mails(self, word: str) -> list[str]:
        return [subject for subject in self.town.mailbox.subjects if word in subject]


@contextmanager
def world(
    folder: Path,
    health: dict[str, str] | None = None,
    keys: dict[str, Any] | None = None,
    prepare: Callable[[Town, dict[str, Any]], None] = lambda *_: None,
    **more: str,
) -> Iterator[World]:
    """Interlock and its town, ready for merges. `keys`: more of the pipeline file; `more`: other variables of the
    environment. `prepare` may change the town, and what the file says."""
    with Town(folder) as town:
        file = folder / "interlock.yaml"
        data = yaml.safe_load(file.read_text())
        data["notify"] = {"channels": {"mail": ["locked", "unlocked", "fix-failed", "health"]}}
        data["polling"] = {"builds": "2s", "heads": "10s", "clock": "1s"}
        if health is not None:
            data["health"] = health
        data.update(keys or {})
        prepare(town, data)
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        env = {**town.env, "INTERLOCK_LOG_LEVEL": "INFO", **more}
        env = {"INTERLOCK_WORKERS": "1", **env}
        with (
            shown_on_failure(folder),
            Stack(ROOT, data_dir=folder, env=env, back_off=BackOff(first=0.1)) as stack,
        ):
            made = World(town, stack)
            try:
                until("the heads of main are known", made.is_ready)
                yield made
            finally:
                made.redis.close()


@contextmanager
def interlock(town: Town, folder: Path) -> Iterator[World]:
    """Interlock in a town that outlives it, on the store that the folder holds."""
    env = {**town.env, "INTERLOCK_WORKERS": "1"}
    with shown_on_failure(folder), Stack(ROOT, data_dir=folder, env=env, back_off=BackOff(first=0.1)) as stack:
        made = World(town, stack)
        try:
            until("the heads of main are known", made.is_ready)
            yield made
        finally:
            made.redis.close()


def empty(folder: Path) -> None:
    """Lose the disk of the store that has stopped."""
    for file in [*folder.glob("**/*.aof"), *folder.glob("**/*.manifest"), *folder.glob("**/*.rdb")]:
        file.unlink()


def builds(town: Town) -> Counter[tuple[str, str]]:
    """How many builds of each commit there are in each stage."""
    found: Counter[tuple[str, str]] = Counter()
    for stage in STAGES:
        rows = town.jenkins["build" if stage == "build" else "cdp"].control.builds(town.job(stage))
        found.update((stage, row["params"]["INTERLOCK_SHA"]) for row in rows)
    return found
