"""A real Redis for the tests. Each folder whose `conftest.py` imports these fixtures has a server of its own.

With STORE=cluster it is a Redis Cluster: `STORE=cluster make test ARGS=tests/state`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.store.connection import connect
from launch.embedded import Embedded
from tests.failover.cluster import Cluster


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("redis")
    if os.environ.get("STORE") == "cluster":
        with Cluster(folder) as cluster:
            yield cluster.url
        return
    with Embedded(folder, fsync="no") as server:
        yield server.url


@pytest.fixture(scope="session")
def redis(redis_url: str) -> Iterator[Redis]:
    client = connect(redis_url)
    yield client
    client.close()
