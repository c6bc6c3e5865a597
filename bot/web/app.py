"""The web application: assembles the webhook ingress, the API and the live page. gunicorn calls `serve`.

Webhooks are answered by a small application of their own, so that a delivery runs through nothing that is for people:
no session, no sign-in, no compression.

An application has one configuration for all its life. When another one is put in force, the process makes another
application; requests in progress finish in the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import structlog
from flask import Flask
from redis.exceptions import RedisError

from bot import runtime
from bot.health.contacts import WEB
from bot.runtime import Runtime
from bot.uptake import ProcessRuntime, keep_up
from bot.web import (
    access,
    acting_pages,
    api_acting,
    api_document,
    api_machines,
    api_reading,
    compression,
    fact_stream,
    finding_pages,
    ingress,
    lock_pages,
    metrics,
    page,
    past_page,
    problems,
    rule_pages,
    run_page,
    sessions,
    sign_in,
    statistics,
)
from bot.web.api_acting import acting
from bot.web.api_reading import reading
from bot.web.badges import badges
from bot.web.bodies import Admission
from bot.web.live import Connections
from bot.web.request_buffer import BodyLimit
from bot.web.shared import WakeUp, WakeUpSender, mounted, without_root
from config import pipeline_file
from config import settings as environment
from config.configuration import Configuration
from config.errors import SettingsError
from config.logs import set_up
from config.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger()


def create_app(
    settings: Settings | None = None,
    configuration: Configuration | None = None,
    wake_up: WakeUp | None = None,
) -> Flask:
    """Return the application.

    What is not given is read from the environment and the pipeline file; Celery gets wake-ups.

    Raises SettingsError or ConfigurationError if one of them is invalid, and NewerSchema if a newer version wrote the
    stored state; all of them before the first request.
    """
    if settings is None:
        settings = environment.load()
        set_up(settings.log_level, settings.log_format)
    configuration = configuration or pipeline_file.load(settings.config)
    shared = runtime.build(settings, configuration, runtime.WEB_LIMITS)
    return make_app(shared, wake_up or _wake_up_sender(settings))


def make_app(shared: Runtime, wake_up: WakeUp) -> Flask:
    """Return the application over a runtime.

    Raises SettingsError if the environment lacks settings that the configuration needs.
    """
    settings, configuration = shared.settings, shared.configuration
    _migrate(shared)
    web = configuration.web
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.url_map.merge_slashes = False  # addresses are used as they are, without redirects
    _need_to_sign_in(settings, configuration)
    sessions.install(app, settings, web)
    admission = Admission(settings, web.sign_in.proxy.header if web.sign_in.proxy is not None else "")
    admission.is_signed_in = lambda cookies: sessions.has_signed_cookie(app, cookies)
    app.extensions["interlock"] = shared
    app.extensions["interlock-wake-up"] = wake_up
    app.extensions["interlock-callbacks"] = api_machines.CallbackMemory()
    app.extensions["interlock-admission"] = admission
    app.extensions["interlock-body-limit"] = _body_limit(admission, web.root)  # for the worker that collects bodies
    problems.install(app)
    for blueprint in (reading, acting, api_acting.tokens, api_machines.machines, badges, metrics.metrics):
        app.register_blueprint(blueprint)
    metrics.measure(app)
    app.extensions["interlock-streams"] = Connections(fact_stream.MOST_STREAMS, fact_stream.MOST_FROM_ONE_ADDRESS)
    page.install(app)
    past_page.install(app)
    sign_in.install(app, settings, configuration.github)
    access.install(app)
    api_document.install(app)
    compression.install(app)
    webhooks = _webhook_app(ingress.WebhookIngress(shared, admission, wake_up))
    in_front = ingress.in_front(webhooks, app.wsgi_app)
    app.wsgi_app = mounted(in_front, web.root)  # type: ignore[assignment,method-assign]
    return app


def _webhook_app(deliveries: ingress.WebhookIngress) -> Flask:
    """Return the application that answers the webhooks, with the same problems and the same metrics as the other."""
    app = Flask(ingress.__name__, static_folder=None)
    app.url_map.merge_slashes = False
    app.extensions["interlock-ingress"] = deliveries
    app.register_blueprint(ingress.webhooks)
    problems.install(app)
    metrics.measure(app)
    return app


#: Modules that add their views to the blueprints `reading` and `page` when they are imported.
_ADDED = (acting_pages, api_reading, fact_stream, rule_pages, finding_pages, lock_pages, run_page, statistics)


class ServedApp:
    """The WSGI application. It passes each request to the application of the present configuration."""

    def __init__(self) -> None:
        """Build the first application.

        Raises SettingsError or ConfigurationError if one is invalid, and NewerSchema as `create_app` does.
        """
        settings = environment.load()
        set_up(settings.log_level, settings.log_format)
        begins = runtime.start(settings, "the web process", puts_in_force=False)
        self._wake_up = _wake_up_sender(settings)
        shared = runtime.build(settings, begins.configuration, runtime.WEB_LIMITS, begins.stored, begins.problem)
        self._app = make_app(shared, self._wake_up)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request by one application."""
        return self._app(environ, start_response)

    @property
    def extensions(self) -> dict[str, Any]:
        """Return the extensions of the present application, for `bot.web.buffering_worker`."""
        return self._app.extensions

    def runtime(self) -> Runtime:
        """Return the runtime of the present application."""
        return cast(Runtime, self._app.extensions["interlock"])

    def use(self, new: Runtime) -> None:
        """Answer with this runtime from now on; live pages connect again. Raises SettingsError as `make_app` does."""
        before, self._app = self.runtime(), make_app(new, self._wake_up)
        before.successor.append(new)

    def start_watch(self) -> None:
        """Start the heartbeats and the watch of this process, and follow the configuration in force."""
        self.runtime().start_watch(WEB, self.runtime)
        keep_up(WEB, ProcessRuntime(self.runtime, self.use))


def serve() -> ServedApp:
    """Return the application for gunicorn."""
    return ServedApp()


def _migrate(shared: Runtime) -> None:
    """Migrate state stored by an older version to our schema.

    Raises NewerSchema, and then the process must not start.
    """
    try:
        shared.migrate()
    except RedisError as error:
        log.warning("state-unchecked", error=type(error).__name__)  # each request checks again


def _need_to_sign_in(settings: Settings, configuration: Configuration) -> None:
    """Raise SettingsError if a way to sign in lacks its settings, because the page would then be closed to all."""
    lacking = list(environment.missing_to_sign_in(configuration, settings))
    if lacking:
        raise SettingsError(lacking)


def _body_limit(admission: Admission, root: str) -> BodyLimit:
    """Return the body limits for the worker that collects bodies.

    The worker reads a request before the root is removed from its path.
    """
    return lambda method, path, headers: admission.body_limit(method, without_root(path, root), headers)


def _wake_up_sender(settings: Settings) -> WakeUpSender:
    if settings.broker is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    return WakeUpSender(settings.broker.get_secret_value())
