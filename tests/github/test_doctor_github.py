"""The doctor finds each thing that would keep GitHub from telling us or us from telling GitHub, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.access import Member, MemberKind, Roles
from bot.core.model.pipeline import Job, Pipeline, Service, Stage
from bot.github.doctor import examine_github
from bot.github.doctor_webhooks import EVENTS
from config.configuration import Configuration, GitHubSettings, PipelineAccess, WebSettings
from config.settings import Settings
from standins.github import GitHubStandIn, routes_apps
from tests.github.app_key import pem

REPO = "shop/s1"
URL = "https://interlock.example.com/webhooks/github"
TOKEN = Settings(github_token=SecretStr("t"))
#: All that is needed of an installation.
PERMISSIONS = {
    "contents": "read",
    "statuses": "write",
    "pull_requests": "write",
    "checks": "write",
    "deployments": "write",
    "merge_queues": "read",
}
HOOK = {"url": URL, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
DELIVERY = {"guid": "1", "delivered_at": "2030-01-01T00:00:00Z", "status": "OK", "status_code": 202, "event": "push"}


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubStandIn]:
    for path in ("/app/installations/{}", "/app/hook/config", "/app/hook/deliveries"):  # what they say: see `answers`
        monkeypatch.setitem(routes_apps.ROUTES, f"GET {path}", routes_apps.app)
    with GitHubStandIn(repos=[{"full_name": REPO}]) as standin:
        yield standin


def configuration(github: GitHubStandIn, *services: Service) -> Configuration:
    pipeline = Pipeline("p", (Stage("build", Job("cdp", "build")),), services or (Service("S1", REPO),))
    where = GitHubSettings(github.url, timeout=2)
    return Configuration((pipeline,), github=where, web=WebSettings("https://interlock.example.com"))


def examined(github: GitHubStandIn, settings: Settings = TOKEN, *services: Service) -> list[str]:
    findings = list(examine_github(configuration(github, *services), settings))
    changing = [route for route in github.control.requests() if not route.startswith("GET") and "token" not in route]
    assert changing == [], "the doctor only reads"
    assert all(finding.mend for finding in findings if finding.verdict == "bad"), "every finding says how to mend it"
    return [
        f"{finding.verdict} {finding.subject or 'github'}: {finding.found} → {finding.mend}" for finding in findings
    ]


def one(findings: list[str], *parts: str) -> str:
    """The one finding that has all these parts."""
    found = [finding for finding in findings if all(part in finding for part in parts)]
    assert len(found) == 1, "\n".join(findings)
    return found[0]


def answers(github: GitHubStandIn, route: str, body: Any, status: int = 200, **headers: str) -> None:
    """Let GitHub answer so on a route, whether or not the stand-in has it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    github.control.fault("status", route=route, status=status, headers=named, body=json.dumps(body))


# -- who we are ------------------------------------------------------------------------------------------------


def test_without_any_identity_there_is_one_thing_to_do(github: GitHubStandIn) -> None:
    assert "docs/github.md" in one(examined(github, Settings()), "bad github", "neither a GitHub App nor a token")


def test_a_token_is_known_by_whose_it_is_and_what_it_may_do(github: GitHubStandIn) -> None:
    answers(github, "GET /user", {"login": "kim"}, X_OAuth_Scopes="repo, workflow")
    findings = examined(github)
    one(findings, "good github", "signed in as kim")
    one(findings, "good token", "repo, workflow")
    one(findings, "good repository shop/s1")
    one(findings, "good limit", "requests are left")


def test_scopes_that_are_missing_are_named(github: GitHubStandIn) -> None:
    answers(github, "GET /user", {"login": "kim"}, X_OAuth_Scopes="public_repo")
    one(examined(github), "bad token", "repo:status")


def test_what_a_fine_grained_token_may_do_cannot_be_seen_and_that_is_said(github: GitHubStandIn) -> None:
    one(examined(github), "unsure token", "are not known", "statuses: write")


def test_a_token_that_ends_soon_is_mentioned(github: GitHubStandIn) -> None:
    ends = {"github_authentication_token_expiration": "2020-01-02 03:04:05 UTC"}
    answers(github, "GET /user", {"login": "kim"}, **ends)
    one(examined(github), "unsure token", "2 January 2020".replace("2 ", "02 "))


def test_a_wrong_token_is_found_and_never_repeated(github: GitHubStandIn) -> None:
    findings = examined(github, Settings(github_token=SecretStr("wr0ng-t0ken")))
    assert "wr0ng" not in one(findings, "bad github", "401")
    assert len(findings) == 1


def test_a_github_out_of_reach_is_found(github: GitHubStandIn) -> None:
    github.stop()
    assert "api_url" in one(list(examined(github)), "bad github", "cannot be reached")
    github.start()


def test_an_address_that_is_no_api_is_found(github: GitHubStandIn) -> None:
    answers(github, "GET /user", "hello", status=404)
    one(examined(github), "bad github", "/api/v3")


# -- repositories ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (Service("S1", "shop/nowhere"), ("bad repository shop/nowhere", "404")),
        (Service("S1", REPO, "release"), ("bad repository shop/s1", "no branch `release`", "`main`")),
        (Service("S1", REPO, "stable"), ("unsure repository shop/s1", "default branch is `main`")),
        (Service("S1", "shop/former"), ("unsure repository shop/former", "name is now shop/s1", "correct its name")),
    ],
)
def test_a_repository_that_is_not_as_the_file_says_is_found(
    github: GitHubStandIn, service: Service, found: tuple[str, ...]
) -> None:
    repo = github.world.repos[REPO]
    repo.branches["stable"] = repo.head
    github.world.moved["shop/former"] = repo.id
    one(examined(github, TOKEN, service), *found)


def test_an_archived_repository_is_found(github: GitHubStandIn) -> None:
    github.world.repos[REPO].archived = True
    one(examined(github), "bad repository shop/s1", "archived")


def test_a_user_who_may_not_write_is_found(github: GitHubStandIn) -> None:
    github.world.repos[REPO].collaborators["interlock-bot"] = "read"
    one(examined(github), "bad repository shop/s1", "not write")


# -- webhooks --------------------------------------------------------------------------------------------------


def hook(**changes: Any) -> dict[str, Any]:
    config = {**HOOK, **{name: value for name, value in changes.items() if name in HOOK}}
    return {"id": 7, "active": True, "events": list(EVENTS), **changes, "config": config}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, ("good webhook of shop/s1", "are set")),
        ({"url": "https://old.example.com/webhooks/github"}, ("bad webhook", "goes to https://old.example.com")),
        ({"active": False}, ("bad webhook", "it is not active")),
        ({"secret": None}, ("bad webhook", "no secret")),
        ({"content_type": "form"}, ("unsure webhook", "application/json")),
        ({"insecure_ssl": "1"}, ("unsure webhook", "certificate")),
        ({"events": ["pull_request"]}, ("bad webhook", "`push`")),
        ({"events": ["push"]}, ("unsure webhook", "`pull_request`")),
        ({"events": ["*"]}, ("good webhook of shop/s1", "are set")),
    ],
)
def test_each_thing_that_may_be_wrong_with_a_webhook_is_found(
    github: GitHubStandIn, changes: dict[str, Any], found: tuple[str, ...]
) -> None:
    answers(github, r"GET /repos/\*/\*/hooks$", [hook(**changes)])
    answers(github, "GET /repos/.*/deliveries", [DELIVERY])
    findings = examined(github)
    one(findings, *found)
    one(findings, "good webhook of shop/s1", "its last delivery arrived")


def test_a_repository_without_a_webhook_is_mentioned(github: GitHubStandIn) -> None:
    one(examined(github), "unsure webhook of shop/s1", "goes to Interlock", URL)


def test_the_webhook_of_the_organization_counts(github: GitHubStandIn) -> None:
    answers(github, "GET (unknown|/orgs/.*)", [hook()])
    one(examined(github), "good webhook of shop:", "are set")


def test_webhooks_that_may_not_be_seen_are_no_fault(github: GitHubStandIn) -> None:
    answers(github, r"GET /repos/\*/\*/hooks$", {"message": "no"}, status=403)
    one(examined(github), "unsure webhooks", "cannot read those of shop/s1", "Webhooks: read")


def test_deliveries_that_failed_are_counted_by_what_was_answered(github: GitHubStandIn) -> None:
    rows = [
        {**DELIVERY, "guid": "a", "status_code": 401, "status": "Unauthorized"},
        {**DELIVERY, "guid": "b", "status_code": 0, "status": "timed out"},
        {**DELIVERY, "guid": "c"},
        {**DELIVERY, "guid": "d"},
        {**DELIVERY, "guid": "d", "status_code": 502, "status": "Bad Gateway"},  # delivered again since
    ]
    answers(github, r"GET /repos/\*/\*/hooks$", [hook()])
    answers(github, "GET /repos/.*/deliveries", rows)
    found = one(examined(github), "unsure webhook", "2 of its last 4 deliveries failed")
    assert "401 Unauthorized (1)" in found
    assert "timed out (1)" in found


# -- as an App -------------------------------------------------------------------------------------------------


APP = Settings(github_app_id="1", github_app_private_key=SecretStr(pem()))


def installed(github: GitHubStandIn, permissions: dict[str, str], of_the_app: dict[str, str] | None = None) -> None:
    """An App with these permissions, and a webhook without a mistake."""
    wanted = permissions if of_the_app is None else of_the_app
    answers(github, "GET /app$", {"slug": "interlock", "permissions": wanted, "events": list(EVENTS)})
    answers(github, "GET /app/installations/", {"account": {"login": "shop"}, "permissions": permissions})
    answers(github, "GET /app/hook/config", HOOK)
    answers(github, "GET /app/hook/deliveries", [DELIVERY])


def test_an_app_that_has_everything_is_good(github: GitHubStandIn) -> None:
    installed(github, PERMISSIONS)
    findings = examined(github, APP)
    assert [finding for finding in findings if not finding.startswith("good")] == []
    one(findings, "signed in as the App interlock")
    one(findings, "good installation on shop", "every permission")
    one(findings, "limit of the installation on shop")


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("contents", "bad"),
        ("statuses", "bad"),
        ("pull_requests", "bad"),
        ("checks", "unsure"),
        ("deployments", "unsure"),
    ],
)
def test_each_missing_permission_is_named(github: GitHubStandIn, name: str, verdict: str) -> None:
    installed(github, {**PERMISSIONS, name: "none"})
    one(
        examined(github, APP),
        f"{verdict} installation on shop",
        f"permission {name}",
        "settings (Permissions & events)",
    )


def test_where_a_role_names_a_team_the_app_must_see_its_members(github: GitHubStandIn) -> None:
    installed(github, PERMISSIONS)
    access = PipelineAccess(Roles(operator=(Member(MemberKind.TEAM, "shop/release"),)))
    file = replace(configuration(github), accesses={"p": access})
    findings = [f"{each.verdict} {each.found}" for each in examine_github(file, APP)]
    one(findings, "bad the permission members: read is missing", "Interlock refuses the members of a team")


def test_a_permission_that_nobody_has_accepted_yet_is_told_apart(github: GitHubStandIn) -> None:
    installed(github, {**PERMISSIONS, "statuses": "read"}, PERMISSIONS)
    one(examined(github, APP), "bad installation on shop", "statuses: write", "must accept")


def test_an_installation_that_is_suspended_is_found(github: GitHubStandIn) -> None:
    installed(github, PERMISSIONS)
    suspended = {"account": {"login": "shop"}, "suspended_at": "2030-01-01T00:00:00Z"}
    github.control.clear_faults()
    answers(github, "GET /app/installations/", suspended)
    one(examined(github, APP), "bad installation on shop", "suspended")


def test_a_repository_without_the_app_is_found(github: GitHubStandIn) -> None:
    answers(github, "GET /repos/.*/installation", {"message": "Not Found"}, status=404)
    one(examined(github, APP), "bad repository shop/s1", "not installed", "install the App")


def test_a_token_beside_the_app_is_mentioned(github: GitHubStandIn) -> None:
    settings = APP.model_copy(update={"github_token": SecretStr("t")})
    one(examined(github, settings), "unsure github", "Interlock uses the App")


def test_an_app_that_github_does_not_know_is_found(github: GitHubStandIn) -> None:
    answers(github, "GET /app$", {"message": "A JSON web token could not be decoded"}, status=401)
    assert "private key" in one(examined(github, APP), "bad github", "refuses the App's key")
