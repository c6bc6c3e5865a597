"""One way to connect to Redis: time-outs everywhere, and retries that only repeat what is safe to repeat."""

from __future__ import annotations

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry


def connect(url: str, *, timeout: float = 10.0, retries: int = 4) -> Redis:
    """A client for `url` (redis://, rediss:// or unix://), shared by the threads of a process.

    One command takes at most `timeout` seconds a try, and is repeated `retries` times: whoever must answer somebody
    in time allows less of both.

    Every script of ours may be repeated after a lost reply: acceptance is de-duplicated by delivery id, a commit is
    fenced by its version, claiming and finishing an effect by its slot and revision.
    """
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries)
    return Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=min(timeout, 5.0),
        retry=retry,
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
        health_check_interval=30,
    )
