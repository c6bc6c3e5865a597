"""Convert stored values from schema 5 to 6, which changes none of them. Pure: parsed JSON in and out.

Each new field has a default that means *unknown* or *none*. The new number only keeps former versions from reading what
they do not understand: the records of follow-ups, freezes in the header, the effect `mention`, and the events and facts
of freezes, of watchers, of deliveries and dead letters that people take out, and of runs that people move.
"""

from __future__ import annotations

from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """Return all records of a board, which this step does not change."""
    return records


def migrate_ended(raw: Raw) -> Raw:
    """Return one ended run of the history, which this step does not change."""
    return raw


def migrate_effect(raw: Raw) -> Raw:
    """Return one effect of the outbox or of the dead letters, which this step does not change."""
    return raw
