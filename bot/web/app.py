"""The web application, put together: the door, the API, the live page. gunicorn calls `create_app`."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Flask
from redis.exceptions import RedisError

from bot import runtime
from bot.web import door, page, problems
from bot.web.actions import actions
from bot.web.admission import Admission
from bot.web.attempts import attempts
from bot.web.callbacks import Memory, callbacks
from bot.web.health import health
from bot.web.poke import Poker
from bot.web.reading import reading
from bot.web.site import Site
from config import pipeline_file
from config import settings as environment
from config.configuration import Configuration
from config.errors import SettingsError
from config.logs import set_up
from config.settings import Settings

log = structlog.get_logger()


def create_app(
    settings: Settings | None = None,
    configuration: Configuration | None = None,
    poke: Callable[[str], None] | None = None,
) -> Flask:
    """The application. What is not given is read: the environment, the pipeline file; and Celery is poked.

    Raises SettingsError or ConfigurationError if something is wrong with either, NewerSchema if a newer version wrote
    what is stored: before the first request.
    """
    if settings is None:
        settings = environment.load()
        set_up(settings.log_level, settings.log_format)
    configuration = configuration or pipeline_file.load(settings.config)
    shared = runtime.build(settings, configuration, runtime.WEB_LIMITS)
    here = Site(shared, poke or _poker(settings))
    try:
        shared.migrate()
    except RedisError as error:
        log.warning("state-unchecked", error=type(error).__name__)  # each request looks again
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.url_map.merge_slashes = False  # an address is what it says: nobody is sent elsewhere
    admission = Admission(settings)
    app.extensions["interlock"] = here
    app.extensions["interlock-callbacks"] = Memory()
    app.extensions["interlock-admission"] = admission
    app.extensions["interlock-body-limit"] = admission.body_limit  # for the worker that collects bodies
    app.extensions["interlock-hall"] = door.WebhookIngress(here, shared.repositories, admission)
    problems.install(app)
    for blueprint in (door.door, reading, actions, attempts, callbacks, health):
        app.register_blueprint(blueprint)
    page.install(app)
    return app


def _poker(settings: Settings) -> Poker:
    if settings.broker is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    return Poker(settings.broker.get_secret_value())
