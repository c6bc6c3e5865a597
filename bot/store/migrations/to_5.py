"""The step from schema 4 to 5. Pure: parsed JSON in and out.

What people are told became data everywhere, and is written when it is sent. A text that schema 4 stored is read as it
is (`bot.store.codec`), so only effects change: those that carry whole locks now, and notices that were written.
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
    """One effect of the outbox or of the dead letters. Its slot stays."""
    match raw["kind"]:
        case "notify":
            written = {"kind": "WrittenNotice", "subject": raw["subject"], "text": raw["text"]}
            return {name: raw[name] for name in raw if name not in ("subject", "text")} | {"about": written}
        case "banner":
            return {**raw, "locks": [{"key": raw["stage"], "stage": raw["stage"], **lock} for lock in raw["locks"]]}
        case "withdraw":
            return {name: value for name, value in raw.items() if name != "why"}
    return raw
