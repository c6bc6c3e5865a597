"""The Celery application: the broker, the queues, the schedule; and what a worker does when it starts."""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging, worker_ready
from kombu import Queue  # type: ignore[attr-defined]

from config import broker, settings
from config.broker import QUEUES, TURNS
from config.logs import set_up
from workers.context import context


def make_app() -> Celery:
    """The application as the settings say. Without INTERLOCK_REDIS_URL it exists, but reaches no broker."""
    found = settings.load()
    app = Celery("interlock", include=["workers.tasks"])
    address = found.broker
    app.conf.update(
        **(broker.settings(address.get_secret_value()) if address is not None else {"broker_url": None}),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_queues=[Queue(name) for name in QUEUES],  # type: ignore[no-untyped-call]
        task_default_queue=TURNS,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # With True a task is lost when the connection to the broker breaks while it runs (Celery 5.7).
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=3,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        task_serializer="json",
        accept_content=["json"],
        beat_schedule=schedule(),
    )
    return app


def schedule() -> dict[str, dict[str, Any]]:
    """What beat asks for, and how often (seconds). A message that nobody took in time is void: another follows."""
    polling = context().configuration.polling
    every = {
        "interlock.tick": polling.clock,
        "interlock.reconcile_builds": polling.builds,
        "interlock.reconcile_heads": polling.heads,
        "interlock.housekeep": 600.0,
    }
    return {
        name: {"task": name, "schedule": seconds, "options": {"expires": max(seconds, 1.0)}}
        for name, seconds in every.items()
    }


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log(**_: Any) -> None:
    found = settings.load()
    set_up(found.log_level, found.log_format)


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _check(**_: Any) -> None:
    """Refuse to start on what a newer version stored, or with a configuration that is wrong."""
    from workers.start import check

    check(context())


@worker_ready.connect  # type: ignore[untyped-decorator]
def _announce(**_: Any) -> None:
    from workers.start import configure
    from workers.tasks import reconcile_heads, turn

    for pipeline in configure(context()):
        turn.delay(pipeline)
    reconcile_heads.delay()
    sys.stderr.write("worker ready\n")  # whatever the log level: the supervisor waits for it
    sys.stderr.flush()


app = make_app()
