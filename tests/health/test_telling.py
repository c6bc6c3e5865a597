"""Telling of the health: once for each change, by one process; what comes and goes does not flood a channel."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.health.judgement import Finding, Health, HealthStatus
from bot.health.watch import MOST_AN_HOUR, AlertedCauses, AlertFilter, AlertRecord
from bot.store.connection import connect
from launch.embedded import Embedded

WELL = Health()


def ill(cause: str = "beat", status: HealthStatus = HealthStatus.DEGRADED) -> Health:
    return Health((Finding(cause, status, "it is", 0.0, "mend it"),))


def play(sequence: list[tuple[float, Health]], steps: float = 5.0) -> list[tuple[float, list[str]]]:
    """Look every few seconds; each (until, health) is the state up to then. Return the messages, each with its time."""
    steady, told, now, said = AlertFilter(15, 120), AlertedCauses(), 0.0, []
    for until, health in sequence:
        while now < until:
            steady.see(health, now)
            change = steady.change(told, now)
            if change is not None:
                told = change
                said.append((now, sorted(told.causes)))
            now += steps
    return said


def test_what_lasts_is_told_once_and_its_end_once() -> None:
    assert play([(100, WELL), (2_000, ill()), (4_000, WELL)]) == [(115, ["beat"]), (2_120, [])]


def test_what_passes_at_once_is_not_told() -> None:
    assert play([(100, WELL), (110, ill()), (900, WELL)]) == []


def test_what_comes_and_goes_is_told_once() -> None:
    flapping = [(at, ill() if at % 80 else WELL) for at in range(40, 3_600, 40)]
    assert play([*flapping, (5_000, WELL)]) == [(15, ["beat"]), (3_680, [])]


def test_that_it_gets_worse_is_told() -> None:
    told = play([(100, ill("worker")), (1_000, ill("worker", HealthStatus.DOWN)), (2_000, WELL)])
    assert told == [(15, ["worker"]), (115, ["worker", "worker!"]), (1_120, [])]


def test_however_it_flaps_a_channel_hears_a_few_messages_an_hour() -> None:
    slow = [(at, ill() if at % 400 else WELL) for at in range(200, 36_000, 200)]
    told = [at for at, _ in play(slow)]
    assert len(told) > 20
    assert all(sum(1 for at in told if start <= at < start + 3_600) <= MOST_AN_HOUR for start in told)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Embedded(tmp_path_factory.mktemp("redis"), fsync="no") as server:
        yield server.url


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    client = connect(url, timeout=2, retries=0)
    client.flushall()
    yield client
    client.config_set("maxmemory", "0")
    client.close()


def tell(cause: str) -> AlertedCauses:
    return AlertedCauses(frozenset({cause} if cause else ()), (1.0,))


def test_of_several_processes_one_tells(redis: Redis, tmp_path: Path) -> None:
    """Two have read the same; the second one finds that the first has told."""
    one, other = AlertRecord(redis, tmp_path / "a.json"), AlertRecord(redis, tmp_path / "b.json")

    def late(before: AlertedCauses) -> AlertedCauses:
        assert one.take(lambda _: tell("beat")) is not None
        return tell("beat")

    assert other.take(late) is None
    assert other.take(lambda before: None if before.causes else tell("beat")) is None


def test_while_the_store_takes_nothing_a_file_says_what_was_told(redis: Redis, tmp_path: Path) -> None:
    file = tmp_path / "data" / "health.json"
    one, other = AlertRecord(redis, file), AlertRecord(redis, file)
    redis.config_set("maxmemory", "1")
    assert one.take(lambda before: tell("store") if not before.causes else None) == tell("store")
    assert other.take(lambda before: tell("store") if not before.causes else None) is None
    redis.config_set("maxmemory", "0")
    assert other.take(lambda before: None if before.causes else tell("store")) is None, "the store knows it, too, now"
    assert not file.exists()
    assert one.take(lambda before: tell("") if before.causes else None) == tell("")


def test_without_a_folder_to_write_to_each_process_tells_for_itself(redis: Redis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = AlertRecord(redis, tmp_path / "file" / "health.json")
    redis.config_set("maxmemory", "1")
    told = [ledger.take(lambda before: tell("store") if not before.causes else None) for _ in range(3)]
    assert told == [tell("store"), None, None]


def test_what_a_version_of_schema_3_told_counts_as_told(redis: Redis, tmp_path: Path) -> None:
    prefix = uuid.uuid4().hex
    redis.set(f"{prefix}:{{health}}:told", '{"causes": ["beat"], "at": [1.0]}')
    before: list[AlertedCauses] = []
    assert AlertRecord(redis, tmp_path / "told.json", prefix).take(before.append) is None  # type: ignore[func-returns-value]
    assert before == [tell("beat")]
