"""Convert records, events, effects and facts to JSON and back: pydantic reads and writes the frozen values of the core.

A message is a JSON object with the name of its class as `kind`. A JSON string stands for a verbatim message: a person
wrote it, or an older schema stored its finished text. The core does not import pydantic, so this module registers with
pydantic how a `Message` is read and written.
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
    """Return the message in a decoded value. Raises ValueError (also pydantic.ValidationError) if it is not one."""
    if isinstance(value, Message):
        return value
    if isinstance(value, str):
        return Verbatim(value)
    if not isinstance(value, dict) or value.get("kind") not in _MESSAGES:
        raise ValueError("no message that this version knows")
    fields = {name: each for name, each in value.items() if name != "kind"}
    if "whose" in fields:
        fields |= _convert_build_name(fields.pop("whose"))
    loaded: Message = _message_adapter(value["kind"]).validate_python(fields)
    return loaded


def _convert_build_name(text: str) -> dict[str, Any]:
    """Convert the text by which schema 4 named a build (`S1 1234567` or `a second build of S1.1`) to today's fields."""
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
    """Register `_load_message` and `_dump_message` with pydantic for every field of type `Message`."""
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
    """A fact, when it was decided (seconds since the epoch), and the id of the inbox entry that led to it."""

    at: float
    entry: str
    fact: Fact


_RECORDED_FACT: TypeAdapter[RecordedFact] = TypeAdapter(RecordedFact)


#: Events that schema 3 stored in another form: (how the JSON ends, text to replace, replacement). They are converted
#: here because a migration does not rewrite the inbox.
_EVENTS_OF_SCHEMA_3 = (
    (b'"kind":"abort-taken"}', b'"force":', b'"level":'),
    (b'"kind":"banner-amiss"}', b'"kind":"banner-amiss"}', b'"kind":"banner-overwritten"}'),
)


def field_of(record: Record) -> str:
    """Return the field of the board's hash in which a record is stored."""
    return f"{FAMILIES[type(record)]}/{record.key}"


def dump_record(record: Record) -> str:
    """Convert a record to JSON."""
    return _RECORDS[FAMILIES[type(record)]].dump_json(record, exclude_defaults=True).decode()


def load_record(field: str, text: bytes | str) -> Record:
    """Return the record stored in `field`. Raises pydantic.ValidationError if the text is not a valid record."""
    family = field.split("/", 1)[0]
    record: Record = _RECORDS[family].validate_json(text)
    return record


def dump_event(event: Event) -> bytes:
    """Convert an event to JSON."""
    return _EVENT.dump_json(event)


def load_event(text: bytes) -> Event:
    """Return the event in `text`, of any schema. Raises pydantic.ValidationError if it is not valid."""
    for end, before, after in _EVENTS_OF_SCHEMA_3:
        if text.endswith(end):
            text = text.replace(before, after)
    return _EVENT.validate_json(text)


def dump_effect(effect: Effect) -> str:
    """Convert an effect to JSON."""
    return _EFFECT.dump_json(effect).decode()


def load_effect(text: bytes | str) -> Effect:
    """Return the effect in `text`. Raises pydantic.ValidationError if it is not valid."""
    return _EFFECT.validate_json(text)


def dump_ended(ended: Ended) -> str:
    """Convert an ended run to JSON."""
    return _ENDED.dump_json(ended).decode()


def load_ended(text: bytes | str) -> Ended:
    """Return the ended run in `text`."""
    return _ENDED.validate_json(text)


def dump_recorded_fact(recorded: RecordedFact) -> str:
    """Convert a recorded fact to JSON."""
    return _RECORDED_FACT.dump_json(recorded).decode()


def load_recorded_fact(text: bytes | str) -> RecordedFact:
    """Return the recorded fact in `text`."""
    return _RECORDED_FACT.validate_json(text)
