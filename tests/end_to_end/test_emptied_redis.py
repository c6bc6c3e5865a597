"""The real processes on a Redis that is emptied: while they live, and before they all start again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from redis import Redis

from bot.store.connection import connect
from demo.town import OWNERS_TEXT, PIPELINE, SERVICES, Town
from launch import BackOff, Stack
from tests.end_to_end.world import builds, empty, interlock, until
from tests.logs import shown_on_failure

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path) as made:
        file = tmp_path / "interlock.yaml"
        data = yaml.safe_load(file.read_text())
        data["notify"] = {"channels": {"mail": ["locked", "unlocked", "health"]}}
        data["polling"] = {"builds": "2s", "heads": "10s", "clock": "1s"}
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        yield made


class Running:
    """Interlock with all its processes, and those who look at it."""

    def __init__(self, town: Town, stack: Stack, redis: Redis) -> None:
        self.town, self.stack, self.redis = town, stack, redis

    def view(self) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.stack.web_url}/api/v1/pipelines/{PIPELINE}", timeout=10).json()
        return found

    def page(self) -> str:
        return requests.get(f"{self.stack.web_url}/p/{PIPELINE}", timeout=10).text

    def locks(self) -> dict[str, list[str]]:
        stages = self.view()["stages"]
        return {s["name"]: [lock["reason"] for lock in s["locks"]] for s in stages if s["locks"]}

    def runs(self) -> set[str]:
        stages = self.view()["stages"]
        return {run["title"] for s in stages for place in ("queue", "inside") for run in s[place]["runs"]}

    def push(self, service: str) -> None:
        self.town.github.control.push(service, message=f"a change of {service}")

    def until(self, what: str, ready: Callable[[], object], seconds: float = 45) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"{what}: not within {seconds} s; {self.locks()}"
            time.sleep(0.1)

    def breaks_pre_production(self) -> None:
        """A change of S1 fails in pre-production."""
        control = self.town.jenkins["cdp"].control
        control.rule("shop/pre-production", result="FAILURE", count=1)
        self.until("ready", lambda: self.redis.hlen(f"interlock:{{{PIPELINE}}}:board") > 4)
        self.push("shop/s1")
        self.until("the lock", lambda: "pre-production" in self.locks())
        self.until("the banner", lambda: self.description() != OWNERS_TEXT)

    def description(self) -> str:
        text: str = self.town.jenkins["cdp"].control.description("shop/pre-production")
        return text


@contextmanager
def running(town: Town, folder: Path) -> Iterator[Running]:
    stack = Stack(ROOT, data_dir=folder, env={"INTERLOCK_WORKERS": "1", **town.env}, back_off=BackOff(first=0.1))
    with shown_on_failure(folder), stack:
        redis = connect(stack.url)
        try:
            yield Running(town, stack, redis)
        finally:
            redis.close()


def is_closed(here: Running) -> bool:
    return set(here.locks()) == {"pre-production", "production"}


def test_a_redis_that_is_emptied_under_living_processes_is_noticed_at_once(town: Town, tmp_path: Path) -> None:
    with running(town, tmp_path) as here:
        here.breaks_pre_production()
        here.redis.flushall()
        emptied = time.monotonic()
        here.until("closed", lambda: is_closed(here), 15)
        noticed = time.monotonic() - emptied
        again, closed = sorted(here.locks()["pre-production"])
        assert again.startswith("S1 ") and closed == "state was lost: look, then unlock"
        assert here.view()["state_lost"]["locked"] == ["pre-production", "production"]
        here.until("the page", lambda: "was lost (the store was emptied while Interlock ran)" in here.page())
        here.push("shop/s2")  # what comes in now is decided
        here.until("the merge", lambda: any("shop/s2" in title for title in here.runs()))
        here.until("the banner", lambda: "state was lost" in here.description())
        here.until("people are told", lambda: any("state was lost" in s for s in town.mailbox.subjects))
        assert noticed < 15
    assert '"event": "state-lost"' in (tmp_path / "log" / "worker.log").read_text()


def test_after_the_loss_of_the_disk_the_lock_stands_again_and_everything_is_delivered_once(
    town: Town, tmp_path: Path
) -> None:
    """A lock stands, its fix is not there yet, one run is being built, another waits; then Redis and its disk are gone.

    What is left: the banner over the job, the builds in Jenkins, main at GitHub.
    """
    cdp, github = town.jenkins["cdp"].control, town.github.control
    with interlock(town, tmp_path) as before:
        cdp.rule("shop/pre-production", result="FAILURE", count=1)
        broken = before.push("S1", title="breaks it")
        until("the lock", lambda: before.board_now().locks)
        until("the banner", lambda: "interlock-lock" in cdp.description("shop/pre-production"))
        waits = before.push("S2", title="waits")
        until("it waits", lambda: (run := before.run_of(waits)) and run.step.stage == "pre-production")
        cdp.hold("shop/acceptance")
        runs = before.push("S3", title="is being built")
        until("its build runs", lambda: before.builds("acceptance", runs))
        time.sleep(1.1)  # a board that begins in the second of a run's version takes its build for one of its own
        before.redis.flushall()
    empty(tmp_path)
    lost = str(github.merge(SERVICES["S2"], title="merged while nothing ran", author="dana"))

    with interlock(town, tmp_path) as after:
        until(
            "both stages are closed",
            lambda: {"pre-production/lost", "production/lost"} <= after.board_now().locks.keys(),
        )
        until("the lock stands again", lambda: "S1" in {lock.service for lock in after.board_now().locks.values()})
        confirm = "confirm or open these locks, read from banners: pre-production: S1 "
        for place in ("/readyz", f"/p/{PIPELINE}"):
            until(place, lambda place=place: confirm in after.get(place)[1])
        until("people are told", lambda: after.mails("state was lost"))
        for stage in ("pre-production", "production"):
            done = after.typed("unlock", stage, "--lock", f"{stage}/lost", "--reason", "looked")
            assert "done" in done, done
        assert [lock.service for lock in after.board_now().locks.values()] == ["S1"]
        until("its run waits for that build", lambda: (run := after.run_of(runs)) and run.step.stage == "acceptance")
        cdp.unhold("shop/acceptance")
        for row in cdp.builds("shop/acceptance", running=True):
            cdp.release("shop/acceptance", number=row["number"])
        fix = after.push("S1", title="mends it")
        for sha in (fix, lost, runs):
            until(f"{sha[:7]} is delivered", lambda sha=sha: after.builds("production", sha), 90)
        until("nothing is on its way", lambda: not after.board_now().runs)
        assert not after.board_now().locks
        assert cdp.description("shop/pre-production") == OWNERS_TEXT
        assert after.typed("dead-letters").startswith("There are no dead letters")
    twice = {place: number for place, number in builds(town).items() if number > 1}
    assert twice == {}
    assert builds(town)["production", broken] == 0


def test_at_a_first_start_nothing_is_locked(town: Town, tmp_path: Path) -> None:
    with running(town, tmp_path) as here:
        key = f"interlock:{{{PIPELINE}}}:board"
        here.until("proven", lambda: b'"unproven"' not in (here.redis.hget(key, "header/header") or b'"unproven"'))
        assert here.locks() == {}
        assert here.view()["state_lost"] is None
