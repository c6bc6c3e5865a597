"""Checks that Interlock kept its promises, by the records of Jenkins and GitHub and the answers of the API.

Each function below is one promise (docs/design.md, *What always holds*; docs/fast-lane.md; docs/locks.md) and yields a
sentence for each violation. The checker does not depend on Interlock's code; its knowledge of Jenkins is in
`chaos.evidence`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chaos.evidence import Evidence, attempt_of, name, service_of, sha_of, stopped_by_interlock
from chaos.records import Records, Row


@dataclass(frozen=True)
class Violation:
    """A violated promise: its name, and the details."""

    promise: str
    what: str


def check(records: Records) -> list[Violation]:
    """Return all violations of all promises."""
    evidence = Evidence(records)
    return [Violation(promise, what) for promise, found in PROMISES.items() for what in found(evidence)]


def unfinished(records: Records) -> list[str]:
    """Return the things that still have to end; empty once there is nothing more to wait for."""
    evidence = Evidence(records)
    return [what for promise in AT_THE_END for what in promise(evidence)]


def _several(found: dict[tuple[str, ...], list[Row]]) -> Iterator[str]:
    for what, builds in found.items():
        if len(builds) > 1:
            yield f"{' '.join(what)}: {', '.join(map(name, builds))}"


# -- builds -------------------------------------------------------------------------------------------------------


def one_build_per_attempt(evidence: Evidence) -> Iterator[str]:
    """Check that each attempt has one build, and that at most one build of it was allowed to roll out."""
    yield from _several(_by_attempt(evidence.builds))
    let_go_on = [build for build in evidence.records.builds if build["let_go_on"]]
    yield from _several(_by_attempt(let_go_on))


def _by_attempt(builds: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for build in builds:
        found[attempt_of(build)].append(build)
    return found


def no_stage_is_passed_twice(evidence: Evidence) -> Iterator[str]:
    """Check that a commit that has passed a stage is not built there again."""
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for build in evidence.worked:
        if build["result"] == "SUCCESS":
            found[service_of(build), sha_of(build)[:7], build["stage"]].append(build)
    yield from _several(found)


def capacity_holds(evidence: Evidence) -> Iterator[str]:
    """Check that a stage never has more builds at once than its capacity."""
    for stage, capacity in evidence.records.capacity.items():
        inside: list[Row] = []
        for build in evidence.of_stage(stage):
            inside = [each for each in inside if _end(each) > build["started"]]
            inside.append(build)
            if capacity is not None and len(inside) > capacity:
                yield f"{name(build)} is number {len(inside)} in {stage}, beside {', '.join(map(name, inside[:-1]))}"


def _end(build: Row) -> float:
    return float(build["ended"]) if build["ended"] is not None else float("inf")


def one_of_a_service_rolls_out(evidence: Evidence) -> Iterator[str]:
    """Check that two builds of one service never change the same environment at once."""
    for stage in evidence.records.rolls_out:
        last: dict[str, Row] = {}
        for build in evidence.of_stage(stage):
            before = last.get(service_of(build))
            if before is not None and _end(before) > build["started"]:
                yield f"{name(build)} began beside {name(before)}"
            last[service_of(build)] = build


def never_backwards(evidence: Evidence) -> Iterator[str]:
    """Check that no older commit of a service is rolled out over a newer one."""
    for stage in evidence.records.rolls_out:
        newest: dict[str, Row] = {}
        for build in evidence.of_stage(stage):
            before = newest.get(service_of(build))
            if before is not None and evidence.order(sha_of(build)) < evidence.order(sha_of(before)):
                yield f"{name(build)} came after {name(before)}, which is newer"
            else:
                newest[service_of(build)] = build


def a_locked_stage_takes_only_the_fix(evidence: Evidence) -> Iterator[str]:
    """Check that a failed commit closes its stage until a commit with it has passed there, or a person unlocks.

    Only for stages of capacity 1: there no other run can have entered before Interlock knew of the failure.
    """
    for stage in evidence.records.rolls_out:
        if evidence.records.capacity[stage] == 1:
            yield from _entered_broken(evidence, stage)


def _entered_broken(evidence: Evidence, stage: str) -> Iterator[str]:
    opened = [at for each, at in evidence.records.unlocked if each == stage]
    #: By service: the build that failed last.
    broken: dict[str, Row] = {}
    for build in evidence.of_stage(stage):
        service = service_of(build)
        stand = {
            each: failed
            for each, failed in broken.items()
            if not any(_end(failed) <= at <= build["started"] for at in opened)
        }
        if stand and service not in stand:
            yield f"{name(build)} entered while {', '.join(map(name, stand.values()))} had broken it"
        broken = stand
        if build["result"] == "SUCCESS":
            failed = broken.get(service)
            if failed is not None and evidence.order(sha_of(build)) >= evidence.order(sha_of(failed)):
                del broken[service]
        elif not build["interrupted_by"] and build["ended"] is not None:
            broken[service] = build


# -- runs ---------------------------------------------------------------------------------------------------------


def no_merge_is_lost(evidence: Evidence) -> Iterator[str]:
    """Check that each merge is delivered, or a delivered commit contains it, or its commit status shows its end.

    The end of a merge without a webhook is on the next merge of its service, which carries it.
    """
    for number, row in enumerate(evidence.records.merged):
        if number > evidence.delivered_up_to(row["service"]):
            told = _told(evidence, _carrier(evidence, number))
            if told not in ENDED_BADLY:
                yield f"{row['service']} {row['sha'][:7]} is not delivered, and its commit says {told or 'nothing'}"


def _carrier(evidence: Evidence, number: int) -> Row:
    """Return the merge itself; for one without a webhook, the next one of its service that has a run."""
    merged, known = evidence.records.merged, {run["sha"] for run in evidence.records.runs}
    row = merged[number]
    if row["sha"] in evidence.records.untold and row["sha"] not in known:
        newer = (each for each in merged[number + 1 :] if each["service"] == row["service"] and each["sha"] in known)
        return next(newer, row)
    return row


#: The final commit statuses of the last stage for a run that was not delivered.
ENDED_BADLY = ("failure", "error")


def _told(evidence: Evidence, merged: Row) -> str:
    """Return the final commit status of the last stage; empty: none."""
    context = f"interlock/{evidence.records.rolls_out[-1]}"
    rows = evidence.records.statuses.get(merged["service"], [])
    return next((str(r["state"]) for r in reversed(rows) if r["sha"] == merged["sha"] and r["context"] == context), "")


def a_merge_has_one_run(evidence: Evidence) -> Iterator[str]:
    """Check that no commit has two runs, and that each run has a merged commit."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for run in evidence.records.runs:
        found[run["sha"]].append(run["run"])
        if evidence.order(run["sha"]) < 0:
            yield f"{run['run']} {run['sha'][:7]} was never merged"
    for sha, runs in found.items():
        if len(runs) > 1:
            yield f"{sha[:7]} has the runs {', '.join(runs)}"


def delivered_is_built_everywhere(evidence: Evidence) -> Iterator[str]:
    """Check that each delivered run has passed every stage in Jenkins."""
    stages = [stage for stage in evidence.records.capacity if not stage.startswith("fast-")]
    for run in _ended(evidence, "delivered"):
        lacks = [stage for stage in stages if not evidence.passed(stage, run["sha"])]
        if lacks:
            yield f"{run['run']} is delivered, but no build of {run['sha'][:7]} passed {', '.join(lacks)}"


def failed_has_a_failed_build(evidence: Evidence) -> Iterator[str]:
    """Check that each failed run has a failed build in Jenkins that Interlock did not stop."""
    failed = {
        sha_of(build)
        for build in evidence.worked
        if build["result"] not in ("SUCCESS", None) and not stopped_by_interlock(build)
    }
    for run in _ended(evidence, "failed"):
        if run["sha"] not in failed:
            yield f"{run['run']} has failed ({run['reason']}), but no build of {run['sha'][:7]} has"


def superseded_is_carried(evidence: Evidence) -> Iterator[str]:
    """Check that each superseded run has a newer run of its service that replaced it."""
    runs = {run["run"]: run for run in evidence.records.runs}
    for run in _ended(evidence, "superseded"):
        newer = runs.get(run["by"] or "")
        if newer is None:
            yield f"{run['run']} is superseded by {run['by']}, which is not there"
        elif newer["service"] != run["service"] or evidence.order(newer["sha"]) <= evidence.order(run["sha"]):
            yield f"{run['run']} {run['sha'][:7]} is superseded by {newer['run']} {newer['sha'][:7]}: not newer"


def nobody_took_a_run_out(evidence: Evidence) -> Iterator[str]:
    """Check that no run is cancelled or dropped: nobody requested it, and there was no force-push."""
    for end in ("cancelled", "dropped"):
        for run in _ended(evidence, end):
            yield f"{run['run']} is {end}: {run['reason']}"


def _ended(evidence: Evidence, end: str) -> Iterator[Row]:
    return (run for run in evidence.records.runs if run.get("end") == end)


# -- statuses and comments -------------------------------------------------------------------------------------------


def ends_are_told(evidence: Evidence) -> Iterator[str]:
    """Check that the commit status of each ended run shows its real end."""
    for run in evidence.records.runs:
        end = run.get("end")
        if end is None:
            continue
        told = _told(evidence, run)
        right = ("success",) if end == "delivered" else ENDED_BADLY
        if told not in right:
            yield f"{run['run']} {run['sha'][:7]} is {end}, but its commit says {told or 'nothing'}"


def comments_say_the_end(evidence: Evidence) -> Iterator[str]:
    """Check that the comment on the pull request of each ended run names its end.

    If no webhook named the pull request, Interlock asks GitHub after a minute.
    """
    for run in evidence.records.runs:
        end, pull = run.get("end"), run["pull"]
        if pull is None and evidence.records.at - run["created"] > ASKED_FOR:
            pull = evidence.records.pulls.get(run["sha"])
        if end in SAID and pull is not None:
            rows = evidence.records.comments.get(run["service"], [])
            bodies = [row["body"] for row in rows if row["number"] == pull and row["user"] != PERSON]
            if not any(SAID[end] in body.lower() for body in bodies):
                yield f"{run['run']} is {end}, but #{pull} says {bodies or 'nothing'}"[:400]


#: The words of a comment for each ending, and the other author of comments.
SAID = {"delivered": "is in production", "failed": "has failed", "superseded": "has been superseded"}
PERSON = "dana"
#: The latest time at which Interlock asks GitHub for the pull request, in seconds after the begin of the run.
ASKED_FOR = 75.0


def deployments_say_the_end(evidence: Evidence) -> Iterator[str]:
    """Check that GitHub shows the deployments of delivered runs; a later one makes an earlier one inactive."""
    for run in _ended(evidence, "delivered"):
        for stage in evidence.records.rolls_out:
            rows = evidence.records.deployments.get(run["service"], [])
            states = [row["states"] for row in rows if row["sha"] == run["sha"] and row["environment"] == stage]
            if not any(each[-1:] == ["success"] or each[-2:] == ["success", "inactive"] for each in states):
                yield f"{run['run']} is delivered, but its deployment in {stage} says {states or 'nothing'}"


def passed_means_built(evidence: Evidence) -> Iterator[str]:
    """Check that each success that GitHub shows, in a status or a deployment, has a passed build in Jenkins."""
    for service, rows in evidence.records.statuses.items():
        now = {(row["sha"], row["context"]): row["state"] for row in rows}
        for (sha, context), state in now.items():
            stage = context.removeprefix("interlock/")
            if state == "success" and stage in evidence.records.capacity and not evidence.passed(stage, sha):
                yield f"{context} of {service} {sha[:7]} says success, but no build passed"
    for service, rows in evidence.records.deployments.items():
        for row in rows:
            if "success" in row["states"] and not evidence.passed(row["environment"], row["sha"]):
                yield f"{service} {row['sha'][:7]} is shown in {row['environment']}, but no build passed"


def told_once(evidence: Evidence) -> Iterator[str]:
    """Check for one comment per pull request and one deployment per commit and environment."""
    for service, rows in evidence.records.comments.items():
        yield from _repeated(service, "comments on", [f"#{row['number']}" for row in rows if row["user"] != PERSON])
    for service, rows in evidence.records.deployments.items():
        yield from _repeated(service, "deployments of", [f"{row['sha'][:7]} {row['environment']}" for row in rows])


def _repeated(service: str, what: str, names: list[str]) -> Iterator[str]:
    for each in dict.fromkeys(names):
        if names.count(each) > 1:
            yield f"{service}: {names.count(each)} {what} {each}"


# -- the end ----------------------------------------------------------------------------------------------------------


def locks_are_open(evidence: Evidence) -> Iterator[str]:
    """Check that no stage is locked and no job has a banner at the end."""
    for stage in evidence.records.board["stages"]:
        for lock in stage["locks"]:
            yield f"{stage['name']} is locked: {lock['reason']}"
    for job, text in evidence.records.descriptions.items():
        if text:
            yield f"{job} has a banner: {text[:100]}"


def all_ends(evidence: Evidence) -> Iterator[str]:
    """Check that all runs, builds and effects end once the faults are over."""
    for run in evidence.records.runs:
        if run["live"]:
            yield f"{run['run']} is {run['status']} in {run['stage']}: {run['reason']}"
    for build in evidence.records.builds:
        if build["building"]:
            yield f"{name(build)} still runs"
    for held in evidence.records.board["held_up"]:
        yield f"{held['slot']} is tried again: {held['why']}"


def nothing_is_given_up(evidence: Evidence) -> Iterator[str]:
    """Check that no delivery is parked and no effect is a dead letter."""
    for row in evidence.records.given_up:
        yield str(row)[:300]


#: Every promise, in the words of the report.
PROMISES: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "one build per attempt": one_build_per_attempt,
    "no stage is passed twice": no_stage_is_passed_twice,
    "capacity": capacity_holds,
    "one roll-out of a service at a time": one_of_a_service_rolls_out,
    "never an older commit over a newer one": never_backwards,
    "a locked stage takes only the fix": a_locked_stage_takes_only_the_fix,
    "no merge is lost": no_merge_is_lost,
    "one run for a merge": a_merge_has_one_run,
    "delivered means built in every stage": delivered_is_built_everywhere,
    "failed means that a build failed": failed_has_a_failed_build,
    "superseded by what contains it": superseded_is_carried,
    "nobody takes a run out": nobody_took_a_run_out,
    "every end is told on the commit": ends_are_told,
    "every end is told on the pull request": comments_say_the_end,
    "deployments are what was delivered": deployments_say_the_end,
    "passed means that a build passed": passed_means_built,
    "nothing is told twice": told_once,
    "all locks open, all banners gone": locks_are_open,
    "everything ends": all_ends,
    "nothing is given up": nothing_is_given_up,
}
#: The promises that hold only once everything has ended.
AT_THE_END = (
    all_ends,
    locks_are_open,
    no_merge_is_lost,
    ends_are_told,
    comments_say_the_end,
    deployments_say_the_end,
)
