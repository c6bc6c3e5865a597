"""Commands at GitHub from the comment to the answer: who may, what GitHub says at that moment, and what is written."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.model.effects import Answer, AuthorizeCommand
from bot.core.model.events import Command, CommandAllowed, CommandRefused, CommandSaid, Event, Merged, ModeAsked
from bot.core.model.pipeline import Mode, Service
from bot.core.model.run import Status
from bot.github import session
from bot.store.github import Allowance
from bot.store.records import Records
from tests.github.app_key import pem
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop, clean
from workers import reconcile

REPO = "shop/s1"
#: What a collaborator of each kind may do: on the runs of their service, and on the stages that all share.
MATRIX = {"admin": (True, True), "maintain": (True, True), "write": (True, False), "triage": (False, False)}
GET_PERMISSION = r"GET /repos/.*/permission"


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    opened.github.control.set_collaborators(REPO, {name: name for name in MATRIX} | {"dana": "maintain"})
    opened.start()
    return opened


@pytest.fixture
def pull(shop: Workshop) -> int:
    return int(shop.github.control.open_pull(REPO, title="Change something"))


def comment(shop: Workshop, pull: int, body: str, user: str = "dana") -> int:
    """Write a comment and put its delivery into the inbox, as the ingress does."""
    number = int(shop.github.control.comment(REPO, pull, body, user))
    deliver(shop, pull, number, body, user)
    return number


def deliver(shop: Workshop, pull: int, number: int, body: str, user: str, at: float | None = None) -> None:
    person = {"login": user, "type": "User"}
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at or time.time()))
    payload = {
        "action": "created",
        "issue": {"number": pull, "pull_request": {}},
        "comment": {"id": number, "body": body, "user": person, "created_at": when},
        "repository": {"full_name": REPO},
        "sender": person,
    }
    shop.context.inbox.accept("github", "issue_comment", f"comment/{number}", json.dumps(payload).encode())


def told(shop: Workshop, pull: int, body: str, user: str = "dana") -> tuple[list[str], str]:
    """The reactions to a comment, and the words of the one answer to it."""
    number = comment(shop, pull, body, user)
    shop.work()
    rows = shop.github.control.comments(REPO, pull)
    (mine,) = [row for row in rows if row["id"] == number]
    answers = [row["body"] for row in rows if f"answer/{number} -->" in row["body"]]
    assert len(answers) == 1, rows
    return [content for _, content in mine["reactions"]], answers[0]


def answers(shop: Workshop, pull: int) -> list[str]:
    return [row["body"] for row in shop.github.control.comments(REPO, pull) if row["user"] == "interlock-bot"]


def locked(shop: Workshop) -> bool:
    return bool(shop.board.locks_of("acceptance"))


# -- who may ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", MATRIX)
@pytest.mark.parametrize(
    "command", ["lock acceptance because", "unlock acceptance because", "retry", "cancel", "verify"]
)
def test_who_may_write_acts_on_runs_and_who_may_maintain_on_stages(
    shop: Workshop, pull: int, role: str, command: str
) -> None:
    _, words = told(shop, pull, f"/interlock {command}", role)
    may = MATRIX[role]["lock" in command]
    assert (f"{role} may not" not in words) is may
    assert locked(shop) is (may and command.startswith("lock"))


def test_a_stranger_on_a_public_repository_is_not_obeyed(shop: Workshop, pull: int) -> None:
    reactions, words = told(shop, pull, "/interlock lock acceptance because", "mallory")
    assert reactions == ["-1"]
    assert (
        "mallory may not lock a stage: that takes the role `operator`. It is held by everybody with the permission"
        in (words)
    )
    assert not locked(shop)


@pytest.mark.parametrize("command", ["status", "why", "help", "sttus"])
def test_asking_needs_no_permission_and_asks_for_none(shop: Workshop, pull: int, command: str) -> None:
    shop.github.control.reset_counters()
    reactions, _ = told(shop, pull, f"/interlock {command}", "mallory")
    assert reactions == [{"sttus": "confused"}.get(command, "+1")]
    assert not [route for route in shop.github.control.requests() if "permission" in route]


def test_permission_is_asked_at_that_moment(shop: Workshop, pull: int) -> None:
    told(shop, pull, "/interlock lock acceptance because", "dana")
    shop.github.control.set_collaborators(REPO, {})
    _, words = told(shop, pull, "/interlock unlock acceptance because", "dana")
    assert "dana may not unlock a stage" in words
    assert locked(shop)


@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        [],
        {"permission": None},
        {"permission": "owner"},
        {"permission": ["admin"]},
        {"permission": "admin"},
        {"permission": "admin", "user": {"login": "somebody-else"}},
    ],
)
def test_an_answer_that_does_not_say_so_is_a_no(shop: Workshop, pull: int, body: object) -> None:
    shop.github.control.fault("status", route=GET_PERMISSION, count=1, status=200, body=json.dumps(body))
    _, words = told(shop, pull, "/interlock lock acceptance because")
    assert "may not lock a stage" in words
    assert not locked(shop)


# -- in doubt, no ----------------------------------------------------------------------------------------------


def test_a_github_that_does_not_answer_is_asked_again(shop: Workshop, pull: int) -> None:
    shop.github.control.fault("status", route=GET_PERMISSION, count=2, status=502)
    comment(shop, pull, "/interlock lock acceptance because")
    until(shop, lambda: locked(shop))
    assert len(answers(shop, pull)) == 1


def until(shop: Workshop, done: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        shop.work()
        time.sleep(0.02)


def test_after_a_while_without_an_answer_it_is_refused(shop: Workshop, pull: int) -> None:
    shop.limit_github(command_patience=0.2)
    shop.github.control.fault("status", route=GET_PERMISSION, status=502)
    comment(shop, pull, "/interlock lock acceptance because")
    until(shop, lambda: answers(shop, pull))
    assert "Interlock could not ask GitHub whether you may do this" in answers(shop, pull)[0]
    assert not locked(shop)
    shop.github.control.clear_faults()
    shop.all_due("github")
    shop.work()
    assert not locked(shop)


@pytest.mark.parametrize("status", [403, 404, 410, 422])
def test_a_github_that_refuses_to_say_is_a_no(shop: Workshop, pull: int, status: int) -> None:
    shop.github.control.fault("status", route=GET_PERMISSION, count=1, status=status, body="{}")
    reactions, words = told(shop, pull, "/interlock lock acceptance because")
    assert reactions == ["-1"]
    assert "may not lock a stage" in words or "did not say whether you may do this" in words
    assert not locked(shop)


def test_a_limit_is_waited_for_and_the_command_is_done_then(shop: Workshop, pull: int) -> None:
    shop.github.control.fault("status", route=GET_PERMISSION, count=1, status=429, headers={"Retry-After": "60"})
    comment(shop, pull, "/interlock lock acceptance because")
    shop.work()
    assert not locked(shop)
    clean(shop.settings)  # the limit has passed
    shop.all_due("github")
    until(shop, lambda: locked(shop))


def test_what_nobody_was_there_to_hear_for_an_hour_is_refused(shop: Workshop, pull: int) -> None:
    shop.limit_github(command_age=-1.0)
    _, words = told(shop, pull, "/interlock lock acceptance because")
    assert "did not handle it within an hour" in words
    assert not locked(shop)


def test_a_comment_of_yesterday_is_not_heard(shop: Workshop, pull: int) -> None:
    number = int(shop.github.control.comment(REPO, pull, "/interlock lock acceptance because", "dana"))
    shop.github.control.reset_counters()
    deliver(shop, pull, number, "/interlock lock acceptance because", "dana", at=time.time() - 86_400)
    shop.work()
    assert not locked(shop)
    assert not shop.github.control.requests()
    assert "more than an hour ago" in shop.facts("request-refused")[0]


# -- what was said, and what it is about, at this moment -------------------------------------------------------


def test_a_comment_that_was_changed_since_is_not_obeyed(shop: Workshop, pull: int) -> None:
    number = comment(shop, pull, "/interlock lock acceptance because")
    shop.github.control.edit_comment(REPO, number, "Never mind.")
    shop.work()
    assert "somebody has edited the comment" in answers(shop, pull)[0]
    assert not locked(shop)


def test_words_around_a_command_may_be_mended(shop: Workshop, pull: int) -> None:
    number = comment(shop, pull, "teh test data\n/interlock lock acceptance because")
    shop.github.control.edit_comment(REPO, number, "The test data\n/interlock lock acceptance because")
    shop.work()
    assert locked(shop)


def test_a_comment_that_was_deleted_since_is_neither_obeyed_nor_answered(shop: Workshop, pull: int) -> None:
    number = comment(shop, pull, "/interlock lock acceptance because")
    shop.github.control.delete_comment(REPO, number)
    until(shop, lambda: not shop.context.outbox.size())
    assert answers(shop, pull) == []
    assert not locked(shop)
    assert shop.dead() == []


def test_a_comment_that_github_does_not_show_yet_is_looked_for_again(shop: Workshop, pull: int) -> None:
    shop.github.control.fault("status", route=r"GET /repos/.*/issues/comments", count=2, status=404, body="{}")
    comment(shop, pull, "/interlock lock acceptance because")
    until(shop, lambda: locked(shop))


def test_a_pull_request_into_another_branch_is_told_so(shop: Workshop) -> None:
    pull = int(shop.github.control.open_pull(REPO, base="main"))
    shop.github.world.repos[REPO].branches["develop"] = shop.github.control.head(REPO)
    shop.github.control.edit_pull(REPO, pull, base="develop")
    _, words = told(shop, pull, "/interlock lock acceptance because")
    assert f"#{pull} targets `develop`, which is not the main branch of any service" in words
    assert not locked(shop)


def test_retry_finds_the_run_of_a_squashed_pull_request_by_the_commit_that_landed(shop: Workshop, pull: int) -> None:
    head = shop.github.control.head(REPO)
    landed = str(shop.github.control.merge(REPO, pull, method="squash"))
    shop.tell(Merged("S1", landed, head, push_id="1"))
    fails_in_pre_production(shop)
    assert shop.run_of(landed).status is Status.FAILED
    reactions, words = told(shop, pull, "/interlock retry the network was down")
    assert reactions == ["+1"]
    assert "retried S1" in words
    assert "in pre-production: the network was down" in words
    assert shop.run_of(landed).retrying


def fails_in_pre_production(shop: Workshop) -> None:
    for stage, result in (("build", "SUCCESS"), ("acceptance", "SUCCESS"), ("pre-production", "FAILURE")):
        shop.control.wait_builds(f"shop/{stage}", state="running")
        shop.release(stage, result)
        reconcile.builds(shop.runtime, shop.context)
        shop.work()


def test_what_became_of_a_run_that_has_ended_is_told(shop: Workshop, pull: int) -> None:
    head = shop.github.control.head(REPO)
    landed = str(shop.github.control.merge(REPO, pull))
    shop.tell(Merged("S1", landed, head, push_id="1", pull=pull))
    told(shop, pull, "/interlock cancel not wanted")
    shop.control.wait_builds("shop/build", state="done")
    reconcile.builds(shop.runtime, shop.context)
    until(shop, lambda: shop.live() == [])
    assert Records(shop.context.redis, shop.context.keys).ended()[1] == 1
    _, words = told(shop, pull, "/interlock why")
    assert f"no run of #{pull} is live any more: S1.1 ended as cancelled in build" in words


# -- what is written -------------------------------------------------------------------------------------------


def answer(number: int, pull: int) -> Answer:
    return Answer(REPO, pull, number, "+1", "done, @everyone <!-- x -->")


def test_an_answer_is_one_reaction_and_one_comment_that_pings_nobody(shop: Workshop, pull: int) -> None:
    number = int(shop.github.control.comment(REPO, pull, "hello"))
    shop.github.control.reset_counters()
    shop.do(answer(number, pull))
    shop.do(answer(number, pull))
    (body,) = set(answers(shop, pull))
    assert body.startswith(f"<!-- interlock answer/{number} -->\ndone, @\u200beveryone <! -- x -->")
    writes = [route for route in shop.github.control.requests() if not route.startswith("GET")]
    assert sorted(writes) == ["POST /repos/*/*/issues/*/comments", "POST /repos/*/*/issues/comments/*/reactions"]


@pytest.mark.parametrize("fault", [{"kind": "drop_reply"}, {"kind": "status_after", "status": 502}])
@pytest.mark.parametrize("route", [r"POST /repos/.*/comments$", r"POST /repos/.*/reactions"])
def test_an_answer_whose_reply_was_lost_is_not_given_twice(
    shop: Workshop, pull: int, fault: dict[str, Any], route: str
) -> None:
    number = int(shop.github.control.comment(REPO, pull, "hello"))
    shop.github.control.fault(route=route, count=1, **fault)
    shop.do(answer(number, pull))
    assert len(answers(shop, pull)) == 1


def test_a_marker_that_somebody_else_has_copied_is_not_taken_for_ours(shop: Workshop, pull: int) -> None:
    number = int(shop.github.control.comment(REPO, pull, "hello"))
    shop.github.control.comment(REPO, pull, f"<!-- interlock answer/{number} -->\nall is well", "mallory")
    shop.github.control.fault("drop_request", route=r"POST /repos/.*/comments$", count=1)
    shop.do(answer(number, pull))
    assert len(answers(shop, pull)) == 1


def test_as_an_app_our_own_answer_is_known_by_its_login(shop: Workshop, pull: int) -> None:
    shop.settings = shop.settings.model_copy(
        update={"github_app_id": "1", "github_app_private_key": SecretStr(pem()), "github_token": None}
    )
    shop.reload(shop.configuration)
    number = int(shop.github.control.comment(REPO, pull, "hello"))
    shop.github.control.fault("drop_reply", route=r"POST /repos/.*/comments$", count=1)
    shop.do(answer(number, pull))
    rows = [row for row in shop.github.control.comments(REPO, pull) if row["user"] == "interlock[bot]"]
    assert len(rows) == 1


def test_a_comment_that_is_gone_gets_its_answer_without_a_reaction(shop: Workshop, pull: int) -> None:
    shop.do(answer(987_654, pull))
    assert len(answers(shop, pull)) == 1
    assert shop.dead() == []


def test_while_observing_nothing_is_written(shop: Workshop, pull: int) -> None:
    shop.tell(ModeAsked(Mode.OBSERVE, "ann", "look first"))
    comment(shop, pull, "/interlock lock acceptance because")
    shop.work()
    assert locked(shop)
    assert answers(shop, pull) == []


def test_several_commands_are_one_answer(shop: Workshop, pull: int) -> None:
    reactions, words = told(
        shop, pull, "/interlock lock acceptance because\n/interlock status\n/interlock x\n/interlock"
    )
    assert reactions == ["confused"]
    assert [part.split("`")[1] for part in words.split("\n\n")[:2]] == ["lock", "status"]
    assert "1 more was left out" in words


def test_an_unlock_is_obeyed_though_little_is_left_of_the_hourly_limit_and_a_question_waits(
    shop: Workshop, pull: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(shop, pull, "/interlock lock acceptance because")
    monkeypatch.setattr(session, "note_left", lambda *_: None)  # what is left stays what it is, whatever is answered
    Allowance(shop.context.redis, "token").saw(remaining=150, limit=5000, reset_in=60)
    before = len(answers(shop, pull))
    comment(shop, pull, "/interlock unlock acceptance customers cannot pay")
    comment(shop, pull, "/interlock status")
    shop.work()
    assert not locked(shop)
    assert shop.context.outbox.size() == 2, "the answer to the one, and all of the other"
    assert (len(answers(shop, pull)), shop.dead()) == (before, [])


# -- verify: the commit that was looked at ---------------------------------------------------------------------


def obeyed(shop: Workshop, said: CommandSaid, *, acts: bool = True) -> list[Event]:
    return shop.do(AuthorizeCommand(said, acts, time.time()))


def verify(shop: Workshop, pull: int) -> CommandSaid:
    number = int(shop.github.control.comment(REPO, pull, "/interlock verify", "dana"))
    return CommandSaid(f"comment/{number}", REPO, "dana", (Command("verify"),), pull, number, time.time())


def test_the_head_is_the_one_of_the_moment_in_which_permission_was_asked(shop: Workshop, pull: int) -> None:
    said = verify(shop, pull)
    new = shop.github.control.push_to_pull(REPO, pull)
    (event,) = obeyed(shop, said)
    assert isinstance(event, CommandAllowed)
    assert (event.service, event.head, event.fork, event.open, event.merged) == ("S1", new, False, True, "")
    shop.github.control.push_to_pull(REPO, pull)
    assert event.head == new  # what comes later is not what was allowed


@pytest.mark.parametrize("owner", ["mallory", ""])
def test_a_fork_is_told_as_one_even_if_it_is_gone(shop: Workshop, owner: str) -> None:
    pull = int(shop.github.control.open_pull(REPO, fork=owner))
    (event,) = obeyed(shop, verify(shop, pull))
    assert isinstance(event, CommandAllowed)
    assert event.fork


def test_the_commit_of_a_fork_that_moved_after_the_comment_is_refused(shop: Workshop) -> None:
    pull = int(shop.github.control.open_pull(REPO, fork="mallory"))
    looked_at = shop.github.control.pull(REPO, pull)["head"]["sha"]
    shop.github.control.push_to_pull(REPO, pull, author="mallory")
    _, words = told(shop, pull, f"/interlock verify {looked_at[:7]}")
    assert f"the head of #{pull} is " in words
    assert "look at it, then ask again" in words


def test_an_unknown_person_is_refused_before_anything_is_said_of_the_head(shop: Workshop, pull: int) -> None:
    said = replace(verify(shop, pull), by="mallory")
    (event,) = obeyed(shop, said)
    assert isinstance(event, CommandRefused)


# -- buttons ---------------------------------------------------------------------------------------------------


def pressed(shop: Workshop, user: str, sha: str, run: str = "", action: str = "requested_action") -> None:
    payload = {
        "action": action,
        "requested_action": {"identifier": "retry"},
        "check_run": {"id": 5, "head_sha": sha, "external_id": run, "pull_requests": []},
        "repository": {"full_name": REPO},
        "sender": {"login": user, "type": "User"},
        "check_suite": {"updated_at": uuid.uuid4().hex},
    }
    shop.context.inbox.accept("github", "check_run", f"check/5/{uuid.uuid4().hex}", json.dumps(payload).encode())
    shop.work()


@pytest.mark.parametrize("action", ["requested_action", "rerequested"])
@pytest.mark.parametrize(("user", "may"), [("dana", True), ("mallory", False)])
def test_a_button_repeats_the_failed_build_if_the_person_may_write(
    shop: Workshop, user: str, action: str, *, may: bool
) -> None:
    run = shop.merge("S1", "a")
    fails_in_pre_production(shop)
    shop.github.control.reset_counters()
    pressed(shop, user, run.position.sha, run.key, action)
    assert shop.run("S1a").retrying is may
    assert not [route for route in shop.github.control.requests() if "comments" in route]
    assert bool(shop.facts("request-refused")) is not may


# -- as a person sees it ---------------------------------------------------------------------------------------


def test_what_cannot_be_answered_is_given_up_visibly(shop: Workshop, pull: int) -> None:
    shop.give_up_after("github", 0.2)
    number = int(shop.github.control.comment(REPO, pull, "hello"))
    shop.github.control.fault("status", route=r"POST /repos/.*/comments$", status=502)
    shop.do(answer(number, pull))
    assert len(shop.dead()) == 1


def test_an_answer_without_words_is_a_reaction_alone(shop: Workshop, pull: int) -> None:
    number = int(shop.github.control.comment(REPO, pull, "/interlock sttus"))
    before = len(shop.github.control.comments(REPO, pull))
    shop.do(replace(answer(number, pull), reaction="confused", text="", replies=()))
    rows = shop.github.control.comments(REPO, pull)
    assert len(rows) == before
    assert [content for row in rows if row["id"] == number for _, content in row["reactions"]] == ["confused"]


def test_another_pipeline_with_the_same_repository_stays_silent(shop: Workshop) -> None:
    """Two pipelines may share a repository; the branch decides whose pull request it is."""
    other = replace(shop.pipeline, name=f"{shop.pipeline.name}x", services=(Service("T1", REPO, "trunk"),))
    shop.reload(replace(shop.configuration, pipelines=(other, shop.pipeline)))
    pull = int(shop.github.control.open_pull(REPO))
    said = verify(shop, pull)
    assert obeyed(shop, said) == []
