"""State on a real Redis Cluster with TLS and a password: found again after fail-overs and moves of slots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from bot.core.model.events import TimePassed
from bot.health.observing import Observer
from bot.store.backup import back_up, names_by_tag
from bot.store.backup_file import check
from bot.store.connection import connect, is_out_of_reach, server_of, servers
from bot.store.inbox import Accepted, Inbox
from bot.store.keys import Keys
from bot.store.restore import restore
from chaos.sentinels import HOST, Secure, until
from config.configuration import Configuration
from tests.failover.cluster import PRIMARIES, Cluster
from tests.workers.tls import certificate

pytestmark = pytest.mark.slow
KEYS = Keys("shop")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    made = certificate(folder, HOST, 2)
    with Cluster(folder, Secure(made, made, made)) as found:
        yield found


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Redis]:
    until(cluster.settled, "all servers live")
    with connect(cluster.url) as found:
        yield found


def accept(client: Redis, delivery: str) -> Accepted:
    return Inbox(client, KEYS).add(TimePassed(), delivery)


def test_a_client_is_made_while_no_server_can_be_reached() -> None:
    with connect("redis+cluster://127.0.0.1:1", timeout=1, retries=0) as client:
        with pytest.raises(RedisConnectionError) as caught:
            client.get("a")
        assert is_out_of_reach(caught.value)


def test_a_pipeline_whose_server_dies_waits_for_its_replica_and_others_go_on(cluster: Cluster, client: Redis) -> None:
    there = cluster.primary_of(KEYS.meta)
    names = (Keys(f"p{number}").changes for number in range(100))
    other = next(name for name in names if cluster.primary_of(name) != there)
    client.xadd(other, {"c": "1"})
    assert accept(client, "before") is not Accepted.DUPLICATE
    with server_of(client, KEYS.meta).pipeline(transaction=False) as pipe:
        pipe.hset(KEYS.meta, "a", "1")
        pipe.wait(1, 5_000)
        assert pipe.execute()[1] == 1
    impatient = connect(cluster.url, timeout=1, retries=0)
    impatient.get(KEYS.meta + "-none")
    cluster.nodes[there].kill()
    try:
        with pytest.raises(RedisError) as caught:
            accept(impatient, "before")
        assert is_out_of_reach(caught.value)
        for _ in range(2 * PRIMARIES):  # about the keys of XREAD redis-py asks another server, its default one
            assert client.xread({other: "0-0"}, count=1)
        until(lambda: cluster.primary_of(KEYS.meta) != there, "the replica has taken over")
        assert accept(client, "before") is Accepted.DUPLICATE
        assert accept(client, "after") is not Accepted.DUPLICATE  # the new server knew no script
        with client.pipeline() as pipe:
            pipe.hset(KEYS.meta, "a", "2")
            pipe.hget(KEYS.meta, "a")
            assert pipe.execute()[1] == b"2"
    finally:
        impatient.close()
        cluster.revive(there)


def test_nothing_is_lost_by_an_orderly_failover(cluster: Cluster, client: Redis) -> None:
    for number in range(20):
        accept(client, f"orderly-{number}")
        if number == 10:
            cluster.fail_over(KEYS.meta)
    assert all(accept(client, f"orderly-{number}") is Accepted.DUPLICATE for number in range(20))
    with client.pipeline() as pipe:
        pipe.hset(KEYS.meta, "a", "3")
        assert pipe.execute() == [0]


def test_a_pipeline_is_followed_to_another_server(cluster: Cluster, client: Redis) -> None:
    """Somebody adds servers and moves slots: what is between two servers passes, what has moved is found."""
    accept(client, "moved")
    slot, before = key_slot(KEYS.meta.encode()), cluster.primary_of(KEYS.meta)
    names = (f"p{number}" for number in range(100))
    after = cluster.primary_of(next(name for name in names if cluster.primary_of(name) != before))
    with cluster.client(before) as giver, cluster.client(after) as taker:
        ids = [str(each.execute_command("CLUSTER", "MYID").decode()) for each in (giver, taker)]
        taker.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        giver.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        keys: Any = giver.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1_000)
        assert KEYS.meta.encode() in keys
        move = (HOST, after, "", 0, 5_000, "AUTH", cluster.password, "KEYS")
        giver.execute_command("MIGRATE", *move, KEYS.meta)  # half of it
        with pytest.raises(RedisError) as caught, connect(cluster.url, timeout=1, retries=0) as impatient:
            accept(impatient, "moved")
        assert is_out_of_reach(caught.value)
        giver.execute_command("MIGRATE", *move, *(key for key in keys if key != KEYS.meta.encode()))
        for each in (taker, giver):
            each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        assert accept(client, "moved") is Accepted.DUPLICATE
        until(lambda: cluster.primary_of(KEYS.meta) == after, "all servers know")


def test_a_script_over_two_pipelines_is_a_mistake_of_ours(client: Redis) -> None:
    with pytest.raises(ResponseError) as caught:
        client.eval("return 1", 2, Keys("a").meta, Keys("b").meta)
    assert not is_out_of_reach(caught.value)


def test_a_backup_of_all_servers_is_put_back(client: Redis, tmp_path: Path) -> None:
    for name in ("shop", "other", "third"):
        Inbox(client, Keys(name)).add(TimePassed(), "kept")
    back_up(client, tmp_path / "file")
    Inbox(client, KEYS).add(TimePassed(), "later")
    restore(client, tmp_path / "file", check(tmp_path / "file").head, replace=True)
    assert {"shop", "other", "third"} <= names_by_tag(client).keys()
    assert Inbox(client, KEYS).add(TimePassed(), "later") is not Accepted.DUPLICATE


def test_health_looks_at_every_server(client: Redis) -> None:
    def causes() -> set[str]:
        return {finding.cause for finding in Observer(client, Configuration((), {})).health().findings}

    assert not {cause for cause in causes() if cause.startswith("store")}
    last = servers(client)[-1]
    last.config_set("maxmemory", "1gb")
    last.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "store-policy" in causes()
    finally:
        last.config_set("maxmemory-policy", "noeviction")
        last.config_set("maxmemory", "0")
