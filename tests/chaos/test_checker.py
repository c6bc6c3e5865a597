"""The checker of chaos notices each kind of violation: good records pass, and one wrong thing breaks one promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import PROMISES, check, unfinished
from chaos.records import Records, told

Row = dict[str, Any]
STAGES = ("build", "acceptance", "pre-production", "production")
CAPACITY = {"build": None, "acceptance": 2, "fast-acceptance": 1, "pre-production": 1, "production": 2}


def build(at: float, stage: str, run: str, sha: str, result: str = "SUCCESS", **more: Any) -> Row:
    """A build that took half a second; its number and its queue item are made of the time."""
    params = {"RUN": run, "ATTEMPT": str(at), "STAGE": stage, "LANE": "main", "SHA": sha, "VERSION": run + "-v"}
    params["SERVICE"] = run.partition(".")[0]
    return {
        "params": {f"INTERLOCK_{name}": value for name, value in params.items()},
        "controller": "cdp",
        "stage": stage,
        "number": int(at * 10),
        "queue_id": int(at * 10),
        "result": result,
        "building": False,
        "turned_away": False,
        "let_go_on": False,
        "interrupted_by": [],
        "started": at,
        "ended": at + 0.5,
        **more,
    }


def run(key: str, sha: str, end: str | None, **more: Any) -> Row:
    service = key.partition(".")[0]
    given = {
        "run": key,
        "sha": sha,
        "service": service,
        "live": end is None,
        "created": 0.0,
        "reason": "",
        "by": None,
        "pull": None,
        **more,
    }
    return given if end is None else {**given, "end": end}


def status(sha: str, state: str) -> Row:
    return {"sha": sha, "state": state, "context": "interlock/production"}


def comment(number: int, body: str) -> Row:
    return {"number": number, "user": "interlock-bot", "body": body}


def deployments(sha: str) -> list[Row]:
    return [{"sha": sha, "environment": stage, "states": ["success"]} for stage in ("pre-production", "production")]


def good() -> Records:
    """S1 a breaks pre-production, S1 b is the fix, S2 c waited and is delivered, S2 d fails in acceptance."""
    builds = [
        *(build(at, stage, "S1.1", "a") for at, stage in ((1, "build"), (2, "acceptance"))),
        build(3, "pre-production", "S1.1", "a", "FAILURE"),
        *(build(at, stage, "S2.1", "c") for at, stage in ((2.2, "build"), (3.2, "acceptance"))),
        build(4, "build", "S1.2", "b"),
        build(5, "fast-acceptance", "S1.2", "b"),
        *(build(at, stage, "S1.2", "b") for at, stage in ((6, "pre-production"), (7, "production"))),
        *(build(at, stage, "S2.1", "c") for at, stage in ((7.2, "pre-production"), (8, "production"))),
        build(9, "build", "S2.2", "d"),
        build(10, "acceptance", "S2.2", "d", "FAILURE"),
    ]
    services = {"a": "S1", "c": "S2", "b": "S1", "d": "S2"}
    return Records(
        dict(CAPACITY),
        ["pre-production", "production"],
        sorted(builds, key=lambda each: float(each["started"])),
        [{"service": service, "sha": sha, "at": 0.0} for sha, service in services.items()],
        {
            "S1": [status("a", "pending"), status("a", "error"), status("b", "success")],
            "S2": [status("c", "success"), status("d", "failure")],
        },
        {"S1": [comment(2, "S1 b **is in production**"), {**comment(2, "thanks"), "user": "dana"}], "S2": []},
        {"S1": deployments("b"), "S2": deployments("c")},
        {"shop/pre-production": None},
        board={"stages": [{"name": "pre-production", "locks": []}], "held_up": []},
        runs=[
            run("S1.1", "a", "superseded", by="S1.2"),
            run("S1.2", "b", "delivered", pull=2),
            run("S2.1", "c", "delivered"),
            run("S2.2", "d", "failed"),
        ],
    )


def test_good_records_break_no_promise(tmp_path: Path) -> None:
    good().save(tmp_path / "records.json")
    assert check(Records.read(tmp_path / "records.json")) == []
    assert unfinished(good()) == []


def built(records: Records, stage: str, sha: str) -> Row:
    (found,) = (b for b in records.builds if b["stage"] == stage and b["params"]["INTERLOCK_SHA"] == sha)
    return found


def add(records: Records, *more: Row) -> None:
    records.builds = sorted([*records.builds, *more], key=lambda each: float(each["started"]))


def triggered_twice(records: Records) -> None:
    first = built(records, "build", "d")
    add(records, {**first, "number": 99, "queue_id": 99, "started": 9.7, "ended": 9.8, "result": "ABORTED"})


def triggered_twice_and_turned_away(records: Records) -> None:
    first = built(records, "production", "c")
    add(records, {**first, "number": 99, "queue_id": 99, "started": 9.7, "result": "NOT_BUILT", "turned_away": True})


def let_go_on_twice(records: Records) -> None:
    """Jenkins built it again after a crash, and both builds were told that they may roll out."""
    first = built(records, "production", "c")
    first["let_go_on"] = True
    add(records, {**first, "number": 99, "started": 9.7, "ended": 9.9, "result": "ABORTED"})


def triggered_twice_with_a_number_given_again(records: Records) -> None:
    """A Jenkins that crashed gives the numbers of queue items again: not every such build is built again by Jenkins."""
    other = built(records, "build", "d")
    add(records, {**build(9.8, "acceptance", "S2.1", "c"), "queue_id": other["queue_id"]})


def passed_twice(records: Records) -> None:
    add(records, build(9.8, "acceptance", "S2.1", "c"))


def too_many(records: Records) -> None:
    add(records, *(build(at, "acceptance", f"S3.{at}", f"e{at}", "FAILURE") for at in (20.1, 20.2, 20.3)))


def together(records: Records) -> None:
    built(records, "production", "b")["ended"] = 9.9
    add(records, build(8.8, "production", "S1.3", "f", "FAILURE"))


def backwards(records: Records) -> None:
    add(records, build(9.9, "production", "S1.1", "a", "FAILURE"))


def past_the_lock(records: Records) -> None:
    built(records, "pre-production", "c").update(started=4.2, ended=4.7)
    records.builds.sort(key=lambda each: float(each["started"]))


def past_the_lock_after_an_older_commit(records: Records) -> None:
    """What passed after the failure does not contain the commit that failed."""
    records.merged.insert(0, {"service": "S1", "sha": "older", "at": 0.0})
    built(records, "pre-production", "b")["params"]["INTERLOCK_SHA"] = "older"


def past_the_lock_once_the_store_was_emptied(records: Records) -> None:
    """The banner still says that the stage is broken."""
    past_the_lock(records)
    records.emptied = [4.0]


def lost(records: Records) -> None:
    records.merged.append({"service": "S1", "sha": "g", "at": 11.0})


def lost_before_one_that_failed(records: Records) -> None:
    """A webhook reported it: it has no run, and the next run, which failed, does not carry it."""
    records.merged.insert(3, {"service": "S2", "sha": "c-and-a-half", "at": 0.0})


def lost_though_an_older_one_is_delivered(records: Records) -> None:
    records.statuses["S2"].remove(status("d", "failure"))
    records.runs.pop()


def two_runs(records: Records) -> None:
    records.runs.append(run("S1.3", "b", "delivered"))


def a_run_of_nothing(records: Records) -> None:
    records.runs.append(run("S1.9", "z", "superseded", by="S1.2"))


def not_built(records: Records) -> None:
    records.builds.remove(built(records, "acceptance", "c"))


def failed_for_nothing(records: Records) -> None:
    built(records, "acceptance", "d")["result"] = "SUCCESS"


def failed_for_a_build_that_was_stopped(records: Records) -> None:
    built(records, "acceptance", "d").update(result="ABORTED", interrupted_by=["interlock"])


def superseded_by_nobody_after_the_store_was_emptied(records: Records) -> None:
    superseded_by_nobody(records)
    records.emptied = [0.5]


def superseded_by_nobody(records: Records) -> None:
    records.runs[0]["by"] = "S1.9"


def superseded_by_an_older_one(records: Records) -> None:
    records.runs.append(run("S1.0", "a-older", "superseded", by="S2.1"))
    records.statuses["S1"].append(status("a-older", "error"))


def cancelled(records: Records) -> None:
    records.runs[0]["end"] = "cancelled"


def dropped(records: Records) -> None:
    records.runs[0]["end"] = "dropped"


def told_nothing(records: Records) -> None:
    records.statuses["S1"].pop(1)


def told_wrongly(records: Records) -> None:
    records.statuses["S2"].append(status("c", "error"))


def commented_twice(records: Records) -> None:
    records.comments["S1"].append(comment(2, "S1 b is in production"))


def comment_missing(records: Records) -> None:
    records.comments["S1"].pop(0)


def comment_outdated(records: Records) -> None:
    records.comments["S1"][0]["body"] = "S1 b is in acceptance"


def comment_missing_on_a_pull_request_that_no_webhook_told(records: Records) -> None:
    records.pulls, records.at = {"d": 7}, 100.0


def passed_without_a_build(records: Records) -> None:
    records.statuses["S2"].append({**status("d", "success"), "context": "interlock/acceptance"})


def deployed_without_a_build(records: Records) -> None:
    records.deployments["S1"] += deployments("a")


def deployment_missing(records: Records) -> None:
    records.deployments["S2"].pop()


def deployment_left_in_progress(records: Records) -> None:
    records.deployments["S2"][1]["states"].append("in_progress")


def deployed_twice(records: Records) -> None:
    records.deployments["S2"] *= 2


def still_locked(records: Records) -> None:
    records.board["stages"][0]["locks"] = [{"reason": "S1 a failed"}]


def banner_left(records: Records) -> None:
    records.descriptions["shop/pre-production"] = "pre-production is locked"


def still_live(records: Records) -> None:
    records.runs.append(run("S3.1", "h", None, status="waiting", stage="build"))


def still_building(records: Records) -> None:
    records.builds[-1]["building"] = True


def still_tried(records: Records) -> None:
    records.board["held_up"] = [{"slot": "status/S1.1", "why": "GitHub does not answer"}]


def given_up(records: Records) -> None:
    records.given_up = [{"slot": "status/S1.1"}]


#: What is doctored, and the promise that it breaks.
DOCTORED: dict[Callable[[Records], None], str] = {
    triggered_twice: "one build per attempt",
    triggered_twice_and_turned_away: "one build per attempt",
    let_go_on_twice: "one build per attempt",
    triggered_twice_with_a_number_given_again: "no stage is passed twice",
    passed_twice: "no stage is passed twice",
    too_many: "capacity",
    together: "one roll-out of a service at a time",
    backwards: "never an older commit over a newer one",
    past_the_lock: "a locked stage takes only the fix",
    past_the_lock_after_an_older_commit: "a locked stage takes only the fix",
    past_the_lock_once_the_store_was_emptied: "a locked stage takes only the fix",
    lost: "no merge is lost",
    lost_before_one_that_failed: "no merge is lost",
    lost_though_an_older_one_is_delivered: "no merge is lost",
    two_runs: "one run for a merge",
    a_run_of_nothing: "one run for a merge",
    not_built: "delivered means built in every stage",
    failed_for_nothing: "failed means that a build failed",
    failed_for_a_build_that_was_stopped: "failed means that a build failed",
    superseded_by_nobody_after_the_store_was_emptied: "superseded by what contains it",
    superseded_by_nobody: "superseded by what contains it",
    superseded_by_an_older_one: "superseded by what contains it",
    cancelled: "nobody takes a run out",
    dropped: "nobody takes a run out",
    told_nothing: "every end is told on the commit",
    told_wrongly: "every end is told on the commit",
    commented_twice: "nothing is told twice",
    deployed_twice: "nothing is told twice",
    comment_missing: "every end is told on the pull request",
    comment_missing_on_a_pull_request_that_no_webhook_told: "every end is told on the pull request",
    passed_without_a_build: "passed means that a build passed",
    deployed_without_a_build: "passed means that a build passed",
    comment_outdated: "every end is told on the pull request",
    deployment_missing: "deployments are what was delivered",
    deployment_left_in_progress: "deployments are what was delivered",
    still_locked: "all locks open, all banners gone",
    banner_left: "all locks open, all banners gone",
    still_live: "everything ends",
    still_building: "everything ends",
    still_tried: "everything ends",
    given_up: "nothing is given up",
}


@pytest.mark.parametrize(("doctor", "promise"), DOCTORED.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_one_wrong_thing_is_noticed(doctor: Callable[[Records], None], promise: str) -> None:
    records = good()
    doctor(records)
    assert promise in {violation.promise for violation in check(records)}


def test_every_promise_is_broken_by_some_test() -> None:
    assert set(DOCTORED.values()) == set(PROMISES)


def test_a_person_who_looked_may_open_a_broken_stage() -> None:
    records = good()
    past_the_lock(records)
    records.unlocked = [("pre-production", 4.0)]
    assert check(records) == []


def test_a_merge_that_no_webhook_told_is_carried_by_the_next_one() -> None:
    records = good()
    lost_before_one_that_failed(records)
    records.untold = ["c-and-a-half"]
    assert check(records) == []


def test_a_webhook_that_was_answered_while_the_store_failed_over_may_be_forgotten() -> None:
    def webhook(sha: str, status: int, ended: float) -> Row:
        return {"payload": {"after": sha}, "status_code": status, "ended": ended}

    webhooks = [webhook("a", 202, 9.0), webhook("b", 202, 11.0), webhook("c", 503, 20.0), webhook("d", 202, 20.0)]
    assert told(webhooks, [(10.0, 12.0)]) == {"a", "d"}
    assert told([*webhooks, webhook("b", 202, 13.0)], [(10.0, 12.0)]) == {"a", "b", "d"}


def test_what_jenkins_builds_again_after_a_crash_is_nobodys_second_build() -> None:
    records = good()
    first = built(records, "acceptance", "c")
    add(records, {**first, "number": 99, "started": 5.9, "ended": 6.4})
    assert check(records) == []


def test_a_build_that_was_told_no_rolled_nothing_out() -> None:
    records = good()
    add(records, build(9.9, "production", "S1.1", "a", "NOT_BUILT", turned_away=True))
    assert check(records) == []


@pytest.mark.parametrize(
    ("stopped_by", "let_go_on", "counts"),
    [(["interlock"], False, False), (["interlock"], True, True), ([], False, True), (["kim"], False, True)],
)
def test_a_build_that_began_long_after_its_trigger_was_given_up_counts_unless_interlock_stopped_it(
    stopped_by: list[str], let_go_on: bool, counts: bool
) -> None:
    records = good()
    later = next(b for b in records.builds if b["stage"] == "pre-production" and b["result"] == "SUCCESS")
    given_up = {**later["params"], "INTERLOCK_ATTEMPT": "0"}
    begun = {"started": later["started"] + 0.1, "ended": later["started"] + 0.3, "number": 999, "queue_id": 999}
    late = {**later, **begun, "params": given_up, "result": "ABORTED", "interrupted_by": stopped_by}
    late["let_go_on"] = let_go_on
    records.builds.append(late)
    records.builds.sort(key=lambda each: each["started"])
    assert ("capacity" in {found.promise for found in check(records)}) is counts
