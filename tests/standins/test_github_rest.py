"""GitHub's REST API over HTTP: reading, statuses, comments, deployments, access, limits."""

from __future__ import annotations

import pytest

REPO = "acme/shop"
PATH = f"/repos/{REPO}"
TOKEN = {"Authorization": "token t"}


@pytest.fixture
def world(github):
    return github(repos=[{"full_name": REPO, "collaborators": {"ann": "maintain", "tom": "triage"}}])


@pytest.fixture
def site(world, http):
    made = http(world.url)
    made.session.headers.update(TOKEN)
    return made


def test_a_comparison_tells_ahead_behind_identical_and_diverged(world, site):
    control = world.control
    first = control.head(REPO)
    second = control.push(REPO, count=2)
    side = control.push(REPO, branch="side")
    control.force_push(REPO, first, branch="side")
    other = control.push(REPO, branch="side")
    assert site.json(f"{PATH}/compare/{first}...{second}")["status"] == "ahead"
    assert site.json(f"{PATH}/compare/{second}...{first}")["behind_by"] == 2
    assert site.json(f"{PATH}/compare/{second}...{second}")["status"] == "identical"
    shown = site.json(f"{PATH}/compare/{second}...{other}")
    assert (shown["status"], shown["ahead_by"], shown["behind_by"]) == ("diverged", 1, 2)
    assert shown["merge_base_commit"]["sha"] == first
    assert side != other
    assert site.get(f"{PATH}/compare/{first}...{'0' * 40}").status_code == 404


def test_a_comparison_shows_250_commits_or_a_page(world, site):
    first = world.control.head(REPO)
    head = world.control.push(REPO, count=260)
    whole = site.json(f"{PATH}/compare/{first}...{head}")
    assert (whole["total_commits"], len(whole["commits"])) == (260, 250)
    reply = site.get(f"{PATH}/compare/{first}...{head}?per_page=1")
    assert len(reply.json()["commits"]) == 1
    assert 'rel="next"' in reply.headers["Link"]


def test_branches_and_refs_with_slashes(world, site):
    head = world.control.push(REPO, branch="team/fix")
    assert site.json(f"{PATH}/branches/team/fix")["commit"]["sha"] == head
    assert site.json(f"{PATH}/branches/team%2Ffix")["commit"]["sha"] == head
    assert site.json(f"{PATH}/git/ref/heads/team/fix")["object"]["sha"] == head
    assert site.get(f"{PATH}/branches/none").status_code == 404


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1)])
def test_each_merge_method_lands_its_own_sha(world, site, method, parents):
    control = world.control
    number = control.open_pull(REPO)
    pushed = control.push_to_pull(REPO, number)
    landed = control.merge(REPO, number, method=method)
    assert control.head(REPO) == landed
    assert len(site.json(f"{PATH}/commits/{landed}")["parents"]) == parents
    pull = site.json(f"{PATH}/pulls/{number}")
    assert (pull["merged"], pull["merge_commit_sha"], pull["head"]["sha"]) == (True, landed, pushed)
    assert control.compare(REPO, pushed, landed) == ("ahead" if method == "merge" else "diverged")
    assert [one["number"] for one in site.json(f"{PATH}/commits/{landed}/pulls")] == [number]


def test_a_status_is_checked_and_combined(world, site):
    sha = world.control.head(REPO)
    assert site.json(f"{PATH}/commits/{sha}/status")["state"] == "pending"
    good = {"state": "success", "context": "interlock", "description": "x" * 140}
    assert site.post(f"{PATH}/statuses/{sha}", json=good).status_code == 201
    assert site.json(f"{PATH}/commits/{sha}/status")["state"] == "success"
    site.post(f"{PATH}/statuses/{sha}", json=good | {"context": "other", "state": "pending"})
    assert site.json(f"{PATH}/commits/{sha}/status")["state"] == "pending"
    site.post(f"{PATH}/statuses/{sha}", json=good | {"context": "OTHER", "state": "error"})
    combined = site.json(f"{PATH}/commits/{sha}/status")
    assert (combined["state"], combined["total_count"]) == ("failure", 2)
    assert [one["state"] for one in site.json(f"{PATH}/commits/{sha}/statuses")] == ["error", "pending", "success"]
    for bad in ({"state": "great"}, {"state": "success", "description": "x" * 141}):
        assert site.post(f"{PATH}/statuses/{sha}", json=bad).status_code == 422
    assert site.post(f"{PATH}/statuses/{'0' * 40}", json=good).status_code == 422


@pytest.mark.slow
def test_a_thousand_statuses_of_one_context_are_all_there_may_be(world, site):
    sha = world.control.head(REPO)
    for _ in range(1000):
        assert site.post(f"{PATH}/statuses/{sha}", json={"state": "success", "context": "c"}).status_code == 201
    refused = site.post(f"{PATH}/statuses/{sha}", json={"state": "success", "context": "C"})
    assert refused.status_code == 422
    assert "maximum number of statuses" in refused.text
    assert site.post(f"{PATH}/statuses/{sha}", json={"state": "success", "context": "d"}).status_code == 201


def test_comments_are_created_read_changed_and_deleted(world, site):
    number = world.control.open_pull(REPO)
    path = f"{PATH}/issues/{number}/comments"
    made = site.post(path, json={"body": "hello"}).json()
    own = f"{PATH}/issues/comments/{made['id']}"
    assert site("PATCH", own, json={"body": "changed"}).json()["body"] == "changed"
    assert [(c["body"], c["user"]["login"]) for c in site.json(path)] == [("changed", "interlock-bot")]
    assert site.post(path, json={"body": "x" * 65536}).status_code == 201
    assert site.post(path, json={"body": "x" * 65537}).status_code == 422
    assert site.post(path, json={"body": " "}).status_code == 422
    assert site("DELETE", own).status_code == 204
    assert site("PATCH", own, json={"body": "again"}).status_code == 404
    assert site.post(f"{PATH}/issues/99/comments", json={"body": "x"}).status_code == 404


def test_the_defaults_of_a_deployment_bite(world, site):
    control = world.control
    control.push(REPO, branch="old")
    sha = control.push(REPO)
    merged = site.post(f"{PATH}/deployments", json={"ref": "old"})
    assert (merged.status_code, list(merged.json())) == (202, ["message"])
    site.post(f"{PATH}/statuses/{sha}", json={"state": "pending", "context": "mine"})
    assert site.post(f"{PATH}/deployments", json={"ref": sha}).status_code == 409
    plain = {"ref": sha, "auto_merge": False, "required_contexts": [], "environment": "stage"}
    assert site.post(f"{PATH}/deployments", json=plain).status_code == 201


def test_a_success_inactivates_the_one_before_unless_in_production(world, site):
    sha = world.control.head(REPO)
    for environment in ("stage", "stage", "production", "production"):
        body = {"ref": sha, "auto_merge": False, "required_contexts": [], "environment": environment}
        made = site.post(f"{PATH}/deployments", json=body).json()
        assert site.post(f"{PATH}/deployments/{made['id']}/statuses", json={"state": "success"}).status_code == 201
    states = [one["states"] for one in world.control.deployments(REPO)]
    assert states == [["success", "inactive"], ["success"], ["success"], ["success"]]
    assert site.post(f"{PATH}/deployments/{made['id']}/statuses", json={"state": "fine"}).status_code == 422


@pytest.mark.parametrize(
    ("login", "permission", "role"), [("ann", "write", "maintain"), ("tom", "read", "triage"), ("eve", "read", "read")]
)
def test_everybody_may_read_a_public_repository(site, login, permission, role):
    shown = site.json(f"{PATH}/collaborators/{login}/permission")
    assert (shown["permission"], shown["role_name"]) == (permission, role)


def test_a_bad_token_is_401_and_what_one_may_not_see_404(github, http):
    tokens = {"t": {"login": "bot", "repos": ["acme/open"]}, "r": {"login": "eve", "repos": []}}
    world = github(repos=[{"full_name": "acme/open"}, {"full_name": "acme/secret", "private": True}], tokens=tokens)
    site = http(world.url)

    def status(method, path, token):
        return site(method, path, headers={"Authorization": f"Bearer {token}"}, json={"state": "success"}).status_code

    sha = world.control.head("acme/open")
    assert status("GET", "/repos/acme/open", "bad") == 401
    assert site.get("/repos/acme/open").status_code == 200
    assert site.post(f"/repos/acme/open/statuses/{sha}", json={"state": "success"}).status_code == 401
    assert [status("GET", "/repos/acme/secret", token) for token in "tr"] == [404, 404]
    assert status("POST", f"/repos/acme/open/statuses/{sha}", "r") == 403
    assert status("POST", f"/repos/acme/open/statuses/{sha}", "t") == 201


def test_an_unchanged_answer_is_304_and_free(world, site):
    reply = site.get(f"{PATH}/branches/main")
    again = site.get(f"{PATH}/branches/main", headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    used = int(reply.headers["x-ratelimit-used"])
    assert site.json("/rate_limit")["rate"]["used"] == used
    world.control.push(REPO)
    changed = site.get(f"{PATH}/branches/main", headers={"If-None-Match": reply.headers["ETag"]})
    assert changed.status_code == 200


def test_beyond_the_limit_is_403_with_nothing_remaining(github, http):
    world = github(repos=[{"full_name": REPO}], rate_limit=2)
    site = http(world.url)
    site.session.headers.update(TOKEN)
    assert [site.get(PATH).status_code for _ in range(3)] == [200, 200, 403]
    refused = site.get(PATH)
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "rate limit exceeded" in refused.json()["message"]
    world.control.set_rate_limit(0)
    assert site.get("/rate_limit").status_code == 404
    assert "x-ratelimit-limit" not in site.get(PATH).headers


def test_a_renamed_repository_redirects_reads_and_writes(world, site):
    sha = world.control.head(REPO)
    world.control.rename(REPO, "store")
    moved = site.get(PATH)
    assert moved.status_code == 301
    assert site.session.get(moved.headers["Location"], timeout=5).json()["full_name"] == "acme/store"
    assert site.post(f"{PATH}/statuses/{sha}", json={"state": "success"}).status_code == 307


def test_faults_strike_the_routes_that_they_name(world, site):
    limited = {"Retry-After": "1"}
    world.control.fault("status", route="^GET .*branches", status=403, headers=limited, count=1)
    refused = site.get(f"{PATH}/branches/main")
    assert (refused.status_code, refused.headers["Retry-After"]) == (403, "1")
    assert site.get(f"{PATH}/branches/main").status_code == 200
    assert world.control.requests()["GET /repos/*/*/branches/*"] == 2
    assert world.control.reply_statuses() == {"403": 1, "200": 1}


def test_a_file_is_read_at_a_ref(github, http):
    world = github(repos=[{"full_name": REPO, "files": {"ci/x.yml": "a: 1\n"}}])
    shown = http(world.url).json(f"{PATH}/contents/ci/x.yml?ref=main")
    assert (shown["encoding"], shown["content"]) == ("base64", "YTogMQo=\n")
    world.control.put_file(REPO, "ci/x.yml", "a: 2\n")
    assert http(world.url).json(f"{PATH}/contents/ci/x.yml")["content"] == "YTogMgo=\n"


def test_who_may_write_can_change(world, site):
    world.control.set_collaborators(REPO, {"eve": "admin"})
    assert site.json(f"{PATH}/collaborators/eve/permission")["permission"] == "admin"
