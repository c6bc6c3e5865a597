"""Convert facts to the JSON of outbound webhooks in our own form (`format: interlock`, see docs/webhooks.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bot.core.model.facts import Fact
from bot.core.model.pipeline import Pipeline, Track
from bot.reporting.messages import words
from bot.store.codec import RecordedFact, dump_recorded_fact
from config.configuration import Configuration

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """The content of one post. `identity` stays the same however often it is sent; `event` is the kind of the event."""

    identity: str
    event: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboundFact:
    """A fact of the log with its links; `identity` is unique in the installation."""

    identity: str
    pipeline: Pipeline
    recorded: RecordedFact
    #: The addresses of pages of ours, of Jenkins and of GitHub, by what they show; only those that exist.
    links: Mapping[str, str]

    @property
    def fact(self) -> Fact:
        """The fact itself."""
        return self.recorded.fact

    @property
    def time(self) -> str:
        """When it was decided, as `rfc3339` writes it."""
        return rfc3339(self.recorded.at)

    @property
    def words(self) -> str:
        """The sentence for people."""
        return words(self.fact.why)


def outbound_fact(configuration: Configuration, pipeline: Pipeline, entry: str, recorded: RecordedFact) -> OutboundFact:
    """Return the fact of the log entry `entry`, with its links."""
    links = _links(configuration, pipeline, recorded.fact)
    return OutboundFact(f"{pipeline.name}/{entry}", pipeline, recorded, links)


def shape(told: OutboundFact) -> Json:
    """Return the fact as JSON values. Keys are never removed in later versions; an unknown value is null."""
    fact = told.fact
    return {
        "id": told.identity,
        "kind": str(fact.kind),
        "pipeline": told.pipeline.name,
        "time": told.time,
        "words": told.words,
        "run": fact.run,
        "service": fact.service,
        "sha": fact.sha,
        "stage": fact.step.stage if fact.step is not None else None,
        "track": str(fact.step.track) if fact.step is not None else None,
        "build": fact.build,
        "by": fact.by,
        "via": fact.via,
        "data": _data(told.recorded),
        "links": dict(told.links),
    }


def message(told: OutboundFact) -> OutboundMessage:
    """Return the single post about a fact."""
    return OutboundMessage(told.identity, str(told.fact.kind), dump(shape(told)))


#: The kind of a test message, in place of that of a fact.
TEST = "test"


def trial_message(configuration: Configuration, identity: str, at: float) -> OutboundMessage:
    """Return a test message, which says that it is one and is about no fact."""
    data = {
        "id": identity,
        "kind": TEST,
        "time": rfc3339(at),
        "words": "this is a test of Interlock: nothing has happened, and you need not do anything",
        "links": {"interlock": configuration.web.public_url},
    }
    return OutboundMessage(identity, TEST, dump(data))


def rfc3339(at: float) -> str:
    """Format a time (seconds since the epoch) by RFC 3339: `2026-11-29T21:05:09.120Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dump(data: Json) -> bytes:
    """Encode JSON values as the bytes that are signed and sent."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _data(recorded: RecordedFact) -> Json:
    """Return the message of the fact as the log stores it: `kind` and its fields; a verbatim message as `text`."""
    why = json.loads(dump_recorded_fact(recorded))["fact"]["why"]
    return why if isinstance(why, dict) else {"kind": "Verbatim", "text": why}


def _links(configuration: Configuration, pipeline: Pipeline, fact: Fact) -> dict[str, str]:
    page = f"{configuration.web.public_url}/p/{pipeline.name}"
    links = {"pipeline": page}
    if fact.run is not None and (fact.step is None or fact.step.track is not Track.VERIFY):
        links["run"] = f"{page}/runs/{quote(fact.run)}"
    job = pipeline.job(fact.step.stage, fact.step.track) if fact.step is not None else None
    if job is not None and fact.build is not None and job.controller in configuration.controllers:
        links["build"] = configuration.controllers[job.controller].build_url(job.name, fact.build)
    service = pipeline.service(fact.service) if fact.service is not None else None
    if service is not None:
        links["repository"] = f"{configuration.github.web_url}/{service.repository}"
        if fact.sha is not None:
            links["commit"] = f"{links['repository']}/commit/{fact.sha}"
    return links
