"""Convert Jenkins' callbacks to events, each only a reason to ask Jenkins; and list the recent callbacks.

Sources: notification plugin (`JobState`, `BuildState`); CloudEvents plugin (`HTTPSink`, `JobModel`, `QueueModel`).
The data of a CloudEvent about a build has the notification plugin's shape as far as we read it: `url` is the job's
path, `build` has number and phase. So the body is sufficient; only a structured event has to be unwrapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from bot.core.model.events import BuildHinted, Event
from bot.core.model.pipeline import Outcome
from bot.payloads import Unreadable, at, number, read_object, text

_RESULTS = {str(outcome): outcome for outcome in Outcome if outcome is not Outcome.TIMEOUT}

_JOB_PATH = re.compile(r"(?:^|/)job/(.+?)/?$")

#: The phases that follow the end of a build (notification plugin: `Phase`).
_OVER = ("COMPLETED", "FINALIZED")

_QUEUE = "org.jenkinsci.queue."


class CloudEvent(NamedTuple):
    """The attributes of a CloudEvent; each is empty if missing."""

    type: str
    source: str
    id: str

    @property
    def is_about_the_queue(self) -> bool:
        """Whether the event is about the queue: it then names an item and a display name, but no job path or build."""
        return self.type.startswith(_QUEUE)


def cloud_event(headers: Mapping[str, str], payload: dict[str, Any]) -> CloudEvent | None:
    """Return the attributes of a delivered CloudEvent, in binary mode (`ce-*` headers, in lower case) or in structured
    mode; None for any other callback."""
    if headers.get("ce-specversion"):
        return CloudEvent(*(headers.get(f"ce-{name}", "") for name in CloudEvent._fields))
    if _is_structured(payload):
        return CloudEvent(*(text(payload, name) for name in CloudEvent._fields))
    return None


def data_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a callback: the data of a structured CloudEvent (`{}` if there is none), or the body."""
    if not _is_structured(payload):
        return payload
    data = at(payload, "data")
    return data if isinstance(data, dict) else {}


def _is_structured(payload: dict[str, Any]) -> bool:
    """Return whether all required attributes are present (CloudEvents 1.0, JSON event format)."""
    return all(text(payload, name) for name in ("specversion", *CloudEvent._fields))


def job_of(payload: dict[str, Any]) -> str:
    """Return the full name of the job that a callback is about, folders separated by `/`; empty if it names none.

    The plugin's `name` is only the short name; `url` contains the path (`job/team/job/deploy/`). The `curl` of our
    documentation sends `job`, Jenkins' JOB_NAME, which is the full name already.
    """
    plain = text(payload, "job")
    if plain:
        return plain
    path = _JOB_PATH.search(text(payload, "url"))
    if path is None:
        return text(payload, "name")
    return "/".join(unquote(part) for part in path.group(1).split("/job/"))


def build_of(payload: dict[str, Any]) -> int | None:
    """Return the build number that a callback is about, or None."""
    found = number(payload, "build", "number")
    if found is None:
        plain = at(payload, "build")
        digits = plain if isinstance(plain, str) else ""
        found = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else number(payload, "build")
    return found if found is not None and found > 0 else None


def is_queued(data: dict[str, Any]) -> bool:
    """Return whether a callback says only that a build was queued. The plugin sends this one when the build starts,
    right before STARTED (notification plugin: `JobListener#onStarted`), so it can be ignored."""
    return text(data, "build", "phase") == "QUEUED"


def reduced(data: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a callback that Interlock reads, in the same shape: job, build, phase, time.

    The rest (parameters, log lines, artifacts, test summary) is dropped: a callback is only a hint, and Jenkins is
    asked for the build. The rest may be megabytes, and contain data that should not be stored.
    """
    kept: dict[str, Any] = {name: text(data, name) for name in ("name", "url", "job") if text(data, name)}
    build = at(data, "build")
    if isinstance(build, dict):
        fields = ("number", "phase", "status", "timestamp")
        kept["build"] = {name: build[name] for name in fields if isinstance(build.get(name), str | int)}
    elif isinstance(build, str | int):
        kept["build"] = build
    return kept


def events(controller: str, payload: dict[str, Any]) -> list[Event]:
    """Return the event of a callback, whole or reduced: Jenkins must be asked for that build. Returns an empty list if
    it names no build, and for QUEUED."""
    payload = data_of(payload)
    if is_queued(payload):
        return []
    job, build = job_of(payload), build_of(payload)
    over = text(payload, "build", "phase") in _OVER
    return [BuildHinted(controller, job, build, over)] if job and build is not None else []


def outcome(result: str | None) -> Outcome | None:
    """Convert a result of Jenkins to an outcome; None while there is none. An unknown result counts as a failure."""
    return None if result is None else _RESULTS.get(result, Outcome.FAILURE)


@dataclass(slots=True)
class RecentCallbacks:
    """The time of the last callback of each controller, and of each (controller, job), in seconds since the epoch."""

    controllers: dict[str, float] = field(default_factory=dict)
    jobs: dict[tuple[str, str], float] = field(default_factory=dict)
    #: The time since when all callbacks are included; None: no delivery is kept.
    since: float | None = None

    def take(self, deliveries: Iterable[tuple[str, str, float, bytes]]) -> None:
        """Add the newest deliveries of one pipeline: source, name, when it was accepted, body."""
        oldest: float | None = None
        for source, name, accepted, body in deliveries:
            oldest = accepted if oldest is None else min(oldest, accepted)
            if source == "jenkins":
                self._note(name, accepted, body)
        if oldest is not None:  # for several pipelines: complete only since the latest of these
            self.since = oldest if self.since is None else max(self.since, oldest)

    def _note(self, controller: str, accepted: float, body: bytes) -> None:
        self.controllers[controller] = max(accepted, self.controllers.get(controller, 0.0))
        try:
            job = job_of(data_of(read_object(body)))
        except Unreadable:
            return
        self.jobs[controller, job] = max(accepted, self.jobs.get((controller, job), 0.0))
