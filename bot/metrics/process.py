"""What a process measures of itself: its requests, or the effects that it performs. Times in seconds.

The web processes of one gunicorn share a folder (`PROMETHEUS_MULTIPROC_DIR`, see `bot/web/gunicorn_conf.py`), so that
whichever is asked answers for all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

#: The folder that the processes of one gunicorn share.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter(
    "interlock_http_requests_total", "Requests that the web processes answered", ["endpoint", "method", "status"]
)
REQUEST_SECONDS = Histogram(
    "interlock_http_request_seconds", "How long their answers took, live pages apart", ["endpoint"], buckets=_FAST
)
EFFECT_SECONDS = Histogram(
    "interlock_effect_seconds", "How long each try of an effect took", ["pipeline", "kind"], buckets=_SLOW
)


@contextmanager
def timed_effect(pipeline: str, kind: str) -> Iterator[None]:
    """Measure one try of an effect, however it ends."""
    began = perf_counter()
    try:
        yield
    finally:
        EFFECT_SECONDS.labels(pipeline, kind).observe(perf_counter() - began)


def process_registry() -> CollectorRegistry:
    """What this process measures; together with the others of its gunicorn if they share a folder."""
    if not os.environ.get(FOLDER):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
