"""Two real beats: together they send the same as one, and when one is killed the other continues."""

from __future__ import annotations

import json
import os
import shelve
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.store.connection import connect
from config.broker import TURNS
from launch.embedded import Embedded
from launch.stack import read_procfile
from tests.web.serving import ROOT, file_of
from tests.web.story import pipeline
from workers.scheduler import SHARE

pytestmark = pytest.mark.slow

QUEUE = f"interlock-celery:{TURNS}"
SENT = "interlock:{beat}:sent:interlock.tick"
#: How often the clock of the file ticks, in seconds.
CLOCK = 1.0


@contextmanager
def beat(folder: Path, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A beat whose files are in a folder of its own."""
    tokens = {f"INTERLOCK_JENKINS_TOKEN_{name}": "token" for name in ("BUILD", "CDP")}
    env = {
        **os.environ,
        **tokens,
        "INTERLOCK_GITHUB_TOKEN": "token",
        "INTERLOCK_REDIS_URL": redis_url,
        "INTERLOCK_CONFIG": str(folder.parent / "interlock.yaml"),
        "INTERLOCK_DATA_DIR": str(folder),
    }
    folder.mkdir()
    command = shlex.split(" ".join(read_procfile(ROOT / "Procfile", env)["beat"]))
    command[0] = str(Path(sys.executable).parent / command[0])
    with (folder / "beat.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=log, stdout=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def test_two_beats_send_what_one_would_and_if_one_is_killed_the_other_goes_on(tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text(file_of(pipeline("beaten")) + f"polling: {{clock: {CLOCK:.0f}s}}\n")
    with ExitStack() as running:
        server = running.enter_context(Embedded(tmp_path / "redis", fsync="no"))
        redis = running.enter_context(connect(server.url))
        both = {each.pid: each for each in (running.enter_context(beat(tmp_path / n, server.url)) for n in "ab")}
        logs = [tmp_path / name / "beat-schedule" for name in "ab"]
        until(lambda: sender(redis) in both and all(any(p.parent.glob(f"{p.name}*")) for p in logs), "both run")

        redis.delete(QUEUE)
        began = time.monotonic()
        until(lambda: ticks(redis) >= 6, "the clock ticks")
        most = (time.monotonic() - began) / (SHARE * CLOCK) + 2
        assert ticks(redis) <= most

        until(lambda: sender(redis) in both, "one has sent")
        first = both[sender(redis)]
        first.kill()
        first.wait(10)
        assert {name.partition(".")[0] for name in entries(logs[[*both].index(first.pid)])} == {"interlock"}
        until(lambda: sender(redis) in both.keys() - {first.pid}, "the other one sends")
        before = ticks(redis)
        until(lambda: ticks(redis) > before + 1, "the clock goes on")


def entries(schedule: Path) -> set[str]:
    """What a beat that has ended sent, by its file: Celery would add a task of its own, due at four in the morning."""
    with shelve.open(str(schedule)) as found:
        return {*found["entries"]}


def sender(redis: Redis) -> int:
    """The number of the process that has sent the last tick; 0 while none holds the round."""
    found: Any = redis.get(SENT)
    return int(found.decode().rpartition("/")[2]) if found else 0


def ticks(redis: Redis) -> int:
    """The number of sent ticks; no worker takes them."""
    found: Any = redis.lrange(QUEUE, 0, -1)
    return [json.loads(raw)["headers"]["task"] for raw in found].count("interlock.tick")


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)
