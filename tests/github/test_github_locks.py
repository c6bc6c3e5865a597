"""What open pull requests are told of a lock, at GitHub: bounded, once for each head, and never in anybody's way."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot.core.model.effects import FindPull, LockNotice, SetStatus
from bot.core.model.events import (
    CancelAsked,
    Configured,
    Event,
    LockAsked,
    Merged,
    PullFound,
    PullMoved,
    UnlockAsked,
)
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import LockStatus
from bot.core.model.stage_messages import NothingLocked
from bot.github import session
from tests.workers.workshop import Workshop
from workers import performer

REPO = "shop/s1"
LIST, SET = "GET /repos/*/*/pulls", "POST /repos/*/*/statuses/*"
WORDS = "pre-production is locked by S1: merging this enters the fast lane"
NOTICE = LockNotice(REPO, "main", "success", Verbatim(WORDS), locked=True)
OPEN = LockNotice(REPO, "main", "success", NothingLocked(), locked=False)


def heads(shop: Workshop, *numbers: int) -> list[str]:
    return [shop.github.control.pull(REPO, number)["head"]["sha"] for number in numbers]


def on(shop: Workshop, sha: str) -> list[tuple[str, str, str]]:
    return [(row["context"], row["state"], row["description"]) for row in shop.github.control.statuses(REPO, sha)]


def asked(shop: Workshop) -> dict[str, int]:
    return {route: n for route, n in shop.github.control.requests().items() if route in (LIST, SET)}


@pytest.fixture
def pulls(shop: Workshop) -> list[int]:
    return [int(shop.github.control.open_pull(REPO, title=f"Change {n}")) for n in range(3)]


def test_each_open_pull_request_is_told_once_and_told_when_it_is_over(shop: Workshop, pulls: list[int]) -> None:
    for _ in range(2):
        shop.do(NOTICE)
    for sha in heads(shop, *pulls):
        assert on(shop, sha) == [("interlock/lock", "success", WORDS)]
    assert asked(shop) == {LIST: 2, SET: 3}, "one list for each notice, one status for each head"
    shop.do(OPEN)
    assert [on(shop, sha)[-1] for sha in heads(shop, *pulls)] == [("interlock/lock", "success", "open")] * 3


def test_those_that_were_merged_or_never_told_are_not_told_that_it_is_over(shop: Workshop, pulls: list[int]) -> None:
    shop.do(NOTICE)
    gone = heads(shop, pulls[0])[0]
    shop.github.control.close_pull(REPO, pulls[0])
    late = shop.github.control.open_pull(REPO, title="Opened while it was locked")
    shop.do(OPEN)
    assert len(on(shop, gone)) == 1
    assert on(shop, heads(shop, late)[0]) == []
    shop.github.control.reset_counters()
    shop.do(OPEN)
    assert asked(shop) == {}, "nobody is left who was told"


def test_pull_requests_to_other_branches_are_left_alone(shop: Workshop) -> None:
    shop.github.control.push(REPO, branch="next")
    other = shop.github.control.open_pull(REPO, base="next")
    shop.do(NOTICE)
    assert on(shop, heads(shop, other)[0]) == []


def test_a_notice_is_bounded(shop: Workshop, pulls: list[int]) -> None:
    shop.limit_github(lock_notices=2)
    shop.do(NOTICE)
    told = [bool(on(shop, sha)) for sha in heads(shop, *pulls)]
    assert told == [False, True, True], "the newest are told"


def test_a_newer_notice_takes_the_place_of_one_that_is_half_told(shop: Workshop, pulls: list[int]) -> None:
    shop.limit_github(lock_notices_at_once=1)
    shop.ask(NOTICE)
    shop.try_once(NOTICE)
    shop.do(OPEN)
    last = [on(shop, sha)[-1:] for sha in heads(shop, *pulls)]
    assert last == [[], [], [("interlock/lock", "success", "open")]]


def test_a_head_that_is_gone_keeps_no_others_from_being_told(shop: Workshop, pulls: list[int]) -> None:
    shop.github.control.fault("status", route="POST .*statuses.*", count=1, status=422, body="{}")
    shop.do(NOTICE)
    assert [bool(on(shop, sha)) for sha in heads(shop, *pulls)] == [True, True, False]
    assert shop.dead() == []


@pytest.mark.slow
def test_a_notice_lets_everybody_else_go_first_and_holds_no_thread(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(session, "time", SimpleNamespace(sleep=lambda pause: (slept.append(pause), time.sleep(pause))))
    for number in range(4):
        shop.github.control.open_pull(REPO, title=f"Change {number}")
    shop.reload(replace(shop.configuration, github=replace(shop.configuration.github, write_spacing=0.4)))
    head = shop.github.control.head(REPO)
    others = [SetStatus(REPO, head, f"stage-{n}", "success", Verbatim("passed"), "S1.1") for n in range(4)]
    shop.ask(NOTICE, *others)
    deadline = time.monotonic() + 30
    while shop.context.outbox.size():
        assert time.monotonic() < deadline
        claim = shop.claim(NOTICE)
        if claim is None:
            time.sleep(0.01)
            continue
        before = len(slept)
        performer.perform(shop.runtime, shop.context, claim)
        assert not isinstance(claim.effect, LockNotice) or len(slept) == before, "a notice waited inside of a worker"
    rows = [row["context"] for row in shop.github.control.statuses(REPO)]
    assert len(rows) == 8
    assert rows.index("interlock/stage-3") < [n for n, name in enumerate(rows) if name == "interlock/lock"][1]
    assert slept, "the others wait for their turn"


# -- those that come while it is locked ------------------------------------------------------------------------


@pytest.fixture
def locked(shop: Workshop) -> Workshop:
    """A workshop in which a person has locked a stage, and everybody is told."""
    shop.reload(replace(shop.configuration, pipelines=(replace(shop.pipeline, lock_status=LockStatus.ALL),)))
    shop.tell(Configured(shop.pipeline), LockAsked("acceptance", "ann", "test data"))
    shop.github.control.reset_counters()
    return shop


def test_one_that_is_opened_while_it_is_locked_is_told_without_a_question_and_told_when_it_is_over(
    locked: Workshop,
) -> None:
    number = locked.github.control.open_pull(REPO, title="The fix")
    (sha,) = heads(locked, number)
    locked.tell(PullMoved("S1", number, sha, at=1.0))
    ((runtime, state, words),) = on(locked, sha)
    assert (runtime, state, words[:13]) == ("interlock/lock", "pending", "acceptance is")
    assert asked(locked) == {SET: 1}
    locked.tell(PullMoved("S1", number, sha, at=2.0))
    assert asked(locked) == {SET: 1}, "what stands there is not sent again"
    locked.tell(UnlockAsked("acceptance", "ann", "they are back"))
    assert on(locked, sha)[-1] == ("interlock/lock", "success", "open")


def test_one_whose_turn_comes_after_the_lock_was_opened_is_not_told_that_it_is_locked(locked: Workshop) -> None:
    number = locked.github.control.open_pull(REPO, title="The fix")
    (sha,) = heads(locked, number)
    locked.tell(UnlockAsked("acceptance", "ann", "they are back"))
    locked.do(replace(NOTICE, sha=sha))
    assert on(locked, sha) == []


# -- the pull request of a commit ------------------------------------------------------------------------------


def question(sha: str) -> FindPull:
    return FindPull("S1", REPO, "main", sha)


@pytest.fixture
def merged(shop: Workshop) -> str:
    """A commit that was merged by pull request, and of which only the push was told."""
    return merge_silently(shop)


def merge_silently(shop: Workshop, *events: Event) -> str:
    shop.tell(Configured(shop.pipeline), *events)
    number = shop.github.control.open_pull(REPO, title="Pay\u202e later", author="kim")
    commit = str(shop.github.control.merge(REPO, number))
    shop.tell(Merged("S1", commit))
    return commit


def test_the_pull_request_of_a_commit_is_asked_for(shop: Workshop, merged: str) -> None:
    found = [replace(each, labels=None) for each in shop.do(question(merged)) if isinstance(each, PullFound)]
    run = shop.run_of(merged)
    assert found == [PullFound("S1", merged, 1, "Pay later", "kim", run.key, began=run.created)]
    shop.work()
    assert shop.run_of(merged).merge.pull == 1


def test_nobody_is_asked_if_the_webhook_has_told_meanwhile(shop: Workshop, merged: str) -> None:
    shop.tell(Merged("S1", merged, pull=1))
    shop.github.control.reset_counters()
    assert shop.do(question(merged)) == []
    assert "GET /repos/*/*/commits/*/pulls" not in shop.github.control.requests()


@pytest.mark.parametrize("decided", [True, False])
def test_the_pull_request_of_a_run_that_ended_before_github_answered_hears_of_it(shop: Workshop, decided: bool) -> None:
    """GitHub was asked late, for it was away. `decided`: whether the end was decided upon by then."""
    merged = merge_silently(shop, LockAsked(shop.pipeline.stages[0].name, "ann", "closed"))
    shop.context.decision_limits = replace(shop.context.decision_limits, pull_told=0.0)
    cancelled = CancelAsked(shop.run_of(merged).key, "ann", "not wanted")
    if decided:
        shop.tell(cancelled)
        shop.ask(question(merged))
    else:
        shop.ask(question(merged))
        shop.context.inbox.add(cancelled, "cancel")
    shop.see_through(question(merged))
    shop.work()
    (said,) = shop.github.control.comments(REPO, 1)
    assert "cancelled by ann" in said["body"]


def test_what_is_to_be_said_of_a_run_that_has_ended_comes_back_with_its_pull_request(
    shop: Workshop, merged: str
) -> None:
    run = shop.run_of(merged)
    shop.tell(CancelAsked(run.key, "ann", "not wanted"))
    shop.work()
    told = replace(question(merged), run=run.key, text="**it was taken out**", began=run.created)
    found = PullFound("S1", merged, 1, "Pay later", "kim", run.key, "**it was taken out**", run.created)
    assert [replace(each, labels=None) for each in shop.do(told) if isinstance(each, PullFound)] == [found]


def test_a_direct_push_has_no_pull_request(shop: Workshop) -> None:
    shop.tell(Configured(shop.pipeline))
    commit = str(shop.github.control.push(REPO))
    shop.tell(Merged("S1", commit))
    assert shop.do(question(commit)) == []
    assert shop.dead() == []
