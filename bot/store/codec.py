"""Records, events, effects and facts as JSON, and back: pydantic reads and writes the frozen values of the core.

A message is an object with the name of its class as `kind`. A text is taken verbatim: a person wrote it, or an older
schema had written it before it was read. The core knows no pydantic, so what pydantic has to know of `Message` is told
to it here, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic_core import core_schema

from bot.core.model import github_messages, messages, refusals, stage_messages
from bot.core.model.board_records import FAMILIES, CleanUp, Counters, Header, Pulls, Record, ServiceState
from bot.core.model.effects import Effect
from bot.core.model.events import Event
from bot.core.model.facts import Fact
from bot.core.model.messages import Message, Verbatim
from bot.core.model.run import Run, Verification
from bot.core.model.stage_state import FollowUp, Lock, PastBuild, StageBackoff, StageVersion, UnmanagedBuild
from bot.core.rules.decision import Ended

_MESSAGES = {
    kind.__name__: kind
    for module in (messages, stage_messages, github_messages, refusals)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message)
}


@cache
def _message_adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_MESSAGES[kind])


def _load_message(value: Any) -> Message:
    """The message in a decoded value. Raises ValueError (also pydantic.ValidationError) if it is none of ours."""
    if isinstance(value, Message):
        return value
    if isinstance(value, str):
        return Verbatim(value)
    if not isinstance(value, dict) or value.get("kind") not in _MESSAGES:
        raise ValueError("no message that this version knows")
    fields = {name: each for name, each in value.items() if name != "kind"}
    if "whose" in fields:
        fields |= _whose(fields.pop("whose"))
    loaded: Message = _message_adapter(value["kind"]).validate_python(fields)
    return loaded


def _whose(text: str) -> dict[str, Any]:
    """What schema 4 stored of whose build is meant as text: `S1 1234567`, or `a second build of S1.1`."""
    _, second, run = text.partition("a second build of ")
    service, _, sha = text.rpartition(" ")
    return {"who": None, "repeats": run} if second else {"who": {"service": service, "sha": sha}, "repeats": ""}


def _dump_message(message: Message) -> Any:
    if isinstance(message, Verbatim):
        return message.text
    kind = type(message).__name__
    return {"kind": kind, **_message_adapter(kind).dump_python(message, mode="json", exclude_defaults=True)}


def _message_schema(source: Any, handler: Any) -> core_schema.CoreSchema:
    if source is not Message:
        of_kind: core_schema.CoreSchema = handler(source)
        return of_kind
    serialization = core_schema.plain_serializer_function_ser_schema(_dump_message)
    return core_schema.no_info_plain_validator_function(_load_message, serialization=serialization)


def teach_pydantic() -> None:
    """Have pydantic read and write every field that is a `Message` as these functions say."""
    messages.Message.__get_pydantic_core_schema__ = staticmethod(_message_schema)  # type: ignore[attr-defined]


teach_pydantic()

_KINDS = (
    Header,
    Counters,
    Run,
    Verification,
    Pulls,
    Lock,
    ServiceState,
    StageVersion,
    StageBackoff,
    UnmanagedBuild,
    PastBuild,
    CleanUp,
    FollowUp,
)
_RECORDS: dict[str, TypeAdapter[Any]] = {FAMILIES[kind]: TypeAdapter(kind) for kind in _KINDS}
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
_EFFECT: TypeAdapter[Effect] = TypeAdapter(Annotated[Effect, Field(discriminator="kind")])
_ENDED: TypeAdapter[Ended] = TypeAdapter(Ended)


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """A fact with when it was decided (seconds since the epoch) and the inbox entry that led to it."""

    at: float
    entry: str
    fact: Fact


_RECORDED_FACT: TypeAdapter[RecordedFact] = TypeAdapter(RecordedFact)


#: How events end that schema 3 wrote otherwise, and what in them had another name: the inbox is not rewritten.
_EVENTS_OF_SCHEMA_3 = (
    (b'"kind":"abort-taken"}', b'"force":', b'"level":'),
    (b'"kind":"banner-amiss"}', b'"kind":"banner-amiss"}', b'"kind":"banner-overwritten"}'),
)


def field_of(record: Record) -> str:
    """The field of the board's hash that keeps a record."""
    return f"{FAMILIES[type(record)]}/{record.key}"


def dump_record(record: Record) -> str:
    """A record as JSON."""
    return _RECORDS[FAMILIES[type(record)]].dump_json(record, exclude_defaults=True).decode()


def load_record(field: str, text: bytes | str) -> Record:
    """The record kept in `field`. Raises pydantic.ValidationError if it is not of our making."""
    family = field.split("/", 1)[0]
    record: Record = _RECORDS[family].validate_json(text)
    return record


def dump_event(event: Event) -> bytes:
    """An event as JSON."""
    return _EVENT.dump_json(event)


def load_event(text: bytes) -> Event:
    """The event in `text`, whoever stored it. Raises pydantic.ValidationError if it is none."""
    for end, before, after in _EVENTS_OF_SCHEMA_3:
        if text.endswith(end):
            text = text.replace(before, after)
    return _EVENT.validate_json(text)


def dump_effect(effect: Effect) -> str:
    """An effect as JSON."""
    return _EFFECT.dump_json(effect).decode()


def load_effect(text: bytes | str) -> Effect:
    """The effect in `text`. Raises pydantic.ValidationError if it is none."""
    return _EFFECT.validate_json(text)


def dump_ended(ended: Ended) -> str:
    """A finished run as JSON."""
    return _ENDED.dump_json(ended).decode()


def load_ended(text: bytes | str) -> Ended:
    """The finished run in `text`."""
    return _ENDED.validate_json(text)


def dump_recorded_fact(recorded: RecordedFact) -> str:
    """A fact of the log as JSON."""
    return _RECORDED_FACT.dump_json(recorded).decode()


def load_recorded_fact(text: bytes | str) -> RecordedFact:
    """The fact of the log in `text`."""
    return _RECORDED_FACT.validate_json(text)
