"""Reads YAML into data with the line and column of each value; refuses ambiguous or hostile text.

It builds on the events of PyYAML's C parser. ruamel.yaml keeps places as well, but only in Python and only after the
whole text is loaded, so the limits of depth and size could not be checked first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from config.errors import Mistake, Path, nearest, shown

#: The limits of a file. No pipeline file comes near them; a file beyond them is a mistake or an attack.
MOST_DEPTH = 32
MOST_VALUES = 100_000

# The C parser, where PyYAML has it: some six times faster, with the same events.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The YAML 1.2 core rules. YAML 1.1 (PyYAML's own) would read a service called `NO` as false.
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """A place in the file; both count from 1."""

    line: int = 1
    column: int = 1


@dataclass(slots=True)
class YamlNode:
    """One value of the file and its place."""

    mark: SourcePosition
    #: Text, whole number, truth value, None, list of nodes, or mapping of key to (place of the key, node).
    value: Any
    #: The number of values in it, including itself and each repetition through an alias.
    size: int = 1
    #: The number of its levels, with aliases followed.
    depth: int = 1
    #: The mappings merged with `<<`, for looking up places.
    merged: list[YamlNode] = field(default_factory=list)

    def plain(self) -> Any:
        """Return the value as dict, list and scalars; own keys win over merged ones."""
        if isinstance(self.value, dict):
            data: dict[str, Any] = {}
            for base in reversed(self.merged):
                data |= base.plain()
            return data | {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def mark_of(self, path: Path, *, key: bool = False) -> SourcePosition:
        """Return the place of the value at `path` (or of its key), or else of the deepest known value above it."""
        if not path:
            return self.mark
        found = self._child(path[0])
        if found is None:
            return self.mark
        key_mark, node = found
        return key_mark if key and len(path) == 1 else node.mark_of(path[1:], key=key)

    def _child(self, step: str | int) -> tuple[SourcePosition, YamlNode] | None:
        if isinstance(self.value, list):
            if not isinstance(step, int) or not 0 <= step < len(self.value):
                return None
            return self.value[step].mark, self.value[step]
        if not isinstance(self.value, dict):
            return None
        if step in self.value:
            return self.value[step]  # type: ignore[no-any-return]
        return next((found for base in self.merged if (found := base._child(step)) is not None), None)


class UnreadableFileError(Exception):
    """Raised when reading cannot continue, because the text is not YAML or exceeds a limit."""

    def __init__(self, mark: SourcePosition, mistake: Mistake) -> None:
        """Keep the place and the mistake."""
        self.mark, self.mistake = mark, mistake
        super().__init__(str(mistake))


def compose(text: str) -> tuple[YamlNode, list[tuple[SourcePosition, Path, Mistake]]]:
    """Return the root of the file, and the mistakes that did not stop the reading (keys given twice, tags).

    Raises UnreadableFileError at the first mistake that stops it.
    """
    if (bad := yaml.reader.Reader.NON_PRINTABLE.search(text)) is not None:
        raise UnreadableFileError(_mark_at(text, bad.start()), Mistake("a character that YAML does not allow"))
    try:
        composer = _Composer(iter(yaml.parse(text, Loader=_Loader)))
        return composer.document(), composer.mistakes
    except yaml.MarkedYAMLError as error:
        raise UnreadableFileError(_mark(error.problem_mark), _syntax(error)) from None
    except yaml.YAMLError:
        raise UnreadableFileError(SourcePosition(), Mistake("the text is not YAML")) from None


class _Composer:
    """A composer of nodes from the parser's events. The depth is bounded, so recursion is safe."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, YamlNode] = {}
        self._values = 0
        self.mistakes: list[tuple[SourcePosition, Path, Mistake]] = []

    def document(self) -> YamlNode:
        """Return the only document of the stream."""
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise UnreadableFileError(
                SourcePosition(), Mistake("the file is empty", "a mapping with `controllers` and `pipelines`")
            )
        root = self._node(next(self._events), ())
        next(self._events)  # document end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise UnreadableFileError(
                _mark(after.start_mark), Mistake("a second document begins", "one document in one file")
            )
        return root

    def _node(self, event: Any, path: Path) -> YamlNode:
        mark = _mark(event.start_mark)
        _bound_depth(mark, len(path) + 1)
        node = self._alias(event, mark) if isinstance(event, AliasEvent) else self._value(event, mark, path)
        _bound_depth(mark, len(path) + node.depth)
        self._values += node.size if isinstance(event, AliasEvent) else 1
        if self._values > MOST_VALUES:
            raise UnreadableFileError(
                mark, Mistake("the file has too many values", f"at most {MOST_VALUES} values, aliases spelt out")
            )
        return node

    def _alias(self, event: AliasEvent, mark: SourcePosition) -> YamlNode:
        name = str(event.anchor)
        if name not in self._anchors:
            what = f"alias {shown('*' + name)} has no finished anchor above it"
            raise UnreadableFileError(mark, Mistake(what, None, nearest(name, self._anchors)))
        return self._anchors[name]

    def _value(self, event: Any, mark: SourcePosition, path: Path) -> YamlNode:
        if isinstance(event, ScalarEvent):
            node = YamlNode(mark, _scalar(event))
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(mark, path)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(mark, path)
        else:
            raise UnreadableFileError(mark, Mistake("the file is not finished here"))
        if event.tag is not None:
            self.mistakes.append((mark, path, Mistake(f"tag {shown(event.tag)}", "a plain value, without a tag")))
        if event.anchor is not None:
            self._anchors[str(event.anchor)] = node
        return node

    def _sequence(self, mark: SourcePosition, path: Path) -> YamlNode:
        items: list[YamlNode] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return _parent(mark, items, items)

    def _mapping(self, mark: SourcePosition, path: Path) -> YamlNode:
        items: dict[str, tuple[SourcePosition, YamlNode]] = {}
        merged: list[YamlNode] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key_mark = _mark(event.start_mark)
            simple = isinstance(event, ScalarEvent | AliasEvent)  # a mapping as key would escape the depth limit
            key = self._node(event, path).value if simple else None
            if not isinstance(key, str):
                raise UnreadableFileError(
                    key_mark, Mistake("a key is not text", "a name; put it in quotes if it is meant")
                )
            node = self._node(next(self._events), (*path, key))
            if key == "<<":
                merged += self._bases(node, path)
            elif key in items:
                first = items[key][0].line
                what = f"key {shown(key)} is given twice (first in line {first})"
                self.mistakes.append((key_mark, (*path, key), Mistake(what, "it once")))
            else:
                items[key] = (key_mark, node)
        return _parent(mark, items, [node for _, node in items.values()] + merged, merged)

    def _bases(self, node: YamlNode, path: Path) -> list[YamlNode]:
        """Return the mappings that a `<<` merges."""
        bases = node.value if isinstance(node.value, list) else [node]
        if all(isinstance(base.value, dict) for base in bases):
            return bases
        self.mistakes.append((node.mark, (*path, "<<"), Mistake("`<<` merges something else", "an alias of a mapping")))
        return []


def _parent(
    mark: SourcePosition, value: Any, children: list[YamlNode], merged: list[YamlNode] | None = None
) -> YamlNode:
    """Return the node that holds `children`, with its size and depth."""
    size = 1 + sum(child.size for child in children)
    depth = 1 + max((child.depth for child in children), default=0)
    return YamlNode(mark, value, size, depth, merged or [])


def _bound_depth(mark: SourcePosition, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise UnreadableFileError(mark, Mistake("values are nested too deeply", f"at most {MOST_DEPTH} levels"))


def _scalar(event: ScalarEvent) -> str | int | bool | None:
    """Return the value of a scalar by the YAML 1.2 core rules; fractions stay text, because no key has one."""
    text = str(event.value)
    if event.style in ("'", '"', "|", ">"):
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return _TRUE.fullmatch(text) is not None
    return int(text) if _INT.fullmatch(text) else text


def _mark(mark: Any) -> SourcePosition:
    """Convert PyYAML's mark (from 0) to ours (from 1)."""
    return SourcePosition(mark.line + 1, mark.column + 1) if mark is not None else SourcePosition()


def _mark_at(text: str, position: int) -> SourcePosition:
    """Return the place of a character."""
    before = text[:position]
    return SourcePosition(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _syntax(error: yaml.MarkedYAMLError) -> Mistake:
    """Return the parser's error as a mistake, with the usual cause if there is one."""
    problem = str(error.problem or error.context or "the text is not YAML")
    if "mapping values are not allowed" in problem:
        return Mistake(
            "a second `:` in one line", 'a value with `: ` inside in quotes, as in `job: "build: shop/build"`'
        )
    if "expected ',' or" in problem:
        return Mistake("a bracket is not closed", "`,` or the closing bracket")
    if "cannot start any token" in problem:
        return Mistake("a character that cannot start a value", "spaces to indent, quotes around special characters")
    return Mistake(f"not YAML: {problem}")
