"""The door and a worker's bench, as the other tests have them."""

from __future__ import annotations

from tests.web.conftest import app, client, configuration, pokes, redis, redis_url, send, settings, story
from tests.workers.conftest import quiet, soon, workshop

__all__ = [
    "app",
    "client",
    "configuration",
    "pokes",
    "quiet",
    "redis",
    "redis_url",
    "send",
    "settings",
    "soon",
    "story",
    "workshop",
]
