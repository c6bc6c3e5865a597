"""The store and the broker behind real sentinels: found, found again after a fail-over, refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from structlog.testing import capture_logs

from bot.core.model.events import TimePassed
from bot.store.connection import connect, is_out_of_reach
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.web.shared import WakeUpSender
from chaos.sentinels import Replicated, Secure, until
from config import broker, settings
from config.broker import TURN_TASK, TURNS
from tests.failover.engines import redis_with_tls
from tests.workers.tls import certificate
from workers.tasks import patient

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with Replicated(tmp_path_factory.mktemp("sentinels")) as found:
        yield found


@pytest.fixture
def client(store: Replicated) -> Iterator[Redis]:
    store.until_settled()
    found = connect(store.url)
    yield found
    found.close()


def test_the_master_is_found_by_asking_the_sentinels(store: Replicated, client: Redis) -> None:
    client.set("a", "1")
    with store.client(store.master()) as master:
        assert master.get("a") == b"1"


def test_after_an_orderly_failover_writes_go_to_the_new_master_within_a_second(
    store: Replicated, client: Redis
) -> None:
    client.set("a", "1")
    store.failover()
    with store.client(store.master()) as master:
        # The connection to the former master is still open, and it still takes writes: they would be forgotten.
        until(lambda: client.set("b", "2") and master.get("b") == b"2", "a write reaches the new master", 3)


def test_after_the_death_of_the_master_the_other_one_is_written_to(store: Replicated, client: Redis) -> None:
    client.set("a", "1")
    dead = store.kill_master()
    try:
        assert client.set("a", "2")
    finally:
        store.revive(dead)


def test_while_there_is_no_master_the_store_cannot_be_reached(store: Replicated) -> None:
    hosts, _, rest = store.url.rpartition("/mymaster")
    with connect(f"{hosts}/another{rest}", timeout=1, retries=1) as client, pytest.raises(RedisError):
        client.ping()


def test_a_replica_that_was_taken_for_the_master_is_no_traceback(store: Replicated, client: Redis) -> None:
    port = next(port for port in store.nodes if port != store.master())
    with store.client(port) as replica:
        address = f"redis://:{replica.connection_pool.connection_kwargs['password']}@127.0.0.1:{port}/0"
    quoted = address.replace("@/:%", "%40%2F%3A%25", 1)
    with connect(quoted, timeout=1, retries=1) as client:
        for write in (lambda: client.set("a", "1"), lambda: Inbox(client, Keys("p")).add(TimePassed(), "1")):
            with pytest.raises(RedisError) as caught:
                write()
            assert is_out_of_reach(caught.value)
            with capture_logs() as said:
                patient("interlock.turn", write)()
            assert said == [
                {
                    "event": "store-unreachable",
                    "task": "interlock.turn",
                    "error": "ReadOnlyError",
                    "log_level": "warning",
                }
            ]


def test_a_master_that_lacks_its_replicas_is_no_traceback(store: Replicated, client: Redis) -> None:
    with store.client(store.master()) as master:
        master.config_set("min-replicas-to-write", 2)
        try:
            with pytest.raises(RedisError) as caught:
                Inbox(client, Keys("p")).add(TimePassed(), "1")
            assert is_out_of_reach(caught.value)
        finally:
            master.config_set("min-replicas-to-write", 0)


def test_a_mistake_of_ours_is_told_with_its_traceback(store: Replicated, client: Redis) -> None:
    with pytest.raises(ResponseError):
        patient("interlock.turn", lambda: client.execute_command("EVAL", "return nil + 1", 0))()


def test_wake_ups_reach_the_queue_before_and_after_a_failover(store: Replicated, client: Redis) -> None:
    wake_up = WakeUpSender(store.url)
    wake_up("shop")
    assert _message(client)["headers"]["task"] == TURN_TASK
    dead = store.kill_master()
    try:

        def woken_up() -> Any:
            wake_up("shop")  # the first ones may fail, which costs nobody anything
            return client.llen(_queue())

        until(woken_up, "a wake-up arrives", 10)
    finally:
        store.revive(dead)


def test_celery_takes_messages_from_behind_the_sentinels(store: Replicated, client: Redis) -> None:
    app = Celery("test", set_as_current=False)
    app.conf.update(broker.settings(store.url))
    with app.connection_for_write() as connection:
        queue = connection.SimpleQueue("failover-test")
        queue.put({"a": 1})
        assert queue.get(timeout=5).payload == {"a": 1}
        queue.close()


def _queue() -> str:
    return str(_OPTIONS["global_keyprefix"]) + TURNS


_OPTIONS = broker.settings("redis://localhost")["broker_transport_options"]


def _message(client: Redis) -> dict[str, Any]:
    raw: Any = client.rpop(_queue())
    return dict(json.loads(raw))


def test_a_wrong_password_at_the_sentinels_is_said_by_the_client(store: Replicated) -> None:
    wrong = store.url.replace(store.sentinel_password, "wrong")
    with connect(wrong, timeout=1, retries=1) as client, pytest.raises(RedisError):
        client.ping()


def test_the_address_is_accepted_by_the_settings(monkeypatch: pytest.MonkeyPatch, store: Replicated) -> None:
    monkeypatch.setenv("INTERLOCK_REDIS_URL", store.url)
    assert settings.load().broker == SecretStr(store.url)


def test_the_same_over_tls(tmp_path: Path) -> None:
    made = certificate(tmp_path, "127.0.0.1", 2)
    with Replicated(tmp_path, secure=Secure(made, made, made), program=redis_with_tls()) as store:
        assert store.url.startswith("rediss+sentinel://:")
        with connect(store.url) as client:
            client.set("a", "1")
            WakeUpSender(store.url)("shop")
            assert client.llen(_queue()) == 1
            dead = store.kill_master()
            assert client.set("a", "2")
            store.revive(dead)
