"""The results of GitHub's webhooks, event by event: one run for each merge, in any order and form."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bot.core.model.effects import Comment
from bot.core.model.events import CancelAsked, LockAsked
from bot.core.model.pipeline import Service
from bot.core.model.run import Merge, Status
from bot.web import finding
from bot.web.run_list import RunFilter, list_runs
from tests.workers.conftest import Open
from tests.workers.hooked import Hooked, served

REPO = "shop/s1"
ORDERS = ["push-first", "pull_request-first", "push-only", "pull_request-only", "none"]

Told = Callable[..., Hooked]


@pytest.fixture
def hooked(workshop: Open) -> Iterator[Told]:
    """Open a workshop to which GitHub delivers; it polls every head and name, however recent the last report."""
    with ExitStack() as stack:

        def opened(**how: object) -> Hooked:
            shop = workshop(**how)
            shop.reload(replace(shop.configuration, polling=replace(shop.configuration.polling, heads=-60.0)))
            shop.limit_github(names_believed=0.0)
            return Hooked(shop, stack.enter_context(served(shop)))

        yield opened


@pytest.fixture
def told(hooked: Told) -> Hooked:
    return hooked()


# -- merges ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_merge_is_one_run_of_the_commit_that_landed(told: Hooked, method: str, order: str) -> None:
    pull = told.github.open_pull(REPO, title="Round prices")
    told.github.push_to_pull(REPO, pull)
    landed = told.github.merge(REPO, pull, method=method, order=order)
    told.settle()
    told.look_at_main()
    (run,) = told.runs()
    assert (run.position.sha, told.head()) == (landed, landed)
    if order in ("push-only", "none"):
        assert run.merge.pull is None
    else:
        assert run.merge == Merge(pull, (pull,), "Round prices", "dev")
    assert len(told.shop.builds("build")) == 1


@pytest.mark.parametrize("order", ORDERS)
def test_one_merge_after_the_other_is_a_run_each_and_main_goes_on(told: Hooked, order: str) -> None:
    landed = []
    for _ in range(3):
        landed.append(told.github.merge(REPO, order=order))
        told.settle()
        told.look_at_main()
    assert [run.position.sha for run in told.runs()] == landed
    assert told.head() == landed[-1]


def test_a_merge_whose_pull_request_says_that_it_is_not_merged_has_its_push(told: Hooked) -> None:
    landed = told.github.merge(REPO, order="pull_request-first", stale=True)
    told.settle()
    (run,) = told.runs()
    assert run.position.sha == landed


def test_several_pull_requests_in_one_push_are_one_run_that_carries_them_all(told: Hooked) -> None:
    before = told.github.head(REPO)
    pulls = [told.github.open_pull(REPO, title=f"PR {number}") for number in range(3)]
    landed = [told.github.merge(REPO, pull, order="none") for pull in pulls]
    push, *closed = together(told, before, pulls, landed)
    assert told.post("pull_request", closed[0]) == "kept"
    assert told.post("push", push) == "kept"
    assert told.post("pull_request", closed[2]) == "kept"
    assert told.post("pull_request", closed[1]) == "kept"
    (run,) = [run for run in told.runs() if run.status is not Status.ENDING]
    assert run.position.sha == landed[2]
    assert set(run.merge.pulls) == set(pulls)
    assert told.head() == landed[2]
    told.github.merge(REPO)
    told.settle()
    assert len([run for run in told.runs() if run.status is not Status.ENDING]) == 2


def test_pull_requests_whose_webhooks_were_all_lost_are_carried_by_the_head_that_was_found_and_told(
    told: Hooked,
) -> None:
    shop = told.shop
    shop.context.decision_limits = replace(shop.context.decision_limits, pull_told=0.0)
    shop.tell(LockAsked(shop.pipeline.stages[0].name, "ann", "closed"))
    pulls = [told.github.open_pull(REPO, title=f"PR {number}") for number in range(3)]
    told.github.push_to_pull(REPO, pulls[0])
    told.settle()
    told.github.reset_counters()
    methods = zip(pulls, ("merge", "squash", "rebase"), strict=True)
    landed = [told.github.merge(REPO, pull, method=method, order="none") for pull, method in methods]
    told.look_at_main()
    (run,) = told.runs()
    assert (run.sha, run.merge.pull, run.merge.title) == (landed[2], pulls[2], "PR 2")
    assert set(run.merge.pulls) == set(pulls)
    asked = told.github.requests()
    assert asked["GET /repos/*/*/commits/*/pulls"] == len(landed), "not of what the first merge brought in"
    assert sum(count for route, count in asked.items() if "/compare/" in route) == 1
    for question in (landed[0][:12], f"#{pulls[0]}"):
        assert [row["run"] for row in list_runs(shop.context, RunFilter(q=question))["runs"]] == [run.key]
        assert [found.key for found in finding.runs(shop.board, question)[0]] == [run.key]
    shop.tell(CancelAsked(run.key, "ann", "not wanted"))
    for pull in pulls:
        shop.see_through(Comment(REPO, pull, run.key))
        assert any("cancelled by ann" in said["body"] for said in told.github.comments(REPO, pull))


def together(told: Hooked, before: str, pulls: list[int], landed: list[str]) -> list[dict[str, object]]:
    """The payloads of one push that brings these merges, and of their pull requests, made from what GitHub sends."""
    told.github.merge("shop/s2", order="push-first")
    told.settle()
    (push,), (closed, *_) = told.payloads("push")[-1:], told.payloads("pull_request")[::-1]
    identity = told.github.pull(REPO, pulls[0])["base"]["repo"]["id"]
    ours = {"full_name": REPO, "id": identity, "pushed_at": 1}
    commits = [push["commits"][0] | {"id": sha} for sha in landed]
    made = [{**push, "repository": ours, "before": before, "after": landed[-1], "commits": commits}]
    for number, sha in zip(pulls, landed, strict=True):
        one = copy.deepcopy(closed)
        one["repository"], one["number"] = ours, number
        one["pull_request"] |= {"number": number, "merge_commit_sha": sha, "title": f"PR {number}"}
        made.append(one)
    return made


# -- main rewritten --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True])
def test_a_force_push_back_is_a_new_head_and_what_it_dropped_ends(told: Hooked, *, lost: bool) -> None:
    first = told.github.push(REPO)
    second = told.github.push(REPO)
    told.settle()
    told.github.force_push(REPO, first, lost=lost)
    told.settle()
    told.look_at_main()
    assert told.head() == first
    assert [run.position.sha for run in told.runs() if run.status is not Status.ENDING] == [first, first]
    assert {run.position.sha for run in told.runs() if run.status is Status.ENDING} <= {second}
    assert len(told.shop.facts("merge-accepted")) == 3
    told.look_at_main()
    assert len(told.shop.facts("merge-accepted")) == 3


def test_a_revert_is_a_merge_like_any_other(told: Hooked) -> None:
    bad = told.github.push(REPO)
    back = told.github.revert(REPO, bad)
    told.settle()
    assert [run.position.sha for run in told.runs()] == [bad, back]
    assert told.head() == back


# -- what moves no main ----------------------------------------------------------------------------------------


def test_tags_branches_forks_and_abandoned_pull_requests_start_nothing(told: Hooked) -> None:
    told.github.push(REPO, branch="feature")
    told.github.push_tag(REPO, "v1", told.github.head(REPO))
    told.github.delete_tag(REPO, "v1")
    told.github.delete_branch(REPO, "feature")
    pull = told.github.open_pull(REPO, fork="mallory")
    told.github.push_to_pull(REPO, pull, author="mallory")
    told.github.delete_fork(REPO, pull)
    told.github.close_pull(REPO, pull)
    told.github.reopen_pull(REPO, pull)
    told.github.edit_pull(REPO, pull, title="x")
    told.github.label_pull(REPO, pull, "urgent")
    told.github.open_issue(REPO)
    told.settle()
    assert len(told.github.deliveries()) > 10
    assert told.runs() == []


def test_a_merge_from_a_fork_that_is_gone_is_a_run(told: Hooked) -> None:
    pull = told.github.open_pull(REPO, fork="mallory")
    told.github.delete_fork(REPO, pull)
    landed = told.github.merge(REPO, pull)
    told.settle()
    assert [run.position.sha for run in told.runs()] == [landed]


def test_a_merge_queue_tests_its_groups_itself_and_what_lands_is_a_run(told: Hooked) -> None:
    groups = [told.github.enqueue(REPO, told.github.open_pull(REPO)) for _ in range(3)]
    told.settle()
    assert told.runs() == []
    told.github.finish_group(REPO, groups[0])
    told.github.finish_group(REPO, groups[1])
    told.github.finish_group(REPO, groups[2], reason="dequeued")
    told.settle()
    assert [run.position.sha for run in told.runs()] == groups[:2]
    assert [run.merge.pull for run in told.runs()] == [1, 2]
    assert {payload["action"] for payload in told.payloads("merge_group")} == {"checks_requested", "destroyed"}


@pytest.mark.parametrize("event", ["ping", "installation", "installation_repositories", "star", "check_suite", "x"])
@pytest.mark.parametrize("payload", [{}, {"action": None, "repository": None}, {"action": "created", "sender": {}}])
def test_other_events_are_taken_and_forgotten(told: Hooked, event: str, payload: dict[str, object]) -> None:
    before = told.shop.context.redis.xlen(told.shop.context.keys.inbox)
    assert told.post(event, payload) == ("pong" if event == "ping" else "ignored")
    assert told.shop.context.redis.xlen(told.shop.context.keys.inbox) == before


def test_an_app_that_is_installed_and_taken_away_again_is_no_matter(told: Hooked) -> None:
    installation = told.github.install_app("elsewhere")
    told.github.suspend_app(installation)
    told.github.uninstall_app(installation)
    told.settle()
    assert told.github.deliveries("installation")


# -- names -----------------------------------------------------------------------------------------------------


def test_a_default_branch_that_is_another_one_now_is_told_loudly_and_not_followed(told: Hooked) -> None:
    told.github.push(REPO, branch="trunk")
    told.github.set_default_branch(REPO, "trunk")
    told.settle()
    (fact,) = told.shop.facts("default-branch-changed")
    assert fact.startswith("the default branch of shop/s1 is now trunk; S1 still follows main")
    told.github.push(REPO, branch="trunk")
    on_main = told.github.push(REPO, branch="main")
    told.settle()
    assert [run.position.sha for run in told.runs()] == [on_main]


@pytest.mark.parametrize("how", ["renamed", "transferred"])
def test_a_repository_with_another_name_is_the_same_repository(told: Hooked, how: str) -> None:
    told.github.install_app("elsewhere")
    if how == "renamed":
        told.github.rename(REPO, "s1-new")
    else:
        told.github.transfer(REPO, "elsewhere")
    name = "shop/s1-new" if how == "renamed" else "elsewhere/s1"
    told.settle()
    with capture_logs():
        told.look_at_main()
    landed = told.github.merge(name)
    told.settle()
    assert [run.position.sha for run in told.runs()] == [landed]


def test_a_repository_in_another_case_is_the_same_repository(hooked: Told) -> None:
    told = hooked(services=(Service("S1", "SHOP/S1"),))
    landed = told.github.merge(REPO)
    told.settle()
    assert [(run.position.sha, run.merge.pull) for run in told.runs()] == [(landed, 1)]


# -- once ------------------------------------------------------------------------------------------------------


def test_redeliveries_change_nothing_with_the_same_id_or_a_new_one(told: Hooked) -> None:
    told.github.merge(REPO)
    told.settle()
    was = (told.runs(), told.head())
    for row in told.github.deliveries():
        told.github.redeliver(row["id"])
    for event in ("push", "pull_request"):
        for payload in told.payloads(event):
            told.post(event, payload)
    told.settle()
    assert (told.runs(), told.head()) == was
    assert len(told.shop.builds()) == 1


def test_what_was_lost_can_be_delivered_again(told: Hooked) -> None:
    told.github.webhook_fault("drop")
    landed = told.github.merge(REPO)
    told.settle()
    told.github.clear_faults()
    assert told.runs() == []
    for row in told.github.deliveries():
        if row["outcome"] == "lost":
            told.github.redeliver(row["id"])
    told.settle()
    assert [(run.position.sha, run.merge.pull) for run in told.runs()] == [(landed, 1)]


# -- commands --------------------------------------------------------------------------------------------------


def test_a_comment_is_obeyed_and_our_answer_which_comes_back_as_an_event_is_not(told: Hooked) -> None:
    told.github.set_collaborators(REPO, {"dana": "maintain"})
    pull = told.github.open_pull(REPO)
    told.github.comment(REPO, pull, "/interlock lock acceptance because\n/interlock help", "dana")
    for _ in range(3):
        told.settle()
    assert [lock.by for lock in told.shop.board.locks_of("acceptance")] == ["github:dana"]
    rows = told.github.comments(REPO, pull)
    assert len(rows) == 2
    assert rows[0]["reactions"] == [("interlock-bot", "+1")]
    assert len(told.github.deliveries("issue_comment")) == 2


def test_edits_deletions_and_issues_command_nothing(told: Hooked) -> None:
    told.github.set_collaborators(REPO, {"dana": "write"})
    pull, issue = told.github.open_pull(REPO), told.github.open_issue(REPO)
    number = told.github.comment(REPO, pull, "hello", "dana")
    told.github.edit_comment(REPO, number, "/interlock lock acceptance because", "dana")
    told.github.delete_comment(REPO, number)
    told.github.comment(REPO, issue, "/interlock lock acceptance because", "dana")
    told.settle()
    assert told.shop.board.locks_of("acceptance") == []
    assert told.github.comments(REPO) == [told.github.comments(REPO, issue)[0]]


def test_a_button_of_a_check_run_repeats_the_failed_build(told: Hooked) -> None:
    told.github.set_collaborators(REPO, {"dana": "write"})
    told.github.push(REPO)
    told.settle()
    (run,) = told.runs()
    assert run.status is Status.STARTING
    told.post("check_run", pressed(run.position.sha, f"{told.shop.pipeline.name}/{run.key}"))
    assert "has not failed: it is starting in build" in told.shop.facts("request-refused")[0]
    told.post("check_run", pressed(run.position.sha, "another-pipeline/S1.1"))
    assert len(told.shop.facts("request-refused")) == 1


def pressed(sha: str, external_id: str) -> dict[str, object]:
    person = {"login": "dana", "type": "User"}
    check = {"id": 5, "head_sha": sha, "external_id": external_id, "pull_requests": []}
    return {"action": "rerequested", "check_run": check, "repository": {"full_name": REPO}, "sender": person}


# -- labels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["push-first", "pull_request-first", "push-only"])
def test_the_labels_of_a_pull_request_come_with_its_run_and_follow_it(told: Hooked, order: str) -> None:
    pull = told.github.open_pull(REPO, title="Round prices")
    told.github.push_to_pull(REPO, pull)
    told.github.label_pull(REPO, pull, "hotfix")
    told.github.merge(REPO, pull, order=order)
    told.settle()
    (run,) = told.runs()
    assert [each.names for each in run.merge.labels] == ([] if order == "push-only" else [("hotfix",)])
    told.github.label_pull(REPO, pull, "docs")
    told.github.label_pull(REPO, pull, "hotfix", on=False)
    told.settle()
    (run,) = told.runs()
    assert [each.names for each in run.merge.labels] == ([] if order == "push-only" else [("docs",)])
