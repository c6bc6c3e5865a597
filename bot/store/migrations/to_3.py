"""Convert stored values from schema 2 to 3. Pure: parsed JSON in and out.

A new field whose default means *unknown* needs no conversion. A value that this version could not load, or would
misread, does. Records are stored without the fields that have their default (`codec.dump_record`), so use
`raw.get(...)`. `tests/state/test_migration.py` tests it on values that the code of schema 2 stored.

The inbox, the fact log and parked deliveries are not rewritten: events and facts of the former version must load as
they are.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Set
from typing import Any

from bot.store.store import STORY_KEPT

#: One stored value as parsed JSON.
Raw = dict[str, Any]
_GONE = ("passages", "failed")
_PROOFS, _OF_CHAIN = ("forces", "asked"), ("links", "denials", "roots")
_HEARD = ("heard", "answered")


def migrate_record(family: str, key: str, raw: Raw) -> dict[str, Raw]:
    """Return the fields that replace one record of the board: one, several if it is split, or none to drop it.

    A field is `family/key`; the families are in `bot.core.model.board_records.FAMILIES`. The runs of the history
    (`ended`) are migrated here as well, as family `run`.
    """
    if family == "service":
        return parts(key, raw)
    if family == "run":
        raw = _run(raw)
    elif family == "lock":
        raw = {name: value for name, value in raw.items() if name != "order"}
    return {f"{family}/{key}": raw}


def _run(raw: Raw) -> Raw:
    """Migrate a run: `permit` becomes the list `permits`, and a failed run loses `cancelled_by`."""
    changed = {name: value for name, value in raw.items() if name != "permit"}
    if raw.get("permit") is not None:
        changed["permits"] = [raw["permit"]]
    if raw.get("status") == "failed":
        changed.pop("cancelled_by", None)
    return changed


def migrate_board(records: dict[str, Raw]) -> dict[str, Raw]:
    """Migrate all records of one board, by field, including what cannot be derived from one record alone."""
    moved: dict[str, Raw] = {}
    for field, raw in records.items():
        family, _, key = field.partition("/")
        moved.update(migrate_record(family, key, raw))
    return {**moved, **stage_versions(records)}


def migrate_ended(raw: Raw) -> Raw:
    """Migrate one ended run of the history: `{"run": ..., "ending": ..., "at": ...}`."""
    key = raw["run"]["key"]
    return {**raw, "run": migrate_record("run", key, raw["run"])[f"run/{key}"]}


def migrate_effect(raw: Raw) -> Raw:
    """Return one effect of the outbox or of the dead letters, which this step does not change."""
    return raw


def stories(facts: Iterable[tuple[str, str]], runs: Set[str]) -> dict[str, str]:
    """Build the hash `stories` for these runs from the log (id and JSON of each fact): schema 2 had only the log."""
    found: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=STORY_KEPT))
    for identity, text in facts:
        run = json.loads(text)["fact"].get("run")
        if run in runs:
            found[run].append(f"{identity}\n{text}")
    rows = {run: str(len(story)) for run, story in found.items()}
    return rows | {f"{run}#{n}": text for run, story in found.items() for n, text in enumerate(story, 1)}


def parts(service: str, raw: Raw) -> dict[str, Any]:
    """Return the fields that replace the record of a service: its state in parts (`bot.store.parts`).

    Places, pushes and groups of commits are numbered from 1. `moves` begins at 1: an answer about main that waits in
    the inbox does not say how old it is, so it counts as old, and GitHub is asked again.
    """
    chain: Raw = raw.get("chain", {})
    places, pushes, pushed = chain.get("places", []), raw.get("pushes", []), raw.get("pushed", [])
    small = _without(raw, (*_GONE, *_PROOFS, *_HEARD, "pushes", "pushed"))
    if chain:
        small["chain"] = {**_without(chain, (*_OF_CHAIN, "places")), "told": len(places)}
    small |= {"pushes_told": len(pushes), "pushed_told": len(pushed), "moves": 1 if chain.get("head") else 0}
    proofs = {name: raw[name] for name in _PROOFS if name in raw} | {
        name: chain[name] for name in _OF_CHAIN if name in chain
    }
    commands = {name: raw[name] for name in _HEARD if name in raw}
    found: dict[str, Any] = {f"service/{service}": small}
    found |= {f"proofs/{service}": proofs} if proofs else {}
    found |= {f"heard/{service}": commands} if commands else {}
    for family, items in (("place", places), ("push", pushes), ("pushed", pushed)):
        found |= {f"{family}/{service}/{number}": item for number, item in enumerate(items, 1)}
    return found


def _without(raw: Raw, names: tuple[str, ...]) -> Raw:
    return {name: value for name, value in raw.items() if name not in names}


def stage_versions(records: dict[str, Raw]) -> dict[str, Raw]:
    """Return the records of the family `version`, by field: the stage versions, from passages, locks and failed runs.

    Schema 2 numbered passages and locks in one order; a failure after the last passage broke the stage. For the other
    commits in its list `failed` it did not store the step, so they are dropped; the effect is at most that a head that
    has failed is started once more.
    """
    found: dict[str, Raw] = {}
    for state in (raw for field, raw in records.items() if field.startswith("service/")):
        for passage in sorted(state.get("passages", ()), key=lambda each: each.get("order", 0)):
            version = _at(found, state["key"], {"stage": passage["stage"]})
            version["whole"] = _version(passage["place"], passage["run"], passage["lane"])
            if passage["lane"] == "fast":
                version["fix"] = version["whole"]
    for service, step, order, broken in _broken(records):
        version = _at(found, service, step)
        if order is None or order > _order_of(records, version):
            version["broken"] = broken
    return found


def _broken(records: dict[str, Raw]) -> Iterator[tuple[str, Raw, int | None, Raw]]:
    """Yield the failures, latest last: the service, the step, its number in the order if known, the version."""
    locks = [raw for field, raw in records.items() if field.startswith("lock/") and raw.get("place")]
    for lock in sorted(locks, key=lambda each: each.get("order", 0)):
        run = records.get(f"run/{lock['run']}", {})
        broken = _version(lock["place"], lock["run"], run.get("lane", "main"), lock["since"])
        yield lock["service"], {"stage": lock["stage"]}, lock.get("order", 0), broken
    holders = {lock["run"] for lock in locks}
    for field, run in records.items():
        if field.startswith("run/") and run["status"] == "failed" and run["key"] not in holders:
            yield run["service"], run["step"], None, _version(run["place"], run["key"], run["lane"], run["since"])


def _order_of(records: dict[str, Raw], version: Raw) -> int:
    """Return the number in the order of the passage from which a whole version was made; -1 if there is none."""
    stage, service = version["step"]["stage"], records.get(f"service/{version['service']}", {})
    passages = service.get("passages", ()) if "whole" in version else ()
    return max((each.get("order", 0) for each in passages if each["stage"] == stage), default=-1)


def _at(found: dict[str, Raw], service: str, step: Raw) -> Raw:
    track = "fast " if step.get("track") == "fast" else ""
    key = f"{service}/{track}{step['stage']}"
    return found.setdefault(f"version/{key}", {"key": key, "service": service, "step": step})


def _version(place: Raw, run: str, lane: str, since: float = 0.0) -> Raw:
    """Return one commit of a stage version. `since` 0: schema 2 did not store it."""
    return {"place": place, "run": run, "lane": lane, "since": since}
