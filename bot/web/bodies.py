"""Who may send what: how much of a body, judged by the head of a request alone; and the one place that reads bodies.

Who shows no secret sends nothing. The worker asks before it collects a body (buffering_worker.py), the views ask
before they read one, whole and never beyond a limit. What a person may send stands here too, with every check.
"""

from __future__ import annotations

import hmac
import re
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast
from urllib.parse import parse_qsl

from flask import g, request
from gunicorn.http.errors import ParseException
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bot.core.access import Scope
from bot.core.end_time import read_end_time
from bot.core.model.pipeline import Mode
from bot.payloads import Unreadable, read_object
from bot.store.tokens import Tokens, is_token
from bot.web.problems import Problem
from config.settings import Settings

#: GitHub sends at most 25 MiB (GitHub docs: webhook events and payloads).
MOST_FROM_GITHUB = 26 << 20
#: What a callback of Jenkins says takes a few KiB; with the lines of a log in it, it may be large.
MOST_FROM_JENKINS = 1 << 20
#: A request to the API is a few words.
MOST_FROM_PEOPLE = 64 << 10
LONGEST_TOKEN = 1_000

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}\Z")
_GITHUB, _JENKINS, _API, _PAGES = "/webhooks/github", "/webhooks/jenkins", "/api/", "/p/"
#: The forms that anybody may send, and how much of one is read: a token, the token of the form, where to go on.
SIGNING, MOST_OF_A_SIGN_IN = ("/sign-in/token", "/sign-out"), 4 << 10


class Admission:
    """Knows the secrets, and compares them in a time that says nothing about them."""

    def __init__(self, settings: Settings, proxy_header: str = "") -> None:
        """`proxy_header`: the header in which the proxy names people, if there is one.

        Raises SettingsError if a secret is missing: without one, anybody could send deliveries."""
        self._settings = settings
        self._proxy_header = proxy_header.lower()
        self.github_secrets = tuple(s.get_secret_value().encode() for s in settings.need_github_webhook_secrets())
        #: Whether a request comes with a cookie that we have signed, by its header; without sign-in none does.
        self.is_signed_in: Callable[[str], bool] = lambda _: False
        self._jenkins_secrets = tuple(s.get_secret_value().encode() for s in settings.need_jenkins_webhook_secrets())

    def body_limit(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """The most bytes of a body that are read of this request; 0: none. Names of headers in lower case."""
        if method != "POST":
            return 0
        if path == _GITHUB:
            return MOST_FROM_GITHUB if is_signature(headers.get("x-hub-signature-256", "")) else 0
        authorization = headers.get("authorization", "")
        if path == _JENKINS or path.startswith(_JENKINS + "/"):
            in_path = path.removeprefix(_JENKINS).removeprefix("/").partition("/")[2]
            return MOST_FROM_JENKINS if self.knows_jenkins(in_path.encode("latin-1"), authorization) else 0
        if path in SIGNING:
            return MOST_OF_A_SIGN_IN
        if path.startswith((_API, _PAGES)):
            return MOST_FROM_PEOPLE if self._may_act(authorization, headers) else 0
        return 0

    def _may_act(self, authorization: str, headers: Mapping[str, str]) -> bool:
        """Whether somebody may be known by this: a token, our cookie, or what the proxy says."""
        by_proxy = bool(self._proxy_header) and self._proxy_header in headers
        return by_proxy or self.may_have_token(authorization) or self.is_signed_in(headers.get("cookie", ""))

    def knows_jenkins(self, in_path: bytes, authorization: str) -> bool:
        """Whether a callback brings one of the secrets: at the end of its path, or in its Authorization header."""
        given = in_path or _given(authorization)
        known = False
        for secret in self._jenkins_secrets:
            known |= hmac.compare_digest(given, secret)
        return known

    def may_have_token(self, authorization: str) -> bool:
        """Whether this Authorization header brings a token of the environment, or one of the form that we make.

        The store is not asked here, in the loop that collects requests: whether there is such a token, a view asks.
        """
        token = bearer(authorization)
        return 0 < len(token) <= LONGEST_TOKEN and (is_token(token) or self._settings.who(token) is not None)


def is_signature(text: str) -> bool:
    """Whether a text has the form of a signature (GitHub docs: validating webhook deliveries)."""
    return _SIGNATURE.match(text) is not None


def bearer(authorization: str) -> str:
    """The token of an Authorization header, or nothing."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _given(authorization: str) -> bytes:
    """The secret in an Authorization header: a Bearer token, or the password of HTTP Basic (any user)."""
    kind, _, value = authorization.partition(" ")
    given = value.strip().encode("latin-1", "replace")
    if kind.lower() == "basic":
        try:
            return b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return given if kind.lower() == "bearer" else b""


#: How a browser sends a form, and the most fields that one of ours has; a person may change it to more.
FORM, MOST_FIELDS = "application/x-www-form-urlencoded", 100

AnyBody = TypeVar("AnyBody", bound="RequestBody")
AnyAction = TypeVar("AnyAction", bound="ActionBody")


def _whole(value: object) -> object:
    """`1.0` is a whole number, as JSON Schema has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_line(text: str) -> str:
    """A sentence that may be shown anywhere: something printable, on one line."""
    text = text.strip()
    if not text:
        raise PydanticCustomError("empty", "say why: it is shown to everybody who waits")
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "it holds a line break or another character that is not printable")
    return text


def _until(value: object) -> float:
    """The moment in the year to come that `read_end_time` finds; where it has no zone, in UTC."""
    moment = read_end_time(value, time.time()) if isinstance(value, str) and len(value) <= 40 else None
    if moment is None:
        words = "a time (16:00, 2026-12-01T18:00; UTC if it has no zone such as +01:00) or a duration (90m, 2h, 3d)"
        raise PydanticCustomError("until", "expected {words}, within the year to come", {"words": words})
    return moment


_WORDS = {
    "type": "string",
    "format": "one-line",
    "minLength": 1,
    "maxLength": 500,
    "description": "Why, for everybody who waits: printable, on one line.",
}
_UNTIL = {
    "type": "string",
    "format": "until",
    "maxLength": 40,
    "description": "When it ends by itself, within a year: a time (UTC if it has no zone), or a duration from now.",
    "examples": ["2026-12-01T18:00:00Z", "16:00", "90m", "2h", "3d"],
}
Words = Annotated[str, Field(max_length=500), AfterValidator(_one_line), WithJsonSchema(_WORDS)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class RequestBody(BaseModel):
    """What every request has: a reason."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Words


class ActionBody(RequestBody):
    """What a turn decides. With `dry_run` nothing is kept: the answer is what it would lead to."""

    dry_run: bool = False


class LockBody(ActionBody):
    """Close a stage."""

    let_fixes_in: bool = False
    until: Annotated[float, BeforeValidator(_until), WithJsonSchema(_UNTIL)] | None = None


class UnlockBody(ActionBody):
    """Open the lock of a stage; of several the one that is named, or all."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": ["lock", "all"],
                "properties": {"lock": {"type": "string"}, "all": {"const": True}},
            }
        }
    )

    lock: Name | None = None
    every: Annotated[bool, Field(alias="all")] = False

    @model_validator(mode="after")
    def _one_or_all(self) -> UnlockBody:
        if self.lock is not None and self.every:
            raise PydanticCustomError("both", "name one lock, or ask for all, not both")
        return self


class WatchBody(ActionBody):
    """Be told when a stage opens."""

    reason: Words = "to be told when it opens"


class FastLaneBody(ActionBody):
    """Send the head of main on the fast lane, into `stage` even if it is locked."""

    stage: Name | None = None


class ModeBody(ActionBody):
    """Run, pause, or only observe."""

    mode: Annotated[Mode, BeforeValidator(lambda value: Mode(value) if value in list(Mode) else value)]


class ParkedBody(RequestBody):
    """Have another try made at a parked delivery, or drop it."""

    entry: Annotated[str, Field(min_length=1, max_length=100)]


class DeadLetterBody(RequestBody):
    """Give an effect that was given up another try, or drop it."""

    slot: Annotated[str, Field(min_length=1, max_length=1_000)]


class TokenBody(RequestBody):
    """Make an API token for `name`, which ends after so many days, if it ends."""

    reason: Words = "a token is needed"
    name: Annotated[str, Field(pattern=f"^{Tokens.NAME}$")]
    scope: Annotated[Scope, BeforeValidator(lambda value: Scope(value) if value in list(Scope) else value)]
    days: Annotated[int, Field(ge=1, le=3650), BeforeValidator(_whole)] | None = None


class RevokedBody(RequestBody):
    """Revoke the token of an id, or all of a name."""

    reason: Words = "a token is not needed any more"
    which: Name


def raw(most: int) -> bytes:
    """The body of the present request, byte for byte.

    Raises Problem: 413 if it is larger than `most` bytes, before reading if its length was announced; 400 if it ends
    early or its chunks make no sense.
    """
    stream = request.environ["wsgi.input"]
    chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    length = most + 1 if chunked else request.content_length or 0
    if length > most and not chunked:
        raise _too_large(most)
    try:
        body: bytes = stream.read(length)  # at once: werkzeug's bounded stream copies it several times
    except (ParseException, OSError) as error:  # gunicorn: a malformed chunk or trailer; the client is gone
        raise Problem(400, "the body is broken: its chunks make no sense, or it ends early") from error
    if len(body) > most:
        raise _too_large(most)
    if not chunked and len(body) != length:
        raise Problem(400, f"the body has ended after {len(body)} of {length} bytes")
    return body


def _too_large(most: int) -> Problem:
    size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
    return Problem(413, f"the body is too large: at most {size} are taken here")


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises Problem (400) with what is wrong."""
    try:
        return read_object(body)
    except Unreadable as error:
        raise Problem(400, str(error)) from error


def form() -> Mapping[str, str]:
    """The fields of the form that the present request sends, of two with one name the first; empty if it sends none.

    Raises Problem: 413 if it is too large, 400 if it is broken or no form.
    """
    if "interlock_form" not in g:
        g.interlock_form = _fields() if request.mimetype == FORM else {}
    return cast("Mapping[str, str]", g.interlock_form)


def _fields() -> dict[str, str]:
    body = raw(MOST_OF_A_SIGN_IN if request.path in SIGNING else MOST_FROM_PEOPLE)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:  # no UTF-8, or too many fields
        raise Problem(400, "the body is not a form as a page of ours sends it") from error
    return dict(reversed(pairs))


def read(kind: type[AnyBody]) -> AnyBody:
    """What a person asks for in the present request. Raises Problem (400 if it is no JSON object, 413, 415; 422 with
    every mistake in it)."""
    body = raw(MOST_FROM_PEOPLE)
    if body and not request.is_json:
        raise Problem(415, "the body is JSON: send it with `Content-Type: application/json`")
    return checked(kind, json_object(body or b"{}"))


def checked(kind: type[AnyBody], data: dict[str, Any]) -> AnyBody:
    """What a person asks for, from what they gave. Raises Problem (422) with every mistake in it."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        mistakes = [_mistake(details) for details in error.errors(include_url=False, include_input=False)]
        first = mistakes[0]
        raise Problem(422, f"{first['field']}: {first['what']}", errors=mistakes[:20]) from error


def _mistake(details: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in details["loc"])[:100] or "body"
    return {"field": field, "what": details["msg"]}
