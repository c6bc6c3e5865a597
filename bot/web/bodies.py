"""The bodies of requests: the one place that reads them, whole and never beyond a limit; and what a person may send,
with every check."""

from __future__ import annotations

import time
from collections.abc import Mapping
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
from bot.store.tokens import Tokens
from bot.web.admission import MOST_FROM_PEOPLE, MOST_OF_A_SIGN_IN, SIGNING
from bot.web.problems import Problem

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
