"""Statuses, comments and comparisons on GitHub: once each, in time, and never at the cost of a limit."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bot.core.effects import Comment, Compare, SetStatus
from bot.core.events import ContainmentKnown
from tests.workers.workshop import Workshop
from workers.perform import loop

REPO = "shop/s1"
POST_STATUS = r"POST /repos/.*/statuses"
POST_COMMENT = r"POST /repos/.*/comments"


def status(shop: Workshop, state: Any = "pending", text: str = "in build") -> SetStatus:
    return SetStatus(REPO, shop.github.control.head(REPO), "build", state, text, "S1.1")


def statuses(shop: Workshop) -> list[tuple[str, str, str]]:
    rows = shop.github.control.statuses(REPO)
    return [(row["context"], row["state"], row["description"]) for row in rows]


@pytest.fixture
def pull(shop: Workshop) -> int:
    return int(shop.github.control.open_pull(REPO, title="Change something"))


def comment(pull: int, text: str = "S1 has left the pipeline") -> Comment:
    return Comment(REPO, pull, "S1.1", "failed", text)


def comments(shop: Workshop, pull: int) -> list[str]:
    return [row["body"] for row in shop.github.control.comments(REPO, pull)]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """What was wanted as a pause before each further try."""
    wanted: list[float | None] = []

    def pause(_tries: int, after: float | None) -> float:
        wanted.append(after)
        return 0.02

    monkeypatch.setattr(loop, "pause", pause)
    return wanted


# -- status ----------------------------------------------------------------------------------------------------


def test_a_status_says_what_and_where_to_look(shop: Workshop) -> None:
    shop.do(status(shop))
    (row,) = shop.github.control.statuses(REPO)
    assert (row["context"], row["state"], row["description"]) == ("interlock/build", "pending", "in build")
    assert row["target_url"].endswith(f"/p/{shop.pipeline.name}/runs/S1.1")


def test_a_long_sentence_is_cut_to_what_github_takes(shop: Workshop) -> None:
    shop.do(status(shop, text="ü" * 500))
    assert [len(text) for _, _, text in statuses(shop)] == [140]
    assert shop.dead() == []


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
def test_a_status_whose_reply_was_lost_is_not_set_twice(shop: Workshop, fault: dict[str, Any]) -> None:
    shop.github.control.fault(route=POST_STATUS, count=1, **fault)
    shop.do(status(shop))
    assert len(statuses(shop)) == 1


def test_a_status_that_did_not_arrive_is_set_again(shop: Workshop) -> None:
    shop.github.control.fault("drop_request", route=POST_STATUS, count=2)
    shop.do(status(shop))
    assert len(statuses(shop)) == 1


def test_a_status_that_somebody_set_in_between_is_set_again(shop: Workshop) -> None:
    shop.do(status(shop, "pending"))
    shop.do(status(shop, "failure", "it failed"))
    shop.github.control.fault("status", route=POST_STATUS, count=1, status=502)
    shop.do(status(shop, "pending"))
    assert [state for _, state, _ in statuses(shop)] == ["pending", "failure", "pending"]


@pytest.mark.parametrize("code", [403, 429])
def test_a_limit_is_obeyed_by_waiting_as_long_as_github_says(
    shop: Workshop, code: int, pauses: list[float | None]
) -> None:
    shop.github.control.fault("status", route=POST_STATUS, count=2, status=code, headers={"Retry-After": "7"})
    began = time.monotonic()
    shop.do(status(shop))
    assert pauses == [7.0, 7.0]
    assert time.monotonic() - began < 3, "the performer itself must not sleep"
    assert len(statuses(shop)) == 1
    assert shop.dead() == []


def test_the_hourly_limit_is_waited_for(shop: Workshop, pauses: list[float | None]) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5000"}
    body = '{"message": "API rate limit exceeded for user."}'
    shop.github.control.fault("status", route=POST_STATUS, count=1, status=403, headers=headers, body=body)
    shop.do(status(shop))
    assert pauses == [60.0]
    assert len(statuses(shop)) == 1


def test_a_secondary_limit_without_a_header_is_waited_for(shop: Workshop, pauses: list[float | None]) -> None:
    """GitHub docs: "If the retry-after header is not present ... wait for at least one minute"."""
    body = '{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'
    shop.github.control.fault("status", route=POST_STATUS, count=1, status=403, body=body)
    shop.do(status(shop))
    assert pauses == [60.0]
    assert shop.dead() == []


def test_what_github_finds_wrong_is_given_up_at_once_with_the_reason(shop: Workshop) -> None:
    unknown = SetStatus(REPO, "f" * 40, "build", "pending", "in build", "S1.1")
    shop.do(unknown)
    assert "422" in shop.dead()[0]
    assert shop.github.control.requests()["POST /repos/*/*/statuses/*"] == 1


def test_a_server_that_is_away_is_tried_again_and_in_the_end_given_up(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.GIVE_UP, "github", 3)
    shop.github.control.fault("status", route=POST_STATUS, status=503)
    shop.do(status(shop))
    assert "503" in shop.dead()[0]
    assert shop.github.control.requests()["POST /repos/*/*/statuses/*"] == 4


def test_a_repository_that_has_moved_is_told_to_people_not_taken_for_done(shop: Workshop) -> None:
    wanted = status(shop)
    shop.github.control.rename(REPO, "s1-new")
    shop.do(wanted)
    moved = [row["state"] for row in shop.github.control.statuses("shop/s1-new")]
    assert moved == ["pending"] or "moved" in shop.dead()[0]


# -- comment ---------------------------------------------------------------------------------------------------


def test_a_comment_is_written_once_and_pings_nobody(shop: Workshop, pull: int) -> None:
    shop.do(comment(pull, "thanks to @everybody <!-- hidden"))
    (body,) = comments(shop, pull)
    assert "@everybody" not in body
    assert "<!-- hidden" not in body
    assert "[Where it is now](" in body


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
def test_a_comment_whose_reply_was_lost_is_not_written_twice(shop: Workshop, pull: int, fault: dict[str, Any]) -> None:
    for number in range(40):  # more than one page of others
        shop.github.control.comment(REPO, pull, f"comment {number}", user="kim")
    shop.github.control.fault(route=POST_COMMENT, count=1, **fault)
    shop.do(comment(pull))
    assert sum("has left the pipeline" in body for body in comments(shop, pull)) == 1


def test_a_comment_that_the_rules_ask_for_again_is_not_written_again(shop: Workshop, pull: int) -> None:
    for _ in range(3):
        shop.do(comment(pull))
    assert len(comments(shop, pull)) == 1
    assert shop.github.control.requests()["POST /repos/*/*/issues/*/comments"] == 1


def test_comments_on_different_things_are_different(shop: Workshop, pull: int) -> None:
    shop.do(comment(pull))
    shop.do(Comment(REPO, pull, "S1.1", "overtaken-S2.4", "it was overtaken"))
    assert len(comments(shop, pull)) == 2


@pytest.mark.parametrize("code", [403, 429])
def test_a_limit_on_comments_is_obeyed(shop: Workshop, pull: int, code: int, pauses: list[float | None]) -> None:
    shop.github.control.fault("status", route=POST_COMMENT, count=1, status=code, headers={"Retry-After": "3"})
    shop.do(comment(pull))
    assert pauses == [3.0]
    assert len(comments(shop, pull)) == 1


def test_a_pull_request_that_is_not_there_is_given_up(shop: Workshop) -> None:
    shop.do(comment(99))
    assert "404" in shop.dead()[0]


def test_a_performer_whose_hold_has_ended_writes_no_comment(
    shop: Workshop, pull: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.state import outbox

    monkeypatch.setattr(outbox, "HOLD_MS", 20)
    shop.ask(comment(pull))
    stalled = shop.claim(comment(pull))
    assert stalled is not None
    time.sleep(0.04)
    monkeypatch.setattr(outbox, "HOLD_MS", 30_000)
    other = shop.claim(comment(pull))
    assert other is not None
    loop.perform(shop.context, shop.line, other)
    loop.perform(shop.context, shop.line, stalled)
    assert len(comments(shop, pull)) == 1


# -- compare ---------------------------------------------------------------------------------------------------


def compare(base: str, head: str) -> Compare:
    return Compare("S1", REPO, base, head)


def test_a_comparison_tells_what_contains_what(shop: Workshop) -> None:
    old = shop.github.control.head(REPO)
    new = shop.github.control.push(REPO)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=True)]
    shop.line.redis.delete(shop.line.keys.inbox)
    assert shop.do(compare(new, old)) == [ContainmentKnown("S1", new, old, contains=False)]


def test_a_commit_contains_itself(shop: Workshop) -> None:
    head = shop.github.control.head(REPO)
    assert shop.do(compare(head, head)) == [ContainmentKnown("S1", head, head, contains=True)]


def test_commits_that_went_apart_do_not_contain_each_other(shop: Workshop) -> None:
    old = shop.github.control.push(REPO)
    new = shop.github.control.push(REPO, forced=True)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=False)]


def test_a_commit_that_github_does_not_know_yet_is_waited_for(shop: Workshop) -> None:
    """*Not known* is not *no*: a replica may lag."""
    old = shop.github.control.head(REPO)
    new = shop.github.control.push(REPO)
    shop.github.control.fault("status", route="GET .*compare", count=3, status=404)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=True)]


def test_a_comparison_is_never_given_up_for_a_run_may_wait_for_it(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.GIVE_UP, "github", 2)
    old = shop.github.control.head(REPO)
    new = shop.github.control.push(REPO)
    shop.github.control.fault("status", route="GET .*compare", count=9, status=503)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=True)]
    assert shop.dead() == []
