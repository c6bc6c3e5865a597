"""The CloudEvents plugin: events of builds and of the queue in binary mode, all to one sink.

Source: io.jenkins.plugins.cloudevents (Stage, HTTPSink, JobModel, BuildModel, QueueModel), release 1.0.0. That release
leaves the body of every event about a job empty: JobModel's getters copy dates that a build event does not have,
Jackson fails, and the plugin sends the empty text. `job_data` gives the body that the README shows.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from standins.jenkins.callbacks import Callback
from standins.jenkins.model import Build, QueueItem
from standins.jenkins.notification import timestamp
from standins.jenkins.outcomes import as_text

EVENTS = ("entered_waiting", "left", "started", "completed", "finalized", "failed")
#: The plugin sets no timeout: a sink that never answers holds up the build for ever.
_FOREVER = 7 * 24 * 3600.0
#: The characters that java.net.URI.create refuses in `job/<display name>`; such an event is not sent.
_NO_URI = re.compile(r'[\s<>"{}|\\^`]|%(?![0-9a-fA-F]{2})')


@dataclass(frozen=True, slots=True)
class Sink:
    """The address of the events, and the chosen events in order."""

    url: str
    events: tuple[str, ...] = EVENTS
    job_data: bool = False

    @classmethod
    def from_json(cls, given: dict[str, Any] | None) -> Sink | None:
        """Make a sink; raise TypeError or ValueError for anything that the plugin does not have."""
        if given is None:
            return None
        sink = cls(**given | {"events": tuple(given.get("events", EVENTS))})
        unknown = [event for event in sink.events if event not in EVENTS]
        if unknown:
            raise ValueError(f"an event is one of {', '.join(EVENTS)}, not {unknown[0]!r}")
        return sink


def of_build(sink: Sink, build: Build, phase: str, root_url: str, now: float) -> Iterator[Callback]:
    """Return the events of a phase. A failed build sends two at its end, `finalized` and `failed`."""
    body = json.dumps(_build_data(build, phase, root_url, now)).encode() if sink.job_data else b""
    for event in sink.events:
        failed = event == "failed" and phase == "FINALIZED" and build.result == "FAILURE"
        if failed or event == phase.lower():
            made = _callback(sink, f"job.{event}", build.job.full_name, build.job.shown_name, body)
            if made is None:
                build.log.append(f"Failed to notify the sink: job/{build.job.shown_name} is no URI")
            else:
                yield made


def of_queue(sink: Sink, item: QueueItem, event: str, why: str | None, root_url: str, now: float) -> Callback | None:
    """Return the event of an item that entered or left. It has no path of a job and, when left, no build."""
    if event not in sink.events:
        return None
    body = json.dumps(_queue_data(item, event, why, root_url, now)).encode()
    return _callback(sink, f"queue.{event}", item.job.full_name, item.job.shown_name, body)


def _callback(sink: Sink, kind: str, job: str, shown_name: str, body: bytes) -> Callback | None:
    if _NO_URI.search(shown_name):
        return None
    event = f"org.jenkinsci.{kind}"
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-type": event,
        "ce-source": f"job/{shown_name}".encode("latin-1", "replace").decode("latin-1"),
        "content-type": "application/json",
        "Accept": "*/*",
    }
    return Callback(job, None, event, sink.url, body, headers, _FOREVER)


def _build_data(build: Build, phase: str, root_url: str, now: float) -> dict[str, Any]:
    """Return the data as the README shows it: camelCase, with nulls. `url`: the job's full path below the root."""
    job, url = build.job, f"{build.job.url}{build.number}/"
    return {
        "userId": "SYSTEM",
        "userName": "SYSTEM",
        "name": job.name,
        "displayName": job.shown_name,
        "url": job.url,
        "build": {
            "fullUrl": f"{root_url}{url}",
            "number": build.number,
            "queueId": build.queue_id,
            "timestamp": int(timestamp(build, phase, now) * 1000),
            "duration": build.duration_ms,
            "phase": phase,
            "status": build.result,
            "url": url,
            "displayName": None,
            "parameters": _parameters(build),
            "scmState": {"url": None, "branch": None, "commit": None},
        },
    }


def _parameters(build: Build) -> dict[str, str] | None:
    """Return the parameters sorted without regard to case, as in EnvVars; None for a build without any."""
    if not build.values:
        return None
    shown = [value for value in build.values if value.kind != "password"]
    return {value.name: as_text(value.value) for value in sorted(shown, key=lambda value: value.name.lower())}


def _queue_data(item: QueueItem, event: str, why: str | None, root_url: str, now: float) -> dict[str, Any]:
    started_by = ""
    for cause in item.causes:
        details = dict(cause.details)
        if cause.kind == "UserIdCause":
            started_by = str(details["userName"])
        elif cause.kind == "UpstreamCause":
            started_by = "UPSTREAM"
    left = event == "left"
    data: dict[str, Any] = {
        "ciUrl": root_url,
        "displayName": item.job.shown_name,
        "entryTime": int((item.since if left else now) * 1000),
        "exitTime": int(now * 1000),
        "startedBy": started_by,
        "jenkinsQueueId": item.id,
        "status": event.upper(),
        "duration": int((now - item.since) * 1000) if left else 0,
    }
    if why is not None and not left:
        data["queueCauses"] = [{"reasonForWaiting": why, "type": event}]
    return data
