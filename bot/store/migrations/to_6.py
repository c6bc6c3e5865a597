"""The step from schema 5 to 6. Pure: parsed JSON in and out.

Nothing that schema 5 stored changed its meaning: each field that is new has a default that means *unknown* or *none*.
The number keeps the versions before off what they cannot read: the records of follow-ups, freezes in the header, the
effect `mention`, and the events and facts of freezes, watchers, what people take out and runs that they move.
"""

from __future__ import annotations

from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """All records of a board, by their field `family/key`."""
    return records


def migrate_ended(raw: Raw) -> Raw:
    """One finished run of the history."""
    return raw


def migrate_effect(raw: Raw) -> Raw:
    """One effect of the outbox or of the dead letters."""
    return raw
