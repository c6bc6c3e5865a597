"""Connect to Redis: the only place that does, with time-outs on everything and retries of commands safe to repeat."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import AskError, ClusterError, ReadOnlyError, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bot.store.address import Address, parse

if TYPE_CHECKING:
    from bot.store.cluster import ClusterClient

#: The interval at which the sentinels are asked for the master while connections are in use, in seconds.
ASK_AGAIN = 1.0
#: The time-out of one sentinel, in seconds; then another one is asked.
SENTINEL_TIMEOUT = 1.0


def connect(url: str, *, timeout: float = 10.0, retries: int = 4) -> Redis:
    """Return a client for `url` (the grammar is in `bot.store.address`), which the threads of a process may share.

    A command takes at most `timeout` seconds a try and is repeated `retries` times: a caller that must answer in time
    passes less of both. Raises AddressError if `url` is not an address. The client connects at the first command.

    Every script of ours may be repeated after a lost reply: acceptance is de-duplicated by delivery id, a commit is
    fenced by its version, claiming and finishing an effect by its slot and revision. A server that has become a replica
    answers READONLY: then the sentinels are asked for the new master, or, without sentinels, the client reconnects to
    the same address, which may lead to another server by then.
    """
    address = parse(url)
    secure = {"ssl": True, **address.tls} if address.tls is not None else {}
    if address.cluster:
        return _cluster(address, timeout, retries, secure)
    options: dict[str, Any] = {
        "db": address.db,
        "socket_timeout": timeout,
        "socket_connect_timeout": min(timeout, 5.0),
        "retry": _patience(retries),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError, ReadOnlyError],
        # No PING before a command: a server whose disk is full refuses it (MISCONF) although it still serves reads. The
        # command itself detects a broken connection, and may be repeated.
        "health_check_interval": 0,
        **address.sign_in.options(),
    }
    if address.socket:
        return Redis(unix_socket_path=address.socket, **options)
    if address.master:
        sentinel = Sentinel(address.hosts, sentinel_kwargs=sentinel_options(address), **options, **secure)  # type: ignore[no-untyped-call]
        client: Redis = sentinel.master_for(address.master, connection_pool_class=_Pool)  # type: ignore[no-untyped-call]
        return client
    host, port = address.hosts[0]
    return Redis(host=host, port=port, **options, **secure)


def _patience(retries: int) -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries)


def _cluster(address: Address, timeout: float, retries: int, secure: dict[str, Any]) -> Redis:
    """Return a client of a cluster. It is used like a `Redis` but is not one: see `bot.store.cluster`."""
    from bot.store.cluster import CONNECT_TIMEOUT, ClusterClient  # imported here: slow, and rarely needed

    connect_timeout = min(timeout, CONNECT_TIMEOUT)
    options = {"socket_timeout": timeout, "socket_connect_timeout": connect_timeout, **address.sign_in.options()}
    return cast(Redis, ClusterClient(address.hosts, _patience(retries), **options, **secure))


def server_of(redis: Redis | ClusterClient, key: str) -> Redis:
    """Return a client of the server that has this key, for commands about a server or a connection instead of a key.

    On a cluster it repeats no command and does not follow a slot that moves. Raises RedisError.
    """
    return redis if isinstance(redis, Redis) else redis.server_of(key)


def servers(redis: Redis | ClusterClient) -> list[Redis]:
    """Return a client of each server that may hold state. Raises RedisError."""
    return [redis] if isinstance(redis, Redis) else redis.servers()


def is_out_of_reach(error: RedisError) -> bool:
    """Return whether the store is temporarily out of reach or refuses writes; otherwise a request of ours was wrong."""
    said = str(error).rpartition(_OF_PIPELINE)[2]
    return not isinstance(error, ResponseError) or isinstance(error, _MOVING) or said.startswith(_REFUSING)


#: Errors by which a cluster reports that another server has the slot now, or that none has it yet.
_MOVING = (AskError, TryAgainError, ClusterError)


#: redis-py puts the command and this text before the server's error about one of several commands (redis-py 8.1:
#: `Pipeline.annotate_exception`).
_OF_PIPELINE = "of pipeline caused error: "


#: How the error begins with which a running server refuses writes: it is a replica, or lacks replicas, memory or disk.
#: redis-py removes the code of errors for which it has a class, so their texts are listed as well.
_REFUSING = (
    *("READONLY", "You can't write against a read only"),
    *("NOREPLICAS", "MISCONF", "MASTERDOWN", "Link with MASTER is down"),
    *("OOM", "command not allowed when used memory"),
)


def sentinel_options(address: Address) -> dict[str, Any]:
    """Return redis-py's options for the connections to the sentinels; one that does not answer is skipped at once."""
    secure = {"ssl": True, **address.tls} if address.tls is not None else {}
    return {
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        **address.sentinel_sign_in.options(),
        **secure,
    }


class _Pool(SentinelConnectionPool):
    """The connections to the master; closed together with those to the sentinels, which redis-py would leave open.

    After an orderly fail-over the former master accepts writes over open connections for up to ten seconds and then
    discards them (the sentinels make it a replica once it has reported itself as a master for four periods of two
    seconds: `sentinelRefreshInstanceInfo`). So the sentinels are asked again once a second while connections are in
    use; if the master has changed, the idle connections are closed.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]
        self._asking, self._asked_at = threading.Lock(), float("-inf")

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        self._ask_again()
        return super().get_connection(*arguments, **options)

    def _ask_again(self) -> None:
        if time.monotonic() - self._asked_at < ASK_AGAIN or not self._asking.acquire(blocking=False):
            return
        try:
            # No sentinel answers, or none knows a master: the open connections may still work, and if they do not, the
            # command fails with an error.
            with suppress(RedisError):
                self.get_master_address()  # type: ignore[no-untyped-call]
        finally:
            self._asked_at = time.monotonic()
            self._asking.release()

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()
