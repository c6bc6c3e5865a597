"""Faster frozen dataclasses: `replace` for changed copies, and `quick_to_make` for classes that are made often.

An event makes some ten records and changes three. The `__init__` of a frozen dataclass sets each field through
`object.__setattr__`, and `dataclasses.replace` looks at each field in Python before it calls that `__init__`; both
together took a third of the time of a decision. This module writes a function for each class, as `dataclasses` writes
`__init__`. The function fills a *draft*: an object of a class with the same slots that is not frozen. The draft then
becomes the record by an assignment to `__class__`, which Python allows between classes of the same layout. No other
code sees the draft.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace  # so that types and names of the fields are checked
else:

    def replace(record: Record, /, **changes: Any) -> Record:
        """Return a copy of the record with other values in some fields. It must have slots and no `__post_init__`.

        Raises TypeError if it has no field of a name.
        """
        kind = type(record)
        changed = _copier(kind)(record)
        try:
            for name, value in changes.items():
                setattr(changed, name, value)
        except AttributeError:
            raise TypeError(f"{kind.__name__} has no field {name!r}") from None
        changed.__class__ = kind
        return changed


Record = TypeVar("Record")

__all__ = ["quick_to_make", "replace"]


def quick_to_make(kind: type[Record]) -> type[Record]:
    """Give a frozen dataclass with slots a faster `__init__` with the same parameters; no field has a factory."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    defaults = {f"_{each.name}": each.default for each in fields if each.default is not dataclasses.MISSING}
    parameters = (each.name + (f"=_{each.name}" if f"_{each.name}" in defaults else "") for each in fields)
    fills = [f"self.{each.name} = {each.name}" for each in fields]
    head, last = f"__init__(self, {', '.join(parameters)}):", "self.__class__ = __kind"
    lines = [head, "__become(self, __draft)", *fills, last]
    known = {"__become": object.__dict__["__class__"].__set__, "__draft": _draft(kind), "__kind": kind}
    made: Any = kind
    made.__init__ = _written(lines, known | defaults)
    return kind


@cache
def _copier(kind: type) -> Callable[[Any], Any]:
    """Return the function that makes a draft with the values of a record of this class."""
    copies = [f"draft.{each.name} = record.{each.name}" for each in dataclasses.fields(kind)]
    return _written(
        ["copy(record):", "draft = new(kind)", *copies, "return draft"], {"new": object.__new__, "kind": _draft(kind)}
    )


def _draft(kind: type) -> type:
    """Return a class with the slots and bases of a dataclass that is not frozen."""
    return type("Draft", kind.__bases__, {"__slots__": tuple(each.name for each in dataclasses.fields(kind))})


def _written(lines: list[str], known: dict[str, Any]) -> Callable[..., Any]:
    """Return the function of these lines, the first of which is its head; `known`: the names that it uses."""
    name = lines[0].partition("(")[0]
    exec("def " + "\n ".join(lines), known)  # noqa: S102  the lines consist of names of our own fields
    found: Callable[..., Any] = known[name]
    return found
