"""The Celery application: the broker, the queues, the schedule; and the start of a worker and of beat."""

from __future__ import annotations

import signal
import sys
import threading
from queue import Empty
from types import FrameType
from typing import Any

import structlog
from celery import Celery
from celery.signals import after_task_publish, beat_init, celeryd_init, setup_logging, task_failure, worker_ready
from celery.worker import state
from celery.worker.consumer.delayed_delivery import DelayedDelivery
from kombu.transport import redis
from redis.exceptions import RedisError

from bot.health.contacts import BEAT, WORKER, Heartbeats
from bot.jenkins.client import on_restart
from bot.runtime import Runtime, runtime, use
from bot.store.scripts import OtherSchema
from bot.uptake import ConfigurationUptake, ProcessRuntime, keep_up
from config import broker, settings
from config.broker import TURNS
from config.logs import set_up
from workers.scheduler import schedule

log = structlog.get_logger()

#: How long a thread may compute while another one waits, in seconds. CPython's default of 5 ms is longer than a whole
#: turn, which would wait while another thread prepares a status for GitHub.
SWITCH = 0.0005
#: The exit code of a worker that must not use the stored state (sysexits.h: EX_CONFIG).
REFUSED = 78


def make_app() -> Celery:
    """Make the application according to the settings. Without INTERLOCK_REDIS_URL it has no broker."""
    found = settings.load()
    app = Celery("interlock", include=["workers.tasks"])
    address = found.broker
    app.conf.update(
        **(broker.settings(address.get_secret_value()) if address is not None else {"broker_url": None}),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=TURNS,
        task_ignore_result=True,
        # Otherwise beat would add a clean-up of results at four in the morning (celery.beat, install_default_entries).
        result_expires=None,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # With True, a task is lost if the connection to the broker breaks while it runs (Celery 5.7).
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=3,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        task_serializer="json",
        accept_content=["json"],
        beat_schedule=schedule(),
        beat_scheduler="workers.scheduler:SharedScheduler",
    )
    return app


# -- changes of the behaviour of Celery and kombu ----------------------------------------------------------------------


class TolerantChannel(redis.Channel):
    """A Redis channel that drops messages that cannot be decoded.

    kombu takes a message off the list and decodes it in the worker's own loop, where nothing catches errors (kombu 5.7,
    `transport.redis.Channel#_brpop_read`). Losing such a message is harmless: it is only a wake-up (see
    docs/design.md), and the clock finds the work in any case.
    """

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Not JSON, or JSON without the fields of a message. kombu has released the connection by now.
            log.error("message-unreadable", error=type(error).__name__, exc_info=error)
            raise Empty from error


class TolerantSentinelChannel(TolerantChannel, redis.SentinelChannel):
    """The same channel for a Redis behind sentinels."""


def tolerate_broken_messages() -> None:
    """Have kombu use the tolerant channels, by the attribute of its transports that names the class."""
    redis.Transport.Channel = broker.bounded(TolerantChannel)
    redis.SentinelTransport.Channel = broker.bounded(TolerantSentinelChannel)


def send_nothing_late() -> None:
    """Disable delayed messages, which we do not use.

    With quorum queues Celery would otherwise declare 28 exchanges and as many replicated queues for them (Celery 5.7,
    `worker.consumer.delayed_delivery`).
    """
    DelayedDelivery.include_if = lambda *_: False


tolerate_broken_messages()
send_nothing_late()


# -- the start of a worker and of beat ---------------------------------------------------------------------------------


@setup_logging.connect  # type: ignore[untyped-decorator]
def _log(**_: Any) -> None:
    found = settings.load()
    set_up(found.log_level, found.log_format)


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _check(**_: Any) -> None:
    """Migrate state of an older version; refuse to start on that of a newer one, or with a wrong configuration."""
    from workers.beginning import check_store

    try:
        check_store(runtime())
    except OtherSchema as error:
        _report_refusal(error)
        raise SystemExit(REFUSED) from None  # Celery swallows every Exception in a signal handler, but not SystemExit


@task_failure.connect  # type: ignore[untyped-decorator]
def _end(exception: BaseException, **_: Any) -> None:
    """End this worker after its running tasks, because another version has taken over the state."""
    if isinstance(exception, OtherSchema) and not state.should_stop:
        _report_refusal(exception)
        state.should_stop = REFUSED  # checked by the consumer's loop (celery.worker.state.maybe_shutdown)


def _report_refusal(error: OtherSchema) -> None:
    log.error("worker-refuses", why=str(error))
    sys.stderr.write(f"{error}\n")  # independent of log level and format
    sys.stderr.flush()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _announce(**_: Any) -> None:
    sys.setswitchinterval(SWITCH)
    from workers.beginning import configure_boards
    from workers.tasks import look_again, reconcile_heads, turn

    def use_here(new: Runtime) -> None:
        use(new)
        for pipeline in configure_boards(new):
            turn.delay(pipeline)

    on_restart(look_again)
    for pipeline in configure_boards(runtime()):
        turn.delay(pipeline)
    reconcile_heads.delay()
    runtime().start_watch(WORKER, runtime)
    _reload_on_hangup(keep_up(WORKER, ProcessRuntime(runtime, use_here)))
    _serve_metrics()
    sys.stderr.write("worker ready\n")  # independent of the log level: the supervisor waits for it
    sys.stderr.flush()


def _reload_on_hangup(uptake: ConfigurationUptake) -> None:
    """Put this process' pipeline file in force at SIGHUP. Celery would restart a worker, and end beat."""

    def reload(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=uptake.reload, name="reload", daemon=True).start()

    signal.signal(signal.SIGHUP, reload)


def _serve_metrics() -> None:
    """Serve metrics for Prometheus at the address in the settings, if there is one."""
    address = runtime().settings.worker_metrics
    if not address:
        return
    from prometheus_client import start_http_server

    host, _, port = address.rpartition(":")
    try:
        start_http_server(int(port), host.strip("[]"))
    except OSError as error:  # another worker on this machine has the address; this one runs without
        log.warning("metrics-not-served", address=address, error=str(error))


@beat_init.connect  # type: ignore[untyped-decorator]
def _follow(**_: Any) -> None:
    """Start the threads of the outbound webhooks in beat: in a worker they would take time from the turns."""
    from workers.outbound import ConfiguredWebhooks

    threads = ConfiguredWebhooks()

    def use_here(new: Runtime) -> None:
        use(new)
        threads.begin(new)

    threads.begin(runtime())
    _reload_on_hangup(keep_up(BEAT, ProcessRuntime(runtime, use_here)))


@beat_init.connect  # type: ignore[untyped-decorator]
def _listen(**_: Any) -> None:
    """Store a heartbeat of beat whenever it has sent a message of its schedule: it counts as alive while it sends."""
    heartbeats = Heartbeats(runtime().redis)

    def said(**_: Any) -> None:
        try:
            heartbeats.beat(BEAT)
        except RedisError as error:  # the message was sent; the watch reports that the store takes no writes
            log.debug("heartbeat-lost", error=type(error).__name__)

    after_task_publish.connect(said, weak=False)


app = make_app()
