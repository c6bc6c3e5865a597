"""A record in the parts in which it is stored: what changes at every merge apart from what stays.

Every kind of record is one field of the board's hash, but for what is remembered of a service: its head and counters
(`service/S1`), what is proven of its history (`proofs/S1`), the commands heard (`heard/S1`), and each place, push and
group of commits by itself (`place/S1/17`), numbered in the order in which they came. So a merge writes what it brought,
however much is remembered. On the board it is one value, `ServiceState`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from bot.core.model.board import Change, Record
from bot.core.model.history import Denial, Link, Position, Root
from bot.core.model.run import HandledCommand, PushedCommits, ServiceState
from bot.store.codec import dump_record, field_of, load_record


@dataclass(frozen=True, slots=True)
class Proofs:
    """What is proven, or asked, of a service's history: it changes where the chain of pushes has a gap."""

    links: tuple[Link, ...] = ()
    denials: tuple[Denial, ...] = ()
    roots: tuple[Root, ...] = ()
    forced_heads: tuple[Position, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands that were heard, and the answers that were given."""

    heard: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()


#: The parts beside the record itself: their families, and what they hold.
_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "proofs": TypeAdapter(Proofs),
    "heard": TypeAdapter(Commands),
    "position": TypeAdapter(Position),
    "push": TypeAdapter(str),
    "pushed": TypeAdapter(PushedCommits),
}
#: The families of which a service has many, each with a number.
_NUMBERED = ("position", "push", "pushed")

#: The parts of a service: by family and number (0 where there is one).
Parts = dict[tuple[str, int], Any]


def fields_of(record: Record) -> dict[str, str]:
    """All the fields in which a record is stored, as JSON."""
    if not isinstance(record, ServiceState):
        return {field_of(record): dump_record(record)}
    return {_field(record.key, part): _dump(part, value) for part, value in _split(record).items()}


def changed_fields(change: Change) -> Iterator[tuple[str, str]]:
    """The fields that a change writes, as JSON; empty for one that goes."""
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
    was = _split(before) if isinstance(before, ServiceState) else {}
    now = _split(after) if isinstance(after, ServiceState) else {}
    key = (after or before).key  # type: ignore[union-attr]  # one of them is there
    for part, value in now.items():
        stood = was.get(part)
        if stood is not value and stood != value:
            yield _field(key, part), _dump(part, value)
    yield from ((_field(key, part), "") for part in was if part not in now)


def records_of(rows: Iterable[tuple[str, bytes | str]]) -> Iterator[Record]:
    """The records that are stored in these fields. Raises pydantic.ValidationError if one is not of our making."""
    services: dict[str, Parts] = {}
    for field, text in rows:
        found = _part_of(field)
        if found is None:
            yield load_record(field, text)
        else:
            services.setdefault(found[0], {})[found[1]] = _load(found[1], text)
    yield from (_join(key, parts) for key, parts in services.items())


def with_changes(state: ServiceState | None, key: str, changes: Iterable[tuple[str, str]]) -> ServiceState | None:
    """What is remembered of a service after these fields have changed; None: nothing is."""
    parts = _split(state) if state is not None else {}
    for field, text in changes:
        found = _part_of(field)
        if found is None:
            raise AssertionError(f"{field} is no part of a service")
        if text:
            parts[found[1]] = _load(found[1], text)
        else:
            parts.pop(found[1], None)
    return _join(key, parts) if parts else None


def service_of(field: str) -> str | None:
    """The service that a field is a part of; None: it is a record of another kind."""
    found = _part_of(field)
    return None if found is None else found[0]


def _split(state: ServiceState) -> Parts:
    history = state.history
    small = replace(history, positions=(), links=(), denials=(), roots=())
    parts: Parts = {
        ("service", 0): replace(
            state, history=small, pushes=(), pushed=(), forced_heads=(), asked=(), heard=(), answered=()
        )
    }
    proofs = Proofs(history.links, history.denials, history.roots, state.forced_heads, state.asked)
    commands = Commands(state.heard, state.answered)
    parts.update({("proofs", 0): proofs} if proofs != Proofs() else {})
    parts.update({("heard", 0): commands} if commands != Commands() else {})
    for family, items, last in (
        ("position", history.positions, history.told),
        ("push", state.pushes, state.pushes_told),
        ("pushed", state.pushed, state.pushed_told),
    ):
        parts.update(((family, number), item) for number, item in enumerate(items, last - len(items) + 1))
    return parts


def _join(key: str, parts: Parts) -> ServiceState:
    state: ServiceState = parts.get(("service", 0)) or ServiceState(key)
    proofs: Proofs = parts.get(("proofs", 0)) or Proofs()
    commands: Commands = parts.get(("heard", 0)) or Commands()
    many = {family: _in_order(parts, family) for family in _NUMBERED}
    history = replace(
        state.history, positions=many["position"], links=proofs.links, denials=proofs.denials, roots=proofs.roots
    )
    return replace(
        state,
        history=history,
        pushes=many["push"],
        pushed=many["pushed"],
        forced_heads=proofs.forced_heads,
        asked=proofs.asked,
        heard=commands.heard,
        answered=commands.answered,
    )


def _in_order(parts: Parts, family: str) -> tuple[Any, ...]:
    numbers = sorted(number for found, number in parts if found == family)
    return tuple(parts[family, number] for number in numbers)


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
