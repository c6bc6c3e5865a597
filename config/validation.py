"""All mistakes of the pipeline file: pydantic's errors in our words, empty keys, contradictory keys."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.core.model.pipeline import LockStatus
from config import references
from config.errors import MOST_SHOWN, Mistake, nearest, one_of, shown
from config.errors import Path as KeyPath
from config.model import PipelineFile
from config.yaml_nodes import YamlNode

#: A mistake, its path, and whether its place is the key rather than the value.
Found = tuple[KeyPath, bool, Mistake]

_SECRETS = ("token", "password", "secret", "api_key", "apikey", "credential")

_KINDS = {
    "model_type": "a mapping (`key: value` lines)",
    "dict_type": "a mapping (`key: value` lines)",
    "tuple_type": "a list (lines that begin with `- `)",
    "too_short": "at least one",
}


def validate(root: YamlNode) -> tuple[PipelineFile | None, list[Found]]:
    """The model if there is one, and the mistakes of every pass: path, whether at the key, what."""
    data = root.plain()
    found = list(islice(_empty_keys(data), MOST_SHOWN))
    empty = {at for at, _, _ in found}
    model: PipelineFile | None = None
    try:
        model = PipelineFile.model_validate(data)
    except ValidationError as error:
        found += [entry for entry in _pydantic_mistakes(error) if entry[0] not in empty]
    broken = references.check(data, lambda at: root.mark_of(at).line)
    found += [(at, False, mistake) for at, mistake in islice(broken, MOST_SHOWN)]
    if model is not None:
        found += [*_backoff(model), *_environments(model)]
    return model, found


def _backoff(model: PipelineFile) -> Iterator[Found]:
    for index, pipeline in enumerate(model.pipelines):
        if pipeline.retry.most < pipeline.retry.first:
            mistake = Mistake("the longest wait is shorter than the first", "`most` to be at least `first`")
            yield ("pipelines", index, "retry", "most"), False, mistake


def _environments(model: PipelineFile) -> Iterator[Found]:
    for index, pipeline in enumerate(model.pipelines):
        for number, stage in enumerate(pipeline.stages):
            if stage.name == "lock" and model.github.lock_status is not LockStatus.OFF:
                mistake = Mistake(
                    "`lock` is the status that shows locks", "another name, or `github: lock_status: off`"
                )
                yield ("pipelines", index, "stages", number, "name"), False, mistake
            if stage.production and stage.environment is None:
                mistake = Mistake("a production environment without a name", "`environment` to be set as well")
                yield ("pipelines", index, "stages", number, "production"), False, mistake


def _pydantic_mistakes(error: ValidationError) -> Iterator[Found]:
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


def _empty_keys(data: Any, path: KeyPath = ()) -> Iterator[Found]:
    """The keys without a value: it is not clear whether the default or nothing is meant."""
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


def _unknown(path: KeyPath) -> Mistake:
    name, valid = str(path[-1]), tuple(_section(path[:-1]).model_fields)
    what = f"unknown key {shown(name)}"
    if name == "SUCCESS" and "UNSTABLE" in valid:
        return Mistake("a build that ended as SUCCESS has always passed", one_of(valid))
    if any(word in name.lower() for word in _SECRETS):
        return Mistake(what, "secrets in the environment, never in this file (see docs/configuration.md)")
    return Mistake(what, one_of(valid), nearest(name, valid))


def _missing(path: KeyPath) -> Mistake:
    name = str(path[-1])
    description = _section(path[:-1]).model_fields[name].description or ""
    first = description.split(".")[0]
    return Mistake(f"key `{name}` is missing", f"{first[:1].lower()}{first[1:]}" if first else None)


def _value_mistake(details: ErrorDetails, path: KeyPath) -> Mistake:
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


def _section(path: KeyPath) -> type[BaseModel]:
    found = _type_at(path)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else PipelineFile


def _choices(path: KeyPath) -> tuple[StrEnum, ...]:
    found = _type_at(path)
    return tuple(found) if isinstance(found, type) and issubclass(found, StrEnum) else ()


def _type_at(path: KeyPath) -> Any:
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
