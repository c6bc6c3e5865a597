"""The limits of request bodies, judged by the head of a request alone, and the only functions that read bodies.

A sender without a secret may send no body. The worker asks for the limit before it collects a body
(buffering_worker.py), and the views read a body whole and never beyond the limit. The models of the bodies are here
too, with every check.
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
#: A callback of Jenkins takes a few KiB; with lines of a log it may be large.
MOST_FROM_JENKINS = 1 << 20
#: A request to the API is a few words long.
MOST_FROM_PEOPLE = 64 << 10
LONGEST_TOKEN = 1_000

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}\Z")
_GITHUB, _JENKINS, _API, _PAGES = "/webhooks/github", "/webhooks/jenkins", "/api/", "/p/"
#: The forms that anybody may send, and their largest size: an API token, the form's token, the next address.
SIGNING, MOST_OF_A_SIGN_IN = ("/sign-in/token", "/sign-out"), 4 << 10


class Admission:
    """The check of secrets, in constant time."""

    def __init__(self, settings: Settings, proxy_header: str = "") -> None:
        """Take the secrets from the settings.

        `proxy_header`: the header in which the proxy names people, if there is one. Raises SettingsError if a secret is
        missing, because anybody could then send deliveries.
        """
        self._settings = settings
        self._proxy_header = proxy_header.lower()
        self.github_secrets = tuple(s.get_secret_value().encode() for s in settings.need_github_webhook_secrets())
        #: Returns whether a request's Cookie header has a cookie that we have signed; always false without sign-in.
        self.is_signed_in: Callable[[str], bool] = lambda _: False
        self._jenkins_secrets = tuple(s.get_secret_value().encode() for s in settings.need_jenkins_webhook_secrets())

    def body_limit(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """Return the most bytes of the body to read; 0: none. Names of headers are in lower case."""
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
        """Return whether the request may identify a person: by a token, our cookie, or the proxy's header."""
        by_proxy = bool(self._proxy_header) and self._proxy_header in headers
        return by_proxy or self.may_have_token(authorization) or self.is_signed_in(headers.get("cookie", ""))

    def knows_jenkins(self, in_path: bytes, authorization: str) -> bool:
        """Return whether a callback has one of the secrets, at the end of its path or in its Authorization header."""
        given = in_path or _given(authorization)
        known = False
        for secret in self._jenkins_secrets:
            known |= hmac.compare_digest(given, secret)
        return known

    def may_have_token(self, authorization: str) -> bool:
        """Return whether this Authorization header has a token of the environment, or one in the form of ours.

        The store is not asked here, because this runs in the loop that collects requests; a view checks that the token
        exists.
        """
        token = bearer(authorization)
        return 0 < len(token) <= LONGEST_TOKEN and (is_token(token) or self._settings.who(token) is not None)


def is_signature(text: str) -> bool:
    """Return whether a text has the form of a signature (GitHub docs: validating webhook deliveries)."""
    return _SIGNATURE.match(text) is not None


def bearer(authorization: str) -> str:
    """Return the token of an Authorization header, or an empty text."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _given(authorization: str) -> bytes:
    """Return the secret in an Authorization header: a Bearer token, or the password of HTTP Basic (any user)."""
    kind, _, value = authorization.partition(" ")
    given = value.strip().encode("latin-1", "replace")
    if kind.lower() == "basic":
        try:
            return b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return given if kind.lower() == "bearer" else b""


#: The media type of a browser's form, and the most fields of one; ours have fewer, but a person may add some.
FORM, MOST_FIELDS = "application/x-www-form-urlencoded", 100

AnyBody = TypeVar("AnyBody", bound="RequestBody")
AnyAction = TypeVar("AnyAction", bound="ActionBody")


def _whole(value: object) -> object:
    """Return `1.0` as a whole number, as JSON Schema defines it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_line(text: str) -> str:
    """Return a sentence that may be shown anywhere: not empty, printable, on one line."""
    text = text.strip()
    if not text:
        raise PydanticCustomError("empty", "give a reason: everybody who waits reads it")
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "it holds a line break or another character that is not printable")
    return text


def _until(value: object) -> float:
    """Return the time within a year that `read_end_time` finds; without a zone it is in UTC."""
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
    """The body of every request: it has a reason."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Words


class ActionBody(RequestBody):
    """The body of a request that a turn decides.

    With `dry_run` nothing is stored, and the answer is the consequences.
    """

    dry_run: bool = False


class LockBody(ActionBody):
    """The request to close a stage."""

    let_fixes_in: bool = False
    until: Annotated[float, BeforeValidator(_until), WithJsonSchema(_UNTIL)] | None = None


class UnlockBody(ActionBody):
    """The request to open the lock of a stage; of several the named one, or all."""

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
    """The request for one notice when a stage opens."""

    reason: Words = "to be told when it opens"


class FastLaneBody(ActionBody):
    """The request to send the head of main on the fast lane, into `stage` even if it is locked."""

    stage: Name | None = None


class ModeBody(ActionBody):
    """The request to run, pause, or only observe."""

    mode: Annotated[Mode, BeforeValidator(lambda value: Mode(value) if value in list(Mode) else value)]


class ParkedBody(RequestBody):
    """The request to give a parked delivery another try, or to drop it."""

    entry: Annotated[str, Field(min_length=1, max_length=100)]


class DeadLetterBody(RequestBody):
    """The request to give an effect that was given up another try, or to drop it."""

    slot: Annotated[str, Field(min_length=1, max_length=1_000)]


class TokenBody(RequestBody):
    """The request to make an API token for `name`, which expires after `days`, if given."""

    reason: Words = "a token is needed"
    name: Annotated[str, Field(pattern=f"^{Tokens.NAME}$")]
    scope: Annotated[Scope, BeforeValidator(lambda value: Scope(value) if value in list(Scope) else value)]
    days: Annotated[int, Field(ge=1, le=3650), BeforeValidator(_whole)] | None = None


class RevokedBody(RequestBody):
    """The request to revoke the token with an id, or all tokens of a name."""

    reason: Words = "a token is not needed any more"
    which: Name


def raw(most: int) -> bytes:
    """Return the body of the present request, byte for byte.

    Raises Problem: 413 if it is larger than `most` bytes, before reading if its length was announced; 400 if it ends
    early or its chunks are malformed.
    """
    stream = request.environ["wsgi.input"]
    chunked = "HTTP_TRANSFER_ENCODING" in request.environ
    length = most + 1 if chunked else request.content_length or 0
    if length > most and not chunked:
        raise _too_large(most)
    try:
        body: bytes = stream.read(length)  # at once: werkzeug's bounded stream would copy it several times
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
    """Return the JSON object in a body. Raises Problem (400) with the mistake."""
    try:
        return read_object(body)
    except Unreadable as error:
        raise Problem(400, str(error)) from error


def form() -> Mapping[str, str]:
    """Return the fields of the form in the present request; empty if it has none.

    Of two fields with one name the first counts. Raises Problem: 413 if the form is too large, 400 if it is malformed.
    """
    if "interlock_form" not in g:
        g.interlock_form = _fields() if request.mimetype == FORM else {}
    return cast("Mapping[str, str]", g.interlock_form)


def _fields() -> dict[str, str]:
    body = raw(MOST_OF_A_SIGN_IN if request.path in SIGNING else MOST_FROM_PEOPLE)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:  # not UTF-8, or too many fields
        raise Problem(400, "the body is not a form as a page of ours sends it") from error
    return dict(reversed(pairs))


def read(kind: type[AnyBody]) -> AnyBody:
    """Return the checked body of the present request.

    Raises Problem: 400 if it is not a JSON object, 413, 415, and 422 with every mistake in it.
    """
    body = raw(MOST_FROM_PEOPLE)
    if body and not request.is_json:
        raise Problem(415, "the body is JSON: send it with `Content-Type: application/json`")
    return checked(kind, json_object(body or b"{}"))


def checked(kind: type[AnyBody], data: dict[str, Any]) -> AnyBody:
    """Return the checked body made from `data`. Raises Problem (422) with every mistake in it."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        mistakes = [_mistake(details) for details in error.errors(include_url=False, include_input=False)]
        first = mistakes[0]
        raise Problem(422, f"{first['field']}: {first['what']}", errors=mistakes[:20]) from error


def _mistake(details: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in details["loc"])[:100] or "body"
    return {"field": field, "what": details["msg"]}
