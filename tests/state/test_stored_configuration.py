"""The configuration in force is replaced in one step, by whoever has seen the one before; the later one counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from bot.core.model.pipeline import ConfigurationChange, Revision
from bot.store.configuration import (
    FORMER_KEPT,
    NOTE_KEPT,
    ConfigurationStore,
    ProcessConfiguration,
    StoredConfiguration,
)


def made(digest: str, since: float = 0.0, text: str = "pipelines: …\n") -> StoredConfiguration:
    return StoredConfiguration(Revision(digest, since), text, "alex", (ConfigurationChange("a.b", "1", "2"),))


@pytest.fixture
def store(redis: Redis) -> Iterator[ConfigurationStore]:
    redis.delete(*(f"interlock:{{configuration}}:{name}" for name in ("current", "former", "processes")))
    yield ConfigurationStore(redis)


def test_what_is_put_in_force_is_read_back(store: ConfigurationStore) -> None:
    assert (store.read(), store.since()) == (None, 0.0)
    revision = store.replace(None, made("one"))
    assert revision is not None and abs(revision.since - time.time()) < 60
    found = store.read()
    assert found is not None
    assert (found.revision, found.text, found.by) == (revision, "pipelines: …\n", "alex")
    assert found.changes == (ConfigurationChange("a.b", "1", "2"),)
    assert store.since() == revision.since


def test_each_is_in_force_later_than_the_one_before_even_within_a_millisecond(store: ConfigurationStore) -> None:
    before = None
    for number in range(20):
        after = store.replace(before, made(str(number)))
        assert after is not None and (before is None or after.since > before.since)
        before = after


def test_whoever_has_seen_another_one_replaces_nothing(store: ConfigurationStore) -> None:
    first = store.replace(None, made("one"))
    assert store.replace(None, made("two")) is None
    assert store.replace(Revision("one", 1.0), made("two")) is None
    found = store.read()
    assert found is not None and found.revision == first


def test_of_many_reloads_at_once_one_takes_effect(store: ConfigurationStore) -> None:
    first = store.replace(None, made("first"))
    start, won = threading.Barrier(8), []

    def reload(number: int) -> None:
        start.wait(30)
        revision = store.replace(first, made(f"digest {number}", text=str(number)))
        if revision is not None:
            won.append((number, revision))

    threads = [threading.Thread(target=reload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    ((number, revision),) = won
    found = store.read()
    assert found is not None
    assert (found.text, found.revision) == (str(number), revision)


def test_it_is_known_which_ones_were_replaced_and_how_many_is_bounded(store: ConfigurationStore, redis: Redis) -> None:
    before = store.replace(None, made("first"))
    assert not store.was_replaced("first")
    for number in range(FORMER_KEPT + 2):
        before = store.replace(before, made(str(number)))
    assert store.was_replaced("3") and not store.was_replaced("first")
    assert redis.zcard("interlock:{configuration}:former") == FORMER_KEPT
    store.replace(before, made("3"))
    assert not store.was_replaced("3")


def test_one_that_says_since_when_it_is_in_force_keeps_that(store: ConfigurationStore) -> None:
    assert store.replace(None, made("one", 1_700_000_000.125)) == Revision("one", 1_700_000_000.125)
    assert store.since() == 1_700_000_000.125


def test_what_processes_use_is_noted_and_forgotten_after_a_day(store: ConfigurationStore) -> None:
    uses = ProcessConfiguration(12.5, 1_000.0, "a problem", ("jenkins_tokens CDP",))
    store.note("worker here/1", uses)
    assert store.processes() == {"worker here/1": uses}
    store.note("worker here/2", ProcessConfiguration(12.5, 1_000.0 + NOTE_KEPT + 1))
    assert list(store.processes()) == ["worker here/2"]
