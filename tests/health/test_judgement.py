"""The judgement: each cause by itself, with its limits; all is well only if nothing is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bot.health.judgement import GONE, MOOT, Health, HealthStatus, Limits, headline, judge, sentences, shape
from bot.health.observations import (
    ContactSeen,
    ErrorCount,
    FailingAction,
    Observations,
    PipelineSeen,
    ProcessConfigurationSeen,
    ProcessSeen,
    StoreSeen,
    WebhookSeen,
)

NOW = 1_800_000_000.0
LIMITS = Limits(refusing={"jenkins": 90.0})
ALIVE = {"web": NOW, "worker": NOW, "beat": NOW}


def processes(**heard: float) -> tuple[ProcessSeen, ...]:
    """One process of each kind, by when it was last heard; `worker_2` is another one."""
    return tuple(ProcessSeen(name.partition("_")[0], f"here/{name}", at) for name, at in heard.items())


WELL = Observations(processes=processes(**ALIVE), pipelines=(PipelineSeen("shop"),))


def seen(**changes: object) -> Observations:
    return replace(WELL, **changes)  # type: ignore[arg-type]


def waiting(**changes: object) -> Observations:
    """Three deliveries wait, the oldest for a minute."""
    pipeline = PipelineSeen("shop", undecided=3, oldest_at=NOW - 60, decided_at=NOW - 70)
    return seen(pipelines=(replace(pipeline, **changes),))  # type: ignore[arg-type]


def contact(kind: str = "jenkins", ago: float = 70, **changes: object) -> Observations:
    found = ContactSeen(kind, "cdp", NOW - ago - 1, NOW - 2, NOW - ago, "Jenkins answers 401")
    return seen(contacts=(replace(found, **changes),))  # type: ignore[arg-type]


def left(**changes: object) -> Observations:
    return seen(pipelines=(PipelineSeen("shop", **changes),))  # type: ignore[arg-type]


def webhook(failing_since: float | None, behind: float, **changes: object) -> Observations:
    audit = WebhookSeen("audit", failing_since, "HTTP 503", behind)
    return replace(left(webhooks=(audit,)), **changes)  # type: ignore[arg-type]


CASES = {
    "all is well": (WELL, []),
    "a webhook fails for a moment": (webhook(NOW - 50, 50), []),
    "a webhook fails for longer": (webhook(NOW - 60, 60), ["webhook/audit degraded"]),
    "a webhook takes what there is, late": (webhook(None, 299), []),
    "a webhook takes less than there is": (webhook(None, 300), ["webhook/audit degraded"]),
    "a webhook waits for beat": (webhook(None, 300, processes=processes(web=NOW, worker=NOW)), ["beat degraded"]),
    "a process has a file with mistakes": (
        seen(configured=(ProcessConfigurationSeen("worker here/1", "its pipeline file has mistakes"),)),
        ["configuration degraded"],
    ),
    "two processes do not take a configuration up": (
        seen(configured=(ProcessConfigurationSeen("beat a/2", ""), ProcessConfigurationSeen("web a/3", ""))),
        ["configuration degraded"],
    ),
    "the store is away": (seen(store=StoreSeen(unreachable="no connection"), processes=(), blind=True), ["store down"]),
    "the store is full": (seen(store=StoreSeen(refused="OOM command not allowed")), ["store down"]),
    "the store's disk is full": (seen(store=StoreSeen(refused="MISCONF Errors writing")), ["store down"]),
    "the store is a replica": (seen(store=StoreSeen(refused="READONLY You can't write")), ["store down"]),
    "the append-only file is not written": (seen(store=StoreSeen(log_written=False)), ["store degraded"]),
    "the store is nearly full": (seen(store=StoreSeen(used_bytes=91, most_bytes=100)), ["store-memory degraded"]),
    "the store has room": (seen(store=StoreSeen(used_bytes=89, most_bytes=100)), []),
    "the store evicts": (seen(store=StoreSeen(most_bytes=9, policy="allkeys-lru")), ["store-policy degraded"]),
    "no worker, nothing to do": (seen(processes=processes(web=NOW, beat=NOW)), ["worker degraded"]),
    "no worker for a while": (seen(processes=processes(**{**ALIVE, "worker": NOW - 16})), ["worker degraded"]),
    "a worker that was heard just now": (seen(processes=processes(**{**ALIVE, "worker": NOW - 14})), []),
    "no worker, a delivery waits": (replace(waiting(), processes=processes(web=NOW, beat=NOW)), ["worker down"]),
    "no worker, an effect is due": (replace(left(due=1), processes=processes(web=NOW, beat=NOW)), ["worker down"]),
    "no beat": (seen(processes=processes(**{**ALIVE, "beat": NOW - 31})), ["beat degraded"]),
    "no web": (seen(processes=processes(**{**ALIVE, "web": NOW - 16})), ["web degraded"]),
    "a second worker hangs": (seen(processes=processes(**ALIVE, worker_2=NOW - 16)), ["worker-silent degraded"]),
    "a second worker was heard just now": (seen(processes=processes(**ALIVE, worker_2=NOW - 14)), []),
    "a second web process hangs": (seen(processes=processes(**ALIVE, web_2=NOW - 16)), ["web-silent degraded"]),
    "a worker was taken away long ago": (seen(processes=processes(**ALIVE, worker_2=NOW - GONE - 1)), []),
    "no worker is left of two": (
        seen(processes=processes(web=NOW, beat=NOW, worker=NOW - 20, worker_2=NOW - 30)),
        ["worker degraded"],
    ),
    "state was lost": (left(lost_at=NOW, lost_why="emptied", closed=("production",)), ["state-lost degraded"]),
    "state was lost, people have looked": (left(lost_at=NOW, lost_why="emptied"), []),
    "deliveries wait and nothing is decided": (waiting(), ["undecided down"]),
    "deliveries wait and nothing ever was decided": (waiting(decided_at=None), ["undecided down"]),
    "deliveries wait and are worked off": (waiting(decided_at=NOW - 1), ["undecided degraded"]),
    "deliveries wait for a moment": (waiting(oldest_at=NOW - 29), []),
    "another version owns the state": (left(other_schema="the state has schema 9: start it again"), ["schema down"]),
    "a controller refuses us": (contact(), ["jenkins/cdp degraded"]),
    "a controller refuses us since a moment": (contact(ago=50), []),
    "a controller answered well after its error": (contact(good_at=NOW - 1), []),
    "nobody has asked a controller for long": (contact(ago=MOOT + 60, error_at=NOW - MOOT - 1), []),
    "a controller forbids something, perhaps one thing": (contact(forbidden=True), []),
    "a controller forbids all": (contact(forbidden=True, ago=91), ["jenkins/cdp degraded"]),
    "GitHub is away": (contact("github"), ["github/cdp degraded"]),
    "a channel takes nothing": (contact("channel"), ["channel/cdp degraded"]),
    "the broker takes nothing": (contact("broker"), ["broker degraded"]),
    "the broker takes nothing since a moment": (contact("broker", ago=29), []),
    "beat runs and finds no broker": (
        replace(contact("broker"), processes=processes(web=NOW, worker=NOW, beat=NOW - 60)),
        ["broker degraded"],
    ),
    "beat found no broker and ended": (
        replace(contact("broker", error_at=NOW - 40), processes=processes(web=NOW, worker=NOW, beat=NOW - 60)),
        ["beat degraded", "broker degraded"],
    ),
    "callbacks are refused": (contact("callbacks"), ["callbacks/cdp degraded"]),
    "callbacks were refused, then one was right": (contact("callbacks", good_at=NOW - 1), []),
    "an action fails": (left(retried=(FailingAction("x", "no", NOW - 61, 5),)), ["retries degraded"]),
    "an action has just failed": (left(retried=(FailingAction("x", "no", NOW - 59, 5),)), []),
    "a dead letter": (left(dead_letters=ErrorCount(1, NOW - 9, "no")), ["dead-letters degraded"]),
    "a parked delivery": (left(parked=ErrorCount(2, NOW - 9, "KeyError")), ["parked degraded"]),
}


@pytest.mark.parametrize("name", CASES)
def test_each_cause_by_itself(name: str) -> None:
    observed, expected = CASES[name]
    health = judge(observed, LIMITS, NOW)
    assert [f"{each.cause} {each.status}" for each in health.findings] == expected
    assert health.status == (expected[0].split()[1] if expected else "ok")
    for each in health.findings:
        assert each.what and each.mend
        assert not each.what.endswith(".") and not each.mend.endswith(".")


def test_for_a_rate_limit_nothing_is_to_be_mended() -> None:
    (limited,) = judge(contact("github", error="POST /x: GitHub answers 403, a rate limit"), LIMITS, NOW).findings
    (away,) = judge(contact("github", error="GitHub cannot be reached"), LIMITS, NOW).findings
    assert limited.mend.startswith("wait: Interlock asks again")
    assert "Interlock reaches it" in away.mend


def test_what_is_down_comes_first_and_counts() -> None:
    observed = replace(waiting(), processes=processes(web=NOW), contacts=contact().contacts)
    health = judge(observed, LIMITS, NOW)
    assert [each.status for each in health.findings] == [
        HealthStatus.DOWN,
        HealthStatus.DEGRADED,
        HealthStatus.DEGRADED,
    ]
    assert health.status is HealthStatus.DOWN


def test_a_pipeline_does_not_show_the_dead_letters_of_another_one() -> None:
    observed = seen(pipelines=(PipelineSeen("shop"), PipelineSeen("bank", dead_letters=ErrorCount(1, NOW, "no"))))
    health = judge(observed, LIMITS, NOW)
    assert health.of("shop") == Health()
    assert health.of("bank") == health


def test_each_sentence_says_what_since_when_and_what_to_do() -> None:
    retried = (
        FailingAction("the build of S1.2", "Jenkins answers 401", NOW - 100, 5),
        FailingAction("a mail", "no", NOW - 80, 3),
    )
    health = judge(replace(contact(), pipelines=left(retried=retried).pipelines), LIMITS, NOW)
    assert sentences(health, lambda at: f"{NOW - at:.0f} s ago") == [
        "Jenkins cdp gives no good answer: Jenkins answers 401, since 70 s ago (last good answer 71 s ago). Check "
        "that it runs, and that its user and INTERLOCK_JENKINS_TOKEN_CDP are right (`interlock doctor`); "
        "then everything that waits for it continues.",
        "2 actions of shop are failing and being retried (5 attempts at most), since 100 s ago. Mend the cause "
        "named with each; Interlock keeps trying.",
    ]
    assert headline(health).startswith("Interlock is degraded: Jenkins cdp gives no good answer")
    assert headline(health).endswith("(and 1 more)")
    details = shape(health)["findings"][1]["details"]
    assert details[0] == {"what": "the build of S1.2: Jenkins answers 401 (5 attempts)", "since": NOW - 100}


def test_the_runbook_has_a_row_for_each_cause_and_status() -> None:
    runbook = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    rows = {
        (cause, status.split()[0]) for cause, status in re.findall(r"^\| `([^`]+)` \|[^|]*\| ([^|]+) \|", runbook, re.M)
    }
    told = set()
    for observed, _ in CASES.values():
        for each in judge(observed, LIMITS, NOW).findings:
            told.add((re.sub("/(cdp|audit)$", "/NAME", each.cause), str(each.status)))
    assert rows | {("worker", "degraded")} == told
