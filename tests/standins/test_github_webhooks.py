"""Webhooks: signed, in order, once; lost, doubled and late when told to."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from standins.github.hooks import signature
from standins.wire import Reply
from tests.standins.conftest import until

REPO = "acme/shop"


@pytest.fixture
def hooked(github, receiver):
    def start(events=("push", "pull_request"), **arguments):
        hook = {"url": f"{receiver.url}/hook", "secret": "s", "events": list(events)}
        hook |= {name: arguments.pop(name) for name in ("parallel", "realistic") if name in arguments}
        return github(repos=[{"full_name": REPO, "hook": hook}], **arguments).control

    return start


def events(receiver):
    return [(request.headers["x-github-event"], request.json().get("action")) for request in receiver.got]


def test_the_signature_is_githubs():
    known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature("It's a Secret to Everybody", b"Hello, World!") == known


def test_a_delivery_is_signed_over_its_raw_body_and_names_itself(hooked, receiver):
    control = hooked()
    control.push(REPO)
    control.wait_idle()
    request = receiver.got[0]
    digest = hmac.new(b"s", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"
    assert request.headers["user-agent"].startswith("GitHub-Hookshot/")
    assert request.headers["x-github-hook-installation-target-type"] == "repository"
    assert control.deliveries()[0]["guid"] == request.headers["x-github-delivery"]


def test_a_push_says_from_where_to_where(hooked, receiver):
    control = hooked()
    before = control.head(REPO)
    after = control.push(REPO, count=2, message="m")
    control.wait_idle()
    body = receiver.bodies[0]
    assert (body["ref"], body["before"], body["after"]) == ("refs/heads/main", before, after)
    assert (body["created"], body["deleted"], body["forced"]) == (False, False, False)
    assert [commit["message"] for commit in body["commits"]] == ["m", "m"]
    assert body["head_commit"]["id"] == after
    assert body["repository"]["id"] > 0


def test_creating_forcing_and_deleting_a_branch(hooked, receiver):
    control = hooked(["push"])
    first = control.push(REPO, branch="b")
    control.push(REPO, branch="b", forced=True)
    control.force_push(REPO, first, branch="b")
    control.delete_branch(REPO, "b")
    control.wait_idle()
    flags = [(b["created"], b["forced"], b["deleted"], b["head_commit"] is None) for b in receiver.bodies]
    assert flags == [
        (True, False, False, False),
        (False, True, False, False),
        (False, True, False, False),
        (False, False, True, True),
    ]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("push-first", [("push", None), ("pull_request", "closed")]),
        ("pull_request-first", [("pull_request", "closed"), ("push", None)]),
        ("push-only", [("push", None)]),
        ("pull_request-only", [("pull_request", "closed")]),
        ("none", []),
    ],
)
def test_a_merge_sends_both_in_the_order_asked_or_loses_some(hooked, receiver, order, expected):
    control = hooked()
    landed = control.merge(REPO, order=order)
    control.wait_idle()
    assert events(receiver) == expected
    for request in receiver.got:
        body = request.json()
        assert (body.get("after") or body["pull_request"]["merge_commit_sha"]) == landed


def test_the_life_of_a_pull_request(hooked, receiver):
    control = hooked(["pull_request"])
    number = control.open_pull(REPO, "Fix", branch="fix")
    head = control.push_to_pull(REPO, number)
    control.close_pull(REPO, number)
    control.wait_idle()
    assert [action for _, action in events(receiver)] == ["opened", "synchronize", "closed"]
    assert receiver.bodies[1]["after"] == head
    closed = receiver.bodies[2]["pull_request"]
    assert (closed["merged"], closed["merged_at"], closed["base"]["ref"]) == (False, None, "main")


def test_a_pull_request_of_a_fork_and_of_a_deleted_one(hooked, receiver):
    control = hooked(["pull_request"])
    control.open_pull(REPO, fork="eve")
    control.open_pull(REPO, fork="")
    control.wait_idle()
    heads = [body["pull_request"]["head"]["repo"] for body in receiver.bodies]
    assert (heads[0]["full_name"], heads[1]) == ("eve/shop", None)


def test_nothing_is_sent_twice_by_itself_but_redelivered_with_the_same_guid(hooked, receiver):
    receiver.script.append(lambda _: Reply(500))
    control = hooked(["push"])
    control.push(REPO)
    control.wait_idle()
    assert [(d["outcome"], d["status_code"]) for d in control.deliveries()] == [("sent", 500)]
    control.redeliver(control.deliveries()[0]["id"])
    control.wait_idle()
    guids = [request.headers["x-github-delivery"] for request in receiver.got]
    assert len(guids) == 2 and guids[0] == guids[1]
    assert receiver.got[0].headers["x-hub-signature-256"] == receiver.got[1].headers["x-hub-signature-256"]


def test_redelivery_over_rest(hooked, receiver, http):
    control = hooked(["push"])
    control.push(REPO)
    control.wait_idle()
    site = http(control._w.shapes.api)
    site.session.headers["Authorization"] = "token t"
    hook = site.json(f"/repos/{REPO}/hooks")[0]["id"]
    delivery = site.json(f"/repos/{REPO}/hooks/{hook}/deliveries")[0]
    assert delivery["status_code"] == 202
    assert site.post(f"/repos/{REPO}/hooks/{hook}/deliveries/{delivery['id']}/attempts").status_code == 202
    receiver.wait(2)
    control.wait_idle()
    assert [d["redelivery"] for d in site.json(f"/repos/{REPO}/hooks/{hook}/deliveries")] == [True, False]


def test_a_receiver_that_is_too_slow_fails_the_delivery(hooked, receiver):
    receiver.script.append(lambda _: (time.sleep(0.4), Reply())[1])
    control = hooked(["push"], webhook_timeout=0.1)
    control.push(REPO)
    control.wait_idle()
    assert control.deliveries()[0]["outcome"] == "failed"


def test_the_next_webhooks_can_be_lost_and_found_again(hooked, receiver):
    control = hooked(["push"])
    control.drop_next_webhooks(1, "push")
    lost, kept = control.push(REPO), control.push(REPO)
    control.wait_idle()
    assert [body["after"] for body in receiver.bodies] == [kept]
    control.redeliver(control.deliveries()[0]["id"])
    control.wait_idle()
    assert receiver.bodies[1]["after"] == lost


def test_webhooks_can_come_twice_and_late(hooked, receiver):
    control = hooked(["push"])
    control.webhook_fault("duplicate", count=1)
    control.webhook_fault("delay", count=1, seconds=0.2)
    twice, late, last = (control.push(REPO) for _ in range(3))
    control.wait_idle()
    assert [body["after"] for body in receiver.bodies] == [twice, twice, last, late]


def test_payloads_have_their_real_size_when_asked(hooked, receiver):
    control = hooked(realistic=True)
    control.merge(REPO)
    control.wait_idle()
    push, pull = (len(request.body) for request in receiver.got)
    assert 7_000 < push < 11_000
    assert 19_000 < pull < 28_000


def test_what_the_bot_writes_comes_back_as_events(hooked, receiver, http):
    control = hooked(["status", "issue_comment"])
    site = http(control._w.shapes.api)
    site.session.headers["Authorization"] = "token t"
    number = control.open_pull(REPO)
    site.post(f"/repos/{REPO}/statuses/{control.head(REPO)}", json={"state": "success"})
    site.post(f"/repos/{REPO}/issues/{number}/comments", json={"body": "x"})
    control.comment(REPO, number, "/retry", user="ann")
    control.wait_idle()
    assert events(receiver) == [("status", None), ("issue_comment", "created"), ("issue_comment", "created")]
    assert [body["sender"]["login"] for body in receiver.bodies] == ["interlock-bot", "interlock-bot", "ann"]


def test_a_new_hook_is_pinged_when_asked(hooked, receiver):
    control = hooked()
    control.add_hook(REPO, {"url": receiver.url, "events": ["push"]}, ping=True)
    until(lambda: len(receiver.got) >= 1)
    control.wait_idle()
    assert "ping" in {event for event, _ in events(receiver)}


def test_a_revert_names_what_it_undoes(hooked, receiver):
    control = hooked(["push"])
    bad = control.push(REPO, message="Break it")
    control.revert(REPO)
    control.wait_idle()
    assert receiver.bodies[1]["head_commit"]["message"] == f'Revert "Break it"\n\nThis reverts commit {bad}.'


def test_a_hook_without_a_secret_sends_no_signature(github, receiver):
    control = github(repos=[{"full_name": REPO, "hook": {"url": receiver.url}}]).control
    control.push(REPO)
    control.wait_idle()
    assert not [name for name in receiver.got[0].headers if name.startswith("x-hub-signature")]


def test_a_github_that_was_out_of_reach_sends_again_once_it_is_back(github, receiver):
    world = github(repos=[{"full_name": REPO, "hook": {"url": receiver.url, "events": ["push"]}}])
    receiver.script.append(lambda _: (time.sleep(0.2), Reply())[1])
    cut_off, waiting = world.control.push(REPO), world.control.push(REPO)
    receiver.wait(1)
    world.stop()
    world.start()
    last = world.control.push(REPO)
    world.control.wait_idle()
    assert [body["after"] for body in receiver.bodies] == [cut_off, waiting, last]


def test_a_draft_becomes_ready_and_a_closed_one_opens_again(hooked, receiver):
    control = hooked(["pull_request"])
    number = control.open_pull(REPO, draft=True)
    control.ready_for_review(REPO, number)
    control.convert_to_draft(REPO, number)
    control.close_pull(REPO, number)
    control.reopen_pull(REPO, number)
    with pytest.raises(ValueError, match="is not closed"):
        control.reopen_pull(REPO, number)
    control.wait_idle()
    told = [(body["action"], body["pull_request"]["draft"], body["pull_request"]["state"]) for body in receiver.bodies]
    assert told == [
        ("opened", True, "open"),
        ("ready_for_review", False, "open"),
        ("converted_to_draft", True, "open"),
        ("closed", True, "closed"),
        ("reopened", True, "open"),
    ]


def test_a_pull_request_follows_its_branch_and_ends_with_it(hooked, receiver):
    control = hooked(["pull_request"])
    control.open_pull(REPO, branch="fix")
    first = control.push(REPO, branch="fix")
    control.push(REPO, branch="fix", forced=True)
    control.delete_branch(REPO, "fix")
    control.wait_idle()
    assert [action for _, action in events(receiver)] == ["opened", "synchronize", "synchronize", "closed"]
    assert receiver.bodies[2]["before"] == receiver.bodies[1]["after"] == first


def test_comments_on_pull_requests_and_issues_are_made_changed_and_deleted(hooked, receiver):
    control = hooked(["issue_comment"])
    for number in (control.open_pull(REPO), control.open_issue(REPO)):
        comment = control.comment(REPO, number, "/retry", user="ann")
        control.edit_comment(REPO, comment, "/cancel", user="bob")
        control.delete_comment(REPO, comment, user="ann")
    control.wait_idle()
    assert [action for _, action in events(receiver)] == ["created", "edited", "deleted"] * 2
    assert ["pull_request" in body["issue"] for body in receiver.bodies] == [True] * 3 + [False] * 3
    edited = receiver.bodies[1]
    assert (edited["changes"]["body"]["from"], edited["comment"]["body"]) == ("/retry", "/cancel")
    assert (edited["comment"]["user"]["login"], edited["sender"]["login"]) == ("ann", "bob")
    assert control.comments(REPO) == []


def test_branches_and_tags_are_created_and_deleted(hooked, receiver):
    control = hooked(["push", "create", "delete"])
    control.push(REPO, branch="b")
    control.delete_branch(REPO, "b")
    control.push_tag(REPO, "v1")
    control.delete_tag(REPO, "v1")
    control.wait_idle()
    told = [(event, body["ref"]) for (event, _), body in zip(events(receiver), receiver.bodies, strict=True)]
    assert told == [
        ("push", "refs/heads/b"), ("create", "b"), ("push", "refs/heads/b"), ("delete", "b"),
        ("push", "refs/tags/v1"), ("create", "v1"), ("push", "refs/tags/v1"), ("delete", "v1"),
    ]  # fmt: skip
    assert receiver.bodies[7]["ref_type"] == "tag"


def test_a_repository_tells_of_its_new_name_owner_and_default_branch(hooked, receiver):
    control = hooked(["repository"])
    control.push(REPO, branch="next")
    control.set_default_branch(REPO, "next")
    control.rename(REPO, "store")
    control.transfer("acme/store", "globex")
    control.wait_idle()
    edited, renamed, transferred = receiver.bodies
    assert edited["changes"]["default_branch"]["from"] == "main"
    assert (renamed["changes"]["repository"]["name"]["from"], renamed["repository"]["name"]) == ("shop", "store")
    assert transferred["changes"]["owner"]["from"]["organization"]["login"] == "acme"
    assert (transferred["repository"]["full_name"], transferred["repository"]["id"]) == (
        "globex/store",
        edited["repository"]["id"],
    )


def test_a_merge_group_is_checked_and_lands_or_is_thrown_away(github, receiver):
    hook = {"url": receiver.url, "events": ["merge_group", "push", "pull_request"]}
    control = github(repos=[{"full_name": REPO}], app={"public_key": "-", "hook": hook, "install": ["acme"]}).control
    first, second = control.open_pull(REPO), control.open_pull(REPO)
    heads = [control.enqueue(REPO, number) for number in (first, second)]
    with pytest.raises(ValueError, match="not the next to land"):
        control.finish_group(REPO, heads[1])
    control.finish_group(REPO, heads[1], "invalidated")
    control.finish_group(REPO, heads[0])
    control.wait_idle()
    assert control.head(REPO) == heads[0]
    assert [control.pull(REPO, number)["merged"] for number in (first, second)] == [True, False]
    groups = [one for one in receiver.bodies if "merge_group" in one]
    assert [(one["action"], one.get("reason")) for one in groups] == [
        ("checks_requested", None), ("checks_requested", None), ("destroyed", "invalidated"), ("destroyed", "merged"),
    ]  # fmt: skip
    assert groups[0]["merge_group"]["head_ref"].startswith(f"refs/heads/gh-readonly-queue/main/pr-{first}-")
    assert groups[1]["merge_group"]["base_sha"] == heads[0]


def test_what_is_only_for_apps_does_not_reach_a_repositorys_hook(hooked, receiver):
    control = hooked(["*"])
    control.finish_group(REPO, control.enqueue(REPO, control.open_pull(REPO)))
    control.wait_idle()
    assert "merge_group" not in {event for event, _ in events(receiver)}


def test_a_ping_goes_to_the_hook_that_was_asked_to_and_to_no_other(hooked, receiver, http):
    control = hooked()
    number = control.add_hook(REPO, {"url": f"{receiver.url}/second", "events": ["push"]})
    site = http(control._w.shapes.api)
    site.session.headers["Authorization"] = "token t"
    assert site.post(f"/repos/{REPO}/hooks/{number}/pings").status_code == 204
    control.wait_idle()
    assert [request.raw_path for request in receiver.got] == ["/second"]


def test_a_merge_may_be_told_by_a_payload_that_does_not_know_it_yet(hooked, receiver):
    control = hooked(["pull_request"])
    number = control.open_pull(REPO, quiet=True)
    control.merge(REPO, number, stale=True)
    control.wait_idle()
    shown = receiver.bodies[0]["pull_request"]
    assert (receiver.bodies[0]["action"], shown["state"], shown["merged"], shown["merged_at"]) == (
        "closed",
        "open",
        False,
        None,
    )
    assert control.pull(REPO, number)["merged"] is True


def test_an_apps_hook_is_greeted_without_a_repository(github, receiver):
    control = github().control
    control.register_app("-", hook={"url": receiver.url, "events": ["push"]}, ping=True)
    control.wait_idle()
    assert (receiver.bodies[0]["hook"]["type"], "repository" in receiver.bodies[0]) == ("App", False)
