"""Compares what was sent to GitHub, and what came back, with GitHub's published OpenAPI description.

    control.record()                 # the stand-in keeps what it is asked and what it answers
    ...
    assert_valid(control.recorded())
    assert_deliveries_valid(control.deliveries(payloads=True))

A request must have a described route, described query fields with values of their type, and a body without fields that
nobody knows: GitHub ignores those, so a misspelt one is a request that does something else. An answer must be one that
the route's status describes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from jsonschema.exceptions import ValidationError, best_match
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tests.github.mistakes import described_as, is_known_mistake, mended
from tests.github.packages import DESCRIPTION, content

Json = dict[str, Any]
#: What any route may answer without its description saying so.
ANYWHERE = {"301", "304", "307", "400", "401", "403", "404", "422", "429", "500", "502", "503", "504"}
#: Names in a path that may hold slashes.
WITH_SLASHES = {"path", "ref", "branch", "basehead"}
_PLACE = re.compile(r"\\\{([a-z_]+)\\\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One described route. `where` is the way to it in the document."""

    method: str
    path: str
    pattern: re.Pattern[str]
    described: Json
    parameters: tuple[Json, ...]
    where: tuple[str, ...]


class Description:
    """An OpenAPI 3.0 document that requests, answers and deliveries are held against."""

    def __init__(self, document: Json) -> None:
        self._document = mended(document)
        self._registry: Registry[Any] = Registry().with_resource("github", Resource(document, DRAFT4))
        self._operations: dict[str, list[Operation]] = {}
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                self._operations.setdefault(method.upper(), []).append(self._operation(method, path, described))
        for known in self._operations.values():
            known.sort(key=lambda one: (one.path.count("{"), -len(one.path)))

    def violations(self, log: Iterable[Json], *, refused_too: bool = True) -> list[str]:
        """Everything in a log of exchanges that the description does not allow, in words.

        Without `refused_too` a request that was answered 4xx may be as wrong as it likes; its answer may not.
        """
        return [
            f"{one['method']} {one['path']}: {wrong}"
            for one in log
            for wrong in self._exchange(one, answer_only=not refused_too and 400 <= one["status"] < 500)
        ]

    def delivery_violations(self, deliveries: Iterable[Json]) -> list[str]:
        """The same for webhooks: rows with event, action and payload."""
        return [
            f"{one['event']} {one['action'] or ''}: {wrong}"
            for one in deliveries
            for wrong in self._delivery(one["event"], one["action"], one["payload"])
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """The route that a request takes: the one with the fewest places."""
        path = described_as(method, path)
        return next((one for one in self._operations.get(method, ()) if one.pattern.fullmatch(path)), None)

    # -- requests ----------------------------------------------------------------------------------------------

    def _exchange(self, one: Json, *, answer_only: bool) -> Iterator[str]:
        operation = self.operation("GET" if one["method"] == "HEAD" else one["method"], one["path"])
        if operation is None:
            yield "GitHub has no such route"
            return
        if not answer_only:
            yield from self._places(operation, one["path"])
            yield from self._query(operation, one["query"])
            yield from self._body(operation, one["body"])
        if not one["made_up"] and one["status"]:
            yield from self._answer(operation, one["status"], one["response"])

    def _places(self, operation: Operation, path: str) -> Iterator[str]:
        match = operation.pattern.fullmatch(described_as(operation.method, path))
        assert match is not None
        types = {one["name"]: one["schema"] for one in operation.parameters if one["in"] == "path"}
        for name, value in match.groupdict().items():
            yield from self._value(f"the place {name}", types.get(name, {}), unquote(value))

    def _query(self, operation: Operation, query: dict[str, str]) -> Iterator[str]:
        known = {one["name"]: one for one in operation.parameters if one["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                yield f"the query has {name!r}, which this route does not know"
            else:
                yield from self._value(f"the query's {name}", known[name]["schema"], value)
        for name, one in known.items():
            if one.get("required") and name not in query:
                yield f"the query lacks {name}"

    def _value(self, what: str, schema: Json, text: str) -> Iterator[str]:
        """A value in a path or a query, which is written as text."""
        schema = self._resolved(schema)
        kind = schema.get("type")
        value: Any = text
        if kind == "integer" and re.fullmatch(r"-?\d+", text):
            value = int(text)
        elif kind == "boolean" and text in ("true", "false"):
            value = text == "true"
        elif kind == "array":
            value = text.split(",")
        validator = OAS30Validator(schema, registry=self._registry, format_checker=oas30_format_checker)
        yield from (f"{what} is {text!r}: {error.message}" for error in validator.iter_errors(value))

    def _body(self, operation: Operation, body: Any) -> Iterator[str]:
        described = operation.described.get("requestBody")
        if described is None:
            if body not in (None, {}):
                yield f"there is a body, and this route takes none: {_short(body)}"
            return
        kind = "application/json" if "application/json" in described["content"] else next(iter(described["content"]))
        if body is None:
            if described.get("required") and self._resolved(described["content"][kind]["schema"]).get("required"):
                yield "the body is missing"
            return
        where = (*operation.where, "requestBody", "content", kind, "schema")
        yield from (f"the body: {wrong}" for wrong in self._errors(where, body))
        known = self._fields(described["content"][kind]["schema"])
        if known and isinstance(body, dict):
            yield from (f"the body has {name!r}, which this route does not know" for name in body if name not in known)

    def _fields(self, schema: Json) -> set[str]:
        """The fields that an object may have; empty if any."""
        schema = self._resolved(schema)
        if schema.get("additionalProperties") not in (None, False) and not schema.get("properties"):
            return set()
        found = set(schema.get("properties", ()))
        for one in [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]:
            found |= self._fields(one)
        return found

    # -- answers and deliveries --------------------------------------------------------------------------------

    def _answer(self, operation: Operation, status: int, response: Any) -> Iterator[str]:
        described = operation.described["responses"].get(str(status))
        if described is None:
            if str(status) not in ANYWHERE:
                yield f"it never answers {status}"
            elif status >= 400:
                yield from self._refusal(status, response)
            return
        described = self._resolved(described)
        if "content" not in described:
            if status >= 400:
                yield from self._refusal(status, response)
            elif response not in (None, {}):
                yield f"an answer {status} has no body, not {_short(response)}"
            return
        kind = "application/json" if "application/json" in described["content"] else next(iter(described["content"]))
        if response is None:
            yield f"an answer {status} lacks its body"
            return
        where = (*operation.where, "responses", str(status))
        if "$ref" in operation.described["responses"][str(status)]:
            where = tuple(operation.described["responses"][str(status)]["$ref"].split("/")[1:])
        yield from (f"{status}: {wrong}" for wrong in self._errors((*where, "content", kind, "schema"), response))

    def _refusal(self, status: int, response: Any) -> Iterator[str]:
        name = (
            "validation-error"
            if status == 422 and isinstance(response, dict) and "errors" in response
            else "basic-error"
        )
        for wrong in self._errors(("components", "schemas", name), response):
            yield f"{status}: {wrong}"
        if not isinstance(response, dict) or not response.get("message"):
            yield f"{status}: a refusal says why in `message`, not {_short(response)}"

    def _delivery(self, event: str, action: str | None, payload: Json) -> Iterator[str]:
        name = event.replace("_", "-") + (f"-{action.replace('_', '-')}" if action else "")
        if name not in self._document["x-webhooks"]:
            yield "GitHub sends no such webhook"
            return
        where = ("x-webhooks", name, "post", "requestBody", "content", "application/json", "schema")
        yield from self._errors(where, payload)

    def _errors(self, where: tuple[str, ...], value: Any) -> Iterator[str]:
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in where)
        validator = OAS30Validator(
            {"$ref": f"github#/{pointer}"}, registry=self._registry, format_checker=oas30_format_checker
        )
        for error in validator.iter_errors(value):
            if not is_known_mistake(error.json_path, error.instance):
                yield _said(error)

    def _resolved(self, described: Json) -> Json:
        while "$ref" in described:
            found: Any = self._document
            for part in described["$ref"].split("/")[1:]:
                found = found[part.replace("~1", "/").replace("~0", "~")]
            described = found
        return described

    def _operation(self, method: str, path: str, described: Json) -> Operation:
        parameters = tuple(self._resolved(one) for one in described.get("parameters", ()))
        pattern = _PLACE.sub(
            lambda m: f"(?P<{m[1]}>{'.+' if m[1] in WITH_SLASHES else '[^/]+'})", re.escape(path).replace("/", "/")
        )
        return Operation(method.upper(), path, re.compile(pattern), described, parameters, ("paths", path, method))


@cache
def description() -> Description:
    """GitHub's; skips the test, or fails it in CI, where it cannot be had."""
    return Description(content(DESCRIPTION))


def assert_valid(log: Iterable[Json], *, refused_too: bool = True) -> None:
    """Fails with every violation in words. `log` is what the stand-in recorded, and must not be empty.

    `refused_too` False: a request that was refused on purpose need not be right, only its refusal.
    """
    log = list(log)
    assert log, "nothing was recorded"
    wrong = description().violations(log, refused_too=refused_too)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def assert_deliveries_valid(deliveries: Iterable[Json]) -> None:
    """The same for webhooks, as `deliveries(payloads=True)` gives them."""
    deliveries = list(deliveries)
    assert deliveries, "nothing was sent"
    wrong = description().delivery_violations(deliveries)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def _said(error: ValidationError) -> str:
    """An error in words; of several alternatives, the one that fits best."""
    if error.context:
        inner = best_match(error.context)
        return _said(inner) if inner is not None else _words(error)
    return _words(error)


def _words(error: ValidationError) -> str:
    return f"{error.json_path} {_short(error.message)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:120]} … {text[-70:]}"
