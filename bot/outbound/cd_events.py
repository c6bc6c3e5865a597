"""Convert facts to CDEvents (https://cdevents.dev, release 0.5.1) in CloudEvents 1.0, for the kinds that have one.

Written by hand because there is no maintained SDK for Python. `tests/outbound/test_cd_events.py` checks the events
against the JSON schemas of that release. Over HTTP they are sent in CloudEvents' binary mode: the headers `ce-*`, and
the CDEvent as the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from bot.core.model.facts import FactKind
from bot.core.model.github_messages import CommitOnMain
from bot.core.model.messages import Message, Queued, RetriedAutomatically, RunFailed, StartsFast
from bot.core.model.pipeline import Outcome, Step, Track
from bot.outbound.payload import TEST, Json, OutboundFact, OutboundMessage, dump, rfc3339, shape
from config.configuration import Configuration

#: The release of CDEvents, and the version of each type of event in it.
RELEASE = "0.5.1"
VERSION = "0.3.0"

_OUTCOMES = {
    Outcome.SUCCESS: "success",
    Outcome.UNSTABLE: "failure",
    Outcome.FAILURE: "failure",
    Outcome.TIMEOUT: "failure",
    Outcome.ABORTED: "cancel",
    Outcome.NOT_BUILT: "cancel",
}


@dataclass(frozen=True, slots=True)
class CDEvent:
    """One event: its type without prefix and version (`taskrun.finished`), and its subject with content."""

    type: str
    subject: str
    content: Json = field(default_factory=dict)
    #: The source of the subject's id, if not our page of the pipeline.
    source: str = ""


def messages(told: OutboundFact) -> list[OutboundMessage]:
    """Return the posts about a fact: none if CDEvents has no event for it."""
    return [_message(told, event) for event in events(told)]


def trial_message(configuration: Configuration, identity: str, at: float) -> OutboundMessage:
    """Return a test message as a custom CDEvent (its `custom` folder), because CDEvents has no event for a test."""
    kind = "dev.cdeventsx.interlock-webhook.tested.0.1.0"
    source, time = configuration.web.public_url, rfc3339(at)
    body: Json = {
        "context": {"specversion": RELEASE, "id": identity, "source": source, "type": kind, "timestamp": time},
        "subject": {"id": TEST, "source": source, "content": {}},
    }
    return OutboundMessage(identity, kind, dump(body), _headers(identity, source, kind, TEST, time))


def events(told: OutboundFact) -> list[CDEvent]:
    """Return the events for a fact."""
    made = _EVENTS.get(told.fact.kind)
    return [] if made is None else list(made(told))


def _message(told: OutboundFact, event: CDEvent) -> OutboundMessage:
    identity, kind = f"{told.identity}/{event.type}", f"dev.cdevents.{event.type}.{VERSION}"
    source = told.links["pipeline"]
    context: Json = {"specversion": RELEASE, "id": identity, "source": source, "type": kind, "timestamp": told.time}
    if told.fact.run is not None:
        context["chainId"] = f"{told.pipeline.name}/{told.fact.run}"
    subject = {"id": event.subject, "source": event.source or source, "content": event.content}
    body = {
        "context": context,
        "subject": subject,
        "customData": {"interlock": shape(told)},
        "customDataContentType": "application/json",
    }
    return OutboundMessage(identity, kind, dump(body), _headers(identity, source, kind, event.subject, told.time))


def _headers(identity: str, source: str, kind: str, subject: str, time: str) -> dict[str, str]:
    """Return the context of a CloudEvent in binary mode (CDEvents: cloudevents-binding.md)."""
    return {
        "ce-specversion": "1.0",
        "ce-id": identity,
        "ce-source": source,
        "ce-type": kind,
        "ce-subject": subject,
        "ce-time": time,
    }


# -- the kinds of facts --------------------------------------------------------------------------------------------


def _merged(told: OutboundFact) -> Iterator[CDEvent]:
    fact, why = told.fact, told.fact.why
    pull = why.pull if isinstance(why, CommitOnMain) else None
    service = told.pipeline.service(fact.service or "")
    source = told.links.get("repository", "")
    content = {"repository": {"id": service.repository, "source": source}} if service is not None else {}
    yield CDEvent("change.merged", str(pull) if pull is not None else str(fact.sha), content, source)


def _queued(told: OutboundFact) -> Iterator[CDEvent]:
    """Yield the event that a pipeline run is queued if the run joins its first queue, not for a later one."""
    why = told.fact.why
    first = Step(told.pipeline.stages[0].name)
    if isinstance(why, StartsFast) or (isinstance(why, Queued) and why.step == first):
        yield CDEvent("pipelinerun.queued", str(told.fact.run), _of_pipeline(told))


def _admitted(told: OutboundFact) -> Iterator[CDEvent]:
    step = told.fact.step
    if step is not None and step.stage == told.pipeline.stages[0].name:
        yield CDEvent("pipelinerun.started", str(told.fact.run), _of_pipeline(told))


def _ended(outcome: str) -> Callable[[OutboundFact], Iterator[CDEvent]]:
    def made(told: OutboundFact) -> Iterator[CDEvent]:
        errors = {} if outcome == "success" else {"errors": told.words}
        yield CDEvent("pipelinerun.finished", str(told.fact.run), {**_of_pipeline(told), "outcome": outcome, **errors})

    return made


def _build_started(told: OutboundFact) -> Iterator[CDEvent]:
    yield CDEvent("taskrun.started", _task(told), _of_task(told))


def _build_passed(told: OutboundFact) -> Iterator[CDEvent]:
    yield CDEvent("taskrun.finished", _task(told), {**_of_task(told), "outcome": "success"})
    step, service = told.fact.step, told.pipeline.service(told.fact.service or "")
    stage = told.pipeline.stage(step.stage) if step is not None and step.track is Track.REAL else None
    if stage is not None and stage.environment and service is not None:
        content = {"environment": {"id": stage.environment}, "artifactId": _artifact(told, service.repository)}
        yield CDEvent("service.deployed", service.name, content)


def _artifact(told: OutboundFact, repository: str) -> str:
    """Return the commit as a package URL (purl, type `github`), with the repository's address unless on github.com."""
    address = told.links.get("repository", "")
    elsewhere = "" if address.startswith("https://github.com/") else f"?repository_url={quote(address, safe=':/')}"
    return f"pkg:github/{repository.lower()}@{told.fact.sha}{elsewhere}"


def _build_failed(told: OutboundFact) -> Iterator[CDEvent]:
    content = {**_of_task(told), "outcome": _outcome(told.fact.why), "errors": told.words}
    yield CDEvent("taskrun.finished", _task(told), content)


def _lock(predicate: str) -> Callable[[OutboundFact], Iterator[CDEvent]]:
    def made(told: OutboundFact) -> Iterator[CDEvent]:
        """Yield an incident for a lock by a failure; a lock of a person or a freeze is not an incident."""
        fact = told.fact
        if fact.step is None or fact.run is None or fact.service is None:
            return
        stage = told.pipeline.stage(fact.step.stage)
        environment = (stage.environment if stage is not None else "") or fact.step.stage
        content = {
            "description": told.words,
            "environment": {"id": environment},
            "service": {"id": fact.service},
        }
        yield CDEvent(f"incident.{predicate}", f"{fact.step.stage}/{fact.run}", content)

    return made


def _outcome(why: Message) -> str:
    failed = why.failed if isinstance(why, RetriedAutomatically) else why
    if not isinstance(failed, RunFailed):
        return "failure"
    return "error" if failed.lost else _OUTCOMES[failed.outcome]


def _task(told: OutboundFact) -> str:
    """Return the id of a build: `S1.4/pre-production/17`."""
    fact = told.fact
    build = f"/{fact.build}" if fact.build is not None else ""
    return f"{fact.run}/{fact.step}{build}"


def _of_task(told: OutboundFact) -> Json:
    fact = told.fact
    content: Json = {"taskName": str(fact.step)}
    if "build" in told.links:
        content["uri"] = told.links["build"]
    if fact.step is not None and fact.step.track is not Track.VERIFY:
        content["pipelineRun"] = {"id": str(fact.run), "source": told.links["pipeline"]}
    return content


def _of_pipeline(told: OutboundFact) -> Json:
    return {"pipelineName": told.pipeline.name, "uri": told.links.get("run", told.links["pipeline"])}


_EVENTS: dict[FactKind, Callable[[OutboundFact], Iterator[CDEvent]]] = {
    FactKind.MERGE_ACCEPTED: _merged,
    FactKind.RUN_QUEUED: _queued,
    FactKind.RUN_ADMITTED: _admitted,
    FactKind.BUILD_STARTED: _build_started,
    FactKind.BUILD_PASSED: _build_passed,
    FactKind.BUILD_REPEATED: _build_failed,
    FactKind.BUILD_FAILED: _build_failed,
    FactKind.RUN_DELIVERED: _ended("success"),
    FactKind.RUN_FAILED: _ended("failure"),
    FactKind.RUN_SUPERSEDED: _ended("cancel"),
    FactKind.RUN_CANCELLED: _ended("cancel"),
    FactKind.RUN_DROPPED: _ended("cancel"),
    FactKind.STAGE_LOCKED: _lock("detected"),
    FactKind.STAGE_UNLOCKED: _lock("resolved"),
}
