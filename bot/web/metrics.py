"""`GET /metrics` for Prometheus, and the measuring of requests. Where reading takes a sign-in, this takes a token."""

from __future__ import annotations

from time import perf_counter

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.metrics import REQUEST_SECONDS, REQUESTS, StoredMetrics, process_registry
from bot.web.access import readable
from bot.web.shared import runtime

metrics = Blueprint("metrics", __name__)

#: The views whose answers go on for as long as somebody looks.
_ENDLESS = frozenset({"page.stream_board", "reading.stream_facts"})


@metrics.get("/metrics")
def show_metrics() -> Response:
    """What the store knows of the pipelines that the sender may read; to whom may read all of them also what is not
    about one: health, contacts, GitHub's limits, and what the web processes of this machine measured."""
    contexts = readable()
    reads_all = len(contexts) == len(runtime().pipelines)
    stored = CollectorRegistry()
    stored.register(StoredMetrics(runtime(), contexts, shared=reads_all))
    measured = generate_latest(process_registry()) if reads_all else b""
    return Response(generate_latest(stored) + measured, content_type=CONTENT_TYPE_LATEST)


def install(app: Flask) -> None:
    """Serve the metrics, and measure every request of `app`."""
    app.register_blueprint(metrics)
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
