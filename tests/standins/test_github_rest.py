"""GitHub's REST API over HTTP: reading, statuses, comments, deployments, access, limits."""

from __future__ import annotations

import pytest
import requests

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
    assert again.headers["x-ratelimit-used"] == str(used)
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


def test_a_secondary_limit_strikes_writes_and_passes(world, site):
    sha = world.control.head(REPO)
    world.control.set_secondary_limit(2, retry_after=30)
    answers = [site.post(f"{PATH}/statuses/{sha}", json={"state": "success"}) for _ in range(3)]
    assert [one.status_code for one in answers] == [201, 201, 403]
    assert answers[2].headers["Retry-After"] == "30"
    assert "secondary rate limit" in answers[2].json()["message"]
    assert site.get(PATH).status_code == 200
    world.control.advance(61)
    assert site.post(f"{PATH}/statuses/{sha}", json={"state": "success"}).status_code == 201


def test_the_documented_secondary_limits_count_points_and_what_notifies_people(world, site):
    control, sha = world.control, world.control.head(REPO)
    number = control.open_pull(REPO, title="A")
    control.set_documented_limits(points_a_minute=21, created_a_minute=2)

    def comment():
        return site.post(f"{PATH}/issues/{number}/comments", json={"body": "x"})

    assert [comment().status_code for _ in range(3)] == [201, 201, 403]
    control.advance(30)
    for _ in range(2):
        assert site.post(f"{PATH}/statuses/{sha}", json={"state": "success"}).status_code == 201
    assert site.get(PATH).status_code == 200  # four writes at five points, and one read
    late = site.get(PATH)
    assert (late.status_code, 0 < int(late.headers["Retry-After"]) <= 30) == (403, True)
    control.advance(31)
    assert comment().status_code == 201


@pytest.mark.parametrize(
    ("how", "status", "remaining", "wait"),
    [
        ({"kind": "secondary", "retry_after": 5}, 403, None, "5"),
        ({"kind": "secondary", "status": 429}, 429, None, None),
        ({"kind": "primary"}, 403, "0", None),
        ({"kind": "primary", "status": 429, "retry_after": 5}, 429, "0", "5"),
    ],
)
def test_a_limit_is_met_once_as_it_was_asked_for(world, site, how, status, remaining, wait):
    world.control.limit(route="GET", **how)
    refused = site.get(PATH)
    found = (refused.headers.get("x-ratelimit-remaining"), refused.headers.get("Retry-After"))
    assert (refused.status_code, *found) == (status, remaining, wait)
    assert site.get(PATH).status_code == 200
    with pytest.raises(ValueError, match="primary or secondary"):
        world.control.limit("tertiary")


@pytest.mark.parametrize(("kind", "written"), [("delay", 0), ("delay_after", 1)])
def test_a_timeout_comes_before_the_work_or_after_it(world, site, kind, written):
    sha = world.control.head(REPO)
    world.control.fault(kind, route="POST", count=1, seconds=1.0)
    with pytest.raises(requests.ReadTimeout):
        site.session.post(f"{site.base}{PATH}/statuses/{sha}", json={"state": "success"}, timeout=0.2)
    assert len(world.control.statuses(REPO)) == written


def test_a_replica_may_not_know_of_a_push_for_a_moment(world, site):
    old = world.control.head(REPO)
    world.control.set_replica_lag(5)
    new = world.control.push(REPO)
    path = f"{PATH}/compare/{old}...{new}"
    assert site.get(path).status_code == 404
    assert site.get(f"{PATH}/commits/{new}").status_code == 422
    assert site.json(f"{PATH}/branches/main")["commit"]["sha"] == old
    assert site.json(f"{PATH}/git/ref/heads/main")["object"]["sha"] == old
    world.control.push(REPO, branch="fresh")
    assert site.get(f"{PATH}/branches/fresh").status_code == 404
    world.control.advance(5)
    assert site.json(path)["status"] == "ahead"
    assert site.json(f"{PATH}/git/ref/heads/main")["object"]["sha"] == new
    assert site.get(f"{PATH}/branches/fresh").status_code == 200


def test_who_comments_is_labelled_by_what_they_did_here(world, site):
    number = world.control.open_pull(REPO, author="kim")
    path = f"{PATH}/issues/{number}/comments"
    for login in ("acme", "ann", "kim"):
        world.control.comment(REPO, number, "x", user=login)

    def labels():
        return [one["author_association"] for one in site.json(path)]

    assert labels() == ["OWNER", "COLLABORATOR", "NONE"]
    world.control.merge(REPO, number)
    assert labels() == ["OWNER", "COLLABORATOR", "CONTRIBUTOR"]


def test_a_reaction_is_given_once_and_taken_back(world, site):
    comment = world.control.comment(REPO, world.control.open_pull(REPO), "/retry", user="ann")
    path = f"{PATH}/issues/comments/{comment}/reactions"
    answers = [site.post(path, json={"content": "eyes"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 200]
    assert world.control.comments(REPO)[0]["reactions"] == [("interlock-bot", "eyes")]
    assert site.json(f"{PATH}/issues/comments/{comment}")["reactions"]["eyes"] == 1
    assert site.post(path, json={"content": "joy"}).status_code == 422
    assert site("DELETE", f"{path}/{answers[0].json()['id']}").status_code == 204
    assert site.json(path) == []
    assert site.post(f"{PATH}/issues/comments/1/reactions", json={"content": "eyes"}).status_code == 404


def test_pull_requests_are_listed_and_merged(world, site):
    control = world.control
    own, draft = control.open_pull(REPO, branch="own"), control.open_pull(REPO, draft=True)
    forked = control.open_pull(REPO, branch="own", fork="eve")
    assert [one["number"] for one in site.json(f"{PATH}/pulls?state=open")] == [forked, draft, own]
    assert [one["number"] for one in site.json(f"{PATH}/pulls?head=eve:own")] == [forked]
    pushed = control.push_to_pull(REPO, own)
    assert [one["sha"] for one in site.json(f"{PATH}/pulls/{own}/commits")][-1] == pushed
    assert site("PUT", f"{PATH}/pulls/{draft}/merge", json={}).status_code == 405
    assert site("PUT", f"{PATH}/pulls/{own}/merge", json={"sha": "0" * 40}).status_code == 409
    landed = site("PUT", f"{PATH}/pulls/{own}/merge", json={"sha": pushed, "merge_method": "squash"}).json()["sha"]
    assert control.head(REPO) == landed
    assert site("PUT", f"{PATH}/pulls/{own}/merge", json={}).status_code == 405


def test_an_unknown_commit_is_422_and_a_tag_is_a_name_for_one(world, site):
    world.control.push_tag(REPO, "v1")
    sha = world.control.head(REPO)
    assert site.json(f"{PATH}/git/ref/tags/v1")["object"]["sha"] == site.json(f"{PATH}/commits/v1")["sha"] == sha
    refused = site.get(f"{PATH}/commits/{'0' * 40}")
    assert (refused.status_code, refused.json()["message"]) == (422, f"No commit found for SHA: {'0' * 40}")
    world.control.delete_tag(REPO, "v1")
    assert site.get(f"{PATH}/git/ref/tags/v1").status_code == 404


def test_a_status_leads_to_a_page_and_nowhere_else(world, site):
    body = {"state": "success", "target_url": "javascript:alert(1)"}
    refused = site.post(f"{PATH}/statuses/{world.control.head(REPO)}", json=body)
    assert (refused.status_code, "http(s)" in refused.text) == (422, True)


def test_a_transferred_repository_redirects_and_keeps_its_id(world, site):
    number = world.world.repo(REPO).id
    world.control.transfer(REPO, "globex")
    moved = site.get(f"{PATH}/branches/main?x=1")
    assert (moved.status_code, moved.headers["Location"]) == (
        301,
        f"{world.url}/repositories/{number}/branches/main?x=1",
    )
    written = site.post(f"{PATH}/issues/1/comments", json={"body": "x"})
    assert (written.status_code, written.json()["message"]) == (307, "Moved Permanently")
    assert site.json("/repos/globex/shop")["id"] == number
    with pytest.raises(ValueError, match="has a repository shop already"):
        world.control.transfer("globex/shop", "globex")


def test_what_was_asked_and_answered_is_kept_when_asked(world, site):
    with pytest.raises(ValueError, match="call `record` first"):
        world.control.recorded()
    world.control.record(2)
    for name in ("a", "b", "c"):
        site.get(f"{PATH}/branches/{name}?x={name}")
    world.control.fault("status", status=502, count=1)
    site.post(f"{PATH}/issues/1/comments", json={"body": "x"})
    kept = world.control.recorded()
    assert [(one["method"], one["status"], one["made_up"]) for one in kept] == [
        ("GET", 404, False),
        ("POST", 502, True),
    ]
    assert (kept[0]["query"], kept[0]["response"]["message"]) == ({"x": "c"}, "Branch not found")
    assert kept[1]["body"] == {"body": "x"}


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
