"""Convert stored values from schema 4 to 5. Pure: parsed JSON in and out.

Messages to people became data, whose text is written when it is sent. A text that schema 4 stored is read as it is
(`bot.store.codec`). So only effects change: banners, which now contain whole locks; notices, whose text schema 4 had
written already; and withdrawals, which lose `why`.
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
    """Migrate one effect of the outbox or of the dead letters. Its slot stays."""
    match raw["kind"]:
        case "notify":
            written = {"kind": "WrittenNotice", "subject": raw["subject"], "text": raw["text"]}
            return {name: raw[name] for name in raw if name not in ("subject", "text")} | {"about": written}
        case "banner":
            return {**raw, "locks": [{"key": raw["stage"], "stage": raw["stage"], **lock} for lock in raw["locks"]]}
        case "withdraw":
            return {name: value for name, value in raw.items() if name != "why"}
    return raw
