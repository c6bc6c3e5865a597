"""The fixtures of the workers' tests, for the fail-over tests."""

from __future__ import annotations

from tests.workers.conftest import quiet, redis_url, shop, workshop

__all__ = ["quiet", "redis_url", "shop", "workshop"]
