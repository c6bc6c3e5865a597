"""What is sent to GitHub, and what the stand-in answers and sends, is what GitHub's description says."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from github import Auth, Github, GithubIntegration
from pydantic import SecretStr

from bot.core.model.effects import Answer, AuthorizeCommand, Comment, Compare, Deploy, FindPull, LockNotice, SetStatus
from bot.core.model.events import Command, CommandSaid, Configured, Merged
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job, Pipeline, Service, Stage
from bot.core.model.stage_messages import NothingLocked
from bot.github.doctor import examine_github
from bot.github.membership import is_member
from bot.github.session import Purpose, Session
from config.configuration import Configuration, GitHubSettings, WebSettings
from config.settings import Settings
from standins.github import GitHubStandIn
from standins.github.server import MODULES
from standins.wire import HttpServer, Reply
from tests.github.app import Site, installation_token, keys, web_token
from tests.github.openapi import assert_deliveries_valid, assert_valid, description
from tests.github.test_check_runs import as_app
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import reconcile

pytestmark = pytest.mark.slow

REPO = "acme/shop"
PATH = f"/repos/{REPO}"
WANTED = ["*"]


class Town:
    """A stand-in with a repository, an App that is installed, and hooks of both with whole payloads."""

    def __init__(self, stack: ExitStack) -> None:
        receiver = stack.enter_context(HttpServer(lambda _: Reply(202)))
        self.web = f"http://127.0.0.1:{receiver.port}"
        hook = {"url": f"{self.web}/webhooks/github", "secret": "s", "events": WANTED, "realistic": True}
        repos = [{"full_name": REPO, "hook": hook, "files": {"a.txt": "a"}, "collaborators": {"ann": "maintain"}}]
        self.github = stack.enter_context(GitHubStandIn(repos))
        self.control = self.github.control
        self.installation = self.control.register_app(keys()[1], hook=hook, install=["acme"])[0]
        self.control.record()
        self.user, self.app = Site(self.github.url, "t"), Site(self.github.url, web_token())
        self.bot = Site(self.github.url, installation_token(self.github.url, self.installation))


@pytest.fixture
def town() -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(stack)


# -- what Interlock sends --------------------------------------------------------------------------------------


def sent(log: list[dict[str, Any]]) -> set[str]:
    """What was sent, by method and kind: `POST statuses`, `PATCH comments`."""
    parts = [(one["method"], one["path"].split("/")[4:]) for one in log if one["path"].startswith("/repos/")]
    return {f"{method} {next((p for p in reversed(rest) if p.isalpha() or '-' in p), '')}" for method, rest in parts}


def roll_out(shop: Workshop, sha: str, state: Any) -> Deploy:
    return Deploy(
        "shop/s1",
        sha,
        "production",
        "prod",
        True,
        state,
        Verbatim("build #3"),
        "S1.1",
        Job("cdp", "shop/production"),
        3,
    )


def test_everything_that_interlock_sends_is_what_github_describes(workshop: Open) -> None:
    shop = workshop()
    control = shop.github.control
    control.record()
    old, number, new = control.head("shop/s1"), control.open_pull("shop/s1"), control.push("shop/s1")
    shop.tell(Configured(shop.pipeline), Merged("S1", new))
    shop.do(SetStatus("shop/s1", new, "build", "pending", Verbatim("in build"), "S1.1"))
    shop.do(Compare("S1", "shop/s1", old, new, listed=True))
    commented = control.comment("shop/s1", number, "/interlock retry", "dana")
    said = CommandSaid("comment/1", "shop/s1", "dana", (Command("retry"),), number, commented, time.time())
    shop.do(AuthorizeCommand(said, acts=True, since=time.time()))
    control.set_team("shop/release", {"dana": "active"})
    assert is_member(Session(shop.runtime, "shop/s1"), "shop/release", "dana", Purpose.PROOF)
    shop.do(Answer("shop/s1", number, commented, "+1", "it is repeated"))
    shop.do(Comment("shop/s1", number, "S1.1", "in build"))
    shop.do(Comment("shop/s1", number, "S1.1", "in acceptance"))
    shop.do(roll_out(shop, new, "in_progress"))
    shop.do(LockNotice("shop/s1", "main", "success", Verbatim("locked"), locked=True))
    shop.do(LockNotice("shop/s1", "main", "success", NothingLocked(), locked=False))
    shop.do(FindPull("S1", "shop/s1", "main", new))
    for route in ("POST /repos/.*/statuses.*", "POST /repos/.*/comments", "POST /repos/.*/deployments"):
        control.fault("drop_reply", route=route, count=1)  # so that they look before a repeat
    shop.do(SetStatus("shop/s1", new, "build", "success", Verbatim("done"), "S1.1"))
    shop.do(Comment("shop/s1", control.open_pull("shop/s1"), "S1.1", "in build"))
    shop.do(replace(roll_out(shop, new, "failure"), run="S1.2"))
    control.fault("drop_reply", route="POST /repos/.*/deployments/.*/statuses", count=1)
    shop.do(replace(roll_out(shop, new, "success"), run="S1.2"))
    assert reconcile.heads(shop.runtime, shop.context) == 2  # that of S1 has just been told
    assert shop.dead() == []
    log = control.recorded()
    assert {"GET user"} <= {f"{one['method']} {one['path'].strip('/')}" for one in log}
    assert sent(log) >= {
        "POST statuses", "GET statuses", "GET comments", "POST comments", "PATCH comments", "POST deployments",
        "GET deployments", "GET pulls", "GET main", "GET permission",
    }  # fmt: skip
    assert_valid(log)


def test_everything_that_interlock_sends_as_an_app_is_what_github_describes(workshop: Open) -> None:
    shop = as_app(workshop())
    control = shop.github.control
    control.record()
    head, number = control.head("shop/s1"), control.open_pull("shop/s1")
    begun = SetStatus("shop/s1", head, "build", "pending", Verbatim("in build"), "S1.1", summary="**in build**")
    shop.do(begun)
    shop.do(replace(begun, state="failure", conclusion="action_required", buttons=("retry", "fast-lane")))
    for route in ("POST /repos/.*/check-runs", "POST /repos/.*/comments"):
        control.fault("drop_reply", route=route, count=1)
    shop.do(replace(begun, context="acceptance"))
    shop.do(Comment("shop/s1", number, "S1.1", "in build"))
    log = control.recorded()
    assert "GET app" in {f"{one['method']} {one['path'].strip('/')}" for one in log}
    assert sent(log) >= {"POST check-runs", "PATCH check-runs", "GET check-runs", "POST comments", "GET comments"}
    assert_valid(log)


def test_what_the_client_library_sends_for_an_app_is_what_github_describes(town: Town) -> None:
    app = Auth.AppAuth(1, keys()[0])
    at_once: dict[str, Any] = {"base_url": town.github.url, "seconds_between_requests": 0, "seconds_between_writes": 0}
    integration = GithubIntegration(auth=app, base_url=town.github.url)
    assert integration.get_repo_installation("acme", "shop").id == town.installation
    assert integration.get_app().slug == "interlock"
    integration.close()
    gh = Github(auth=app.get_installation_auth(town.installation), lazy=True, retry=None, **at_once)
    repo, sha, number = gh.get_repo(REPO), town.control.head(REPO), town.control.open_pull(REPO)
    run = repo.create_check_run("n", sha, status="in_progress", actions=CHECK["actions"], output=CHECK["output"])
    run.edit(conclusion="success", output=CHECK["output"])
    assert len(list(repo.get_commit(sha).get_check_runs())) == 1
    repo.get_issue(number).create_comment("x").create_reaction("eyes")
    made = repo.create_deployment(sha, auto_merge=False, required_contexts=[], payload={"run": "r1"})
    made.create_status("success", environment_url="https://x.example/")
    assert repo.get_collaborator_permission("ann") == "write"
    assert [pull.number for pull in repo.get_pulls(state="open")] == [number]
    gh.close()
    assert_valid(town.control.recorded())


# -- what the doctor asks --------------------------------------------------------------------------------------


def examined(town: Town, settings: Settings, *repositories: str) -> set[str]:
    """Let the doctor look at the town; returns the routes that it asked."""
    town.control.push(REPO)
    town.control.wait_idle()
    town.control.reset_counters()
    services = tuple(Service(f"S{n}", name) for n, name in enumerate(repositories))
    pipeline = Pipeline("p", (Stage("build", Job("cdp", "build")),), services)
    where = Configuration((pipeline,), github=GitHubSettings(town.github.url, timeout=5), web=WebSettings(town.web))
    told = [f"{one.subject}: {one.found}" for one in examine_github(where, settings)]
    assert any("arrived" in one for one in told), told
    return set(town.control.requests())


def test_what_the_doctor_asks_as_a_user_is_what_github_describes(town: Town) -> None:
    town.control.create_repo("acme/bare")  # has no webhook, so it asks for its organization's
    asked = examined(town, Settings(github_token=SecretStr("t")), REPO, "acme/bare")
    assert asked >= {
        "GET /user", "GET /repos/*/*", "GET /repos/*/*/git/ref/*", "GET /repos/*/*/hooks",
        "GET /repos/*/*/hooks/*/deliveries", "GET /rate_limit",
    }  # fmt: skip
    log = town.control.recorded()
    assert "/orgs/acme/hooks" in {one["path"] for one in log}
    assert_valid(log)


def test_what_the_doctor_asks_as_an_app_is_what_github_describes(town: Town) -> None:
    app = Settings(github_app_id="1", github_app_private_key=SecretStr(keys()[0]))
    assert examined(town, app, REPO) >= {
        "GET /app", "GET /repos/*/*/installation", "POST /app/installations/*/access_tokens", "GET /repos/*/*",
        "GET /app/installations/*", "GET /rate_limit", "GET /app/hook/config", "GET /app/hook/deliveries",
    }  # fmt: skip
    assert_valid(town.control.recorded())


# -- what the stand-in answers and sends -----------------------------------------------------------------------


def test_every_route_of_the_stand_in_answers_as_github_describes(town: Town) -> None:
    _tour_of_reading(town)
    _tour_of_writing(town)
    _tour_of_checks(town)
    _tour_of_hooks(town)
    _tour_of_apps(town)
    routes = {line.replace("{+}", "*").replace("{}", "*") for module in MODULES for line in module.ROUTES}
    assert routes - set(town.control.requests()) == set(), "these were not driven"
    assert_valid(town.control.recorded())


def _tour_of_reading(town: Town) -> None:
    control, ok = town.control, town.user.ok
    first = control.head(REPO)
    control.push_tag(REPO, "v1")
    head = control.merge(REPO)
    for path in ("", "/branches", "/branches/main", "/git/ref/heads/main", "/git/ref/tags/v1", "/tags",
                 "/git/matching-refs/heads/ma", "/commits", f"/commits/{head}", f"/commits/{head}/pulls",
                 f"/compare/{first}...{head}", f"/compare/{head}...{first}", "/collaborators/ann/permission",
                 "/collaborators/eve/permission", "/contents/a.txt?ref=main"):  # fmt: skip
        ok("GET", PATH + path)
    control.set_team("acme/release", {"ann": "active", "ivy": "pending"})
    for who in ("ann", "ivy"):
        ok("GET", f"/orgs/acme/teams/release/memberships/{who}")
    for path in ("/rate_limit", "/user", "/meta", f"/repositories/{control._w.repo(REPO).id}/branches/main"):
        ok("GET", path)


def _tour_of_writing(town: Town) -> None:
    control, ok, sha = town.control, town.user.ok, town.control.head(REPO)
    number, issue = control.open_pull(REPO, "A title", branch="side"), control.open_issue(REPO)
    control.open_pull(REPO, fork="eve")
    gone = control.open_pull(REPO, fork="eve")
    control.delete_fork(REPO, gone)
    ok("POST", f"{PATH}/statuses/{sha}", {"state": "success", "context": "c", "description": None})
    for path in (f"/statuses/{sha}", f"/commits/{sha}/statuses", f"/commits/{sha}/status"):
        ok("GET", PATH + path)
    for on in (number, issue):
        made = ok("POST", f"{PATH}/issues/{on}/comments", {"body": "hello"})
        comment = f"{PATH}/issues/comments/{made['id']}"
        ok("PATCH", comment, {"body": "changed"})
        ok("GET", comment)
        ok("GET", f"{PATH}/issues/{on}/comments")
        for _ in range(2):
            reaction = ok("POST", f"{comment}/reactions", {"content": "eyes"})
        ok("GET", f"{comment}/reactions?content=eyes")
        ok("DELETE", f"{comment}/reactions/{reaction['id']}")
        ok("DELETE", comment)
        ok("GET", f"{PATH}/issues/{on}")
        ok("POST", f"{PATH}/issues/{on}/labels", {"labels": ["bug", "fast lane"]})
        ok("GET", f"{PATH}/issues/{on}/labels")
        ok("DELETE", f"{PATH}/issues/{on}/labels/bug")
    for path in (
        f"/pulls/{number}",
        f"/pulls/{gone}",
        "/pulls?state=open",
        "/pulls?state=all",
        f"/pulls/{number}/commits",
    ):
        ok("GET", PATH + path)
    plain = {"ref": sha, "auto_merge": False, "required_contexts": [], "environment": "stage", "payload": {"a": 1}}
    one = ok("POST", f"{PATH}/deployments", plain)
    ok("POST", f"{PATH}/deployments", {"ref": "side"})  # merges main into it, and says so
    ok("GET", f"{PATH}/deployments?environment=stage")
    own = f"{PATH}/deployments/{one['id']}"
    ok("POST", f"{own}/statuses", {"state": "success", "log_url": "https://x.example/", "auto_inactive": True})
    ok("GET", own)
    ok("GET", f"{own}/statuses")
    ok("PUT", f"{PATH}/pulls/{number}/merge", {"merge_method": "squash"})


CHECK = {
    "name": "interlock", "status": "in_progress", "external_id": "S1.1", "details_url": "https://x.example/runs/1",
    "started_at": "2026-01-01T00:00:00Z",
    "output": {"title": "Waits", "summary": "for *S2*", "text": "more", "annotations": [
        {"path": "a.txt", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "odd"}]},
    "actions": [{"label": "Retry", "description": "Build it once more", "identifier": "retry"}],
}  # fmt: skip


def _tour_of_checks(town: Town) -> None:
    ok, sha = town.bot.ok, town.control.head(REPO)
    made = ok("POST", f"{PATH}/check-runs", CHECK | {"head_sha": sha})
    own, suite = f"{PATH}/check-runs/{made['id']}", f"{PATH}/check-suites/{made['check_suite']['id']}"
    ok("GET", own)
    ok("PATCH", own, {"status": "completed", "conclusion": "success", "output": CHECK["output"]})
    for path in (f"{own}/annotations", f"{PATH}/commits/{sha}/check-runs", f"{PATH}/commits/{sha}/check-suites",
                 suite, f"{suite}/check-runs"):  # fmt: skip
        ok("GET", path)
    ok("POST", f"{own}/rerequest")
    ok("POST", f"{suite}/rerequest")
    town.control.press_button(REPO, made["id"], "retry")


def _tour_of_hooks(town: Town) -> None:
    town.control.wait_idle()
    hook = f"{PATH}/hooks/{town.user.ok('GET', f'{PATH}/hooks')[0]['id']}"
    for site, base in ((town.user, hook), (town.app, "/app/hook")):
        site.ok("GET", f"{base}/config")
        row = site.ok("GET", f"{base}/deliveries?per_page=2&status=success")[0]
        site.ok("GET", f"{base}/deliveries/{row['id']}")
        site.ok("POST", f"{base}/deliveries/{row['id']}/attempts")
    town.user.ok("GET", hook)
    town.user.ok("POST", f"{hook}/pings")


def _tour_of_apps(town: Town) -> None:
    for path in ("/app", "/app/installations", f"/app/installations/{town.installation}", f"{PATH}/installation",
                 "/orgs/acme/installation", "/users/acme/installation"):  # fmt: skip
        town.app.ok("GET", path)
    narrow = {"repositories": ["shop"], "permissions": {"statuses": "write"}}
    token = installation_token(town.github.url, town.installation, **narrow)
    Site(town.github.url, token).ok("GET", "/installation/repositories")
    Site(town.github.url, token).ok("DELETE", "/installation/token")


def test_refusals_are_what_github_describes(town: Town) -> None:
    user, bot, sha = town.user, town.bot, town.control.head(REPO)
    number = town.control.open_pull(REPO)
    town.control.push(REPO, branch="pending")
    user("POST", f"{PATH}/statuses/{sha}", {"state": "pending"})
    refused = [
        user("POST", f"{PATH}/statuses/{sha}", {"state": "great"}),
        user("POST", f"{PATH}/statuses/{'0' * 40}", {"state": "success"}),
        user("POST", f"{PATH}/check-runs", CHECK | {"head_sha": sha}),
        user("POST", f"{PATH}/deployments", {"ref": sha}),
        user("POST", f"{PATH}/deployments", {}),
        user("POST", f"{PATH}/issues/{number}/comments", {"body": ""}),
        user("POST", f"{PATH}/issues/comments/{town.control.comment(REPO, number, 'x')}/reactions", {"content": "joy"}),
        user("GET", f"{PATH}/compare/{sha}...{'0' * 40}"),
        user("GET", f"{PATH}/branches/none"),
        user("PUT", f"{PATH}/pulls/{number}/merge", {"sha": "0" * 40}),
        user("GET", "/app"),
        bot("POST", f"{PATH}/check-runs", CHECK | {"head_sha": sha, "actions": CHECK["actions"] * 4}),
        bot("GET", "/user"),
        Site(town.github.url, "wrong")("GET", PATH),
    ]
    assert [one.status_code for one in refused] == [
        422,
        422,
        403,
        409,
        422,
        422,
        422,
        404,
        404,
        409,
        401,
        422,
        403,
        401,
    ]
    town.control.rename(REPO, "store")
    assert (user("GET", PATH).status_code, user("POST", f"{PATH}/issues/1/comments", {"body": "x"}).status_code) == (
        301,
        307,
    )
    town.control.set_rate_limit(1)
    assert user("GET", "/repos/acme/store").status_code == 403
    assert_valid(town.control.recorded(), refused_too=False)


def test_every_webhook_of_the_stand_in_is_what_github_describes(town: Town) -> None:
    control = town.control
    for method in ("merge", "squash", "rebase"):
        control.merge(REPO, control.open_pull(REPO), method=method)
    number = control.open_pull(REPO, draft=True)
    control.ready_for_review(REPO, number)
    control.push_to_pull(REPO, number)
    control.edit_pull(REPO, number, title="Another title")
    control.label_pull(REPO, number, "bug")
    control.label_pull(REPO, number, "bug", on=False)
    control.convert_to_draft(REPO, number)
    control.close_pull(REPO, number)
    control.reopen_pull(REPO, number)
    control.open_pull(REPO, fork="eve")
    control.open_pull(REPO, fork="")
    for on in (number, control.open_issue(REPO)):
        comment = control.comment(REPO, on, "/retry", user="ann")
        control.edit_comment(REPO, comment, "/retry now", user="ann")
        control.delete_comment(REPO, comment, user="ann")
    queued = control.open_pull(REPO)
    control.finish_group(REPO, control.enqueue(REPO, queued), "invalidated")
    control.finish_group(REPO, control.enqueue(REPO, queued))
    before = control.push(REPO, branch="b")
    control.push(REPO, branch="b")
    control.force_push(REPO, before, branch="b")
    control.delete_branch(REPO, "b")
    control.push_tag(REPO, "v1")
    control.delete_tag(REPO, "v1")
    control.revert(REPO)
    _tour_of_checks(town)
    _tour_of_writing(town)
    town.control.set_default_branch(REPO, control.push(REPO, branch="next") and "next")
    control.rename(REPO, "store")
    control.transfer("acme/store", "globex")
    control.change_installation(town.installation, add=["globex/store"])
    control.change_installation(town.installation, remove=["globex/store"])
    control.suspend_app(town.installation)
    control.suspend_app(town.installation, on=False)
    control.uninstall_app(town.installation)
    control.create_repo("globex/new", hook={"url": "http://127.0.0.1:9/", "realistic": True}, ping=True)
    control.register_app(keys()[1], hook={"url": "http://127.0.0.1:9/", "realistic": True}, ping=True)
    control.wait_idle(20)
    rows = control.deliveries(payloads=True)
    assert {(one["event"], one["action"]) for one in rows} >= EXPECTED
    assert_deliveries_valid(rows)


EXPECTED = {
    ("push", None), ("create", None), ("delete", None), ("ping", None), ("status", None),
    *(("pull_request", action) for action in (
        "opened", "closed", "reopened", "synchronize", "edited", "labeled", "unlabeled", "converted_to_draft",
        "ready_for_review", "enqueued", "dequeued")),
    *(("issue_comment", action) for action in ("created", "edited", "deleted")),
    *(("check_run", action) for action in ("created", "completed", "rerequested", "requested_action")),
    *(("check_suite", action) for action in ("requested", "completed", "rerequested")),
    *(("merge_group", action) for action in ("checks_requested", "destroyed")),
    *(("repository", action) for action in ("renamed", "transferred", "edited")),
    *(("installation", action) for action in ("created", "suspend", "unsuspend", "deleted")),
    *(("installation_repositories", action) for action in ("added", "removed")),
    ("deployment", "created"), ("deployment_status", "created"),
}  # fmt: skip


# -- that the comparison can fail ------------------------------------------------------------------------------


@pytest.fixture
def exchange(town: Town) -> dict[str, Any]:
    """A status as it is set, and its answer: nothing is wrong with it."""
    town.user.ok("POST", f"{PATH}/statuses/{town.control.head(REPO)}", {"state": "success", "context": "c"})
    one: dict[str, Any] = town.control.recorded()[-1]
    assert_valid([one])
    return one


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"body": {"state": "great"}}, "'great' is not one of"),
        ({"body": {}}, "'state' is a required property"),
        ({"body": None}, "the body is missing"),
        ({"body": {"state": "success", "target": "https://x.example"}}, "'target', which this route does not know"),
        ({"body": {"state": "success", "description": 7}}, "7 is not of type 'string'"),
        ({"query": {"per_page": "5"}}, "'per_page', which this route does not know"),
        ({"method": "PUT"}, "no such route"),
        ({"path": f"{PATH}/status/1"}, "no such route"),
        ({"method": "GET", "path": f"{PATH}/pulls/one", "body": None}, "the place pull_number is 'one'"),
        ({"method": "GET", "path": f"{PATH}/pulls", "body": {"a": 1}}, "this route takes none"),
        ({"status": 202}, "never answers 202"),
        ({"response": None}, "lacks its body"),
        ({"response": {"id": 1}}, "is a required property"),
        ({"status": 422, "response": {"documentation_url": "https://x.example"}}, "says why in `message`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_words(exchange: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    wrong = description().violations([copy.deepcopy(exchange) | changes])
    assert any(says in one for one in wrong), wrong
    with pytest.raises(AssertionError):
        assert_valid([exchange | changes])


def test_a_webhook_with_a_wrong_payload_is_told_in_words(town: Town) -> None:
    town.control.push(REPO)
    town.control.wait_idle()
    row = next(one for one in town.control.deliveries(payloads=True) if one["event"] == "push")
    assert_deliveries_valid([row])
    del row["payload"]["head_commit"]
    with pytest.raises(AssertionError, match="'head_commit' is a required property"):
        assert_deliveries_valid([row])
    with pytest.raises(AssertionError, match="sends no such webhook"):
        assert_deliveries_valid([row | {"event": "pushed"}])


def test_nothing_recorded_is_no_success() -> None:
    with pytest.raises(AssertionError, match="nothing was recorded"):
        assert_valid([])
    with pytest.raises(AssertionError, match="nothing was sent"):
        assert_deliveries_valid([])
