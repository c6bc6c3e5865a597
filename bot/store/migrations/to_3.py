"""The step from schema 2 to 3: how each stored value changes. Pure: from parsed JSON to parsed JSON.

A new field whose default means *unknown* needs nothing here. A value that this version could not load, or would
misread, does. Records are stored without the fields that have their default (`codec.dump_record`), so use
`raw.get(...)`. Tests: `tests/state/test_migration.py`, on what the code of schema 2 stored.

What lies in the inbox, in the fact log and among parked deliveries is not rewritten: events and facts of the version
before must load as they are.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Set
from typing import Any

from bot.store.migrations import services, versions
from bot.store.store import STORY_KEPT

#: One stored value as parsed JSON.
Raw = dict[str, Any]


def migrate_record(family: str, key: str, raw: Raw) -> dict[str, Raw]:
    """What takes the place of one record of the board, by its field `family/key` (`bot.core.model.board.FAMILIES`).

    Return `{f"{family}/{key}": changed}` for a change, several fields to split a record, none to drop it. The runs of
    the history (`ended`) pass through here as well, as family `run`.
    """
    if family == "service":
        return services.parts(key, raw)
    if family == "run":
        raw = _run(raw)
    elif family == "lock":
        raw = {name: value for name, value in raw.items() if name != "order"}
    return {f"{family}/{key}": raw}


def _run(raw: Raw) -> Raw:
    """A run may have several permits. Who cancelled a build is not kept once the run has failed by it."""
    changed = {name: value for name, value in raw.items() if name != "permit"}
    if raw.get("permit") is not None:
        changed["permits"] = [raw["permit"]]
    if raw.get("status") == "failed":
        changed.pop("cancelled_by", None)
    return changed


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """All records of one board, by field. The place for what one record alone does not tell."""
    moved: dict[str, Raw] = {}
    for field, raw in records.items():
        family, _, key = field.partition("/")
        moved.update(migrate_record(family, key, raw))
    return {**moved, **versions.stage_versions(records)}


def migrate_ended(raw: Raw) -> Raw:
    """One finished run of the history: `{"run": ..., "ending": ..., "at": ...}`."""
    key = raw["run"]["key"]
    return {**raw, "run": migrate_record("run", key, raw["run"])[f"run/{key}"]}


def migrate_effect(raw: Raw) -> Raw:
    """One effect of the outbox or of the dead letters, by its `kind`. Its slot stays."""
    return raw


def stories(facts: Iterable[tuple[str, str]], runs: Set[str]) -> dict[str, str]:
    """The hash `stories` for these runs, from the log (id and JSON of each fact): schema 2 kept facts there alone."""
    found: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=STORY_KEPT))
    for identity, text in facts:
        run = json.loads(text)["fact"].get("run")
        if run in runs:
            found[run].append(f"{identity}\n{text}")
    rows = {run: str(len(story)) for run, story in found.items()}
    return rows | {f"{run}#{n}": text for run, story in found.items() for n, text in enumerate(story, 1)}
