"""The four pictures as data: what must be where, what is where, and how the two are drawn and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from demo.words import Names


@dataclass(frozen=True)
class Picture:
    """Who waits and who is in which stage; queues are written tail first, as in the drawing."""

    queue_1: tuple[str, ...] = ()
    acceptance: frozenset[str] = frozenset()
    queue_2: tuple[str, ...] = ()
    pre_production: frozenset[str] = frozenset()
    production: frozenset[str] = frozenset()
    fast: tuple[tuple[str, str], ...] = field(default=())
    locked: bool = False


PICTURES = {
    1: Picture(("S1d",), frozenset({"S2b", "S1c", "S3a"}), ("S1b", "S2a"), frozenset({"S1a"})),
    2: Picture(("S1d",), frozenset({"S2b", "S1c", "S3a"}), ("S1b", "S2a"), locked=True),
    3: Picture(
        ("S1d",),
        frozenset({"S2b", "S1c", "S3a"}),
        ("S1b", "S2a"),
        fast=(("fast acceptance", "S1e"),),
        locked=True,
    ),
    4: Picture((), frozenset({"S2b", "S3a"}), (), frozenset({"S2a"}), frozenset({"S1e"})),
}

TITLES = {
    1: "seven runs of S1, S2 and S3",
    2: "S1a fails in pre-production: the stage locks itself",
    3: "the fix S1e takes the fast lane past everyone",
    4: "S1e has passed: what it contains is removed, the lock opens, S2a enters",
}


def seen(view: dict[str, Any], names: Names) -> Picture:
    """The picture that a view of the board shows."""
    stages = {stage["name"]: stage for stage in view["stages"]}

    def queued(stage: str) -> tuple[str, ...]:
        return tuple(names.of(tile["sha"]) for tile in reversed(stages[stage]["queue"]["runs"]))

    def inside(stage: str) -> frozenset[str]:
        return frozenset(names.of(tile["sha"]) for tile in stages[stage]["inside"]["runs"])

    fast = tuple(
        (f"fast {name}", names.of(tile["sha"]))
        for name, stage in stages.items()
        if stage["fast"]
        for tile in stage["fast"]["inside"]["runs"]
    )
    locked = bool(stages["pre-production"]["locks"])
    return Picture(
        queued("acceptance"),
        inside("acceptance"),
        queued("pre-production"),
        inside("pre-production"),
        inside("production"),
        fast,
        locked,
    )


def drawn(picture: Picture) -> str:
    """The picture as it stands in the design."""

    def box(names: Any) -> str:
        return " ".join(sorted(names, reverse=True))

    lock = "LOCKED: " if picture.locked else ""
    lines = [
        f"merge -> build -> [queue 1: {' '.join(picture.queue_1)}] -> (acceptance: {box(picture.acceptance)})",
        f"  -> [queue 2: {' '.join(picture.queue_2)}] -> ({lock}pre-production: {box(picture.pre_production)})",
        f"  -> (production: {box(picture.production)})",
    ]
    lines += [f"{name} => build => ({stage}: {name}) => rolls out to pre-production" for stage, name in picture.fast]
    return "\n".join(lines)


def differences(wanted: Picture, found: Picture) -> list[str]:
    """Where a picture differs from what it should be, one line each; none if it is right."""
    return [
        f"{name.replace('_', ' ')}: expected {_shown(getattr(wanted, name))}, found {_shown(getattr(found, name))}"
        for name in wanted.__dataclass_fields__
        if getattr(wanted, name) != getattr(found, name)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "locked" if value else "open"
    return " ".join(str(v) for v in (sorted(value) if isinstance(value, frozenset) else value)) or "nobody"
