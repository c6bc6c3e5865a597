"""The scheduler of beat: several beats share the schedule, and together send what one of them would."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any, cast

import structlog
from celery.beat import PersistentScheduler, SchedulingError
from celery.utils.time import maybe_make_aware
from redis import Redis
from redis.exceptions import RedisError

from bot.health.contacts import BROKER, MESSAGES, own_name
from bot.runtime import WATCH_LIMITS, connect_store, runtime

log = structlog.get_logger()

#: The part of the interval during which no other beat sends the same message. The rest allows for clocks that run a
#: little faster.
SHARE = 0.9


def schedule() -> dict[str, dict[str, Any]]:
    """Return the tasks of beat with their intervals in seconds. A message that no worker takes within one interval
    expires, because another one follows."""
    polling = runtime().configuration.polling
    every = {
        "interlock.tick": polling.clock,
        "interlock.reconcile_builds": polling.builds,
        "interlock.reconcile_heads": polling.heads,
        "interlock.measure": 15.0,
        "interlock.plan_freezes": 60.0,
        "interlock.report_week": 60.0,
        "interlock.pack_recording": 60.0,
        "interlock.housekeep": 60.0,
    }
    return {
        name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds, 1.0)}}
        for name, seconds in every.items()
    }


class SteadyScheduler(PersistentScheduler):  # type: ignore[misc]
    """A scheduler that continues when the clock is set back. Celery's own sends nothing until the clock has caught up
    again (Celery 5.7)."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns for how many seconds nothing more is.

        An entry whose last message seems to be in the future, because the clock was set back, now or before the start,
        is sent again after its interval.
        """
        for entry in self.schedule.values():
            now = maybe_make_aware(entry.default_now())
            if maybe_make_aware(entry.last_run_at) > now:
                log.warning("clock-put-back", task=entry.task, sent=entry.last_run_at.isoformat())
                entry.last_run_at = now
                self._heap = None  # Celery makes it again from the entries
        return cast(float, super().tick(*args, **kwargs))


class SharedScheduler(SteadyScheduler):
    """The scheduler of beat. Of several beats, the first one sends the message of a round.

    No beat leads, so the loss of one has no effect. It also logs one line for a message that finds no broker, as during
    a fail-over; Celery's own scheduler logs a page of stack trace.
    """

    @cached_property
    def _redis(self) -> Redis:
        return connect_store(runtime().settings, WATCH_LIMITS)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, at the intervals of the configuration in force; returns for how many seconds nothing is
        due.
        """
        wanted = schedule()
        if wanted != self.app.conf.beat_schedule:
            self.app.conf.beat_schedule = wanted
            self.update_from_dict(wanted)
        return super().tick(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send a message unless another beat has sent it; if that fails, log it in one line."""
        sent = f"interlock:{{beat}}:sent:{entry.task}"
        if not self._is_first(sent, entry.schedule.run_every.total_seconds()):
            return
        contact = runtime().contacts.of(BROKER, MESSAGES)
        try:
            self.apply_async(entry, producer=producer, advance=False)
            contact.good()
        except SchedulingError as error:
            kind = type(error.__cause__ or error).__name__  # its text may contain the address
            log.warning("broker-unreachable", task=entry.task, error=kind)
            contact.bad(kind)
            with suppress(RedisError):  # otherwise it expires
                self._redis.delete(sent)

    def _is_first(self, sent: str, every: float) -> bool:
        """Return whether no other beat has sent this message in this round.

        If the store cannot be reached, every beat sends, because an additional message does no harm.
        """
        try:
            return bool(self._redis.set(sent, own_name(), nx=True, px=max(1, int(SHARE * every * 1000))))
        except RedisError:
            return True
