"""When Jenkins called last, for the doctor where it has no Redis of its own to look into."""

from __future__ import annotations

import threading
import time

from flask import Blueprint, Response, current_app

from bot.jenkins.callbacks import RecentCallbacks
from bot.store.inbox import newest
from bot.web.shapes import Shape, reply
from bot.web.site import Site, site

callbacks = Blueprint("callbacks", __name__, url_prefix="/api/v1")

#: How many deliveries of each pipeline are looked at, and for how long the answer counts, in seconds: anybody may ask.
LOOKED_AT, KEPT = 1_000, 10.0


class Memory:
    """The last answer of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shape: Shape = {}
        self._until = 0.0

    def shape(self, here: Site) -> Shape:
        """The answer, made anew if it has become old. Raises RedisError."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._shape = _shape(here)
                self._until = time.monotonic() + KEPT
            return self._shape


@callbacks.get("/callbacks")
def last() -> Response:
    """When the last callback of each job came in, among the newest deliveries; `since` when those are known."""
    memory: Memory = current_app.extensions["interlock-callbacks"]
    return reply(memory.shape(site()))


def _shape(here: Site) -> Shape:
    found = RecentCallbacks()
    for context in here.pipelines.values():
        found.take((e.source, e.name, e.at, e.body) for e in newest(here.redis, context.keys, LOOKED_AT))
    rows = [{"controller": controller, "job": job, "at": at} for (controller, job), at in sorted(found.jobs.items())]
    return {"since": found.since, "callbacks": rows}
