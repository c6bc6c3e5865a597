"""What the views share: the runtime of this process, a pipeline by its name, and wake-ups for the workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import structlog
from celery import Celery
from flask import current_app, redirect
from kombu.transport import redis  # loaded by name otherwise, at the first wake-up
from werkzeug.wrappers import Response as AnyResponse

from bot.runtime import PipelineContext, Runtime
from bot.web.problems import unknown
from config import broker
from config.broker import TURN_TASK, TURNS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


log = structlog.get_logger()

#: Seconds: a broker that hangs may hold up one delivery for this long. GitHub waits ten seconds for an answer.
TIMEOUT = 1.0
#: Seconds after which nobody needs a wake-up any more: after an outage they would only stand in the way.
EXPIRES = 60

#: Has the workers take the turn of the pipeline of this name; never raises.
WakeUp = Callable[[str], None]


def runtime() -> Runtime:
    """The runtime of the application that answers the present request."""
    return cast(Runtime, current_app.extensions["interlock"])


def context_of(pipeline: str) -> PipelineContext:
    """The pipeline of this name. Raises Problem (404) with the names there are."""
    contexts = runtime().pipelines
    context = contexts.get(pipeline)
    if context is None:
        raise unknown("pipeline", pipeline, contexts)
    return context


def wake_up(pipeline: str) -> None:
    """Have the workers take the pipeline's turn."""
    send: WakeUp = current_app.extensions["interlock-wake-up"]
    send(pipeline)


def beyond(version: int) -> str:
    """What to read the stream of changes from, to learn of the versions after this one: ids begin with the version."""
    return f"{version}-{2**64 - 1}"


# kombu makes channels of the class that its transport names.
redis.Transport.Channel = broker.bounded(redis.Channel)
redis.SentinelTransport.Channel = broker.bounded(redis.SentinelChannel)


class WakeUpSender:
    """Sends wake-ups over one pool of connections, made at the first one. Safe to share between threads.

    A wake-up is the Celery message that says "there is something in your inbox": cheap, and free to fail.
    """

    def __init__(self, url: str, *, pause: float = 2.0) -> None:
        """`url`: the broker's, as redis-py writes it. `pause`: how long none is sent after one has failed, in seconds;
        the sweeper finds what came in anyway."""
        self._pause = pause
        found = broker.settings(url)
        # A Redis has the first two, RabbitMQ the others.
        names = ("socket_timeout", "socket_connect_timeout", "read_timeout", "write_timeout")
        timeouts = {name: TIMEOUT for name in names if name in found["broker_transport_options"]}
        self._app = Celery("interlock", broker=found["broker_url"], set_as_current=False)
        self._app.conf.update(
            {**found, "broker_transport_options": {**found["broker_transport_options"], **timeouts}},
            broker_connection_timeout=TIMEOUT,
            broker_pool_limit=4,
            task_ignore_result=True,
            task_publish_retry=False,
            task_default_queue=TURNS,
            task_send_sent_event=False,
            worker_hijack_root_logger=False,
        )
        # Celery loads itself piece by piece, a third of a second in all: now, not while the first delivery waits.
        _ = self._app.amqp.queues, self._app.backend, self._app.AsyncResult, self._app.events
        self._silent_until = 0.0

    def __call__(self, pipeline: str) -> None:
        """Wake up the workers of one pipeline. A failure is logged and nothing else: the inbox has what matters."""
        if time.monotonic() < self._silent_until:
            return
        try:
            # A direct queue without an exchange: the message is one LPUSH, one round trip.
            self._app.send_task(TURN_TASK, args=(pipeline,), queue=TURNS, expires=EXPIRES, ignore_result=True)
        except Exception as error:  # whatever it is: the delivery is kept, and the sender must hear that
            self._silent_until = time.monotonic() + self._pause
            log.warning("wake-up-failed", pipeline=pipeline, error=type(error).__name__)


# -- addresses: where the application is, below the path of `web: public_url`, its root --------------------------------
# Inside the application every address begins at the root: those of the views, `next` and `back`, the links of the board
# and of the API. The root is put before them at the edge: by `{{ root }}` in each template, and by `go_to`. It is taken
# off again by `mounted`, before anything else sees a request.


def without_root(path: str, root: str) -> str:
    """The path of a request inside the application.

    A proxy may have taken the root off already, and whoever asks a process directly (health checks, a Jenkins in the
    same network) needs none: such a path stays as it is.
    """
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path


def mounted(application: WSGIApplication, root: str) -> WSGIApplication:
    """The application as it answers below `root` (PEP 3333: SCRIPT_NAME), and without it as well."""
    if not root:
        return application

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = without_root(environ.get("PATH_INFO", ""), root)
        environ["SCRIPT_NAME"] = root
        return application(environ, start_response)

    return answer


def go_to(address: str, code: int = 302) -> AnyResponse:
    """Send the browser to an address inside the application."""
    return redirect(runtime().configuration.web.root + address, code)
