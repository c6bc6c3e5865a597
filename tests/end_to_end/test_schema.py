"""The real worker and web process on the state of another version: they migrate it, or refuse and end.

`test_rolling_upgrade.py` tests processes that run while another version takes over.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from bot.store.connection import connect
from bot.store.deliveries import DeliveryPacks
from bot.store.keys import Keys
from bot.store.replica import BoardReplica
from bot.store.scripts import SCHEMA, Scripts
from demo.town import Town
from launch import Embedded, read_procfile
from tests.state.stored import put_back

ROOT = Path(__file__).resolve().parents[2]
#: How a worker ends that must not touch what is stored (sysexits.h: EX_CONFIG).
REFUSED = 78
SENTENCE = f"has schema {SCHEMA + 1}, this version understands up to {SCHEMA}: start the newer version again"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class House:
    """A Redis, and the processes of the Procfile one by one, on the pipeline of the demo's file."""

    def __init__(self, town: Town, folder: Path, url: str, redis: Redis) -> None:
        self.url, self.redis, self._folder = url, redis, folder
        self.env = {**town.env, "INTERLOCK_REDIS_URL": url, "INTERLOCK_LOG_LEVEL": "INFO"}
        self.keys = Keys(_one_pipeline(folder / "interlock.yaml"))

    @contextmanager
    def process(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start one process; it is killed at the end if it still runs."""
        with self.log(name).open("wb") as log:
            command = list(read_procfile(ROOT / "Procfile", self.env)[name])
            command[0] = str(Path(sys.executable).parent / command[0])
            process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def until_said(self, name: str, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in self.log(name).read_text():
            assert time.monotonic() < deadline, self.log(name).read_text()[-4000:]
            time.sleep(0.05)

    def raise_schema(self) -> None:
        self.redis.hset(self.keys.meta, "schema", SCHEMA + 1)


def _one_pipeline(file: Path) -> str:
    """Name the file's pipeline as that of the stored state; returns the name."""
    text = file.read_text()
    assert "name: epages" in text
    file.write_text(text.replace("name: epages", "name: shop"))
    return "shop"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Town(tmp_path) as town, Embedded(tmp_path / "redis", fsync="no") as server:
        redis = connect(server.url)
        yield House(town, tmp_path, server.url, redis)
        redis.close()


def test_a_worker_does_not_start_on_what_a_newer_version_stored(house: House) -> None:
    house.raise_schema()
    with house.process("worker") as worker:
        assert worker.wait(120) == REFUSED
    assert SENTENCE in house.log("worker").read_text()


def test_a_web_process_does_not_start_on_what_a_newer_version_stored(house: House) -> None:
    house.raise_schema()
    with house.process("web") as web:
        assert web.wait(120) != 0
    assert SENTENCE in house.log("web").read_text()


@pytest.mark.parametrize(
    ("schema", "holder", "others"), [(1, "S1.1", {"S1.3"}), (4, "S1.1", {"S1.2"}), (5, "S2.3", {"S1.5", "S2.5"})]
)
def test_the_worker_that_starts_first_migrates_what_is_stored_and_goes_on(
    house: House, schema: int, holder: str, others: set[str]
) -> None:
    """The raw push that waited since before is taken; everything is there. The others: `test_every_schema.py`."""
    assert put_back(house.redis, schema, "interlock") == house.keys
    with house.process("worker"):
        house.until_said("worker", "worker ready")
        assert int(house.redis.hget(house.keys.meta, "schema")) == SCHEMA
        copy = BoardReplica(Scripts(house.redis), house.keys)
        deadline = time.monotonic() + 120
        while house.redis.hget(house.keys.meta, "taken") != house.redis.hget(house.keys.meta, "accepted"):
            assert time.monotonic() < deadline, house.log("worker").read_text()[-4000:]
            time.sleep(0.05)
        copy.refresh()
    assert "state-migrated" in house.log("worker").read_text()
    assert [lock.run for lock in copy.board.locks_of("pre-production")] == [holder]
    assert {holder, *others} <= set(copy.board.runs)
    assert DeliveryPacks(house.redis, house.keys).pack(after=0) > 0
