"""Celery's scheduler, quiet about a broker that cannot be reached: what was not sent is sent again at its next time."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import PersistentScheduler, SchedulingError

log = structlog.get_logger()


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """What beat sends with. Celery's own logs a page of stack for every message that finds no broker: in a fail-over,
    say, when for a moment there is no master."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send what is due, or say in one line that it could not be sent."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            log.warning("broker-unreachable", task=entry.task, error=type(error.__cause__ or error).__name__)
