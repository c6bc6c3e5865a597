"""Messages as JSON: an object with the name of its class as `kind`. A text is taken verbatim: a person wrote it,
or an older schema had written it before it was read.

The core knows no pydantic, so what pydantic has to know of `Message` is told to it here, once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import core_schema

from bot.core.model import github_messages, messages, refusals, stage_messages
from bot.core.model.messages import Message, Verbatim

_KINDS = {
    kind.__name__: kind
    for module in (messages, stage_messages, github_messages, refusals)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message)
}


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_KINDS[kind])


def _load(value: Any) -> Message:
    """The message in a decoded value. Raises ValueError (also pydantic.ValidationError) if it is none of ours."""
    if isinstance(value, Message):
        return value
    if isinstance(value, str):
        return Verbatim(value)
    if not isinstance(value, dict) or value.get("kind") not in _KINDS:
        raise ValueError("no message that this version knows")
    fields = {name: each for name, each in value.items() if name != "kind"}
    if "whose" in fields:
        fields |= _whose(fields.pop("whose"))
    loaded: Message = _adapter(value["kind"]).validate_python(fields)
    return loaded


def _whose(text: str) -> dict[str, Any]:
    """What schema 4 stored of whose build is meant as text: `S1 1234567`, or `a second build of S1.1`."""
    _, second, run = text.partition("a second build of ")
    service, _, sha = text.rpartition(" ")
    return {"who": None, "repeats": run} if second else {"who": {"service": service, "sha": sha}, "repeats": ""}


def _dump(message: Message) -> Any:
    if isinstance(message, Verbatim):
        return message.text
    kind = type(message).__name__
    return {"kind": kind, **_adapter(kind).dump_python(message, mode="json", exclude_defaults=True)}


def _schema(source: Any, handler: Any) -> core_schema.CoreSchema:
    if source is not Message:
        of_kind: core_schema.CoreSchema = handler(source)
        return of_kind
    serialization = core_schema.plain_serializer_function_ser_schema(_dump)
    return core_schema.no_info_plain_validator_function(_load, serialization=serialization)


def teach_pydantic() -> None:
    """Have pydantic read and write every field that is a `Message` as this module says."""
    messages.Message.__get_pydantic_core_schema__ = staticmethod(_schema)  # type: ignore[attr-defined]
