"""Answers the common questions of the promises about the records: the builds that worked, and the stages they passed.

Three kinds of builds do not count here:

- A build that asked whether it is still wanted, got the answer no, and ended without doing anything (`turned_away`).
- A late build: Jenkins took its trigger long after Interlock had given it up. Interlock stops it when it hears of it;
  until then the stage may have one more build (`_is_late`). A build that asked whether it is still wanted must have
  got the answer no.
- A second build of one queue item: after a crash Jenkins builds again the items that had just started. Of two builds
  that asked, at most one may have got the answer yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaos.records import Records, Row


class Evidence:
    """The records, with the answers that several promises need."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.builds = [build for build in _without_twins(records.builds) if build["params"].get("INTERLOCK_RUN")]
        #: The builds that did something.
        self.worked = [build for build in self.builds if not build["turned_away"] and not _is_late(build, self.builds)]
        self._order: dict[str, int] = {row["sha"]: number for number, row in enumerate(records.merged)}

    def order(self, sha: str) -> int:
        """Return the place of a commit among the merges (in a service, a higher one contains a lower); -1: unknown."""
        return self._order.get(sha, -1)

    def of_stage(self, stage: str) -> list[Row]:
        """Return the builds of a stage that did something, in the order of their starts."""
        return [build for build in self.worked if build["stage"] == stage]

    def passed(self, stage: str, sha: str) -> bool:
        """Return whether a build of a commit passed a stage, there or in its fast job."""
        stages = (stage, f"fast-{stage}")
        return any(b["result"] == "SUCCESS" and b["stage"] in stages and sha_of(b) == sha for b in self.worked)

    def delivered_up_to(self, service: str) -> int:
        """Return the place of the newest commit of a service that passed the last stage; -2: none."""
        last = self.records.rolls_out[-1]
        built = [b for b in self.of_stage(last) if service_of(b) == service and b["result"] == "SUCCESS"]
        return max((self.order(sha_of(b)) for b in built), default=-2)


def sha_of(build: Row) -> str:
    return str(build["params"]["INTERLOCK_SHA"])


def service_of(build: Row) -> str:
    return str(build["params"]["INTERLOCK_SERVICE"])


def _is_late(build: Row, builds: Iterable[Row]) -> bool:
    """Return whether it began after a later attempt of its run in that stage, and Interlock stopped it.

    A build that asked Interlock and was allowed to go on is not late.
    """
    if build["result"] != "ABORTED" or not stopped_by_interlock(build) or build["let_go_on"]:
        return False
    return any(
        _passage(other) == _passage(build) and _attempt(other) > _attempt(build) and other["started"] < build["started"]
        for other in builds
    )


def stopped_by_interlock(build: Row) -> bool:
    """Return whether Interlock stopped it, alone or with others."""
    return "interlock" in build["interrupted_by"]


def attempt_of(build: Row) -> tuple[str, ...]:
    """Return the identity of a build's attempt."""
    return (*_passage(build), str(build["params"].get("INTERLOCK_ATTEMPT")))


def _passage(build: Row) -> tuple[str, ...]:
    return (build["stage"], *(str(build["params"].get(f"INTERLOCK_{each}")) for each in ("RUN", "VERSION", "LANE")))


def _attempt(build: Row) -> float:
    return float(build["params"].get("INTERLOCK_ATTEMPT") or 0)


def _without_twins(builds: Iterable[Row]) -> Iterator[Row]:
    """Yield the first build of each queue item and attempt. After a crash Jenkins reuses the numbers of items."""
    seen: set[tuple[object, ...]] = set()
    for build in builds:
        item = build["controller"], build["queue_id"], *attempt_of(build)
        if item not in seen:
            yield build
        seen.add(item)


def name(build: Row) -> str:
    """Describe a build."""
    params = build["params"]
    what = f"{build['stage']} #{build['number']} of {params['INTERLOCK_RUN']}/{params['INTERLOCK_ATTEMPT']}"
    return f"{what} {sha_of(build)[:7]} ({build['result']}, {build['started']:.2f} to {build['ended'] or 0:.2f})"
