"""What beat sends with: several beats share the schedule, and send what one of them would."""

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

#: Of the time between two messages, this part belongs to whoever has sent one. The rest is for beats whose clocks run a
#: little faster.
SHARE = 0.9


def schedule() -> dict[str, dict[str, Any]]:
    """What beat asks for, and how often (seconds). A message that nobody took in time is void: another follows."""
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
    """Goes on when the clock is put back. Celery's own sends nothing until the clock is where it was (Celery 5.7)."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns for how long nothing more is.

        What seems to be sent in the future is sent anew after its interval: the clock was put back, now or before the
        start.
        """
        for entry in self.schedule.values():
            now = maybe_make_aware(entry.default_now())
            if maybe_make_aware(entry.last_run_at) > now:
                log.warning("clock-put-back", task=entry.task, sent=entry.last_run_at.isoformat())
                entry.last_run_at = now
                self._heap = None  # Celery makes it of the entries
        return cast(float, super().tick(*args, **kwargs))


class SharedScheduler(SteadyScheduler):
    """What beat sends with. Of several beats, whichever comes first sends the message of a round.

    No beat leads: one that dies is missed by nobody. And Celery's own scheduler logs a page of stack for every message
    that finds no broker: in a fail-over, say, when for a moment there is no master.
    """

    @cached_property
    def _redis(self) -> Redis:
        return connect_store(runtime().settings, WATCH_LIMITS)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, as often as the configuration in force says; returns for how long nothing more is."""
        wanted = schedule()
        if wanted != self.app.conf.beat_schedule:
            self.app.conf.beat_schedule = wanted
            self.update_from_dict(wanted)
        return super().tick(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due, unless another beat has sent it; or say in one line that it could not be sent."""
        sent = f"interlock:{{beat}}:sent:{entry.task}"
        if not self._is_first(sent, entry.schedule.run_every.total_seconds()):
            return
        contact = runtime().contacts.of(BROKER, MESSAGES)
        try:
            self.apply_async(entry, producer=producer, advance=False)
            contact.good()
        except SchedulingError as error:
            kind = type(error.__cause__ or error).__name__  # its text may hold the address
            log.warning("broker-unreachable", task=entry.task, error=kind)
            contact.bad(kind)
            with suppress(RedisError):  # then it ends by itself
                self._redis.delete(sent)

    def _is_first(self, sent: str, every: float) -> bool:
        """Whether no other beat has sent this message in this round.

        Without the store nobody knows; then all send, for a message more does no harm.
        """
        try:
            return bool(self._redis.set(sent, own_name(), nx=True, px=max(1, int(SHARE * every * 1000))))
        except RedisError:
            return True
