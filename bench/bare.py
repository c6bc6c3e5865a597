"""The bare versions to compare Interlock with: the least that a Flask view and a Celery task can do.

`view`: verify, parse, one MULTI that keeps the delivery once. `reaction`: verify, parse, `post.delay`; the task does
one POST to Jenkins over a kept connection. They run under the same gunicorn settings, with the same kind of pool,
Redis and libraries as Interlock, and do nothing else.
"""

from __future__ import annotations

import hmac
import json
import os
import threading

import requests
from celery import Celery
from flask import Flask, Response, abort, request
from redis import Redis

from bench.bodies import SECRET
from config import broker

REDIS, JENKINS = os.environ.get("BENCH_REDIS_URL", ""), os.environ.get("BENCH_JENKINS_URL", "")

app = Flask(__name__)
redis = Redis.from_url(REDIS) if REDIS else None
found = broker.settings(REDIS or "redis://localhost")
celery = Celery("bare", broker=found["broker_url"] if REDIS else None)
celery.conf.update(
    # The message is the only copy of a push, so it must survive a killed worker: it stays in Redis until
    # the task has ended.
    broker_transport_options={
        **found["broker_transport_options"],
        "global_keyprefix": "bare:",
        "ack_emulation": True,
        "visibility_timeout": 900,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
    task_default_queue="bare",
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
_local = threading.local()


def _delivery() -> tuple[bytes, dict[str, object]]:
    body = request.get_data(cache=False)
    wanted = "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    if not hmac.compare_digest(request.headers.get("X-Hub-Signature-256", ""), wanted):
        abort(401)
    return body, json.loads(body)


@app.post("/view")
def view() -> Response:
    """Keep a delivery once, in one round trip."""
    body, _ = _delivery()
    delivery = request.headers["X-GitHub-Delivery"]
    assert redis is not None
    with redis.pipeline(transaction=True) as pipe:
        pipe.set(f"bare:seen:{delivery}", "1", nx=True, ex=259_200)
        pipe.xadd("bare:inbox", {"e": request.headers["X-GitHub-Event"], "d": delivery, "b": body})
        pipe.execute()
    return Response(b'{"status":"kept"}', 202, content_type="application/json")


@app.post("/reaction")
def reaction() -> Response:
    """Hand a delivery's commit to the task."""
    _, payload = _delivery()
    post.delay(payload["after"])
    return Response(b'{"status":"kept"}', 202, content_type="application/json")


@app.get("/healthz")
def alive() -> Response:
    """Answer that it runs."""
    return Response(b"ok", 200)


@celery.task(name="bare.post")  # type: ignore[untyped-decorator]
def post(sha: str) -> None:
    """Send one trigger."""
    session = _local.__dict__.setdefault("session", requests.Session())
    url = f"{JENKINS}/job/bare/buildWithParameters"
    session.post(url, data={"INTERLOCK_SHA": sha}, timeout=10).raise_for_status()
