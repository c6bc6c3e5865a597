"""A worker's bench, as the tests of the workers have it."""

from __future__ import annotations

from tests.workers.conftest import quiet, redis_url, shop, workshop

__all__ = ["quiet", "redis_url", "shop", "workshop"]
