"""Convert stored values from schema 3 to 4. Pure: parsed JSON in and out.

Fields, families and kinds were renamed to the usual terms. The fields of one try of a run or a verification moved into
its `attempt`, those that GitHub reports of a run's merge into its `merge`.

The inbox, the fact log and parked deliveries are not rewritten: `bot.store.codec` reads the events and facts of schema
3 as they are.
"""

from __future__ import annotations

from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]

#: Families of records (`bot.core.model.board_records.FAMILIES`, `bot.store.parts`), before and after.
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
#: Fields of runs and verifications that moved to their attempt, besides its number.
_OF_ATTEMPT = (
    *("queue_item", "build", "expected", "cancelled_by", "timed_out", "abort"),
    *("failure", "failed_tests", "failed_step", "lost"),
)
#: Fields of runs that moved to their merge.
_OF_MERGE = ("pull", "pulls", "title", "author")
_KINDS = {"obey": "authorize-command"}
#: Renamed keys that are carried over, old name to new name. The keys of wake-ups were renamed too; they are not carried
#: over, because they expire within seconds, and a process that starts looks without a wake-up.
CARRIED = {"dead": "dead-letters"} | {
    f"held:{family}": f"claimed:{family}" for family in ("jenkins", "github", "people")
}
#: Renamed prefixes of keys that expire, old to new. They are copied, because the old ones are used until the script
#: puts the new state in force.
COPIED = {"said:": "given:"}


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """Migrate all records of a board, by their field `family/key`."""
    return {_field(field): _record(field, _renamed(raw, _OF_RECORDS)) for field, raw in records.items()}


def migrate_ended(raw: Raw) -> Raw:
    """Migrate one ended run of the history."""
    changed: Raw = _renamed(raw, _OF_RECORDS)
    return {**changed, "run": _run(changed["run"])}


def migrate_effect(raw: Raw) -> Raw:
    """Migrate one effect of the outbox or of the dead letters. Its slot stays."""
    changed: Raw = _renamed(raw, _OF_EFFECTS)
    return {**changed, "kind": _KINDS.get(raw["kind"], raw["kind"])}


def _field(field: str) -> str:
    family, slash, key = field.partition("/")
    return f"{_FAMILIES.get(family, family)}{slash}{key}"


def _record(field: str, raw: Raw) -> Raw:
    family = field.partition("/")[0]
    if family == "run":
        return _run(raw)
    return _with_attempt(raw) if family == "verification" else raw


def _run(raw: Raw) -> Raw:
    """Migrate a run on the board or in the history. A run stored before `pulls` existed has only `pull`."""
    kept = {name: value for name, value in raw.items() if name not in _OF_MERGE}
    merge = {name: raw[name] for name in _OF_MERGE if name in raw}
    if merge.get("pull") is not None and not merge.get("pulls"):
        merge["pulls"] = [merge["pull"]]
    return {**_with_attempt(kept), **({"merge": merge} if merge else {})}


def _with_attempt(raw: Raw) -> Raw:
    """Migrate a run or a verification. A waiting one keeps only the number of its attempt: schema 3 did not reset the
    other fields, by mistake."""
    number = raw.get("attempt", 0)
    attempt: Raw = {"number": number} if number else {}
    if raw["status"] != "waiting":
        attempt |= {name: raw[name] for name in _OF_ATTEMPT if name in raw}
        if number and raw.get("unanswered") == number:
            attempt["unanswered"] = True
    kept = {name: value for name, value in raw.items() if name not in {"attempt", "unanswered", *_OF_ATTEMPT}}
    return {**kept, **({"attempt": attempt} if attempt else {})}


def _renamed(raw: Any, names: dict[str, str]) -> Any:
    if isinstance(raw, dict):
        return {names.get(name, name): _renamed(value, names) for name, value in raw.items()}
    return [_renamed(each, names) for each in raw] if isinstance(raw, list) else raw
