"""`GET /metrics` for Prometheus, and the measuring of requests.

If reading requires a sign-in, this requires a token.
"""

from __future__ import annotations

from time import perf_counter

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.metrics import REQUEST_SECONDS, REQUESTS, StoredMetrics, process_registry
from bot.web.access import readable
from bot.web.shared import runtime

metrics = Blueprint("metrics", __name__)

#: The views whose answers last as long as a viewer stays.
_ENDLESS = frozenset({"page.stream_board", "reading.stream_facts"})


@metrics.get("/metrics")
def show_metrics() -> Response:
    """Return the metrics of the pipelines that the sender may read.

    A sender who may read all of them also gets those that are not about one pipeline: health, contacts, GitHub's
    limits, and the measurements of the web processes of this machine.
    """
    contexts = readable()
    reads_all = len(contexts) == len(runtime().pipelines)
    stored = CollectorRegistry()
    stored.register(StoredMetrics(runtime(), contexts, shared=reads_all))
    measured = generate_latest(process_registry()) if reads_all else b""
    return Response(generate_latest(stored) + measured, content_type=CONTENT_TYPE_LATEST)


def measure(app: Flask) -> None:
    """Measure every request of `app`."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = perf_counter()


def _end(response: Response) -> Response:
    endpoint = request.endpoint or "none"
    REQUESTS.labels(endpoint, request.method, response.status_code).inc()
    if endpoint not in _ENDLESS and "began" in g:
        REQUEST_SECONDS.labels(endpoint).observe(perf_counter() - g.began)
    return response
