"""A real Celery worker drops invalid messages in its queue and continues."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.core.model.events import LockAsked
from bot.store.connection import connect
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.web.shared import WakeUpSender
from config.broker import TURNS
from launch.embedded import Embedded
from launch.stack import read_procfile
from tests.web.serving import ROOT, file_of
from tests.web.story import pipeline

pytestmark = pytest.mark.slow

BROKEN = [
    b"no JSON",
    b"\xff\xfe",
    b"[]",
    b"null",
    b"17",
    b"{}",
    b'{"body": "x", "properties": {}}',
    b'{"body": "!", "headers": {}, "content-type": "application/json", "properties": {"body_encoding": "base64", '
    b'"delivery_tag": "1", "delivery_info": {}}}',
    b'{"body": "eA==", "headers": {"task": "interlock.turn", "id": "1"}, "content-encoding": "binary", '
    b'"content-type": "application/x-python-serialize", '
    b'"properties": {"body_encoding": "base64", "delivery_tag": "2", "delivery_info": {}}}',
]


@contextmanager
def worker(folder: Path, redis_url: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "INTERLOCK_REDIS_URL": redis_url, "INTERLOCK_CONFIG": str(folder / "interlock.yaml"), **more}
    command = shlex.split(" ".join(read_procfile(ROOT / "Procfile", env)["worker"]))
    command[0] = str(Path(sys.executable).parent / command[0])
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=log, stdout=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)


def test_a_message_that_is_none_does_not_end_the_worker(tmp_path: Path) -> None:
    shape = pipeline("broken")
    (tmp_path / "interlock.yaml").write_text(file_of(shape))
    with Embedded(tmp_path / "redis", fsync="no") as server:
        redis, keys = connect(server.url), Keys(shape.name)
        redis.rpush(f"interlock-celery:{TURNS}", *BROKEN)
        tokens = {f"INTERLOCK_JENKINS_TOKEN_{name}": "token" for name in ("BUILD", "CDP")}
        with worker(tmp_path, server.url, INTERLOCK_GITHUB_TOKEN="token", **tokens) as process:
            until(lambda: "worker ready" in (tmp_path / "worker.log").read_text(), process)
            until(lambda: redis.llen(f"interlock-celery:{TURNS}") == 0, process)
            redis.lpush(f"interlock-celery:{TURNS}", *BROKEN)
            Inbox(redis, keys).add(LockAsked("production", "alex", "a test"), "one")
            WakeUpSender(server.url)(shape.name)
            until(lambda: any(b"locks/" in name or b"production" in name for name in redis.hkeys(keys.board)), process)
            until(lambda: redis.hget(keys.meta, "taken") == redis.hget(keys.meta, "accepted"), process)
            assert process.poll() is None
        assert (tmp_path / "worker.log").read_text().count("message-unreadable") >= 2 * 6
        redis.close()


def until(true: object, process: subprocess.Popen[bytes]) -> None:
    assert callable(true)
    deadline = time.monotonic() + 90
    while not true():
        assert process.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
