"""The base of the filters of lists: texts, read from the query of an address and put back there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from bot.web.problems import Problem

#: The longest text that a filter may have.
LONGEST = 200


def text(doc: str) -> Any:
    """A field of a filter that takes any text; `doc` says what is found by it."""
    return field(default="", metadata={"doc": doc, "schema": {"type": "string", "maxLength": LONGEST}})


def one_of(values: Iterable[str], doc: str) -> Any:
    """A field of a filter that takes one of these."""
    return field(default="", metadata={"doc": doc, "schema": {"type": "string", "enum": list(values)}})


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Each field is a text; an empty one does not matter."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """The filter in the query of an address. Raises Problem (400)."""
        given = {field.name: query.get(field.name, "").strip() for field in fields(cls)}
        if any(len(text) > LONGEST for text in given.values()):
            raise Problem(400, f"a filter has at most {LONGEST} characters")
        found = cls(**given)
        found.check()
        return found

    def check(self) -> None:
        """Raise Problem (400) for a value that cannot be."""

    @property
    def query(self) -> dict[str, str]:
        """What an address carries of it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: text for name, text in found.items() if text}
