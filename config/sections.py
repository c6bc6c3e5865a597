"""Validates a file against the model of its sections, and makes the JSON Schema of a model.

pydantic's errors become mistakes in our words, each with its path in the file. Editors use the schema to complete and
check the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config import values as v
from config.errors import MOST_SHOWN, Mistake, Path, nearest, one_of, shown
from config.values import FileSection

AnySection = TypeVar("AnySection", bound=FileSection)
#: A path, whether the place of the mistake is the key rather than the value, and the mistake.
Found = tuple[Path, bool, Mistake]

_SECRETS = ("token", "password", "secret", "api_key", "apikey", "credential")

_KINDS = {
    "model_type": "a mapping (`key: value` lines)",
    "dict_type": "a mapping (`key: value` lines)",
    "tuple_type": "a list (lines that begin with `- `)",
    "too_short": "at least one",
}


def json_schema(root: type[FileSection], title: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **v.as_written(root.model_json_schema()), "title": title}


def schema_text(schema: dict[str, Any]) -> str:
    """Return a JSON Schema in the form of the committed file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def read_section(root: type[AnySection], data: Any) -> tuple[AnySection | None, list[Found]]:
    """Return the model, if the data is valid, and the mistakes: empty, unknown or missing keys, and invalid values."""
    found = list(islice(_empty_keys(data), MOST_SHOWN))
    empty = {at for at, _, _ in found}
    try:
        return root.model_validate(data), found
    except ValidationError as error:
        return None, found + [entry for entry in _mistakes(root, error) if entry[0] not in empty]


def _mistakes(root: type[BaseModel], error: ValidationError) -> Iterator[Found]:
    """Yield each mistake with its path, and whether its place is the key rather than the value."""
    for details in error.errors(include_url=False)[:MOST_SHOWN]:
        path = tuple(details["loc"])
        if details["type"] == "too_short" and details["input"]:
            continue  # the list has entries, and their own mistakes are reported
        if path and path[-1] == "[key]":
            yield path[:-1], True, _value_mistake(root, details, path[:-1])
        elif details["type"] == "extra_forbidden":
            yield path, True, _unknown(root, path)
        elif details["type"] == "missing":
            yield path[:-1], False, _missing(root, path)
        else:
            yield path, False, _value_mistake(root, details, path)


def _empty_keys(data: Any, path: Path = ()) -> Iterator[Found]:
    """Yield the keys without a value, because an empty value could mean the default or nothing."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(data, dict):
        items = iter(data.items())
    elif isinstance(data, list):
        items = iter(enumerate(data))
    for step, value in items:
        if value is None:
            yield (*path, step), True, Mistake(f"`{step}` is empty", "a value; leave it out for the default")
        else:
            yield from _empty_keys(value, (*path, step))


def _unknown(root: type[BaseModel], path: Path) -> Mistake:
    name, valid = str(path[-1]), tuple(v.fields_of(section_at(root, path[:-1])))
    what = f"unknown key {shown(name)}"
    if name == "SUCCESS" and "UNSTABLE" in valid:
        return Mistake("a build that ended as SUCCESS has always passed", one_of(valid))
    if any(word in name.lower() for word in _SECRETS):
        return Mistake(what, "secrets in the environment, never in this file (see docs/configuration.md)")
    return Mistake(what, one_of(valid), nearest(name, valid))


def _missing(root: type[BaseModel], path: Path) -> Mistake:
    name = str(path[-1])
    description = v.fields_of(section_at(root, path[:-1]))[name].description or ""
    first = description.split(".")[0]
    return Mistake(f"key `{name}` is missing", f"{first[:1].lower()}{first[1:]}" if first else None)


def _value_mistake(root: type[BaseModel], details: ErrorDetails, path: Path) -> Mistake:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "mistake":
        found = context["mistake"]
        return found if isinstance(found, Mistake) else Mistake(str(found))
    if kind == "enum":
        words = [str(choice) for choice in _choices(root, path)]
        expected = one_of(words) if isinstance(value, str) else f"{one_of(words)}, as text"
        return Mistake(f"{shown(value)} is not known here", expected, nearest(str(value), words))
    if kind == "too_short":
        return Mistake(f"`{path[-1]}` has no entries" if path else "the list is empty", _KINDS[kind])
    if kind in ("string_too_short", "string_too_long"):
        return Mistake(
            "the text is empty" if kind == "string_too_short" else "the text is too long",
            "1 to 255 characters",
        )
    return Mistake(f"{shown(value)} does not belong here", _KINDS.get(kind, details["msg"]))


def section_at(root: type[BaseModel], path: Path) -> type[BaseModel]:
    """Return the section that belongs at `path`; the root section if none does."""
    found = _type_at(root, path)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else root


def _choices(root: type[BaseModel], path: Path) -> tuple[StrEnum, ...]:
    found = _type_at(root, path)
    return tuple(found) if isinstance(found, type) and issubclass(found, StrEnum) else ()


def _type_at(root: type[BaseModel], path: Path) -> Any:
    """Return the type that the value at `path` should have."""
    found: Any = root
    for step in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = v.fields_of(found).get(str(step))
            found = field.annotation if field is not None else None
        else:  # the items of a list, or the values of a mapping
            arguments = get_args(found)
            found = arguments[-1] if get_origin(found) is dict else arguments[0] if arguments else None
        found = _bare(found)
    return found


def _bare(kind: Any) -> Any:
    """Return a type without Annotated and `| None`."""
    while (origin := get_origin(kind)) in (Annotated, Union, UnionType):
        arguments = get_args(kind)
        kind = arguments[0] if origin is Annotated else next(a for a in arguments if a is not type(None))
    return kind
