"""The fixtures of the web's and the workers' tests."""

from __future__ import annotations

from tests.web.conftest import app, client, configuration, redis, redis_url, send, settings, story, wake_ups
from tests.workers.conftest import quiet, shop, workshop

__all__ = [
    "app",
    "client",
    "configuration",
    "quiet",
    "redis",
    "redis_url",
    "send",
    "settings",
    "shop",
    "story",
    "wake_ups",
    "workshop",
]
