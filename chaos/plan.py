"""The plan of a play, drawn from a seed: the merges, the results of builds, and the faults, with their times.

A plan is a pure function of the seed and a few sizes, and can be saved and played again. All times are in seconds
since the beginning of the play.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: The processes of Interlock, by their names in a play.
PROCESSES = ("web", "worker", "worker-b", "beat")


@dataclass(frozen=True)
class Spec:
    """A kind of fault: its group, its duration (least and most), and its possible targets."""

    group: str
    least: float
    most: float
    targets: tuple[str, ...] = ("",)
    #: The store that it needs: one server, or a replicated one; None: either.
    store: str | None = None
    #: The weight in the draw among its group.
    weight: int = 1


#: Every kind of fault. Faults of one group come one after the other, those of different groups at the same time.
KINDS: dict[str, Spec] = {
    # kill -9; the supervisor restarts the process
    "process killed": Spec("processes", 0, 0, PROCESSES, weight=4),
    "all processes killed": Spec("processes", 0, 0),
    # SIGSTOP and SIGCONT: a worker for longer than its lease of 8 s
    "worker stopped past its lease": Spec("processes", 9, 13, ("worker", "worker-b"), weight=2),
    "process stopped": Spec("processes", 1, 6, ("web", "beat")),
    "Redis killed": Spec("store", 0, 0, store="one", weight=2),
    "Redis stopped": Spec("store", 0.5, 6),
    "Redis paused": Spec("store", 0.5, 4),
    "Redis full": Spec("store", 2, 6),
    "Redis emptied": Spec("store", 0, 0, store="one"),
    "Redis failed over": Spec("store", 0, 0, store="replicated", weight=2),
    "Redis master killed": Spec("store", 1, 3, store="replicated"),
    "Redis master cut off, then killed": Spec("store", 1, 3, store="replicated", weight=2),
    "clock moved": Spec("clocks", 3, 10, PROCESSES),
    "Jenkins down": Spec("jenkins", 1, 6, ("build", "cdp")),
    "Jenkins restarted": Spec("jenkins", 1, 3, ("build", "cdp")),
    "Jenkins crashed": Spec("jenkins", 1, 3, ("cdp",)),
    "Jenkins slow": Spec("jenkins", 3, 8, ("build", "cdp")),
    "Jenkins refuses": Spec("jenkins", 2, 6, ("build", "cdp")),
    "Jenkins loses replies": Spec("jenkins", 3, 10, ("build", "cdp"), weight=2),
    "Jenkins takes triggers late": Spec("jenkins", 3, 6, ("cdp",)),
    "callbacks lost": Spec("callbacks", 3, 10, ("build", "cdp")),
    "callbacks repeated": Spec("callbacks", 3, 10, ("build", "cdp")),
    "callbacks late": Spec("callbacks", 3, 10, ("build", "cdp")),
    "GitHub down": Spec("github", 1, 6),
    "GitHub slow": Spec("github", 2, 8),
    "GitHub refuses": Spec("github", 2, 6),
    "GitHub loses replies": Spec("github", 3, 8),
    "GitHub limits the rate": Spec("github", 2, 6, weight=2),
    "webhooks lost": Spec("webhooks", 1, 4),
    "webhooks repeated": Spec("webhooks", 3, 10),
    "webhooks late": Spec("webhooks", 3, 8),
    # of a rolling upgrade: a process of the other release takes the place of this one
    "release changed": Spec("releases", 0, 0, PROCESSES),
}
#: The limits of the pause between two faults of a group.
PAUSE_LEAST, PAUSE_MOST = 1.0, 9.0
#: The begin of the first faults, in seconds, and the seconds after the last merge in which the last ones begin.
FIRST = 1.0
#: The farthest move of a clock, in seconds; most moves are smaller.
CLOCK_MOST = 3600.0


@dataclass(frozen=True)
class Fault:
    """One fault: its kind, begin, duration, target and strength (a share, or seconds)."""

    kind: str
    at: float
    seconds: float = 0.0
    target: str = ""
    amount: float = 0.0


@dataclass(frozen=True)
class Fate:
    """The result of a commit's builds in a stage; `builds`: the number of them (None: all)."""

    stage: str
    result: str
    builds: int | None = None


@dataclass(frozen=True)
class Merge:
    """A planned merge; `fate`: the stage where its builds do not pass."""

    at: float
    service: str
    fate: Fate | None = None


@dataclass(frozen=True)
class Plan:
    """The plan of a play. `store`: `one` server, or a `replicated` one with sentinels."""

    seed: int
    seconds: float
    store: str
    merges: tuple[Merge, ...]
    faults: tuple[Fault, ...]

    def to_json(self) -> str:
        """Return the plan as text; `from_json` reads it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read the text of `to_json`. Raise KeyError, TypeError or ValueError for any other text."""
        found: dict[str, Any] = json.loads(text)
        merges = tuple(
            Merge(**{**each, "fate": Fate(**each["fate"]) if each["fate"] else None}) for each in found.pop("merges")
        )
        return cls(merges=merges, faults=tuple(Fault(**each) for each in found.pop("faults")), **found)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a saved plan."""
        return cls.from_json(path.read_text("utf-8"))


def draw(
    seed: int,
    services: Sequence[str],
    *,
    seconds: float = 20.0,
    merges: int = 30,
    store: str | None = None,
    kinds: Sequence[str] = (),
    releases: bool = False,
) -> Plan:
    """Draw the plan of a seed: `merges` merges of these services in `seconds` seconds, with faults all the time.

    `store` None: the seed decides. `kinds`: only faults whose name contains one of these; empty: all. `releases`:
    whether another release is available.
    """
    store = store or ("replicated" if random.Random(f"{seed}/store").random() < 0.4 else "one")
    usable = {
        name: spec
        for name, spec in KINDS.items()
        if spec.store in (None, store)
        and (releases or spec.group != "releases")
        and (not kinds or any(each in name for each in kinds))
    }
    groups = dict.fromkeys(spec.group for spec in usable.values())
    faults = [
        fault
        for group in groups
        for fault in _faults(seed, group, {name: spec for name, spec in usable.items() if spec.group == group}, seconds)
    ]
    planned = tuple(_merges(random.Random(f"{seed}/merges"), services, seconds, merges))
    return Plan(seed, seconds, store, planned, tuple(sorted(faults, key=lambda fault: fault.at)))


def _faults(seed: int, group: str, kinds: dict[str, Spec], seconds: float) -> Iterator[Fault]:
    """Yield the faults of one group, one after the other."""
    chance = random.Random(f"{seed}/{group}")
    at = FIRST + chance.uniform(0, PAUSE_MOST)
    while at < seconds:
        name = chance.choices(list(kinds), [spec.weight for spec in kinds.values()])[0]
        spec = kinds[name]
        lasts = round(chance.uniform(spec.least, spec.most), 2)
        amount = round(chance.random(), 3)
        if name == "clock moved":
            amount = round(chance.choice((1, -1)) * chance.choice((2.0, 15.0, 120.0, CLOCK_MOST)) * amount, 2)
        yield Fault(name, round(at, 2), lasts, chance.choice(spec.targets), amount)
        at += lasts + chance.uniform(PAUSE_LEAST, PAUSE_MOST)


def _merges(chance: random.Random, services: Sequence[str], seconds: float, merges: int) -> Iterator[Merge]:
    """Yield merges at random times; one or two of ten fail somewhere."""
    for at in sorted(chance.uniform(0, seconds) for _ in range(merges)):
        yield Merge(round(at, 2), chance.choice(services), _fate(chance))


def _fate(chance: random.Random) -> Fate | None:
    drawn = chance.random()
    for share, fate in (
        (0.03, Fate("build", "FAILURE")),
        (0.03, Fate("acceptance", "FAILURE")),
        (0.03, Fate("acceptance", "FAILURE", 1)),
        (0.05, Fate("pre-production", chance.choice(("FAILURE", "UNSTABLE", "ABORTED")))),
        (0.01, Fate("production", "FAILURE")),
    ):
        if drawn < share:
            return fate
        drawn -= share
    return None
