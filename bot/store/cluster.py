"""A Redis Cluster as one client: used like redis-py's `Redis`, as far as Interlock uses that.

The keys of a pipeline share a hash tag (`bot.store.keys`), so one server has all of them, and every script, transaction
and pipeline of ours stays on one server.
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

#: How long a connection to one server is waited for, in seconds: another one is asked then where the slots are.
CONNECT_TIMEOUT = 1.0
#: What passes by itself, and may be repeated: every request of ours may (`bot.store.connection.connect`).
PASSING = (RedisConnectionError, RedisTimeoutError, ClusterDownError, TryAgainError)
#: What redis-py says while it finds no server that knows where the slots are, or several that do not agree; all else
#: that it says by the same exception is a mistake of ours.
_AWAY = ("cannot be connected", "could not agree", "not covered")


class ClusterClient:
    """What `connect` returns for a cluster. It connects at the first command, as `Redis` does: redis-py's own client
    of a cluster connects when it is made, so a process could not start while the cluster is away.
    """

    def __init__(self, hosts: tuple[tuple[str, int], ...], retry: Retry, **options: Any) -> None:
        """`hosts`: some servers of the cluster, which are asked for the others each time the slots have moved."""
        self._hosts, self._retry, self._options = hosts, retry, options
        self._lock = threading.Lock()
        self._client: _Client | None = None

    def __getattr__(self, name: str) -> Any:
        """Everything else is the client's. Raises RedisConnectionError while no server can be reached."""
        return getattr(self._connected(), name)

    def __enter__(self) -> ClusterClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def server_of(self, key: str) -> Redis:
        """A client of the one server that has this key now. Raises RedisError."""
        client = self._connected()
        client.exists(key)  # if its slot has moved, the client learns that
        node = _translated(lambda: client.get_node_from_key(key))  # type: ignore[no-untyped-call]
        return client.get_redis_connection(node)

    def servers(self) -> list[Redis]:
        """A client of each server that has slots now. Raises RedisError."""
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
    """redis-py's client, whose errors are those of `Redis`, and which repeats commands with pauses between."""

    def __init__(self, hosts: tuple[tuple[str, int], ...], retry: Retry, options: dict[str, Any]) -> None:
        self._again = retry
        self._again.update_supported_errors(PASSING)
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in hosts],  # type: ignore[no-untyped-call]
            retry=Retry(NoBackoff(), 1),  # once more at once, for it has asked where the slots are
            reinitialize_steps=1,  # a fail-over moves many slots: one MOVED is enough to ask for all of them
            require_full_coverage=False,  # a pipeline whose server lives goes on
            dynamic_startup_nodes=False,  # the servers' addresses may change; the names we were given need not
            **options,
        )

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command. Raises RedisError."""
        once = partial(super().execute_command, *args, **options)
        return self._again.call_with_retry(lambda: _translated(once), self._ask_another)

    def pipeline(self, transaction: bool | None = True, shard_hint: Any = None) -> ClusterPipeline:
        """As that of `Redis`: a transaction unless told otherwise, then all of its keys are of one pipeline."""
        found: ClusterPipeline = super().pipeline(transaction, shard_hint)  # type: ignore[no-untyped-call]
        execute = found.execute
        found.execute = lambda raise_on_error=True: _translated(partial(execute, raise_on_error))  # type: ignore[method-assign]
        return found

    def _ask_another(self, _: BaseException) -> None:
        """Which keys a command has (XREAD) is asked of the default server; from now on of another."""
        self.replace_default_node()


def _translated(act: Callable[[], T]) -> T:
    """What comes of `act`; redis-py's errors of a cluster that are no RedisError become one."""
    try:
        return act()
    except RedisClusterException as error:
        passes = isinstance(error, SlotNotCoveredError) or any(words in str(error) for words in _AWAY)
        raise (RedisConnectionError if passes else ResponseError)(str(error)) from error
