"""The step from schema 3 to 4: fields, families and kinds got the names of the field. Pure: parsed JSON in and out.

What lies in the inbox, in the fact log and among parked deliveries is not rewritten: `bot.store.codec` reads the events
and facts of schema 3 as they are.
"""

from __future__ import annotations

from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]

#: Families of records (`bot.core.model.board.FAMILIES`, `bot.store.parts`), before and after.
_FAMILIES = {"trouble": "backoff", "foreign": "unmanaged", "place": "position", "heard": "commands"}
#: Fields of records, at any depth.
_OF_RECORDS = {
    "place": "position",
    "places": "positions",
    "seat": "queue_number",
    "next_seat": "next_queue_number",
    "chain": "history",
    "force": "level",
    "forces": "forced_heads",
    "doubt": "unconfirmed_head",
    "heard": "handled_commands",
    "told": "count",
    "pushes_told": "push_count",
    "pushed_told": "pushed_count",
}
#: Fields of effects.
_OF_EFFECTS = {"rests": "debounce", "force": "level"}
_KINDS = {"obey": "authorize-command"}
#: Keys that have another name and are carried over, before and after. So have those of wake-ups: they are not carried
#: over, for they expire within seconds, and whoever starts looks without being woken up.
CARRIED = {"dead": "dead-letters"} | {
    f"held:{family}": f"claimed:{family}" for family in ("jenkins", "github", "people")
}
#: How the names of keys that expire begin, before and after. They are copied, for the old ones count until the end.
COPIED = {"said:": "given:"}


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """All records of a board, by their field `family/key`."""
    return {_field(field): _renamed(raw, _OF_RECORDS) for field, raw in records.items()}


def migrate_ended(raw: Raw) -> Raw:
    """One finished run of the history."""
    changed: Raw = _renamed(raw, _OF_RECORDS)
    return changed


def migrate_effect(raw: Raw) -> Raw:
    """One effect of the outbox or of the dead letters. Its slot stays."""
    changed: Raw = _renamed(raw, _OF_EFFECTS)
    return {**changed, "kind": _KINDS.get(raw["kind"], raw["kind"])}


def _field(field: str) -> str:
    family, slash, key = field.partition("/")
    return f"{_FAMILIES.get(family, family)}{slash}{key}"


def _renamed(raw: Any, names: dict[str, str]) -> Any:
    if isinstance(raw, dict):
        return {names.get(name, name): _renamed(value, names) for name, value in raw.items()}
    return [_renamed(each, names) for each in raw] if isinstance(raw, list) else raw
