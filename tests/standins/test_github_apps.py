"""A GitHub App at the stand-in: its web tokens, its installations, what their tokens may do, its hook."""

from __future__ import annotations

import time

import pytest

from tests.github.app import Site, installation_token, keys, web_token

REPO = "acme/shop"
PATH = f"/repos/{REPO}"
OK = {"state": "success"}


@pytest.fixture
def world(github, receiver):
    """Two repositories of acme and one of globex; the App is registered with its hook and installed on acme."""
    repos = [{"full_name": REPO}, {"full_name": "acme/secret", "private": True}, {"full_name": "globex/other"}]
    hook = {"url": f"{receiver.url}/app", "secret": "s", "events": ["*"]}
    return github(repos=repos, app={"public_key": keys()[1], "hook": hook, "install": ["acme"]})


@pytest.fixture
def number(world):
    return next(iter(world.world.apps.installations))


@pytest.fixture
def app(world):
    return Site(world.url, web_token())


def token(world, number, **body):
    return Site(world.url, installation_token(world.url, number, **body))


def test_the_app_says_who_it_is_and_where_it_is_installed(app, number):
    assert app.ok("GET", "/app")["slug"] == "interlock"
    assert [one["id"] for one in app.ok("GET", "/app/installations")] == [number]
    assert app.ok("GET", f"{PATH}/installation")["id"] == number
    assert app("GET", "/repos/globex/other/installation").status_code == 404
    assert app("GET", "/orgs/globex/installation").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"exp": -1}, 401, "'exp'"),
        ({"exp": 1200}, 401, "too far in the future"),
        ({"exp": None}, 401, "'exp'"),
        ({"iat": 300, "exp": 400}, 401, "'iat'"),
        ({"iat": None}, 401, "'iat'"),
        ({"iss": None}, 401, "'iss'"),
        ({"iss": "2"}, 404, "Integration not found"),
        ({"key": keys("another")[0]}, 401, "could not be decoded"),
    ],
)  # fmt: skip
def test_a_web_token_that_is_wrong_is_refused_as_github_does(world, changes, status, says):
    now = int(time.time())  # the times are seconds from now: long after the rows were written
    claims = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
    answer = Site(world.url, web_token(**claims))("GET", "/app")
    assert (answer.status_code, says in answer.json()["message"]) == (status, True), answer.text


def test_a_web_token_is_good_for_the_app_and_nothing_else(world, app):
    assert app("GET", PATH).status_code == 403
    assert app("POST", f"{PATH}/statuses/{world.control.head(REPO)}", OK).status_code == 403
    assert Site(world.url, "t")("GET", "/app").status_code == 401


def test_a_token_of_an_installation_is_long_and_lasts_an_hour(world, number):
    site = token(world, number)
    assert len(site.token) > 40
    world.control.advance(3590)
    assert site("GET", PATH).status_code == 200
    world.control.advance(20)
    assert (answer := site("GET", PATH)).status_code == 401
    assert answer.json()["message"] == "Bad credentials"


def test_a_token_reaches_its_repositories_and_no_others(world, number):
    secret, other = (world.control.head(name) for name in ("acme/secret", "globex/other"))
    everywhere, narrow = token(world, number), token(world, number, repositories=["shop"])
    assert everywhere("POST", f"/repos/acme/secret/statuses/{secret}", OK).status_code == 201
    assert narrow("GET", "/repos/acme/secret").status_code == 404
    assert narrow("POST", f"/repos/acme/secret/statuses/{secret}", OK).status_code == 404
    refused = everywhere("POST", f"/repos/globex/other/statuses/{other}", OK)
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    assert everywhere("GET", "/repos/globex/other").status_code == 200
    assert [one["name"] for one in narrow.ok("GET", "/installation/repositories")["repositories"]] == ["shop"]


def test_a_token_may_do_what_was_granted_and_no_more(world, number):
    site, sha = token(world, number, permissions={"statuses": "write"}), world.control.head(REPO)
    assert site("POST", f"{PATH}/statuses/{sha}", OK).status_code == 201
    for method, path, body in (
        ("POST", f"{PATH}/check-runs", {"name": "n", "head_sha": sha}),
        ("POST", f"{PATH}/issues/{world.control.open_pull(REPO)}/comments", {"body": "x"}),
        ("POST", f"{PATH}/deployments", {"ref": sha, "auto_merge": False, "required_contexts": []}),
    ):
        refused = site(method, path, body)
        assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
        assert refused.headers["x-ratelimit-remaining"] != "0"
    assert site("GET", f"{PATH}/commits/{sha}").status_code == 200  # public
    assert site("GET", f"/repos/acme/secret/commits/{world.control.head('acme/secret')}").status_code == 403


def test_what_an_answer_takes_is_said_in_a_header(world, number):
    answer = token(world, number)("POST", f"{PATH}/statuses/{world.control.head(REPO)}", OK)
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "statuses=write"


def test_a_token_cannot_be_had_for_more_than_was_installed(world, app, number):
    path = f"/app/installations/{number}/access_tokens"
    assert app("POST", path, {"repositories": ["other"]}).status_code == 422
    assert app("POST", path, {"permissions": {"administration": "write"}}).status_code == 422
    assert app("POST", "/app/installations/1/access_tokens").status_code == 404


def test_a_token_ends_with_its_installation_and_rests_while_that_is_suspended(world, app, number):
    site = token(world, number)
    world.control.suspend_app(number)
    assert (site("GET", PATH).status_code, app("POST", f"/app/installations/{number}/access_tokens").status_code) == (
        403,
        403,
    )
    world.control.suspend_app(number, on=False)
    assert site("GET", PATH).status_code == 200
    world.control.uninstall_app(number)
    assert site("GET", PATH).status_code == 401
    assert app("GET", f"{PATH}/installation").status_code == 404


def test_a_fine_grained_token_of_a_person_may_do_what_was_granted_and_no_more(world):
    world.control.set_tokens({"fine": {"login": "bot", "permissions": {"statuses": "write"}}})
    site, sha = Site(world.url, "fine"), world.control.head(REPO)
    assert site("POST", f"{PATH}/statuses/{sha}", OK).status_code == 201
    refused = site("POST", f"{PATH}/issues/{world.control.open_pull(REPO)}/comments", {"body": "x"})
    assert refused.json()["message"] == "Resource not accessible by personal access token"


def test_a_brand_new_token_may_be_unknown_for_a_request(world, number):
    world.control.refuse_fresh_tokens()
    site = token(world, number)
    assert [site("GET", PATH).status_code for _ in range(2)] == [401, 200]


def test_the_limit_is_the_installations_and_not_the_tokens(world, number):
    sites = [token(world, number) for _ in range(4)]
    world.control.set_rate_limit(3)
    assert [site("GET", PATH).status_code for site in sites] == [200, 200, 200, 403]


# -- the hook --------------------------------------------------------------------------------------------------


def test_the_apps_hook_hears_of_its_repositories_and_names_the_installation(world, receiver, number):
    world.control.push("globex/other")
    pushed = world.control.push(REPO)
    world.control.wait_idle()
    (request,) = [one for one in receiver.got if one.headers["x-github-event"] == "push"]
    assert request.json()["after"] == pushed
    assert request.json()["installation"]["id"] == number
    assert request.headers["x-github-hook-installation-target-type"] == "integration"
    assert request.headers["x-github-hook-installation-target-id"] == "1"


def test_an_installation_is_told_of_and_so_is_every_change_of_it(world, receiver, number):
    chosen = world.control.install_app("globex", repos=["globex/other"])
    world.control.create_repo("globex/more")
    world.control.change_installation(chosen, add=["globex/more"], remove=["globex/other"])
    world.control.suspend_app(number)
    world.control.push(REPO)  # nobody hears of it while it is suspended
    world.control.suspend_app(number, on=False)
    world.control.uninstall_app(chosen)
    world.control.wait_idle()
    told = [(one.headers["x-github-event"], one.json()["action"]) for one in receiver.got]
    assert told == [
        ("installation", "created"),
        ("installation_repositories", "added"),
        ("installation_repositories", "removed"),
        ("installation", "suspend"),
        ("installation", "unsuspend"),
        ("installation", "deleted"),
    ]
    assert [one["full_name"] for one in receiver.bodies[1]["repositories_added"]] == ["globex/more"]


def test_the_apps_deliveries_are_listed_in_pages_and_sent_again(world, app, receiver):
    for _ in range(5):
        world.control.push(REPO)
    world.control.wait_idle()
    assert app.ok("GET", "/app/hook/config")["url"].endswith("/app")
    first = app("GET", "/app/hook/deliveries?per_page=5")
    second = app("GET", first.links["next"]["url"].removeprefix(world.url))
    rows = [*first.json(), *second.json()]
    assert [one["id"] for one in rows] == sorted((one["id"] for one in rows), reverse=True)
    pushes = [one for one in rows if one["event"] == "push"]
    assert len(pushes) == 5
    one = app.ok("GET", f"/app/hook/deliveries/{pushes[0]['id']}")
    assert one["request"]["headers"]["X-GitHub-Event"] == "push"
    assert app("POST", f"/app/hook/deliveries/{one['id']}/attempts").status_code == 202
    world.control.wait_idle()
    assert [request.headers["x-github-delivery"] for request in receiver.got].count(one["guid"]) == 2
    world.control.advance(3 * 86_400)
    later = Site(world.url, web_token(iat=int(time.time()) + 3 * 86_400, exp=int(time.time()) + 3 * 86_400 + 300))
    assert later.ok("GET", "/app/hook/deliveries") == []
    assert later("POST", f"/app/hook/deliveries/{one['id']}/attempts").status_code == 404


def test_with_a_hook_of_each_there_are_two_deliveries(world, receiver):
    world.control.add_hook(REPO, {"url": f"{receiver.url}/repo", "events": ["push"]})
    world.control.push(REPO)
    world.control.wait_idle()
    both = [one for one in receiver.got if one.headers["x-github-event"] == "push"]
    assert {one.raw_path for one in both} == {"/app", "/repo"}
    assert len({one.headers["x-github-delivery"] for one in both}) == 2


def test_an_app_that_nobody_registered_takes_any_key_and_is_installed_everywhere(github):
    world = github(repos=[{"full_name": REPO}])
    site = Site(world.url, web_token(keys("another")[0], iss="7"))
    number = site.ok("GET", f"{PATH}/installation")["id"]
    made = site.ok("POST", f"/app/installations/{number}/access_tokens")
    sha = world.control.head(REPO)
    assert Site(world.url, made["token"])("POST", f"{PATH}/statuses/{sha}", OK).status_code == 201
