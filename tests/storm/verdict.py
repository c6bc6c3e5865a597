"""What became of it: the stand-ins' own record of builds held against the board, the history and the facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bot.core.model.board import Board
from bot.core.model.facts import FactKind
from bot.core.model.run import End
from bot.core.rules.decision import Ended
from bot.store.codec import RecordedFact
from chaos.world import CAPACITY
from tests.storm.plan import Fate
from tests.texts import text_of

Build = dict[str, Any]


@dataclass
class Verdict:
    """Everything that must be empty, and the numbers beside it."""

    #: Attempts for which Interlock had two builds that both ran; the same where one was stopped.
    double: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    #: Runs that were built again in a stage that they had passed.
    passed_twice: list[str] = field(default_factory=list)
    #: Builds that Jenkins made a second time from one queue item, by how they ended and what Interlock made of them.
    repeated_by_jenkins: Counter[str] = field(default_factory=Counter)
    #: Builds that came so late that Interlock had given their attempt up, and that rolled nothing out.
    turned_away: int = 0
    lost: list[str] = field(default_factory=list)
    over_capacity: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    wrong_end: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What must not be, by its name."""
        return {
            "double triggers": self.double + self.stopped,
            "runs built again in a stage they had passed": self.passed_twice,
            "lost runs": self.lost,
            "capacity violations": self.over_capacity,
            "stuck runs": self.stuck,
            "runs with a wrong end": self.wrong_end,
        }


def judge(
    builds: list[Build],
    board: Board,
    ended: list[Ended],
    told: list[RecordedFact],
    merged: dict[str, str],
    fates: dict[str, Fate],
) -> Verdict:
    """Hold everything against everything."""
    verdict = Verdict()
    ours, again = _without_repeats(builds)
    _double(verdict, ours)
    verdict.turned_away = sum(1 for build in ours if build["turned_away"])
    capacity(verdict, [build for build in ours if not build["turned_away"]])
    verdict.facts = Counter(str(one.fact.kind) for one in told)
    for build in again:
        verdict.repeated_by_jenkins[f"{build['result']}, {_made_of(build, told)}"] += 1
    verdict.stuck = [f"{run.key} {run.status} in {run.step}" for run in board.runs.values()]
    verdict.ends = Counter(str(one.ending.end) for one in ended)
    _lost(verdict, ended, board, merged)
    _ends(verdict, ours, ended, fates)
    return verdict


def _without_repeats(builds: list[Build]) -> tuple[list[Build], list[Build]]:
    """The builds, without those that Jenkins made a second time from one queue item; and these."""
    seen: set[tuple[str, int]] = set()
    ours, again = [], []
    for build in builds:
        item = build["controller"], build["queue_id"]
        (again if item in seen else ours).append(build)
        seen.add(item)
    return ours, again


def _double(verdict: Verdict, builds: list[Build]) -> None:
    attempts, passed = defaultdict(list), defaultdict(list)
    for build in builds:
        run = build["params"]["INTERLOCK_RUN"]
        attempts[run, build["params"]["INTERLOCK_ATTEMPT"]].append(build)
        if build["result"] == "SUCCESS":
            passed[run, build["stage"]].append(build)
    for (run, attempt), found in attempts.items():
        whole = [build for build in found if not build["interrupted_by"]]
        if len(whole) > 1:
            verdict.double.append(f"{run} attempt {attempt}: {', '.join(map(_name, found))}")
        elif len(found) > 1:
            verdict.stopped.append(f"{run} attempt {attempt}: {', '.join(map(_name, found))}")
    verdict.passed_twice = [f"{run}: {', '.join(map(_name, f))}" for (run, _), f in passed.items() if len(f) > 1]


def capacity(verdict: Verdict, builds: list[Build]) -> None:
    """In real time, from the starts and ends of the builds of each job."""
    for stage, capacity in CAPACITY.items():
        steps = sorted(
            step
            for build in builds
            if build["stage"] == stage and build["ended"] is not None
            for step in ((build["started"], 1, _name(build)), (build["ended"], -1, _name(build)))
        )
        inside = 0
        for at, change, name in sorted(steps, key=lambda step: (step[0], step[1])):
            inside += change
            if capacity is not None and change > 0 and inside > capacity:
                verdict.over_capacity.append(f"{name} is number {inside} in {stage} at {at:.3f}")


def _made_of(build: Build, told: list[RecordedFact]) -> str:
    """What Interlock said of a build that Jenkins had made a second time."""
    run, number = build["params"]["INTERLOCK_RUN"], build["number"]
    for fact in (one.fact for one in told if str(one.fact.step).replace(" ", "-") == build["stage"]):
        if (
            fact.kind == FactKind.BUILD_DUPLICATED
            and fact.run == run
            and text_of(fact.why).startswith(f"build #{number} ")
        ):
            return "stopped as a duplicate"
        if fact.kind == FactKind.UNMANAGED_BUILD_SEEN and fact.build == number:
            return "seen as nobody's"
        if fact.run == run and fact.build == number:
            return "taken for the run's own"
    return "over before it was seen"


def _lost(verdict: Verdict, ended: list[Ended], board: Board, merged: dict[str, str]) -> None:
    runs = Counter([*(one.run.position.sha for one in ended), *(run.position.sha for run in board.runs.values())])
    verdict.lost = [f"{service} {sha[:7]} has no run" for sha, service in merged.items() if not runs[sha]]
    verdict.lost += [f"{sha[:7]} has {number} runs" for sha, number in runs.items() if number > 1 or sha not in merged]


def _ends(verdict: Verdict, builds: list[Build], ended: list[Ended], fates: dict[str, Fate]) -> None:
    by_run = {one.run.key: one for one in ended}
    results: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for build in builds:
        results[build["params"]["INTERLOCK_RUN"]].add((build["stage"], build["result"]))
    for key, one in by_run.items():
        why = _wrong(one, by_run, results[key], fates.get(key))
        if why:
            verdict.wrong_end.append(f"{key} is {one.ending.end}, {text_of(one.ending.why)}: {why}")


def _wrong(one: Ended, by_run: dict[str, Ended], results: set[tuple[str, str]], fate: Fate | None) -> str:
    """Why a run ought not to have ended like this; empty if it ought to."""
    match one.ending.end:
        case End.DELIVERED:
            passed = {stage.removeprefix("fast-") for stage, result in results if result == "SUCCESS"}
            lacks = {"build", "acceptance", "pre-production", "production"} - passed
            return f"it was not built in {', '.join(sorted(lacks))}" if lacks else _unfit(fate, results)
        case End.FAILED:
            return "" if fate is not None and (fate.stage, fate.result) in results else "nothing of it was to fail"
        case End.SUPERSEDED:
            return _not_contained(one, by_run)
        case _:
            return "nobody asked for that"


def _unfit(fate: Fate | None, results: set[tuple[str, str]]) -> str:
    """A run whose build failed for good was delivered. It may have come around that job: superseded, merged as a fix
    while its lane was open, or one of the long builds that the crash is to meet, whose rule then is the newer one."""
    failed = fate is not None and fate.fatal and (fate.stage, fate.result) in results
    return "it was to fail" if failed else ""


def _not_contained(one: Ended, by_run: dict[str, Ended]) -> str:
    """A superseded run must be in a later run of its service that was delivered, through others if need be."""
    seen, at = {one.run.key}, one
    while at.ending.end is End.SUPERSEDED:
        newer = by_run.get(at.ending.by or "")
        if newer is None or newer.run.key in seen or newer.run.service != one.run.service:
            return f"superseded by {at.ending.by}, which is not there"
        if newer.run.position.seq <= at.run.position.seq and newer.run.position.segment == at.run.position.segment:
            return f"superseded by {newer.run.key}, which is older"
        seen.add(newer.run.key)
        at = newer
    return "" if at.ending.end is End.DELIVERED else f"superseded, in the end, by {at.run.key}: {at.ending.end}"


def _name(build: Build) -> str:
    params = build["params"]
    return f"{build['stage']} #{build['number']} of {params['INTERLOCK_RUN']}/{params['INTERLOCK_ATTEMPT']}"


def listed(what: str, rows: Iterable[str]) -> str:
    """A list for people."""
    return "\n".join([f"{what}:", *(f"  {row}" for row in rows)])
