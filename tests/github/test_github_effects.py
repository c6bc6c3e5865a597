"""Statuses, comments and comparisons on GitHub: once each, in time, and never at the cost of a limit."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from bot.core.model.effects import Comment, Compare, SetStatus
from bot.core.model.events import ContainmentKnown, TimePassed
from bot.core.model.messages import Verbatim
from bot.effect_outcomes import RetryPolicy
from bot.github import session, written_state
from bot.store.github import Allowance
from tests.texts import retried
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, clean
from workers import performer
from workers.performer import perform_due

REPO = "shop/s1"
POST_STATUS = r"POST /repos/.*/statuses"
POST_COMMENT = r"POST /repos/.*/comments"
PATCH_COMMENT = r"PATCH /repos/.*/comments/.*"


def status(shop: Workshop, state: Any = "pending", text: str = "in build") -> SetStatus:
    return SetStatus(REPO, shop.github.control.head(REPO), "build", state, Verbatim(text), "S1.1")


def statuses(shop: Workshop) -> list[tuple[str, str, str]]:
    rows = shop.github.control.statuses(REPO)
    return [(row["context"], row["state"], row["description"]) for row in rows]


@pytest.fixture
def pull(shop: Workshop) -> int:
    return int(shop.github.control.open_pull(REPO, title="Change something"))


def comment(pull: int, text: str = "S1 has left the pipeline") -> Comment:
    return Comment(REPO, pull, "S1.1", text)


def comments(shop: Workshop, pull: int) -> list[str]:
    return [row["body"] for row in shop.github.control.comments(REPO, pull)]


@dataclass(frozen=True)
class RecordedPauses(RetryPolicy):
    """What answers asked for as a pause; each is short all the same."""

    asked: list[float | None] = field(default_factory=list)

    def before_retry(self, tries: int, asked: float | None) -> float:
        self.asked.append(asked)
        return 0.02


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


def test_what_stands_there_is_not_set_again(shop: Workshop) -> None:
    for state, text in (("pending", "in build"), ("pending", "in build"), ("success", "passed"), ("success", "passed")):
        shop.do(status(shop, state, text))
    assert [state for _, state, _ in statuses(shop)] == ["pending", "success"]


@pytest.mark.slow
def test_what_only_corrects_is_not_written_where_nothing_stands(shop: Workshop) -> None:
    inside = replace(status(shop, text="in build"), corrects=True)
    shop.do(inside)
    assert statuses(shop) == []
    shop.do(status(shop, text="waits for build"))
    shop.do(inside)
    assert [text for _, _, text in statuses(shop)] == ["waits for build", "in build"]


def test_an_old_status_that_may_still_arrive_is_waited_for_before_a_newer_one_goes_out(
    shop: Workshop,
) -> None:
    shop.reload(replace(shop.configuration, github=replace(shop.configuration.github, timeout=1)))
    shop.limit_github(late_request=1.5)
    shop.github.control.fault("delay", route=POST_STATUS, count=1, seconds=1.3)
    shop.ask(status(shop, "pending"))
    shop.try_once(status(shop))
    shop.do(status(shop, "success", "passed"))
    assert [state for _, state, _ in statuses(shop)] == ["pending", "success"]


def test_nothing_is_sent_beyond_what_github_takes_of_one_context(shop: Workshop) -> None:
    shop.limit_github(statuses_of_context=4)
    for number in range(6):
        shop.do(status(shop, "pending", f"look {number}"))
    assert len(statuses(shop)) == 4
    assert len(shop.dead()) == 1
    assert "GitHub allows no more than 4" in shop.dead()[0]
    assert shop.github.control.requests() == {"POST /repos/*/*/statuses/*": 4}


def test_a_status_that_somebody_set_in_between_is_set_again(shop: Workshop) -> None:
    shop.do(status(shop, "pending"))
    shop.do(status(shop, "failure", "it failed"))
    shop.github.control.fault("status", route=POST_STATUS, count=1, status=502)
    shop.do(status(shop, "pending"))
    assert [state for _, state, _ in statuses(shop)] == ["pending", "failure", "pending"]


LIMITS = {
    "retry-after": (429, {"Retry-After": "7"}, "{}", 7.0),
    "retry-after, 403": (403, {"Retry-After": "7"}, "{}", 7.0),
    "hourly, no end told": (
        403,
        {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5000"},
        '{"message": "API rate limit exceeded for user."}',
        60.0,
    ),
    # GitHub docs: "If the retry-after header is not present ... wait for at least one minute"
    "secondary, silent": (
        403,
        {},
        '{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}',
        60.0,
    ),
    "429, silent": (429, {}, "", 60.0),
}


@pytest.mark.parametrize("name", LIMITS)
def test_after_a_limit_nobody_sends_until_it_has_passed(workshop: Open, name: str) -> None:
    pauses = RecordedPauses()
    shop = workshop(retry_policy=pauses)
    pull = int(shop.github.control.open_pull(REPO))
    code, headers, body, seconds = LIMITS[name]
    shop.github.control.fault("status", route=POST_STATUS, count=1, status=code, headers=headers, body=body)
    others = [status(shop), comment(pull), compare(shop.github.control.head(REPO), shop.github.control.head(REPO))]
    shop.ask(others[0])
    shop.github.control.reset_counters()
    began = time.monotonic()
    shop.try_once(others[0])
    assert pauses.asked == [seconds]
    shop.ask(*others[1:])
    for _ in range(3):
        shop.all_due("github")
        while (claim := shop.claim(others[0])) is not None:
            performer.perform(shop.runtime, shop.context, claim)
    assert sum(shop.github.control.requests().values()) == 1, "somebody asked in spite of the limit"
    state = Allowance(shop.context.redis, "token").standing()
    assert seconds - (time.monotonic() - began) - 0.1 < state.paused_for <= seconds
    clean(shop.settings)
    shop.all_due("github")
    for effect in others:
        shop.see_through(effect)
    assert (len(statuses(shop)), len(comments(shop, pull)), shop.dead()) == (1, 1, [])


def test_waiting_for_a_limit_counts_as_no_try(shop: Workshop) -> None:
    Allowance(shop.context.redis, "token").pause(60, "GitHub said so")
    shop.ask(status(shop))
    for _ in range(5):
        shop.all_due("github")
        shop.try_once(status(shop))
        pass_time(shop, 90_000)
    assert shop.dead() == []
    shop.all_due("github")
    claim = shop.claim(status(shop))
    assert claim is not None
    assert claim.tries == 0


def test_what_github_finds_wrong_is_given_up_at_once_with_the_reason(shop: Workshop) -> None:
    unknown = SetStatus(REPO, "f" * 40, "build", "pending", Verbatim("in build"), "S1.1")
    shop.do(unknown)
    assert "422" in shop.dead()[0]
    assert shop.github.control.requests()["POST /repos/*/*/statuses/*"] == 1


def fail(shop: Workshop, effect: SetStatus, times: int) -> None:
    """So many tries, whatever their pauses."""
    for _ in range(times):
        shop.all_due("github")
        shop.try_once(effect)


def pass_time(shop: Workshop, seconds: float) -> None:
    """Let what fails have failed for so much longer."""
    redis, failing = shop.context.redis, shop.context.keys.failing
    for slot, row in redis.hgetall(failing).items():
        revision, _, first = row.decode().partition(" ")
        redis.hset(failing, slot, f"{revision} {float(first) - seconds}")


def test_a_server_that_is_away_is_asked_for_a_day_however_often_that_is(shop: Workshop) -> None:
    """An outage loses nothing: a hundred tries with the longest pause are not two hours."""
    shop.limit_github(late_request=0.0)
    wanted = status(shop)
    shop.github.control.fault("status", route=POST_STATUS, status=503)
    shop.ask(wanted)
    fail(shop, wanted, 100)
    shop.reload(shop.configuration)  # a new process knows it, too
    pass_time(shop, 86_000)
    fail(shop, wanted, 1)
    assert shop.dead() == []
    pass_time(shop, 500)
    fail(shop, wanted, 1)
    (why,) = shop.dead()
    assert "503" in why


def test_another_life_and_a_newer_effect_begin_their_day_anew(shop: Workshop) -> None:
    shop.limit_github(late_request=0.0)
    wanted = status(shop)
    shop.github.control.fault("status", route=POST_STATUS, status=503)
    shop.ask(wanted)
    fail(shop, wanted, 2)
    pass_time(shop, 86_500)
    newer = replace(wanted, state="failure")
    shop.ask(newer)
    fail(shop, newer, 2)
    assert shop.dead() == []
    pass_time(shop, 86_500)
    fail(shop, newer, 1)
    assert len(shop.dead()) == 1
    assert shop.context.outbox.take_out(retried(newer.slot)) is not None
    fail(shop, newer, 2)
    assert shop.dead() == []
    shop.github.control.clear_faults()
    shop.all_due("github")
    shop.see_through(newer)
    assert "failure" in statuses(shop)[0]
    assert not shop.context.redis.exists(shop.context.keys.failing), "what is done is forgotten"


def test_a_status_for_a_repository_that_was_renamed_arrives_under_its_new_name(shop: Workshop) -> None:
    wanted = status(shop)
    shop.github.control.rename(REPO, "s1-new")
    shop.do(wanted)
    assert [row["state"] for row in shop.github.control.statuses("shop/s1-new")] == ["pending"]
    shop.github.control.reset_counters()
    shop.do(SetStatus(REPO, wanted.sha, "build", "success", Verbatim("passed"), "S1.1"))
    assert shop.github.control.requests() == {"POST /repos/*/*/statuses/*": 1}, "the new name is remembered"


def test_a_write_that_is_sent_round_in_circles_is_told_to_people(shop: Workshop) -> None:
    headers = {"Location": f"{shop.github.url}/repositories/1/statuses/x"}
    shop.github.control.fault("status", route=POST_STATUS, status=307, headers=headers, body="{}")
    shop.do(status(shop))
    assert "also under its new name" in shop.dead()[0]


@pytest.mark.parametrize(
    ("code", "headers", "body", "told"),
    [
        (404, {}, '{"message": "Not Found"}', "does not exist, or Interlock may not see it"),
        (
            403,
            {"X-Accepted-GitHub-Permissions": "statuses=write"},
            '{"message": "Resource not accessible by integration"}',
            "the permission statuses: write is missing",
        ),
        (403, {}, '{"message": "Resource not accessible by personal access token"}', "a permission is missing"),
        (422, {}, '{"message": "Validation Failed", "errors": [{"message": "no commit"}]}', "no commit"),
    ],
)
def test_what_will_never_work_is_given_up_with_what_is_missing(
    shop: Workshop, code: int, headers: dict[str, str], body: str, told: str
) -> None:
    shop.github.control.fault("status", route=POST_STATUS, status=code, headers=headers, body=body)
    shop.do(status(shop))
    assert told in shop.dead()[0]
    assert shop.github.control.requests()["POST /repos/*/*/statuses/*"] == 1


def test_a_token_that_is_refused_holds_everything_up_and_loses_nothing(shop: Workshop) -> None:
    shop.github.control.set_tokens({"other": {"login": "kim"}})
    shop.ask(status(shop))
    shop.try_once(status(shop))
    assert shop.dead() == []
    assert Allowance(shop.context.redis, "token").standing().paused_for > 50
    shop.github.control.set_tokens({"t": {"login": "kim"}})
    clean(shop.settings)
    shop.all_due("github")
    shop.see_through(status(shop))
    assert len(statuses(shop)) == 1


# -- comment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
def test_a_comment_whose_reply_was_lost_is_not_written_twice(shop: Workshop, pull: int, fault: dict[str, Any]) -> None:
    for number in range(40):  # more than one page of others
        shop.github.control.comment(REPO, pull, f"comment {number}", user="kim")
    shop.github.control.fault(route=POST_COMMENT, count=1, **fault)
    shop.do(comment(pull))
    assert sum("has left the pipeline" in body for body in comments(shop, pull)) == 1


def test_a_comment_that_the_store_has_forgotten_in_a_fail_over_is_found(shop: Workshop, pull: int) -> None:
    shop.context.inbox.tick(TimePassed())  # it knows the history of its store
    shop.do(comment(pull, "in build"))
    shop.context.redis.delete(shop.context.keys.wrote(comment(pull).slot))
    shop.context.redis.hset(shop.context.keys.meta, "history", "0" * 40)  # as if that was another server's
    shop.do(comment(pull, "in production"))
    assert ["in production" in body for body in comments(shop, pull)] == [True]


def test_a_comment_is_kept_up_to_date_and_links_to_where_it_is_now(shop: Workshop, pull: int) -> None:
    for text in ("in build", "in build", "in acceptance", "in production"):
        shop.do(comment(pull, text))
    (body,) = comments(shop, pull)
    assert "in production" in body
    assert f"/p/{shop.pipeline.name}/runs/S1.1)" in body
    asked = shop.github.control.requests()
    assert asked == {"POST /repos/*/*/issues/*/comments": 1, "PATCH /repos/*/*/issues/comments/*": 2}


def test_a_newer_text_takes_the_place_of_one_that_has_not_gone_out(shop: Workshop, pull: int) -> None:
    shop.ask(comment(pull, "in build"))
    shop.do(comment(pull, "in acceptance"))
    assert ["in acceptance" in body for body in comments(shop, pull)] == [True]
    assert shop.github.control.requests() == {"POST /repos/*/*/issues/*/comments": 1}


def test_a_comment_that_somebody_has_deleted_is_made_anew(shop: Workshop, pull: int) -> None:
    shop.do(comment(pull, "in build"))
    (row,) = shop.github.control.comments(REPO, pull)
    shop.github.control.delete_comment(REPO, row["id"])
    shop.do(comment(pull, "in acceptance"))
    assert ["in acceptance" in body for body in comments(shop, pull)] == [True]


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
def test_a_change_of_a_comment_whose_reply_was_lost_leaves_the_newest_text(
    shop: Workshop, pull: int, fault: dict[str, Any]
) -> None:
    shop.do(comment(pull, "in build"))
    shop.github.control.fault(route=PATCH_COMMENT, count=1, **fault)
    shop.ask(comment(pull, "in acceptance"))
    shop.try_once(comment(pull))
    shop.do(comment(pull, "in build"))
    (body,) = comments(shop, pull)
    assert "in build" in body


def test_a_marker_that_somebody_copied_is_not_taken_for_ours(shop: Workshop, pull: int) -> None:
    forged = shop.github.control.comment(REPO, pull, f"<!-- interlock {shop.pipeline.name} -->\nours?", user="eve")
    shop.github.control.fault("drop_request", route=POST_COMMENT, count=1)
    shop.do(comment(pull))
    rows = {row["id"]: row["user"] for row in shop.github.control.comments(REPO, pull)}
    assert rows.pop(forged) == "eve"
    assert list(rows.values()) == ["interlock-bot"]


def test_what_redis_has_lost_is_found_again_for_a_run_that_is_not_new(shop: Workshop, pull: int) -> None:
    shop.do(comment(pull, "in build"))
    shop.context.redis.delete(shop.context.keys.wrote(comment(pull).slot))
    shop.do(replace(comment(pull, "in acceptance"), began=time.time() - 3600))
    assert ["in acceptance" in body for body in comments(shop, pull)] == [True]


@pytest.mark.parametrize("text", ["ü" * 70_000, "```\n" + "line of a log\n" * 6_000, "x\n" * 40_000])
def test_a_text_that_is_too_long_is_cut_and_its_code_blocks_are_closed(shop: Workshop, pull: int, text: str) -> None:
    shop.do(comment(pull, text))
    (body,) = comments(shop, pull)
    assert 60_000 < len(body) <= 65_536
    assert body.count("```") in (0, 2)
    assert body.endswith(f"[Where it is now](http://localhost:8080/p/{shop.pipeline.name}/runs/S1.1)")


def test_a_pull_request_that_is_not_there_is_given_up(shop: Workshop) -> None:
    shop.do(comment(99))
    assert "404" in shop.dead()[0]


def test_a_performer_whose_hold_has_ended_writes_no_comment(shop: Workshop, pull: int) -> None:
    shop.ask(comment(pull))
    stalled = shop.claim_for(comment(pull), 20)
    time.sleep(0.04)
    other = shop.claim(comment(pull))
    assert other is not None
    performer.perform(shop.runtime, shop.context, other)
    performer.perform(shop.runtime, shop.context, stalled)
    assert len(comments(shop, pull)) == 1


# -- compare ---------------------------------------------------------------------------------------------------


def compare(base: str, head: str) -> Compare:
    return Compare("S1", REPO, base, head)


def test_a_comparison_tells_what_contains_what(shop: Workshop) -> None:
    old = shop.github.control.head(REPO)
    new = shop.github.control.push(REPO)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=True)]
    shop.context.redis.delete(shop.context.keys.inbox)
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


def test_what_github_has_lost_for_good_contains_nothing(shop: Workshop) -> None:
    """GitHub deletes a commit some time after a force-push dropped it; a run that waits for the proof must not wait."""
    head = shop.github.control.head(REPO)
    assert shop.do(compare("d" * 40, head)) == [ContainmentKnown("S1", "d" * 40, head, contains=False)]


def test_a_repository_that_we_do_not_see_is_no_answer(shop: Workshop) -> None:
    head = shop.github.control.head(REPO)
    shop.github.control.fault("status", route="GET .*", count=30, status=404)
    shop.ask(compare("d" * 40, head))
    for _ in range(9):
        shop.all_due("github")
        assert shop.try_once(compare("d" * 40, head)) == []
    assert shop.dead() == []


def test_a_comparison_is_never_given_up_for_a_run_may_wait_for_it(shop: Workshop) -> None:
    shop.give_up_after("github", 0.0)
    old = shop.github.control.head(REPO)
    new = shop.github.control.push(REPO)
    shop.github.control.fault("status", route="GET .*compare", count=9, status=503)
    assert shop.do(compare(old, new)) == [ContainmentKnown("S1", old, new, contains=True)]
    assert shop.dead() == []


# -- pace ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_that_write_at_once_keep_the_distance_and_lose_nothing(shop: Workshop) -> None:
    github = replace(shop.configuration.github, write_spacing=0.3)
    shop.reload(replace(shop.configuration, github=github))
    shop.ask(*(replace(status(shop), context=f"stage-{number}") for number in range(6)))
    stop = time.monotonic() + 20

    def work() -> None:
        while shop.context.outbox.size() and time.monotonic() < stop:
            perform_due(shop.runtime, shop.context, "github", lambda *_: None)
            time.sleep(0.02)
        session.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    written = shop.github.world.repos[REPO].statuses[shop.github.control.head(REPO)]
    assert len({row.context for row in written}) == len(written) == 6
    gaps = [later.at - earlier.at for earlier, later in pairwise(sorted(written, key=lambda row: row.at))]
    assert min(gaps) > 0.2, gaps  # as they arrive, which no script decides
    assert shop.dead() == []


def test_a_comment_waits_where_a_status_may_go(shop: Workshop, pull: int) -> None:
    Allowance(shop.context.redis, "token").saw(remaining=900, limit=5000, reset_in=60)
    shop.ask(comment(pull), status(shop))
    for _ in range(2):
        claim = shop.claim(status(shop))
        assert claim is not None
        performer.perform(shop.runtime, shop.context, claim)
    assert (len(statuses(shop)), comments(shop, pull), shop.dead()) == (1, [], [])


def test_a_write_whose_reply_was_missing_at_an_upgrade_from_schema_3_is_still_known(shop: Workshop) -> None:
    """It called the field `doubt`."""
    shop.ask(Comment(REPO, 1, "S1.1", "in build"))
    claim = shop.claim(Comment(REPO, 1, "S1.1", "in build"))
    assert claim is not None
    slot = written_state.WrittenSlot(written_state.RenewedClaim(shop.runtime, shop.context, claim), claim.effect.slot)
    key = shop.context.keys.wrote(claim.effect.slot)
    shop.context.redis.hset(key, mapping={"id": "7", "mark": "old", "doubt": "new", "sent": "1"})
    assert (slot.read().id, slot.read().unanswered) == (7, "new")
    slot.settle("new")
    assert slot.read().unanswered == ""
    assert set(shop.context.redis.hgetall(key)) == {b"id", b"mark"}


def test_a_run_that_only_goes_on_makes_no_comment_and_one_that_is_there_is_brought_up_to_date(
    shop: Workshop, pull: int
) -> None:
    shop.do(replace(comment(pull, "in acceptance"), corrects=True))
    assert comments(shop, pull) == []
    shop.do(comment(pull, "failed in pre-production"))
    shop.do(replace(comment(pull, "in pre-production once more"), corrects=True))
    (there,) = comments(shop, pull)
    assert "once more" in there
    assert shop.github.control.requests()["POST /repos/*/*/issues/*/comments"] == 1
    assert "GET /repos/*/*/issues/*/comments" not in shop.github.control.requests(), "nobody had to look for one"
