"""Jenkins' JSON API: `depth` or `tree` selects the properties. Source: stapler's TreePruner."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

#: Marks a property that does not exist on this object (as opposed to one that is null).
ABSENT: Any = object()


class Export(NamedTuple):
    """A property: shown if `visibility` is at least the level; `inline` keeps the level for nested objects."""

    visibility: int
    get: Callable[[Any], Any]
    inline: bool = False


class Bean(NamedTuple):
    """An exported object: its `_class` (None: without one), its properties in order, and their source object."""

    kind: str | None
    table: Mapping[str, Export]
    source: Any


class MalformedTreeError(ValueError):
    """A `tree` parameter that cannot be parsed; Jenkins answers 500."""


class Pruner(Protocol):
    def inside(self, name: str, export: Export, /) -> Pruner | None: ...

    def bounds(self) -> slice: ...


class ByDepth:
    """The selection without `tree`: level 1 - depth at the top, one more per nesting."""

    def __init__(self, level: int) -> None:
        self._level = level

    def inside(self, _name: str, export: Export) -> Pruner | None:
        if export.visibility < self._level:
            return None
        return self if export.inline else ByDepth(self._level + 1)

    def bounds(self) -> slice:
        return slice(None)


class ByTree:
    """The selection by `tree`: the requested names with their nested names, and `*` for all others."""

    __slots__ = ("_range", "names")

    def __init__(self) -> None:
        self.names: dict[str, ByTree] = {}
        self._range = slice(None)

    def inside(self, name: str, _export: Export) -> Pruner | None:
        return self.names.get(name) or self.names.get("*")

    def bounds(self) -> slice:
        return self._range

    def limit(self, text: str) -> None:
        found = re.fullmatch(r"(\d*)(,?)(\d*)", text)
        if found is None or text in ("", ","):
            raise MalformedTreeError(f"the range {{{text}}} cannot be read")
        low, comma, high = found.groups()
        if comma:
            self._range = slice(int(low) if low else None, int(high) if high else None)
        else:
            self._range = slice(int(low), int(low) + 1)


_TOKENS = re.compile(r"[^\[\]{},]+|[\[\],]|\{[^}]*\}|.")
_cache: dict[str, ByTree] = {}


def parse_tree(text: str) -> ByTree:
    """Read `a,b[c,d]{0,10}`. Raise MalformedTreeError."""
    known = _cache.get(text)
    if known is not None:
        return known
    tokens = iter(_TOKENS.findall(text))
    root = _parse_names(tokens, nested=False)
    if len(_cache) < 1000:
        _cache[text] = root
    return root


def _parse_names(tokens: Iterator[str], *, nested: bool) -> ByTree:
    tree = ByTree()
    last: ByTree | None = None
    for word in tokens:
        if word == "]":
            if not nested:
                raise MalformedTreeError("a ] without its [")
            return tree
        if word == ",":
            last = None
        elif word == "[" and last is not None:
            inner = _parse_names(tokens, nested=True)
            last.names.update(inner.names)
        elif word.startswith("{") and last is not None:
            last.limit(word[1:-1])
        elif word[0] not in "[]{}" and last is None:
            last = tree.names.setdefault(word.strip(), ByTree())
        else:
            raise MalformedTreeError(f"unexpected {word!r}")
    if nested:
        raise MalformedTreeError("a [ without its ]")
    return tree


def pruner_for(query: Mapping[str, str]) -> Pruner:
    """Return the pruner of a request; `tree` goes before `depth`. Raise ValueError if it cannot be parsed."""
    tree = query.get("tree")
    if tree is not None:
        return parse_tree(tree)
    return ByDepth(1 - int(query.get("depth") or 0))


def render(value: Any, pruner: Pruner) -> Any:
    """Return the JSON value of an object, a list of them, or a plain value."""
    if isinstance(value, Bean):
        return _render_bean(value, pruner)
    if isinstance(value, (list, tuple)) and not isinstance(value, Bean):
        return [render(element, pruner) for element in value[pruner.bounds()]]
    return value


def as_python(value: Any) -> str:
    """Return the same data in Python's notation: None, True and False. Source: stapler's PythonDataWriter."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{as_python(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(as_python(inner) for inner in value) + "]"
    return str(value) if value is None or isinstance(value, bool) else json.dumps(value)


def _render_bean(bean: Bean, pruner: Pruner) -> dict[str, Any]:
    shown: dict[str, Any] = {} if bean.kind is None else {"_class": bean.kind}
    names: Any = bean.table
    if isinstance(pruner, ByTree) and "*" not in pruner.names:
        names = [name for name in bean.table if name in pruner.names] if len(pruner.names) > 1 else pruner.names
    for name in names:
        export = bean.table.get(name)
        inside = pruner.inside(name, export) if export is not None else None
        if export is None or inside is None:
            continue
        value = export.get(bean.source)
        if value is not ABSENT:
            shown[name] = render(value, inside)
    return shown
