"""A client of a Redis Cluster with the part of the interface of redis-py's `Redis` that Interlock uses.

The keys of a pipeline share a hash tag (`bot.store.keys`), so all of them are on one server, and each script,
transaction and redis-py pipeline of ours addresses one server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.exceptions import (
    ClusterDownError,
    RedisClusterException,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

T = TypeVar("T")

#: The time-out of a connection to one server, in seconds. After it another server is asked where the slots are.
CONNECT_TIMEOUT = 1.0
#: Temporary errors, after which a command is repeated: all our commands may be (`bot.store.connection.connect`).
PASSING = (RedisConnectionError, RedisTimeoutError, ClusterDownError, TryAgainError)
#: Parts of the messages of redis-py while it finds no server that knows the slots, or servers that do not agree. Any
#: other message of the same exception points to a mistake of ours.
_AWAY = ("cannot be connected", "could not agree", "not covered")


class ClusterClient:
    """The client that `connect` returns for a cluster. It connects at the first command, as `Redis` does, because
    redis-py's own cluster client connects when it is created: a process could not start while the cluster is down.
    """

    def __init__(self, hosts: tuple[tuple[str, int], ...], retry: Retry, **options: Any) -> None:
        """Remember how to connect. `hosts`: some servers of the cluster; they are asked for the others whenever slots
        have moved."""
        self._hosts, self._retry, self._options = hosts, retry, options
        self._lock = threading.Lock()
        self._client: _Client | None = None

    def __getattr__(self, name: str) -> Any:
        """Delegate to redis-py's client. Raises RedisConnectionError while no server can be reached."""
        return getattr(self._connected(), name)

    def __enter__(self) -> ClusterClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def server_of(self, key: str) -> Redis:
        """Return a client of the server that has this key now. Raises RedisError."""
        client = self._connected()
        client.exists(key)  # updates the client's table if the slot has moved
        node = _translated(lambda: client.get_node_from_key(key))  # type: ignore[no-untyped-call]
        return client.get_redis_connection(node)

    def servers(self) -> list[Redis]:
        """Return a client of each server that has slots now. Raises RedisError."""
        client = self._connected()
        return [client.get_redis_connection(node) for node in client.get_primaries()]  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> _Client:
        with self._lock:
            if self._client is None:
                self._client = _translated(lambda: _Client(self._hosts, self._retry, self._options))
            return self._client


class _Client(RedisCluster):
    """redis-py's cluster client, with the errors of `Redis`, and repeating commands with pauses in between."""

    def __init__(self, hosts: tuple[tuple[str, int], ...], retry: Retry, options: dict[str, Any]) -> None:
        self._again = retry
        self._again.update_supported_errors(PASSING)
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in hosts],  # type: ignore[no-untyped-call]
            retry=Retry(NoBackoff(), 1),  # repeat once without a pause, after asking where the slots are
            reinitialize_steps=1,  # a fail-over moves many slots: reload the whole table at the first MOVED
            require_full_coverage=False,  # a pipeline whose server is up keeps working
            dynamic_startup_nodes=False,  # the servers' addresses may change; the configured names stay valid
            **options,
        )

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command. Raises RedisError."""
        once = partial(super().execute_command, *args, **options)
        return self._again.call_with_retry(lambda: _translated(once), self._ask_another)

    def pipeline(self, transaction: bool | None = True, shard_hint: Any = None) -> ClusterPipeline:
        """Return a redis-py pipeline as `Redis` does: by default a transaction, whose keys must share a hash tag."""
        found: ClusterPipeline = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        execute = found.execute
        found.execute = lambda raise_on_error=True: _translated(partial(execute, raise_on_error))  # type: ignore[method-assign]
        return found

    def _ask_another(self, _: BaseException) -> None:
        """Choose another default server: that is the one asked which keys a command has (XREAD)."""
        self.replace_default_node()


def _translated(act: Callable[[], T]) -> T:
    """Call `act` and return its result. Cluster errors of redis-py that are not a RedisError are raised as one."""
    try:
        return act()
    except RedisClusterException as error:
        passes = isinstance(error, SlotNotCoveredError) or any(words in str(error) for words in _AWAY)
        raise (RedisConnectionError if passes else ResponseError)(str(error)) from error
