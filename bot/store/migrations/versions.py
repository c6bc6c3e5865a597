"""From schema 2 to 3: what is in the stages, made of the passages of a service, its locks and its failed runs.

Schema 2 kept passages and locks in one order; a failure after a passage is what broke the stage. Which step the other
commits of its list `failed` had failed in it did not keep: they are forgotten, so that at most one head that has
failed is started once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]


def stage_versions(records: dict[str, Raw]) -> dict[str, Raw]:
    """The records of the family `version`, by field."""
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
    """What has failed where, the latest last: the service, the step, its place in the order if known, the version."""
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
    """The place in the order of the passage that a whole version was made of; -1 without one."""
    stage, service = version["step"]["stage"], records.get(f"service/{version['service']}", {})
    passages = service.get("passages", ()) if "whole" in version else ()
    return max((each.get("order", 0) for each in passages if each["stage"] == stage), default=-1)


def _at(found: dict[str, Raw], service: str, step: Raw) -> Raw:
    track = "fast " if step.get("track") == "fast" else ""
    key = f"{service}/{track}{step['stage']}"
    return found.setdefault(f"version/{key}", {"key": key, "service": service, "step": step})


def _version(place: Raw, run: str, lane: str, since: float = 0.0) -> Raw:
    """`since` 0: schema 2 did not keep it."""
    return {"place": place, "run": run, "lane": lane, "since": since}
