"""What several promises need to know of the records: which builds worked, for what, and what they passed.

Three things that Jenkins does count here for nothing:

- A build that asked whether it is still wanted, and was told no, ended without doing anything (`turned_away`).
- A Jenkins that took a trigger long after it had been given up starts a build that nobody waits for. Interlock stops
  it when Jenkins tells of it; until then the stage may have one more (`_is_late`). One that asked whether it is still
  wanted must have been told no.
- A Jenkins that crashed builds again what had just started: two builds of one queue item. Nobody asked for the second;
  of two that asked, one at most may have been told yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaos.records import Records, Row


class Evidence:
    """The records, with what several promises need to know of them."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.builds = [build for build in _without_twins(records.builds) if build["params"].get("INTERLOCK_RUN")]
        #: Those that did something.
        self.worked = [build for build in self.builds if not build["turned_away"] and not _is_late(build, self.builds)]
        self._order: dict[str, int] = {row["sha"]: number for number, row in enumerate(records.merged)}

    def order(self, sha: str) -> int:
        """The place of a commit among the merges: of one service, a higher one contains a lower one. -1: unknown."""
        return self._order.get(sha, -1)

    def of_stage(self, stage: str) -> list[Row]:
        """The builds of a stage that did something, in the order of their starts."""
        return [build for build in self.worked if build["stage"] == stage]

    def passed(self, stage: str, sha: str) -> bool:
        """Whether a build of a commit passed a stage, there or in its fast job."""
        stages = (stage, f"fast-{stage}")
        return any(b["result"] == "SUCCESS" and b["stage"] in stages and sha_of(b) == sha for b in self.worked)

    def delivered_up_to(self, service: str) -> int:
        """The place of the newest commit of a service that passed the last stage; -2: none."""
        last = self.records.rolls_out[-1]
        built = [b for b in self.of_stage(last) if service_of(b) == service and b["result"] == "SUCCESS"]
        return max((self.order(sha_of(b)) for b in built), default=-2)


def sha_of(build: Row) -> str:
    return str(build["params"]["INTERLOCK_SHA"])


def service_of(build: Row) -> str:
    return str(build["params"]["INTERLOCK_SERVICE"])


def _is_late(build: Row, builds: Iterable[Row]) -> bool:
    """Whether it began after a later attempt of its run in that stage, and Interlock had it stopped.

    Not one that asked Interlock and was let go on.
    """
    if build["result"] != "ABORTED" or not stopped_by_interlock(build) or build["let_go_on"]:
        return False
    return any(
        _passage(other) == _passage(build) and _attempt(other) > _attempt(build) and other["started"] < build["started"]
        for other in builds
    )


def stopped_by_interlock(build: Row) -> bool:
    """Whether Interlock had it stopped, alone or with others."""
    return "interlock" in build["interrupted_by"]


def attempt_of(build: Row) -> tuple[str, ...]:
    """What tells the attempt of a build from all others."""
    return (*_passage(build), str(build["params"].get("INTERLOCK_ATTEMPT")))


def _passage(build: Row) -> tuple[str, ...]:
    return (build["stage"], *(str(build["params"].get(f"INTERLOCK_{each}")) for each in ("RUN", "VERSION", "LANE")))


def _attempt(build: Row) -> float:
    return float(build["params"].get("INTERLOCK_ATTEMPT") or 0)


def _without_twins(builds: Iterable[Row]) -> Iterator[Row]:
    """Of the builds of one queue item the first. After a crash Jenkins gives the numbers of items again, to others."""
    seen: set[tuple[object, ...]] = set()
    for build in builds:
        item = build["controller"], build["queue_id"], *attempt_of(build)
        if item not in seen:
            yield build
        seen.add(item)


def name(build: Row) -> str:
    """A build in words."""
    params = build["params"]
    what = f"{build['stage']} #{build['number']} of {params['INTERLOCK_RUN']}/{params['INTERLOCK_ATTEMPT']}"
    return f"{what} {sha_of(build)[:7]} ({build['result']}, {build['started']:.2f} to {build['ended'] or 0:.2f})"
