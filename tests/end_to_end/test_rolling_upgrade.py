"""Two releases side by side: the old processes stop by themselves, the new ones migrate and go on; nothing is lost.

This checkout is the old release, and its copy with the next schema number is the new one: this tests what the
current code will do when the next release comes. INTERLOCK_PREVIOUS names a checkout of an older release instead: then
that is the old one and this checkout the new one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import yaml
from redis import Redis

from bot.store.connection import connect
from bot.store.keys import Keys
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from demo.town import PIPELINE, SERVICES, Town
from launch import Embedded, free_port, read_procfile
from tests.end_to_end.world import ROOT, builds, until

#: How a worker ends that must not touch what is stored (sysexits.h: EX_CONFIG).
REFUSED = 78
PREVIOUS = os.environ.get("INTERLOCK_PREVIOUS")
#: What makes up a release.
PARTS = ("bot", "workers", "config", "launch", "Procfile")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def next_release(folder: Path) -> Path:
    """A copy of this checkout with the next schema number; a migration to it changes no stored value."""
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    _change(folder / "bot/store/scripts.py", r"^SCHEMA = (\d+)$", _raised)
    return folder


def _raised(old: re.Match[str]) -> str:
    return f"SCHEMA = {int(old[1]) + 1}"


def _change(file: Path, pattern: str, change: Callable[[re.Match[str]], str]) -> None:
    text, count = re.subn(pattern, change, file.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1, (file, pattern)
    file.write_text(text, "utf-8")


def schema_of(release: Path) -> int:
    found = re.search(r"^SCHEMA = (\d+)$", (release / "bot/store/scripts.py").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return int(found[1])


@dataclass
class Scene:
    """A town, a Redis, and processes of either release."""

    town: Town
    folder: Path
    redis: Redis
    env: dict[str, str]

    @contextmanager
    def process(self, release: Path, name: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start one process of a release; it is stopped at the end if it still runs."""
        env = {**self.env, "PYTHONPATH": str(release), **more}
        command = list(read_procfile(release / "Procfile", env)[name])
        command[0] = str(Path(sys.executable).parent / command[0])
        with self.log(release, name).open("wb") as log:
            process = subprocess.Popen(command, cwd=release, env=env, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.terminate()
                process.wait(30)

    def log(self, release: Path, name: str) -> Path:
        return self.folder / f"{release.name}-{name}.log"

    def until_ready(self, release: Path) -> None:
        until("the worker is ready", lambda: "worker ready" in self.log(release, "worker").read_text(), 120)

    def push(self, service: str) -> str:
        return str(self.town.github.control.merge(SERVICES[service], title=f"a change of {service}", author="dana"))

    def delivered(self, sha: str) -> bool:
        rows = self.town.jenkins["cdp"].control.builds(self.town.job("production"))
        return any(row["params"]["INTERLOCK_SHA"] == sha and row["result"] == "SUCCESS" for row in rows)

    def started(self, stage: str, sha: str) -> bool:
        return builds(self.town)[stage, sha] > 0

    def schema(self) -> int:
        return int(self.redis.hget(Keys(PIPELINE).meta, "schema") or 0)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Town(tmp_path) as town, Embedded(tmp_path / "redis", fsync="no") as server:
        file = tmp_path / "interlock.yaml"
        data = yaml.safe_load(file.read_text())
        data["polling"] = {"builds": "2s", "heads": "10s", "clock": "1s"}
        data.pop("keep", None)  # both releases must take the file: new keys come after an upgrade
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        redis = connect(server.url)
        yield Scene(town, tmp_path, redis, {**town.env, "INTERLOCK_REDIS_URL": server.url})
        redis.close()


def status_of(url: str) -> int:
    try:
        return requests.get(url, timeout=10).status_code
    except requests.RequestException:
        return 0


def test_old_processes_stop_by_themselves_the_new_ones_go_on_and_nothing_is_lost_or_built_twice(
    scene: Scene, tmp_path: Path
) -> None:
    """Webhooks and callbacks reach the old web process all the time: the proxy has not changed over yet."""
    old = Path(PREVIOUS) if PREVIOUS else ROOT
    new = ROOT if PREVIOUS else next_release(tmp_path / "next")
    page, cdp = f"http://{scene.town.bind}/p/{PIPELINE}", scene.town.jenkins["cdp"].control
    with ExitStack() as running:
        worker = running.enter_context(scene.process(old, "worker"))
        running.enter_context(scene.process(old, "beat", INTERLOCK_DATA_DIR=str(scene.folder / "redis")))
        web = running.enter_context(scene.process(old, "web"))
        scene.until_ready(old)
        until("the heads of main are known", lambda: scene.redis.hexists(Keys(PIPELINE).board, "service/S3"))
        until("the old page is there", lambda: status_of(page) == 200)
        cdp.rule("shop/acceptance", duration=6.0, count=1)
        first, second = scene.push("S1"), scene.push("S2")
        until("a build runs", lambda: scene.started("acceptance", first))

        running.enter_context(scene.process(new, "worker"))
        scene.until_ready(new)
        assert scene.schema() == schema_of(new) > schema_of(old)
        third = scene.push("S3")  # kept by the old web process
        assert worker.wait(60) == REFUSED
        said = scene.log(old, "worker").read_text()
        assert f"has schema {schema_of(new)}, this version understands up to {schema_of(old)}" in said
        until("the old page says so", lambda: status_of(page) == 503)
        assert "start the newer version again" in requests.get(page, timeout=10).text

        bind = f"127.0.0.1:{free_port()}"
        running.enter_context(scene.process(new, "web", INTERLOCK_BIND=bind))
        until("the new page is there", lambda: status_of(f"http://{bind}/p/{PIPELINE}") == 200)
        for sha in (first, second, third):
            until(f"{sha[:7]} is delivered", lambda sha=sha: scene.delivered(sha), 90)
        assert web.poll() is None
        if not PREVIOUS:
            kept = scene.log(old, "web").read_text()
            assert '"status": 503' not in "".join(line for line in kept.splitlines() if "/webhooks/" in line)
    assert {place: number for place, number in builds(scene.town).items() if number > 1} == {}
    if PREVIOUS:
        return
    copy = BoardReplica(Scripts(scene.redis), Keys(PIPELINE))
    scene.redis.hset(Keys(PIPELINE).meta, "schema", schema_of(old))  # the step has changed nothing: it can be read
    copy.refresh()
    assert not copy.board.runs
