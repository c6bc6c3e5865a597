"""The OpenAPI document of the API, made from the application's addresses and the descriptions of its views.

A view below `/api/v1` without `@operation` is an error (`undescribed`), so no operation can be left out.

It is our own code because apiflask, flask-openapi3 and spectree read and check the body before the view runs. Here no
body is read before the sender has been identified, and no more of it than a limit (`bot/web/bodies.py`).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from flask import Flask
from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import is_typeddict
from werkzeug.routing import Rule

from bot.core.access import HIGHEST, NEEDED, Action, Role, Scope
from bot.web.api_operation import Operation, operation_of
from bot.web.request_shapes import ProblemShape

VERSION = "1"
#: The version of OpenAPI whose rules the document follows.
OPENAPI = "3.1.0"
JSON, PROBLEM = "application/json", "application/problem+json"
#: The prefix of the operations: every view below it must be described; views elsewhere may be.
BASE = "/api/v1"

Schema = dict[str, Any]

_SHAPES = re.compile(r"bot\.web\.\w+_shapes")
#: A field's text becomes its description. An answer has no fields that its shape lacks.
_CONFIG = ConfigDict(use_attribute_docstrings=True, extra="forbid")

#: Each group of operations, with the blueprints whose views are in it.
_GROUPS = {
    "reading": "Reading",
    "acting": "Acting",
    "tokens": "Tokens",
    "machines": "For jobs and monitoring",
    "badges": "Badges",
    "documentation": "This description",
}

_PATH = {
    "pipeline": "The name of the pipeline.",
    "run": "The key of a run: its service and a number, such as `S1.1`.",
    "stage": "The name of a stage.",
    "key": "The key of a lock, such as `pre-production/S1.1`.",
    "service": "The name of a service.",
    "request_id": "The `request` of the answer to an action.",
    "attempt": "The number of the attempt that the job was given.",
    "what": "What to do with it.",
}

#: The schema of a part of an address that does not take any text.
_PLACES: dict[str, Schema] = {"attempt": {"type": "string", "pattern": "^[0-9]{1,9}$"}}

#: The general meaning of each refusal. 304 is not a refusal, but is listed because it has no body either.
REFUSALS = {
    304: "Your copy with the `ETag` in `If-None-Match` is still current.",
    400: "A parameter, a header or the form of the body is wrong.",
    401: "You are not signed in, or the token is unknown.",
    403: "Your role, or the scope of your token, is not enough; or the form's token is missing.",
    404: "It does not exist; `meant` is the nearest name.",
    413: "The body is too large.",
    415: "The `Content-Type` of the body is not JSON.",
    422: "The body has invalid values; `errors` has every mistake.",
    503: "The store, or GitHub for a permission, cannot be reached; nothing was done.",
}


@dataclass(frozen=True, slots=True)
class Described:
    """One operation with its address."""

    method: str
    rule: Rule
    view: Any
    operation: Operation

    @property
    def path(self) -> str:
        """Return the address in OpenAPI's notation: `/api/v1/pipelines/{pipeline}`."""
        return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", self.rule.rule)

    @property
    def name(self) -> str:
        """Return the operation's id."""
        return str(self.view.__name__)

    @property
    def group(self) -> str:
        """Return the operation's group."""
        return _GROUPS.get(self.rule.endpoint.partition(".")[0], "More")


def described(app: Flask) -> Iterator[Described]:
    """Yield every described operation of an application, in the order of the addresses."""
    for rule, view in _views(app):
        found = operation_of(view)
        if found is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Described(method, rule, view, found)


def undescribed(app: Flask) -> list[str]:
    """Return the API's views without a description, each with what to do."""
    return [
        f"{rule.rule}: put @operation(...) below the address of {view.__module__}.{view.__name__} "
        f"(bot/web/api_operation.py); its answer is a TypedDict, as in bot/web/list_shapes.py"
        for rule, view in _views(app)
        if rule.rule.startswith(BASE) and operation_of(view) is None
    ]


def _views(app: Flask) -> Iterator[tuple[Rule, Any]]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        yield rule, app.view_functions[rule.endpoint]


# -- the document ------------------------------------------------------------------------------------------------------


def document(app: Flask, *, private: bool, server: str = "") -> Schema:
    """Return the document.

    `private`: whether reading requires a sign-in here; `server`: the address of this installation.
    """
    operations = list(described(app))
    schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas, private=private)
    groups = {each.group for each in operations}
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Interlock",
            "version": VERSION,
            "description": "Read, act on and follow pipelines. Times are seconds since the epoch, durations seconds. "
            "Every refusal is a problem (RFC 9457). A later version may add members and kinds: ignore what you do not "
            "know.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        **({"servers": [{"url": server}]} if server else {}),
        "tags": [{"name": name} for name in [*_GROUPS.values(), "More"] if name in groups],
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": _SECURITY},
    }


_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token, made by `interlock token create`. Each operation names the least scope.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "interlock",
        "description": "The cookie of a person who has signed in on the page (`__Host-interlock` behind https, "
        "`__Secure-interlock` below a path of a host).",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "With the cookie, a request that changes something carries the token of the page's forms.",
    },
}


class _Schemas:
    """The schemas of all shapes and bodies, and the references to them."""

    def __init__(self, components: Schema, references: Mapping[Any, Schema]) -> None:
        self.components = components
        self._references = references

    def of(self, kind: Any) -> Schema:
        """Return the reference to the schema of a shape or a body."""
        return dict(self._references[kind])


class _Generated(GenerateJsonSchema):
    """Pydantic's schemas without titles for fields, because these only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


@lru_cache(maxsize=1)
def _configure_shapes() -> None:
    """Have pydantic read the texts below the fields of our TypedDicts, once.

    These are in modules called `..._shapes`.
    """
    for name, module in list(sys.modules.items()):
        for each in vars(module).values() if _SHAPES.fullmatch(name) else ():
            if is_typeddict(each):
                with_config(_CONFIG)(each)


@lru_cache(maxsize=256)
def adapter(shape: Any) -> TypeAdapter[Any]:
    """Return the adapter that validates answers against a shape, with no field too many."""
    _configure_shapes()
    return TypeAdapter(shape)


def _schemas(operations: list[Described]) -> _Schemas:
    shapes = {shape for each in operations for shape in each.operation.answers.values() if is_typeddict(shape)}
    shapes |= {ProblemShape}
    models = {each.operation.body for each in operations if each.operation.body is not None}
    inputs: list[Any] = [
        *((shape, "serialization", adapter(shape)) for shape in sorted(shapes, key=lambda each: each.__name__)),
        *((model, "validation", TypeAdapter(model)) for model in sorted(models, key=lambda each: each.__name__)),
    ]
    references, generated = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}", schema_generator=_Generated
    )
    found = generated["$defs"]
    names = {name: name.removesuffix("Shape") for name in found}
    doubled = sorted(name for name in found if name.endswith("Shape") and names[name] in found)
    if doubled:
        raise ValueError(f"{', '.join(doubled)}: without `Shape` another schema has this name; choose another one")
    components = {names[name]: _renamed(_opened(name, schema), names) for name, schema in sorted(found.items())}
    return _Schemas(components, {kind: _renamed(schema, names) for (kind, _), schema in references.items()})


def _opened(name: str, schema: Schema) -> Schema:
    """Allow further members in answers, because later versions may add some; bodies stay closed."""
    if name.endswith("Shape"):
        schema.pop("additionalProperties", None)
    return {key: value for key, value in schema.items() if key != "title"}


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a schema with its references changed to the names in the document."""
    if isinstance(schema, dict):
        # OpenAPI requires discriminators to be texts; `oneOf` beside it means the same.
        found = {key: _renamed(value, names) for key, value in schema.items() if key != "discriminator"}
        if isinstance(found.get("$ref"), str):
            path, _, name = found["$ref"].rpartition("/")
            found["$ref"] = f"{path}/{names.get(name, name)}"
        return found
    return [_renamed(each, names) for each in schema] if isinstance(schema, list) else schema


def _operation(each: Described, schemas: _Schemas, *, private: bool) -> Schema:
    said = each.operation
    summary, _, rest = inspect.cleandoc(each.view.__doc__ or "").partition("\n\n")
    needs = _needs(said)
    description = "\n\n".join(filter(None, (" ".join(rest.split("\n")), needs)))
    found: Schema = {
        "operationId": each.name,
        "summary": " ".join(summary.split("\n")),
        **({"description": description} if description else {}),
        "tags": [each.group],
        "parameters": [*_path_parameters(each.rule), *map(_parameter, said.parameters)],
        "responses": _responses(each, schemas),
        "security": _security(each, private=private),
    }
    if said.actions:
        found["x-interlock-actions"] = {str(action): str(NEEDED[action]) for action in said.actions}
    if said.body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas.of(said.body)}}}
    return found


def _needs(said: Operation) -> str:
    """Return the role that the operation needs, for people."""
    parts = [f"`{action}` needs the role `{NEEDED[action]}`" for action in said.actions]
    if not parts:
        return "Open to everybody."
    return "" if said.actions == (Action.READ,) else f"The action {' or '.join(parts)}."


def least_scope(actions: tuple[Action, ...]) -> Scope:
    """Return the smallest scope of a token that suffices for one of these actions."""
    roles = list(Role)
    needed = min(roles.index(NEEDED[action]) for action in actions)
    return next(scope for scope in Scope if roles.index(HIGHEST[scope]) >= needed)


def _security(each: Described, *, private: bool) -> list[Schema]:
    said = each.operation
    if not said.actions:
        return [{}]
    scope = str(least_scope(said.actions))
    signed: Schema = {"session": []} if each.method == "GET" else {"session": [], "csrf": []}
    is_open = not private and said.actions == (Action.READ,)
    return [*([{}] if is_open else []), {"token": [scope]}, signed]


def _path_parameters(rule: Rule) -> Iterator[Schema]:
    for name in rule.arguments and re.findall(r"<(?:[^:<>]+:)?([^<>]+)>", rule.rule):
        converter = re.search(rf"<any\(([^)]*)\):{name}>", rule.rule)
        schema: Schema = _PLACES.get(name, {"type": "string", "minLength": 1})
        if converter is not None:
            schema = {"type": "string", "enum": [value.strip() for value in converter[1].split(",")]}
        doc = _PATH.get(name, "")
        yield {"name": name, "in": "path", "required": True, "description": doc, "schema": schema}


def _parameter(parameter: Any) -> Schema:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.doc,
        "schema": dict(parameter.schema),
    }


def _responses(each: Described, schemas: _Schemas) -> Schema:
    said = each.operation
    found: dict[int, Schema] = {}
    for status, text in sorted(_problems(each).items()):
        content = {} if status == 304 else {"content": {PROBLEM: {"schema": schemas.of(ProblemShape)}}}
        found[status] = {"description": text, **content}
    for status, shape in said.answers.items():
        answer = _answer(each, status, shape, schemas)
        if status in found:  # a problem, or an answer of the view itself with the same status
            answer["content"] |= found[status]["content"]
        found[status] = answer
    return {str(status): found[status] for status in sorted(found)}


def _answer(each: Described, status: int, shape: Any, schemas: _Schemas) -> Schema:
    if isinstance(shape, str):
        return {"description": HTTPStatus(status).phrase, "content": {shape: {"schema": {"type": "string"}}}}
    doc = " ".join((shape.__doc__ or "").split())
    found: Schema = {"description": doc, "content": {JSON: {"schema": schemas.of(shape)}}}
    if each.operation.followed_by is not None:
        known = {name: f"$request.path.{name}" for name in each.rule.arguments if name == "pipeline"}
        parameters = {**known, "request_id": "$response.body#/request"}
        found["links"] = {"outcome": {"operationId": each.operation.followed_by, "parameters": parameters}}
    return found


def answers(each: Described) -> set[int]:
    """Return the statuses that an operation may answer with."""
    return {*_problems(each), *each.operation.answers}


def _problems(each: Described) -> dict[int, str]:
    """Return every problem that an operation may answer, by status, with its description."""
    said = each.operation
    wanted = {503} | ({304} if each.method == "GET" else set())
    if said.actions:
        wanted |= {401, 403}
    if each.rule.arguments:
        wanted.add(404)
    if said.body is not None:
        wanted |= {400, 413, 415, 422}
    if said.parameters or each.method == "GET":
        wanted.add(400)
    return {status: REFUSALS[status] for status in wanted} | dict(said.problems)
