"""A real Redis for the tests. Each folder whose `conftest.py` imports these fixtures has a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from bot.store.connection import connect
from launch.embedded import Embedded


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("redis")
    with Embedded(folder, fsync="no") as server:
        yield server.url


@pytest.fixture(scope="session")
def redis(redis_url: str) -> Iterator[Redis]:
    client = connect(redis_url)
    yield client
    client.close()
