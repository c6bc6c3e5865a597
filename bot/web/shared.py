"""Functions that the views share: the runtime of this process, pipeline contexts, wake-ups and addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

import structlog
from celery import Celery
from flask import current_app, redirect
from kombu.transport import redis  # otherwise loaded by name at the first wake-up
from werkzeug.wrappers import Response as AnyResponse

from bot.runtime import PipelineContext, Runtime
from bot.web.problems import unknown
from config import broker
from config.broker import TURN_TASK, TURNS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


log = structlog.get_logger()

#: In seconds: how long a hanging broker may delay one delivery. GitHub waits ten seconds for an answer.
TIMEOUT = 1.0
#: Seconds after which a wake-up expires, because after an outage old ones would only be in the way.
EXPIRES = 60

#: Makes the workers take a turn of the pipeline called so; never raises.
WakeUp = Callable[[str], None]


def runtime() -> Runtime:
    """Return the runtime of the application that answers the present request."""
    return cast(Runtime, current_app.extensions["interlock"])


def context_of(pipeline: str) -> PipelineContext:
    """Return the pipeline of this name. Raises Problem (404) with the valid names."""
    contexts = runtime().pipelines
    context = contexts.get(pipeline)
    if context is None:
        raise unknown("pipeline", pipeline, contexts)
    return context


def wake_up(pipeline: str) -> None:
    """Make the workers take a turn of the pipeline."""
    send: WakeUp = current_app.extensions["interlock-wake-up"]
    send(pipeline)


def beyond(version: int) -> str:
    """Return the stream id after which changes newer than this version start (stream ids begin with the version)."""
    return f"{version}-{2**64 - 1}"


# kombu makes channels of the class that its transport names.
redis.Transport.Channel = broker.bounded(redis.Channel)
redis.SentinelTransport.Channel = broker.bounded(redis.SentinelChannel)


class WakeUpSender:
    """A sender of wake-ups over one pool of connections, made at the first one. Safe to share between threads.

    A wake-up is the Celery message that an inbox holds something: it is cheap, and may fail.
    """

    def __init__(self, url: str, *, pause: float = 2.0) -> None:
        """Take the broker's address and a pause.

        `url`: in redis-py's notation. `pause`: for how many seconds none is sent after a failure; the sweeper finds the
        deliveries anyway.
        """
        self._pause = pause
        found = broker.settings(url)
        # Redis has the first two, RabbitMQ the others.
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
        # Celery loads itself piece by piece, in a third of a second: do that now, not while the first delivery waits.
        _ = self._app.amqp.queues, self._app.backend, self._app.AsyncResult, self._app.events
        self._silent_until = 0.0

    def __call__(self, pipeline: str) -> None:
        """Wake up the workers of one pipeline. A failure is only logged, because the delivery is in the inbox."""
        if time.monotonic() < self._silent_until:
            return
        try:
            # A direct queue without an exchange: the message is one LPUSH, one round trip.
            self._app.send_task(TURN_TASK, args=(pipeline,), queue=TURNS, expires=EXPIRES, ignore_result=True)
        except Exception as error:  # whatever the error: the delivery is stored, and the sender must get that answer
            self._silent_until = time.monotonic() + self._pause
            log.warning("wake-up-failed", pipeline=pipeline, error=type(error).__name__)


# -- addresses: the application is below the path of `web: public_url`, its root ---------------------------------------
# Inside the application every address begins at its root: those of the views, `next` and `back`, and the links of the
# board and of the API. The path of `public_url` is put before them at the edge: by `{{ root }}` in each template, and
# by `go_to`. `mounted` removes it again, before anything else sees a request.


def without_root(path: str, root: str) -> str:
    """Return the path of a request inside the application.

    A proxy may have removed the root already, and direct requests to a process (health checks, a Jenkins in the same
    network) need none; such a path stays as it is.
    """
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path


def mounted(application: WSGIApplication, root: str) -> WSGIApplication:
    """Return the application mounted below `root` (PEP 3333: SCRIPT_NAME); it also answers without it."""
    if not root:
        return application

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = without_root(environ.get("PATH_INFO", ""), root)
        environ["SCRIPT_NAME"] = root
        return application(environ, start_response)

    return answer


def go_to(address: str, code: int = 302) -> AnyResponse:
    """Redirect the browser to an address inside the application."""
    return redirect(runtime().configuration.web.root + address, code)
