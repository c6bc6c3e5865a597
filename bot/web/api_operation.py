"""The description of the API's operations: parameters, body, answers and actions. Each view is decorated with its own.

The document at `/api/v1/openapi.json`, the page `/api` and `docs/api.md` are made from it, from the view's docstring
and from its address (`bot/web/openapi.py`). The description is also used to read requests: the object that describes a
parameter reads it, and a query with an undescribed parameter is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, Self, TypeVar

from flask import current_app, request
from pydantic import BaseModel

from bot.core.access import Action
from bot.web.problems import Problem, unknown_parameter

#: The longest text of a filter.
LONGEST = 200


def text(doc: str) -> Any:
    """Return a field of a filter that takes any text; `doc` describes it."""
    return field(default="", metadata={"doc": doc, "schema": {"type": "string", "maxLength": LONGEST}})


def one_of(values: Iterable[str], doc: str) -> Any:
    """Return a field of a filter that takes one of `values`."""
    return field(default="", metadata={"doc": doc, "schema": {"type": "string", "enum": list(values)}})


@dataclass(frozen=True, slots=True)
class ListFilter:
    """The base class of filters. Each field is a text; an empty one matches everything."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Return the filter in the query of an address. Raises Problem (400)."""
        given = {field.name: query.get(field.name, "").strip() for field in fields(cls)}
        if any(len(text) > LONGEST for text in given.values()):
            raise Problem(400, f"a filter has at most {LONGEST} characters")
        found = cls(**given)
        found.check()
        return found

    def check(self) -> None:
        """Raise Problem (400) if a value is invalid."""

    @property
    def query(self) -> dict[str, str]:
        """Return the non-empty fields, for the query of an address."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: text for name, text in found.items() if text}


Schema = Mapping[str, Any]
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header: its name, its description, and the JSON schema of its value."""

    name: str
    doc: str
    schema: Schema = field(default_factory=lambda: {"type": "string", "maxLength": LONGEST})
    required: bool = False
    #: `query` or `header`.
    place: str = "query"


@dataclass(frozen=True, slots=True)
class NumberParameter:
    """A whole number of the query, within bounds."""

    name: str
    doc: str
    default: int
    least: int
    most: int

    @property
    def described(self) -> Parameter:
        """Return the description of this parameter."""
        bounds = {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}
        return Parameter(self.name, self.doc, bounds)

    def value(self) -> int:
        """Return the number in the present request. Raises Problem (400)."""
        given = request.args.get(self.name)
        if given is None:
            return self.default
        short = given.isascii() and given.isdigit() and len(given) <= 9
        if not short or not self.least <= int(given) <= self.most:
            raise Problem(400, f"`{self.name}` is a whole number from {self.least} to {self.most}")
        return int(given)


@dataclass(frozen=True, slots=True)
class Operation:
    """The description of one method at one address, besides the docstring and the address of its view."""

    #: The shape of the body for each status that is not a problem: a TypedDict, or a media type other than JSON.
    answers: Mapping[int, Any]
    #: The actions that the request may be (`bot/core/access.py`); none: open to everybody.
    actions: tuple[Action, ...]
    parameters: tuple[Parameter, ...]
    body: type[BaseModel] | None
    #: The problems that it may answer, in addition to the implied ones, each with its description.
    problems: Mapping[int, str]
    #: The name of the view that returns the outcome, if there is one.
    followed_by: str | None


_OPERATIONS: dict[Callable[..., Any], Operation] = {}


def operation(
    answer: Any,
    *,
    status: int = 200,
    also: Mapping[int, Any] | None = None,
    actions: Sequence[Action] = (Action.READ,),
    parameters: Sequence[Parameter | NumberParameter] = (),
    body: type[BaseModel] | None = None,
    problems: Mapping[int, str] | None = None,
    followed_by: str | None = None,
) -> Callable[[View], View]:
    """Return a decorator that describes the operation of a view; it goes below the decorator with the address.

    `answer`: the shape of its JSON with `status`; `also`: those with other statuses.
    """
    described = tuple(each.described if isinstance(each, NumberParameter) else each for each in parameters)
    made = Operation(
        {status: answer, **(also or {})}, tuple(actions), described, body, dict(problems or {}), followed_by
    )

    def note(view: View) -> View:
        _OPERATIONS[view] = made
        return view

    return note


def operation_of(view: Callable[..., Any] | None) -> Operation | None:
    """Return the description of a view; None if it has none."""
    return _OPERATIONS.get(view) if view is not None else None


def filter_parameters(kind: type[ListFilter]) -> tuple[Parameter, ...]:
    """Return the fields of a filter as parameters.

    The metadata of a field has its `doc`, and its `schema` if it has one.
    """
    return tuple(_of_field(each) for each in fields(kind))


def _of_field(each: Field[Any]) -> Parameter:
    schema = each.metadata.get("schema", {"type": "string", "maxLength": LONGEST})
    return Parameter(each.name, each.metadata.get("doc", ""), schema)


def refuse_unknown_parameters() -> None:
    """Refuse unknown parameters of the present request, because a misspelt filter would otherwise match everything.

    Raises Problem (400) with the nearest valid name.
    """
    found = operation_of(current_app.view_functions.get(request.endpoint or ""))
    if found is None:
        return
    known = [each.name for each in found.parameters if each.place == "query"]
    for name in request.args:
        if name not in known:
            raise unknown_parameter(name, known)
