"""PyGithub works against the stand-in, at the root and under /api/v3."""

from __future__ import annotations

import pytest
from github import Auth, Github, GithubException, GithubIntegration

from tests.github.app import keys

REPO = "acme/shop"


@pytest.fixture(params=["", "/api/v3"])
def client(github, request):
    world = github(repos=[{"full_name": REPO}])
    base = world.url + request.param
    at_once = {"seconds_between_requests": 0, "seconds_between_writes": 0}
    made = Github(auth=Auth.Token("t"), base_url=base, lazy=True, retry=None, **at_once)
    yield world.control, made
    made.close()


def test_reading_through_the_client_library(client):
    control, gh = client
    first, landed = control.head(REPO), control.merge(REPO, title="Fix")
    repo = gh.get_repo(REPO)
    comparison = repo.compare(first, landed, comparison_commits_per_page=1)
    assert (comparison.status, comparison.ahead_by, comparison.behind_by) == ("ahead", 2, 0)
    assert repo.get_branch("main").commit.sha == repo.get_git_ref("heads/main").object.sha == landed
    assert [pull.title for pull in repo.get_commit(landed).get_pulls()] == ["Fix"]
    assert repo.get_pull(1).merged
    assert repo.get_collaborator_permission("eve") == "read"
    assert gh.get_user().login == "interlock-bot"


def test_writing_through_the_client_library(client):
    control, gh = client
    number, sha = control.open_pull(REPO), control.head(REPO)
    repo = gh.get_repo(REPO)
    repo.get_commit(sha).create_status("pending", "https://x.example/", "waits", "interlock")
    comment = repo.get_issue(number).create_comment("one")
    comment.edit("two")
    deployment = repo.create_deployment(sha, auto_merge=False, required_contexts=[], payload={"run": "r1"})
    deployment.create_status("success", environment_url="https://x.example/")
    assert control.statuses(REPO, sha)[0]["description"] == "waits"
    assert [one["body"] for one in control.comments(REPO, number)] == ["two"]
    assert control.deployments(REPO)[0]["states"] == ["success"]
    comment.delete()
    assert control.comments(REPO) == []


def test_a_status_costs_the_lazy_client_one_request(client):
    control, gh = client
    gh.get_repo(REPO).get_commit(control.head(REPO)).create_status("success")
    assert control.requests() == {"POST /repos/*/*/statuses/*": 1}


def test_the_client_library_reports_what_is_refused(client):
    control, gh = client
    with pytest.raises(GithubException) as refused:
        gh.get_repo(REPO).get_commit(control.head(REPO)).create_status("success", description="x" * 141)
    assert refused.value.status == 422


def test_an_app_gets_a_token_for_an_hour(github):
    world = github(repos=[{"full_name": REPO}], app={"public_key": keys()[1], "app_id": 7, "install": ["acme"]})
    auth = Auth.AppAuth(7, keys()[0])
    integration = GithubIntegration(auth=auth, base_url=world.url)
    number = integration.get_repo_installation("acme", "shop").id
    token = integration.get_access_token(number).token
    integration.close()
    assert len(token) > 40
    gh = Github(auth=Auth.Token(token), base_url=world.url, lazy=True, retry=None)
    assert gh.get_repo(REPO).get_commit(world.control.head(REPO)).create_status("success").id
    world.world.clock.advance(3601)
    with pytest.raises(GithubException):
        gh.get_repo(REPO).get_branch("main")
    gh.close()


def test_an_app_works_through_the_client_library(github, receiver):
    hook = {"url": receiver.url, "events": ["check_run"]}
    world = github(repos=[{"full_name": REPO}], app={"public_key": keys()[1], "hook": hook, "install": ["acme"]})
    app = Auth.AppAuth(1, keys()[0])
    number = next(iter(world.world.apps.installations))
    at_once = {"base_url": world.url, "seconds_between_requests": 0, "seconds_between_writes": 0}
    gh = Github(auth=app.get_installation_auth(number), lazy=True, retry=None, **at_once)
    repo, sha = gh.get_repo(REPO), world.control.head(REPO)
    button = {"label": "Retry", "description": "Once more", "identifier": "retry"}
    run = repo.create_check_run("interlock", sha, status="in_progress", external_id="S1.1", actions=[button])
    run.edit(conclusion="success", output={"title": "Passed", "summary": "all of it"})
    assert (run.status, run.conclusion) == ("completed", "success")
    assert [one.name for one in repo.get_commit(sha).get_check_runs()] == ["interlock"]
    comment = repo.get_issue(world.control.open_pull(REPO)).create_comment("x")
    assert (comment.user.login, comment.create_reaction("eyes").content) == ("interlock[bot]", "eyes")
    assert [one.ref for one in repo.get_git_matching_refs("heads/ma")] == ["refs/heads/main"]
    gh.close()
