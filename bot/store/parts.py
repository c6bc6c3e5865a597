"""Split records into the fields of the board's hash in which they are stored, and join them again.

Each record is one field, except `ServiceState`, which the store splits so that a merge writes only what it adds: the
head and the counters (`service/S1`), the proofs about the history (`proofs/S1`), the handled commands (`commands/S1`),
and one field for each position, push and group of commits (`position/S1/17`), numbered in the order of arrival. On the
board it is a single value. This module does not access Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from bot.core.model.board_records import Change, HandledCommand, PushedCommits, Record, ServiceState
from bot.core.model.history import Denial, Link, Position, Root
from bot.store.codec import dump_record, field_of, load_record


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs about a service's commit history; they change only where the sequence of pushes has a gap."""

    links: tuple[Link, ...] = ()
    denials: tuple[Denial, ...] = ()
    roots: tuple[Root, ...] = ()
    forced_heads: tuple[Position, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Commands:
    """The handled commands of a service, and the answers that were given."""

    handled_commands: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()


#: The parts beside `service`: the family and the type of each.
_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "proofs": TypeAdapter(Proofs),
    "commands": TypeAdapter(Commands),
    "position": TypeAdapter(Position),
    "push": TypeAdapter(str),
    "pushed": TypeAdapter(PushedCommits),
}
#: The families of which a service has many numbered parts.
_NUMBERED = ("position", "push", "pushed")


@dataclass(frozen=True, slots=True)
class Numbered:
    """The parts of one family of a service, numbered consecutively from `first` on."""

    first: int
    items: tuple[Any, ...]

    @classmethod
    def that_ends_with(cls, last: int, items: tuple[Any, ...]) -> Numbered:
        """Number these items so that the last one has the number `last`."""
        return cls(last - len(items) + 1, items)

    @property
    def end(self) -> int:
        """The number after the last one."""
        return self.first + len(self.items)

    def with_items(self, changed: Mapping[int, Any]) -> tuple[Any, ...]:
        """Return the items after these changes, given by number; None removes an item."""
        found = {**dict(enumerate(self.items, self.first)), **changed}
        return tuple(found[number] for number in sorted(found) if found[number] is not None)


_NOTHING = Numbered(0, ())


def fields_of(record: Record) -> dict[str, str]:
    """Return all fields in which a record is stored, as JSON by field."""
    if not isinstance(record, ServiceState):
        return {field_of(record): dump_record(record)}
    return dict(_changed_parts(None, record))


def changed_fields(change: Change) -> Iterator[tuple[str, str]]:
    """Yield the fields that a change writes, with their JSON; an empty text deletes the field."""
    before, after = change.before, change.after
    if isinstance(before, ServiceState) or isinstance(after, ServiceState):
        yield from _changed_parts(before, after)
    elif after is not None:
        yield field_of(after), dump_record(after)
    elif before is not None:
        yield field_of(before), ""
    else:
        raise AssertionError("a change from nothing to nothing")


def _changed_parts(before: Record | None, after: Record | None) -> Iterator[tuple[str, str]]:
    key = (after or before).key  # type: ignore[union-attr]  # one of them is there
    was = _singles(before) if isinstance(before, ServiceState) else {}
    now = _singles(after) if isinstance(after, ServiceState) else {}
    for family, value in now.items():
        if was.get(family) != value:
            yield _field(key, (family, 0)), _dump((family, 0), value)
    yield from ((_field(key, (family, 0)), "") for family in was if family not in now)
    stood = _numbered(before) if isinstance(before, ServiceState) else {}
    stands = _numbered(after) if isinstance(after, ServiceState) else {}
    for family in _NUMBERED:
        for number, item in _changed_items(stood.get(family, _NOTHING), stands.get(family, _NOTHING)):
            part = (family, number)
            yield _field(key, part), "" if item is None else _dump(part, item)


def _changed_items(was: Numbered, now: Numbered) -> Iterator[tuple[int, Any]]:
    """Yield the items that were added, replaced or removed (None), by number.

    Usually one is added, one is removed, and those between are unchanged: this case is compared as a whole first.
    """
    low, high = max(was.first, now.first), min(was.end, now.end)
    numbers: Iterable[int] = range(now.first, now.end)
    if low < high and was.items[low - was.first : high - was.first] == now.items[low - now.first : high - now.first]:
        numbers = (*range(now.first, low), *range(high, now.end))
    for number in numbers:
        item = now.items[number - now.first]
        if not was.first <= number < was.end or was.items[number - was.first] != item:
            yield number, item
    yield from ((number, None) for number in range(was.first, was.end) if not now.first <= number < now.end)


def records_of(rows: Iterable[tuple[str, bytes | str]]) -> Iterator[Record]:
    """Yield the records that are stored in these fields. Raises pydantic.ValidationError if one is not valid."""
    services: dict[str, list[tuple[str, str | bytes]]] = {}
    for field, text in rows:
        found = _part_of(field)
        if found is None:
            yield load_record(field, text)
        else:
            services.setdefault(found[0], []).append((field, text))
    for key, fields in services.items():
        state = with_changes(None, key, fields)
        if state is not None:
            yield state


def with_changes(
    state: ServiceState | None, key: str, changes: Iterable[tuple[str, bytes | str]]
) -> ServiceState | None:
    """Return the state of a service after these fields have changed; None if nothing is left of it."""
    singles: dict[str, Any] = {}
    items: dict[str, dict[int, Any]] = {}
    for field, text in changes:
        found = _part_of(field)
        if found is None:
            raise AssertionError(f"{field} is no part of a service")
        family, number = found[1]
        value = _load(found[1], text) if text else None
        if family in _NUMBERED:
            items.setdefault(family, {})[number] = value
        else:
            singles[family] = value
    before = state or ServiceState(key)
    stood = _numbered(before)
    many = {family: each.items for family, each in stood.items()}
    many |= {family: stood[family].with_items(changed) for family, changed in items.items()}
    after = _join(before, key, singles, many)
    remembered = state is not None if "service" not in singles else singles["service"] is not None
    return after if remembered or after != ServiceState(key) else None


def service_of(field: str) -> str | None:
    """Return the service to which a field belongs, or None for a record of another kind."""
    found = _part_of(field)
    return None if found is None else found[0]


def _singles(state: ServiceState) -> dict[str, Any]:
    """Return the parts of which a service has one, by family, without empty ones."""
    history = state.history
    small = replace(history, positions=(), links=(), denials=(), roots=())
    parts: dict[str, Any] = {
        "service": replace(
            state, history=small, pushes=(), pushed=(), forced_heads=(), asked=(), handled_commands=(), answered=()
        )
    }
    proofs = _proofs(state)
    if proofs != Proofs():
        parts["proofs"] = proofs
    if state.handled_commands or state.answered:
        parts["commands"] = _commands(state)
    return parts


def _numbered(state: ServiceState) -> dict[str, Numbered]:
    """Return the parts of which a service has many, by family."""
    history = state.history
    return {
        "position": Numbered.that_ends_with(history.count, history.positions),
        "push": Numbered.that_ends_with(state.push_count, state.pushes),
        "pushed": Numbered.that_ends_with(state.pushed_count, state.pushed),
    }


def _join(
    before: ServiceState, key: str, singles: Mapping[str, Any], many: Mapping[str, tuple[Any, ...]]
) -> ServiceState:
    """Join the parts of a service: those in `singles` (None: deleted) and `many`; the others stay as in `before`."""
    state: ServiceState = singles.get("service", before) or ServiceState(key)
    proofs: Proofs = singles.get("proofs", _proofs(before)) or Proofs()
    commands: Commands = singles.get("commands", _commands(before)) or Commands()
    history = replace(
        state.history,
        positions=many["position"],
        links=proofs.links,
        denials=proofs.denials,
        roots=proofs.roots,
    )
    return replace(
        state,
        history=history,
        pushes=many["push"],
        pushed=many["pushed"],
        forced_heads=proofs.forced_heads,
        asked=proofs.asked,
        handled_commands=commands.handled_commands,
        answered=commands.answered,
    )


def _proofs(state: ServiceState) -> Proofs:
    history = state.history
    return Proofs(history.links, history.denials, history.roots, state.forced_heads, state.asked)


def _commands(state: ServiceState) -> Commands:
    return Commands(state.handled_commands, state.answered)


def _field(key: str, part: tuple[str, int]) -> str:
    family, number = part
    return f"{family}/{key}/{number}" if family in _NUMBERED else f"{family}/{key}"


def _part_of(field: str) -> tuple[str, tuple[str, int]] | None:
    family, _, key = field.partition("/")
    if family in _NUMBERED:
        service, _, number = key.rpartition("/")
        return service, (family, int(number))
    return (key, (family, 0)) if family in _ADAPTERS or family == "service" else None


def _dump(part: tuple[str, int], value: Any) -> str:
    if part[0] == "service":
        return dump_record(value)
    return _ADAPTERS[part[0]].dump_json(value, exclude_defaults=True).decode()


def _load(part: tuple[str, int], text: bytes | str) -> Any:
    if part[0] == "service":
        return load_record("service/", text)
    return _ADAPTERS[part[0]].validate_json(text)
