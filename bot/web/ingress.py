"""The webhook ingress: verifies deliveries of GitHub and Jenkins, stores them in one round trip, and answers.

It decides nothing. A delivery that does not concern a configured service or job is answered with success and not
stored.

GitHub signs (X-Hub-Signature-256). Jenkins' notification plugin cannot sign; it authenticates by a secret, as the last
part of the address (/webhooks/jenkins/cdp/SECRET), as the password of HTTP Basic (https://any:SECRET@host/...), or as a
Bearer token. Give the address to the plugin as a SECRET one: PUBLIC ones are printed in every build's log. The
CloudEvents plugin, and services that forward its events, call the same address.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog
from flask import Blueprint, Response, current_app, request
from redis.exceptions import RedisError

from bot.core.model.events import CommandSaid
from bot.core.model.pipeline import Pipeline, Service
from bot.github import webhooks as github_webhooks
from bot.health.contacts import CALLBACKS
from bot.jenkins import callbacks
from bot.payloads import number, text
from bot.runtime import Runtime
from bot.store.inbox import Accepted
from bot.web import bodies
from bot.web.bodies import MOST_FROM_GITHUB, MOST_FROM_JENKINS, Admission, is_signature
from bot.web.problems import Problem, unknown
from bot.web.shared import WakeUp
from config.configuration import Configuration

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

#: The path below which every webhook is.
BELOW = "/webhooks"
webhooks = Blueprint("webhooks", __name__, url_prefix=BELOW)

#: The longest event name or delivery id that is accepted.
LONGEST_NAME = 200
#: The media type of a CloudEvent with its attributes in the body, beside its data.
STRUCTURED = "application/cloudevents+json"
#: The reason to ignore a delivery whose repository has a configured name but another id.
TAKEN = "another repository has the name of a configured one by now"
#: The answer to a delivery while the store does not accept any.
DELIVER_AGAIN = "the store cannot be reached at the moment: deliver it again"

_ANSWERS = {
    Accepted.DUPLICATE: b'{"status":"duplicate"}',
    Accepted.KEPT: b'{"status":"kept"}',
    Accepted.WAKE_UP: b'{"status":"kept"}',
}


@dataclass(frozen=True, slots=True)
class WebhookIngress:
    """The objects that every delivery needs: the runtime, the admission and the wake-ups."""

    runtime: Runtime
    admission: Admission
    wake_up: WakeUp
    #: By the name of a configured repository, the id of another one that has this name now, if that was logged.
    taken: dict[str, int] = field(default_factory=dict)


def in_front(webhooks: WSGIApplication, others: WSGIApplication) -> WSGIApplication:
    """Return the WSGI application that passes webhooks to the first application, and every other request on."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_webhook = environ.get("PATH_INFO", "").startswith(f"{BELOW}/")
        return (webhooks if is_webhook else others)(environ, start_response)

    return answer


@webhooks.post("/github")
def take_from_github() -> Response:
    """Accept one delivery of GitHub."""
    ingress: WebhookIngress = current_app.extensions["interlock-ingress"]
    signature = _signature()
    body = bodies.raw(MOST_FROM_GITHUB)
    _verify(ingress, signature, body)
    event, delivery = _name("X-GitHub-Event"), _name("X-GitHub-Delivery")
    # GitHub sends a form if the webhook's content type was not set to JSON. A body of this type without the field is
    # JSON with a wrong label.
    if request.mimetype == bodies.FORM and body.startswith(b"payload="):
        body = _form_payload(body)
    payload = bodies.json_object(body)
    if event == "ping":
        return _say(200, b'{"status":"pong"}')
    said = github_webhooks.read_commands(event, payload, body)
    if said is not None:
        return _command(ingress, event, payload, said, body)
    found = [_place(ingress, event, payload, target) for target in github_webhooks.target_branches(event, payload)]
    if not found:
        return _ignored(f"{event} moves no main branch, and no pull request")
    places = dict(place for place in found if not isinstance(place, str))
    answers = [_keep(ingress, p, "github", name, delivery, body) for p, name in places.items()]
    return answers[0] if answers else _ignored(next(why for why in found if isinstance(why, str)))


@webhooks.post("/jenkins", defaults={"controller": "", "secret": ""})
@webhooks.post("/jenkins/<controller>", defaults={"secret": ""})
@webhooks.post("/jenkins/<controller>/<path:secret>")
def take_from_jenkins(controller: str, secret: str) -> Response:
    """Accept one callback of Jenkins. Without a name in the address there must be only one controller."""
    ingress: WebhookIngress = current_app.extensions["interlock-ingress"]
    if not ingress.admission.knows_jenkins(
        secret.encode("utf-8", "surrogatepass"), request.headers.get("Authorization", "")
    ):
        _note_refused(ingress.runtime, controller)
        raise Problem(401, "the secret is missing or wrong")
    controller = _controller(ingress.runtime.configuration, controller)
    ingress.runtime.contacts.note(CALLBACKS, controller, None)
    body = bodies.raw(MOST_FROM_JENKINS)
    # Release 1.0.0 of the CloudEvents plugin sends nothing at all as the data of an event about a job.
    payload = bodies.json_object(body) if body or "ce-specversion" not in request.headers else {}
    event, data = callbacks.cloud_event(_event_headers(), payload), callbacks.data_of(payload)
    if event is None and request.mimetype == STRUCTURED:
        raise Problem(400, "a CloudEvent needs specversion, type, source and id")
    if event is not None and not data:
        return _ignored("the CloudEvent has no data")
    if event is not None and event.is_about_the_queue:
        return _ignored("an event about the queue names no build")
    job, build = callbacks.job_of(data), callbacks.build_of(data)
    known = ingress.runtime.configuration.jobs.get((controller, job))
    if known is None:
        return _ignored("no stage has this job")
    if build is None:
        return _ignored("no build is named")
    if callbacks.is_queued(data):
        return _ignored("QUEUED comes with STARTED, which says more")
    about, kept = (controller, job, str(build)), callbacks.reduced(data)
    delivery = _event_id(about, event) if event is not None and event.id else _callback_id(about, kept)
    return _keep(ingress, known[0], "jenkins", controller, delivery, json.dumps(kept).encode())


def _place(
    ingress: WebhookIngress, event: str, payload: dict[str, Any], target: github_webhooks.TargetBranch
) -> tuple[str, str] | str:
    """Return the pipeline that stores a delivery about a branch, and its name there; or why it is ignored."""
    known, name = ingress.runtime.configuration.service_for(target.repository, target.branch), event
    taken = known is not None and _is_taken(ingress, payload, target.repository)
    if known is None or taken:
        known = _renamed(ingress, payload, target.branch)
        if known is None:
            return TAKEN if taken else "no configured service has this repository and branch"
        name = f"{event} {known[1].repository}"  # for the turn, which knows only the names in the file
    pipeline, service = known
    heard = pipeline.hears_of_pulls(service.name) if target.open else pipeline.verifies(service.name)
    if target.verified and not heard:
        return f"pull requests of {service.name} are not verified"
    return pipeline.name, name


def _command(ingress: WebhookIngress, event: str, payload: dict[str, Any], said: CommandSaid, body: bytes) -> Response:
    """Store a command once, however often it is delivered, in each pipeline that has a service in its repository."""
    taken = _is_taken(ingress, payload, said.repository)
    names = [*([] if taken else [said.repository]), *_former_names(ingress, payload)]
    found = ((name, ingress.runtime.configuration.pipelines_of(name)) for name in names)
    known, pipelines = next(((name, found) for name, found in found if found), ("", ()))
    if not pipelines:
        return _ignored(TAKEN if taken else "no configured service has this repository")
    pipelines = tuple(p for p in pipelines if ingress.runtime.configuration.access(p.name).commands)
    if not pipelines:
        return _ignored("the pipeline file turns commands at GitHub off")
    kept_as = event if known == said.repository else f"{event} {known}"
    answers = [_keep(ingress, p.name, "github", kept_as, said.key, body) for p in pipelines]
    return answers[0]


def _renamed(ingress: WebhookIngress, payload: dict[str, Any], branch: str) -> tuple[Pipeline, Service] | None:
    """Return the service of a repository that was renamed or transferred since the file was written, by its id."""
    found = (ingress.runtime.configuration.service_for(name, branch) for name in _former_names(ingress, payload))
    return next((known for known in found if known is not None), None)


def _is_taken(ingress: WebhookIngress, payload: dict[str, Any], name: str) -> bool:
    """Return whether the name of the configured repository now belongs to another one.

    This happens if ours was renamed, transferred or deleted, because anybody could then make a repository with the free
    name.
    """
    identity = number(payload, "repository", "id")
    try:
        known = None if identity is None else ingress.runtime.repositories.get(name)
    except RedisError as error:
        raise Problem(503, DELIVER_AGAIN) from error
    if identity is None or known is None or known.id == identity:
        ingress.taken.pop(name, None)
        return False
    if ingress.taken.get(name) == identity:
        return True
    ingress.taken[name] = identity
    mend = "give ours its present name in the pipeline file; see docs/github.md, What goes wrong"
    log.error("repository-name-taken", configured=name, present=known.present, id=known.id, other=identity, mend=mend)
    return True


def _former_names(ingress: WebhookIngress, payload: dict[str, Any]) -> list[str]:
    """Return the names that the file has, or had, for the repository of a delivery, if its id is known."""
    identity = number(payload, "repository", "id")
    try:
        return [] if identity is None else ingress.runtime.repositories.of_id(identity)
    except RedisError as error:
        raise Problem(503, DELIVER_AGAIN) from error


def _signature() -> bytes:
    """Return the signature of the request.

    Raises Problem (401) before the body is read, because nothing in an unsigned body counts.
    """
    given: str = request.environ.get("HTTP_X_HUB_SIGNATURE_256", "")
    if not given:
        raise Problem(401, "the signature is missing (X-Hub-Signature-256)")
    if not is_signature(given):
        raise Problem(401, "the signature (X-Hub-Signature-256) is not `sha256=` and 64 hexadecimal digits")
    return given.encode()


def _verify(ingress: WebhookIngress, signature: bytes, body: bytes) -> None:
    """Compare the signature with every secret, in constant time (GitHub docs: validating webhooks).

    Raises Problem (401) if none fits.
    """
    right = False
    for secret in ingress.admission.github_secrets:
        wanted = b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()
        right |= hmac.compare_digest(signature, wanted)
    if not right:
        raise Problem(401, "the signature does not fit the body")


def _name(header: str) -> str:
    value = request.headers.get(header, "")
    if not value or len(value) > LONGEST_NAME or not value.isascii() or not value.isprintable():
        what = "is missing" if not value else "is not plain text of a sensible length"
        raise Problem(400, f"the header {header} {what}")
    return value


def _form_payload(body: bytes) -> bytes:
    """Return the JSON in the form that GitHub sends if a webhook's content type is not set to JSON."""
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=4, errors="strict")
    except ValueError as error:
        raise Problem(400, "the body is not a form with one field, payload") from error
    return fields["payload"][0].encode()


def _event_headers() -> dict[str, str]:
    """Return the headers with the attributes of a CloudEvent in binary mode, by their lower-case names."""
    return {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("ce-")}


def _controller(configuration: Configuration, name: str) -> str:
    controllers = configuration.controllers
    if name in controllers:
        return name
    if not name and len(controllers) == 1:
        return next(iter(controllers))
    if not name:
        names = ", ".join(sorted(controllers))
        raise Problem(404, f"name the controller in the address: /webhooks/jenkins/NAME, one of {names}")
    raise unknown("Jenkins controller", name, controllers)


def _note_refused(runtime: Runtime, controller: str) -> None:
    """Record a callback without a right secret if its address names one of our controllers, because it may be ours."""
    controllers = runtime.configuration.controllers
    name = controller or (next(iter(controllers)) if len(controllers) == 1 else "")
    if name in controllers:
        runtime.contacts.note(CALLBACKS, name, "the secret is missing or wrong")


def _callback_id(about: tuple[str, ...], kept: dict[str, Any]) -> str:
    """Return an id that tells callbacks apart, because the plugin may repeat a callback, and gives it no id.

    Source: notification plugin, com.tikal.hudson.plugins.notification.Phase; each phase has a time of its own, which
    also tells a build from an earlier one of the same number (of a job that was made anew). A call without a phase,
    such as a plain `curl` from a Jenkinsfile, looks the same at start and end, so each such call counts.
    """
    phase = text(kept, "build", "phase")
    if not phase:
        return uuid.uuid4().hex
    return hashlib.sha256(_joined(*about, phase, str(number(kept, "build", "timestamp")))).hexdigest()


def _event_id(about: tuple[str, ...], event: callbacks.CloudEvent) -> str:
    """Return the id of an event, from its source and id, which a repeated event keeps (CloudEvents 1.0: id).

    The plugin's sources are display names, which jobs in two folders and on two controllers may share, so the subject
    of the event is part of the id as well.
    """
    return hashlib.sha256(_joined("cloudevent", *about, event.source, event.id)).hexdigest()


def _joined(*fields: str) -> bytes:
    return "\0".join(fields).encode("utf-8", "surrogatepass")


def _keep(ingress: WebhookIngress, pipeline: str, source: str, name: str, delivery: str, body: bytes) -> Response:
    context = ingress.runtime.pipelines[pipeline]
    try:
        accepted = context.inbox.accept(source, name, delivery, body)
    except RedisError as error:
        raise Problem(503, DELIVER_AGAIN) from error
    log.debug("delivery-kept", source=source, name=name, delivery=delivery, what=accepted.name)
    if accepted is Accepted.WAKE_UP:
        ingress.wake_up(pipeline)
    return _say(202, _ANSWERS[accepted])


def _ignored(why: str) -> Response:
    log.debug("delivery-ignored", why=why)
    return _say(202, json.dumps({"status": "ignored", "why": why}).encode())


def _say(status: int, body: bytes) -> Response:
    return Response(body, status, content_type="application/json")
