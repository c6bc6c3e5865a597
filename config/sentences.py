"""Turns pydantic's errors about the pipeline file into mistakes: the key, what was expected, what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.errors import MOST_SHOWN, Mistake, Path, nearest, one_of, shown
from config.model import PipelineFile

_SECRETS = ("token", "password", "secret", "api_key", "apikey", "credential")

_KINDS = {
    "model_type": "a mapping (`key: value` lines)",
    "dict_type": "a mapping (`key: value` lines)",
    "tuple_type": "a list (lines that begin with `- `)",
    "too_short": "at least one",
}


def mistakes(error: ValidationError) -> Iterator[tuple[Path, bool, Mistake]]:
    """Each mistake with its path, and whether its place is the key rather than the value."""
    for details in error.errors(include_url=False)[:MOST_SHOWN]:
        path = tuple(details["loc"])
        if details["type"] == "too_short" and details["input"]:
            continue  # it has entries, and what is wrong with them is said there
        if path and path[-1] == "[key]":
            yield path[:-1], True, _value_mistake(details, path[:-1])
        elif details["type"] == "extra_forbidden":
            yield path, True, _unknown(path)
        elif details["type"] == "missing":
            yield path[:-1], False, _missing(path)
        else:
            yield path, False, _value_mistake(details, path)


def empties(data: Any, path: Path = ()) -> Iterator[tuple[Path, bool, Mistake]]:
    """The keys without a value: nobody can see whether the default or nothing is meant."""
    items: Iterator[tuple[str | int, Any]] = iter(())
    if isinstance(data, dict):
        items = iter(data.items())
    elif isinstance(data, list):
        items = iter(enumerate(data))
    for step, value in items:
        if value is None:
            yield (*path, step), True, Mistake(f"`{step}` is empty", "a value; leave it out for the default")
        else:
            yield from empties(value, (*path, step))


def _unknown(path: Path) -> Mistake:
    name, valid = str(path[-1]), tuple(_section(path[:-1]).model_fields)
    what = f"unknown key {shown(name)}"
    if name == "SUCCESS" and "UNSTABLE" in valid:
        return Mistake("a build that ended as SUCCESS has always passed", one_of(valid))
    if any(word in name.lower() for word in _SECRETS):
        return Mistake(what, "secrets in the environment, never in this file (see docs/configuration.md)")
    return Mistake(what, one_of(valid), nearest(name, valid))


def _missing(path: Path) -> Mistake:
    name = str(path[-1])
    description = _section(path[:-1]).model_fields[name].description or ""
    first = description.split(".")[0]
    return Mistake(f"key `{name}` is missing", f"{first[:1].lower()}{first[1:]}" if first else None)


def _value_mistake(details: ErrorDetails, path: Path) -> Mistake:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "mistake":
        found = context["mistake"]
        return found if isinstance(found, Mistake) else Mistake(str(found))
    if kind == "enum":
        words = [str(choice) for choice in _choices(path)]
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


def _section(path: Path) -> type[BaseModel]:
    found = _type_at(path)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else PipelineFile


def _choices(path: Path) -> tuple[StrEnum, ...]:
    found = _type_at(path)
    return tuple(found) if isinstance(found, type) and issubclass(found, StrEnum) else ()


def _type_at(path: Path) -> Any:
    """The type that the value at `path` should have."""
    found: Any = PipelineFile
    for step in path:
        if isinstance(found, type) and issubclass(found, BaseModel):
            field = found.model_fields.get(str(step))
            found = field.annotation if field is not None else None
        else:  # the items of a list, or the values of a mapping
            arguments = get_args(found)
            found = arguments[-1] if get_origin(found) is dict else arguments[0] if arguments else None
        found = _bare(found)
    return found


def _bare(kind: Any) -> Any:
    """A type without Annotated and `| None`."""
    while (origin := get_origin(kind)) in (Annotated, Union, UnionType):
        arguments = get_args(kind)
        kind = arguments[0] if origin is Annotated else next(a for a in arguments if a is not type(None))
    return kind
