"""Where Celery and kombu do not do what we need: a scheduler that is brief about a lost broker, a channel that drops
messages that are none.

kombu takes a message off the list and decodes it in the worker's own loop, where nothing catches what goes wrong (kombu
5.7, `transport.redis.Channel#_brpop_read`). Such a message is lost: it carries nothing (see docs/design.md), and the
clock finds what it was to wake up.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

import structlog
from celery.beat import PersistentScheduler, SchedulingError
from kombu.transport import redis

log = structlog.get_logger()


class BriefScheduler(PersistentScheduler):  # type: ignore[misc]
    """What beat sends with. Celery's own logs a page of stack for every message that finds no broker: in a fail-over,
    say, when for a moment there is no master."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due, or say in one line that it could not be sent."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            log.warning("broker-unreachable", task=entry.task, error=type(error.__cause__ or error).__name__)


class TolerantChannel(redis.Channel):
    """Redis channel that drops what it cannot read."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # No JSON; or JSON without what every message has. kombu has given the connection free by now.
            log.error("message-unreadable", error=type(error).__name__, exc_info=error)
            raise Empty from error


class TolerantSentinelChannel(TolerantChannel, redis.SentinelChannel):
    """The same where sentinels say which Redis is the master."""


def tolerate_broken_messages() -> None:
    """From now on the worker outlives them. kombu makes channels of the class that its transport names."""
    redis.Transport.Channel = TolerantChannel
    redis.SentinelTransport.Channel = TolerantSentinelChannel
