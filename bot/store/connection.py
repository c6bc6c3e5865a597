"""One way to connect to Redis: time-outs everywhere, and retries that only repeat what is safe to repeat."""

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

#: How often the sentinels are asked who the master is while connections are in use, in seconds.
ASK_AGAIN = 1.0
#: How long one sentinel is waited for, in seconds: another one is asked then.
SENTINEL_TIMEOUT = 1.0


def connect(url: str, *, timeout: float = 10.0, retries: int = 4) -> Redis:
    """A client for `url` (the grammar is in `bot.store.address`), shared by the threads of a process.

    One command takes at most `timeout` seconds a try, and is repeated `retries` times: whoever must answer somebody
    in time allows less of both. Raises AddressError for a text that is no address; connects at the first command.

    Every script of ours may be repeated after a lost reply: acceptance is de-duplicated by delivery id, a commit is
    fenced by its version, claiming and finishing an effect by its slot and revision. A server that has become a replica
    answers READONLY: it is asked where the master is now (with sentinels), or connected to anew (behind an address
    that moves).
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
        # No PING before a command: a server whose disk is full refuses it (MISCONF), though it lets us read. That a
        # connection broke meanwhile is found by the command itself, which may be repeated.
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
    """A client of a cluster. It is used like a `Redis`, and is none: see `bot.store.cluster`."""
    from bot.store.cluster import CONNECT_TIMEOUT, ClusterClient  # loads slowly, and hardly anybody has one

    connect_timeout = min(timeout, CONNECT_TIMEOUT)
    options = {"socket_timeout": timeout, "socket_connect_timeout": connect_timeout, **address.sign_in.options()}
    return cast(Redis, ClusterClient(address.hosts, _patience(retries), **options, **secure))


def server_of(redis: Redis | ClusterClient, key: str) -> Redis:
    """A client of the one server that has this key: for what concerns a server or its connection, and no key.

    It repeats nothing and follows no slot that moves. Raises RedisError.
    """
    return redis if isinstance(redis, Redis) else redis.server_of(key)


def servers(redis: Redis | ClusterClient) -> list[Redis]:
    """A client of each server that state may be on. Raises RedisError."""
    return [redis] if isinstance(redis, Redis) else redis.servers()


def is_out_of_reach(error: RedisError) -> bool:
    """Whether the store cannot be reached or takes no writes now, which passes; else a request of ours was wrong."""
    said = str(error).rpartition(_OF_PIPELINE)[2]
    return not isinstance(error, ResponseError) or isinstance(error, _MOVING) or said.startswith(_REFUSING)


#: How a cluster says that another server has the slot now, or none has it yet.
_MOVING = (AskError, TryAgainError, ClusterError)


#: Redis-py puts this, and the command, before what the server says about one of several commands (redis-py 8.1:
#: `Pipeline.annotate_exception`).
_OF_PIPELINE = "of pipeline caused error: "


#: How a server that lives refuses to be written to: it is a replica, lacks its replicas, its memory or its disk.
#: redis-py takes the code off the errors that it has a class for, which is why their texts stand here as well.
_REFUSING = (
    *("READONLY", "You can't write against a read only"),
    *("NOREPLICAS", "MISCONF", "MASTERDOWN", "Link with MASTER is down"),
    *("OOM", "command not allowed when used memory"),
)


def sentinel_options(address: Address) -> dict[str, Any]:
    """How the sentinels themselves are asked, as redis-py has it; one that does not answer is passed over at once."""
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

    After an orderly fail-over the former master goes on for up to ten seconds to take, and then to forget, what is
    written over open connections (it is made a replica once it has called itself a master for four periods of two
    seconds: `sentinelRefreshInstanceInfo`). So the sentinels are asked again once a second
    while there is something to do; if the master is another one, the idle connections are closed.
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
            # No sentinel answers, or none knows a master: the connections there are may still serve, and if they do
            # not, the command says so.
            with suppress(RedisError):
                self.get_master_address()  # type: ignore[no-untyped-call]
        finally:
            self._asked_at = time.monotonic()
            self._asking.release()

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()
