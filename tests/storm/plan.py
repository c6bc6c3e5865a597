"""What is to happen, drawn from a seed: who merges when, and which runs are to fail where."""

from __future__ import annotations

import random
from dataclasses import dataclass

from chaos.world import SERVICES


@dataclass(frozen=True)
class Fate:
    """Where and how a run's builds end otherwise than well; `builds`: how many of them do (None: all)."""

    stage: str
    result: str
    builds: int | None = None

    @property
    def fatal(self) -> bool:
        """Whether the run is to end as a reported failure: the stage reports, and no repeat helps."""
        return self.stage in ("build", "acceptance") and self.builds is None


#: The first fix fails in its own fast job, so that a second one is needed.
BAD_FIX = Fate("fast-acceptance", "FAILURE")


@dataclass(frozen=True)
class Merge:
    """One merge that is to come."""

    service: str
    fate: Fate | None = None


def plan(runs: int, seed: int) -> list[Merge]:
    """So many merges in their order. A few per cent fail in build and acceptance; a handful in pre-production."""
    chance = random.Random(seed)
    names = list(SERVICES)
    services = [chance.choice(names) for _ in range(runs)]
    fates: dict[int, Fate] = {}
    early = list(range(runs // 10, runs * 6 // 10))
    chance.shuffle(early)
    locked: set[str] = set()
    for result in ("FAILURE", "ABORTED", "UNSTABLE", *("FAILURE",) * (runs // 125)):
        # One lock per service, and not too late: the fix of one would remove the other before its time.
        at = next(i for i in early if i not in fates and services[i] not in locked)
        fates[at] = Fate("pre-production", result)
        locked.add(services[at])
    others = [i for i in range(runs) if i not in fates]
    chance.shuffle(others)
    few = max(2, runs // 40)
    for stage, builds in (("build", None), ("acceptance", None), ("acceptance", 1)):
        for _ in range(few):
            fates[others.pop()] = Fate(stage, "FAILURE", builds)
    return [Merge(service, fates.get(i)) for i, service in enumerate(services)]
