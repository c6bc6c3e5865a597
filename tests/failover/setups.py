"""The stores and brokers of the fail-over tests, and their fail-overs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from bot.store.keys import Keys
from chaos.sentinels import HOST, Replicated, Secure, until
from chaos.world import PIPELINE
from launch.process import Process
from tests.failover.cluster import Cluster
from tests.failover.engines import installed_redis_with_tls
from tests.failover.rabbit import Rabbit
from tests.workers.tls import certificate

#: How long a server goes on alone before it is killed, in seconds: what it acknowledges meanwhile is lost.
ALONE = 0.7
#: How long a server that was killed stays away, in seconds.
AWAY = 1.5
#: After how long a master counts as down, in milliseconds. On a slow machine a second or more may pass until one that
#: was cut off is killed.
DOWN_AFTER = 1_000
#: All of the pipeline's keys are where this one is.
KEYS = Keys(PIPELINE)


class Setup(Protocol):
    """A store and a broker. Use as a context manager."""

    #: The address of the store, and what Interlock's processes need to know.
    url: str
    env: dict[str, str]
    #: Processes of Interlock that run besides those of the Procfile.
    more: Sequence[Process]
    #: In words, for the summary.
    what: str

    def __enter__(self) -> Setup: ...
    def __exit__(self, *_: object) -> None: ...

    def fail_over(self, number: int) -> int:
        """All of one fail-over: at its end all servers live. Returns how many commits it lost."""
        ...


@dataclass
class Sentinels:
    """State and messages on a master and its replicas behind sentinels: with TLS where a server is installed that
    knows it."""

    folder: Path
    servers: int = 2
    more: Sequence[Process] = ()
    what: str = "every other one by kill -9 of a master that was cut off before"

    def __enter__(self) -> Sentinels:
        self.folder.mkdir(parents=True)
        server = installed_redis_with_tls()
        made = certificate(self.folder, HOST, 2)
        secure = Secure(made, made, made) if server is not None else None
        self._store = Replicated(self.folder / "store", self.servers, secure, server, DOWN_AFTER)
        self._store.__enter__()
        self.url = self._store.url
        self.env = {"INTERLOCK_REDIS_URL": self.url}
        return self

    def __exit__(self, *_: object) -> None:
        self._store.__exit__()

    def fail_over(self, number: int) -> int:
        store = self._store
        store.until_settled()
        before = store.master()
        committed: set[bytes] = set()
        if number % 2 == 0:
            store.failover()
            # The former master takes what comes in over open connections, until a sentinel makes it a replica.
            with suppress(RedisError), store.client(before) as former:
                while _role(former) == "master":
                    committed |= _commits(former)
                    time.sleep(0.05)
        else:
            heal = store.cut_off()
            time.sleep(ALONE)
            with store.client(before) as master:
                committed = _commits(master)
            store.kill_master()
            heal()
            time.sleep(AWAY)
            store.revive(before)
        with store.client(store.master()) as present:
            lost = len(committed - _commits(present))
        store.until_settled()
        return lost


@dataclass
class ClusterAndRabbit:
    """State on a Redis Cluster, messages in RabbitMQ, and two beats."""

    folder: Path
    rabbit: Rabbit
    what: str = "by kill -9: in turn of the pipeline's server in the cluster, cut off before, and of RabbitMQ"

    def __enter__(self) -> ClusterAndRabbit:
        self.folder.mkdir(parents=True)
        self._cluster = Cluster(self.folder / "cluster")
        self._cluster.__enter__()
        self.url = self._cluster.url
        self.env = {"INTERLOCK_REDIS_URL": self.url, "INTERLOCK_BROKER_URL": self.rabbit.url}
        celery = [str(Path(sys.executable).parent / "celery"), "--quiet", "-A", "workers.app", "beat"]
        schedule = ["--schedule", str(self.folder / "beat-2-schedule"), "--loglevel", "WARNING"]
        self.more = [Process("beat-2", [*celery, *schedule])]
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.__exit__()

    def fail_over(self, number: int) -> int:
        if number % 2:
            self.rabbit.kill()
            time.sleep(AWAY)
            self.rabbit.start()
            self.rabbit.until_up()
            return 0
        cluster = self._cluster
        until(cluster.settled, "all servers live")
        before = cluster.primary_of(KEYS.meta)
        heal = cluster.cut_off(before)
        time.sleep(ALONE)
        with cluster.client(before) as primary:
            committed = _commits(primary)
        cluster.kill_primary_of(KEYS.meta)
        heal()
        time.sleep(AWAY)
        cluster.revive(before)
        with cluster.client(cluster.primary_of(KEYS.meta)) as present:
            return len(committed - _commits(present))


def _role(server: Redis) -> str:
    found: Any = server.info("replication")
    return str(found["role"])


def _commits(server: Redis) -> set[bytes]:
    """What a server knows of commits: all of the last minutes."""
    rows: Any = server.xrange(KEYS.changes)
    return {identity for identity, _ in rows}
