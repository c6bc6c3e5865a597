"""A real Interlock for the command to talk to: HTTP, Redis, and turns that are taken at every wake-up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from bot.cli.main import cli
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.web.conftest import TOKEN, Story, configuration, redis, redis_url, settings, story

__all__ = ["configuration", "redis", "redis_url", "settings", "story"]

Interlock = Callable[..., Result]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """A WSGI application over HTTP; its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def typed(*words: str, **env: str | None) -> Result:
    """A command as typed by somebody whose environment holds nothing of Interlock but `env`."""
    names = ("URL", "TOKEN", "TOKEN_FILE", "CONFIG", "BIND")
    bare = {f"INTERLOCK_{name}": None for name in names} | {"COLUMNS": "130"}
    return CliRunner().invoke(cli, words, env={**bare, **env}, catch_exceptions=False)


@pytest.fixture
def address(settings: Settings, configuration: Configuration, story: Story) -> Iterator[str]:
    """Where the API answers; a wake-up is a turn, at once."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # the server's log is not the command's output
    with serving(create_app(settings, configuration, lambda _: story.turns())) as url:
        yield url
    structlog.reset_defaults()


@pytest.fixture
def interlock(address: str, story: Story) -> Interlock:
    """Types a command as alex, at a terminal of 130 columns."""

    def run(*words: str, **env: str | None) -> Result:
        story.redis.delete(story.keys.wake_up)  # nobody has been woken up lately
        return typed(*words, **{"INTERLOCK_URL": address, "INTERLOCK_TOKEN": TOKEN, **env})

    return run


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a has failed in pre-production and holds its lock; S2a waits behind it, S3a runs in acceptance."""
    story.start()
    run = story.merge("S1", "a")
    story.pass_stages(run, 2)
    story.build(run, Outcome.FAILURE, ("CheckoutTest",))
    story.pass_stages(story.merge("S2", "a"), 2)
    third = story.merge("S3", "a")
    story.pass_stages(third)
    story.build(third, None)
    return story.board.runs[run.key]
