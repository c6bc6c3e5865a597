"""Signing in: with a token in a form, through GitHub, by a proxy; what a cookie is good for, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from pydantic import SecretStr
from redis import Redis
from werkzeug.test import TestResponse

from bot.core.access import Member, MemberKind, Roles, Scope
from bot.store.tokens import Tokens
from bot.web import sessions
from bot.web.app import create_app
from bot.web.bodies import FORM
from bot.web.sign_in import safe_next
from config.configuration import Configuration, PipelineAccess, ProxySettings, SignInSettings, WebSettings
from config.errors import SettingsError
from config.settings import Settings
from standins.github import GitHubStandIn
from tests.web.asked import AUTH, TOKEN
from tests.web.story import Story, pipeline

SECRET = "a secret for the cookies"
PUBLIC = "http://localhost"
CALLBACK = f"{PUBLIC}/sign-in/github/callback"
PROXY = ProxySettings("X-Forwarded-User", (ip_network("10.0.0.0/8"),))
Site = Callable[..., FlaskClient]


@pytest.fixture
def github(story: Story) -> Iterator[GitHubStandIn]:
    repos: list[dict[str, Any]] = [
        {"full_name": service.repository, "private": True} for service in story.shape.services
    ]
    with GitHubStandIn(repos) as stand_in:
        stand_in.control.register_oauth_app("client", "very secret", CALLBACK)
        yield stand_in


@pytest.fixture
def site(settings: Settings, configuration: Configuration, story: Story) -> Site:
    """The application with these ways to sign in; by default with a token."""

    def made(
        sign_in: SignInSettings | None = None,
        access: PipelineAccess | None = None,
        github: GitHubStandIn | None = None,
        private: bool = True,
        root: str = "",
        **more: Any,
    ) -> FlaskClient:
        web = WebSettings(PUBLIC + root, private, sign_in or SignInSettings(token=True))
        where = configuration.github
        if github is not None:
            where = replace(where, api_url=github.url, web_url=github.url)
        file = replace(configuration, web=web, github=where, accesses={story.shape.name: access or PipelineAccess()})
        update = {
            "session_secrets": (SecretStr(SECRET),),
            "github_token": SecretStr("t"),
            "github_oauth_client_id": "client",
            "github_oauth_client_secret": SecretStr("very secret"),
            **more,
        }
        return create_app(settings.model_copy(update=update), file, lambda _: None).test_client()

    return made


def csrf(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def with_token(client: FlaskClient, token: str = TOKEN, **fields: str) -> TestResponse:
    """Sign in by the form."""
    form = {"csrf_token": csrf(client.get("/sign-in")), "token": token, **fields}
    return client.post("/sign-in/token", data=form)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_where_reading_takes_a_sign_in_little_else_is_open(site: Site, story: Story) -> None:
    client, name = site(), story.shape.name
    story.start()
    for path in ("/healthz", "/readyz", "/static/page.css", "/sign-in", "/api/v1/callbacks", "/api/v1/openapi.json"):
        assert client.get(path).status_code == 200, path
    assert client.get(f"/api/v1/pipelines/{name}/attempts/S1.1/build/1").status_code == 409
    assert client.post("/webhooks/github", json={}).json["detail"].startswith("the signature is missing")
    closed = [
        rule
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in ("static", "webhooks", "machines", "signing", "documentation")
    ]
    assert len(closed) > 20
    for rule in closed:
        path = re.sub(r"<[^>]+>", "x", rule.rule.replace("<pipeline>", name).replace("<any(retry, drop):what>", "drop"))
        answer = client.get(path) if "GET" in (rule.methods or ()) else client.post(path, json={"reason": "x"})
        assert answer.status_code in (302, 401), path
        assert answer.status_code == 401 or answer.headers["Location"].startswith("/sign-in?next=/"), path


def test_a_token_reads_the_api_and_a_read_token_reads_and_no_more(site: Site, story: Story, redis: Redis) -> None:
    client = site()
    story.start()
    text, _ = Tokens(redis).create("robot", Scope.READ, None, time.time())
    for headers in (AUTH, {"Authorization": f"Bearer {text}"}):
        assert client.get(f"/api/v1/pipelines/{story.shape.name}", headers=headers).status_code == 200
        assert len(client.get("/api/v1/pipelines", headers=headers).json["pipelines"]) == 1


def test_whoever_may_not_read_a_pipeline_is_told_who_may_and_sees_no_name_of_it(site: Site, story: Story) -> None:
    client = site(access=PipelineAccess(Roles(viewer=(Member(MemberKind.NAME, "vera"),), admin=())))
    story.start()
    story.merge("S1", "a", title="A secret title")
    refused = client.get(f"/api/v1/pipelines/{story.shape.name}/runs/S1.1", headers=AUTH)
    assert refused.status_code == 403
    assert "look at this pipeline: that takes the role `viewer`" in refused.json["detail"]
    for about_all in ("/api/v1/pipelines", "/api/v1/find?q=secret", "/metrics", "/"):
        refused = client.get(about_all, headers=AUTH)
        assert refused.status_code == 403
        assert "secret" not in refused.text
    unknown = client.get("/api/v1/pipelines/nosuch", headers=AUTH)
    assert (unknown.status_code, unknown.json["valid"]) == (404, [])


def test_of_several_pipelines_everybody_sees_those_they_may_read(
    site: Site, configuration: Configuration, story: Story, redis: Redis
) -> None:
    other = Story(redis, pipeline(f"{story.shape.name}-other"))
    story.start()
    other.start()
    for each in (story, other):
        each.merge("S1", "a", title="Round the prices")
    settings = site().application.extensions["interlock"].settings
    file = replace(
        configuration,
        pipelines=(story.shape, other.shape),
        web=WebSettings(PUBLIC, True, SignInSettings(token=True)),
        accesses={story.shape.name: PipelineAccess(Roles(viewer=(), admin=()))},
    )
    client = create_app(settings, file, lambda _: None).test_client()
    rows = client.get("/api/v1/pipelines", headers=AUTH).json["pipelines"]
    assert [row["name"] for row in rows] == [other.shape.name]
    found = client.get("/api/v1/find?q=Round", headers=AUTH).json["pipelines"]
    assert [row["pipeline"] for row in found] == [other.shape.name]
    assert client.get(f"/api/v1/pipelines/{other.shape.name}", headers=AUTH).status_code == 200
    assert client.get(f"/api/v1/pipelines/{story.shape.name}", headers=AUTH).status_code == 403
    assert client.get("/api/v1/pipelines/nosuch", headers=AUTH).json["valid"] == [other.shape.name]
    measured = client.get("/metrics", headers=AUTH).text
    assert f'interlock_runs_live{{pipeline="{other.shape.name}"}} 1.0' in measured
    assert f'pipeline="{story.shape.name}"' not in measured
    assert "interlock_health" not in re.findall(r"^\w+", measured, re.MULTILINE)
    assert "interlock_http_requests_total" not in measured, "it may name what they may not read"
    of_all = create_app(settings, replace(file, accesses={}), lambda _: None).test_client()
    measured = of_all.get("/metrics", headers=AUTH).text
    assert f'pipeline="{story.shape.name}"' in measured
    assert "interlock_http_requests_total" in measured
    assert "\ninterlock_health " in measured


def test_public_reading_stays_public_with_a_way_to_sign_in(site: Site, story: Story) -> None:
    story.start()
    assert site(private=False).get(f"/p/{story.shape.name}").status_code == 200


# -- with a token ------------------------------------------------------------------------------------------------------


def test_a_token_signs_in_and_the_cookie_is_well_kept(site: Site, story: Story) -> None:
    client = site()
    story.start()
    asked = client.get(f"/p/{story.shape.name}?x=1")
    assert asked.headers["Location"] == f"/sign-in?next=/p/{story.shape.name}%3Fx%3D1"
    done = with_token(client, next=f"/p/{story.shape.name}")
    assert (done.status_code, done.headers["Location"]) == (303, f"/p/{story.shape.name}")
    cookie = done.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Expires=" in cookie
    assert TOKEN not in cookie
    page = client.get(f"/p/{story.shape.name}")
    assert page.status_code == 200
    assert "<span>alex</span>" in page.text


def test_behind_https_the_cookie_is_sent_over_https_alone(site: Site, configuration: Configuration) -> None:
    web = WebSettings("https://interlock.example.org", True, SignInSettings(token=True))
    settings = site().application.extensions["interlock"].settings
    client = create_app(settings, replace(configuration, web=web), lambda _: None).test_client()
    cookie = client.get("/sign-in", base_url="https://interlock.example.org").headers["Set-Cookie"]
    assert cookie.startswith("__Host-interlock=")
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie


def test_a_wrong_token_signs_nobody_in(site: Site) -> None:
    client = site()
    refused = with_token(client, "wrong")
    assert refused.status_code == 403
    assert "This token is not known" in refused.text
    assert client.get("/").status_code == 302


def test_a_form_without_its_token_is_refused(site: Site, story: Story) -> None:
    client = site()
    secret = sessions.unmask(csrf(client.get("/sign-in")))
    assert len(secret) == 43
    for form in ({}, *({"csrf_token": each} for each in ("", "x", "ü", "AAAA", secret, "A" * 88, "=" * 88))):
        assert client.post("/sign-in/token", data={"token": TOKEN, **form}).status_code == 403
    with_token(client)
    assert client.post("/sign-out", data={"csrf_token": "x"}).status_code == 403
    story.start()
    action = f"/api/v1/pipelines/{story.shape.name}/stages/production/lock"
    assert client.post(action, json={"reason": "x"}).status_code == 403
    page = client.get(f"/p/{story.shape.name}")
    assert client.post(action, json={"reason": "x"}, headers={"X-CSRF-Token": csrf(page)}).status_code == 202


def test_the_token_of_the_forms_is_another_one_after_the_sign_in(site: Site, story: Story) -> None:
    client = site()
    before = sessions.unmask(csrf(client.get("/sign-in")))
    with_token(client)
    assert sessions.unmask(csrf(client.get(f"/p/{story.shape.name}"))) != before


def test_each_answer_hides_the_token_of_the_forms_differently_and_each_is_taken(site: Site, story: Story) -> None:
    client = site()
    with_token(client)
    story.start()
    address = f"/p/{story.shape.name}/runs?q=a-guess"
    tokens = [csrf(client.get(address)) for _ in range(3)]
    assert len({token[start : start + 8] for token in tokens for start in (0, 60)}) == 6
    assert len({sessions.unmask(token) for token in tokens}) == 1
    action = f"/api/v1/pipelines/{story.shape.name}/stages/production/lock"
    for token in tokens:
        assert client.post(action, json={"reason": "x"}, headers={"X-CSRF-Token": token}).status_code == 202
    story.turns()
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert client.get(address, headers={"If-None-Match": packed.headers["ETag"]}).status_code == 304
    client.post("/sign-out", data={"csrf_token": tokens[0]})
    with_token(client)  # a new session: the old page's token is not taken any more
    assert client.get(address, headers={"If-None-Match": packed.headers["ETag"]}).status_code == 200


def test_signing_out_ends_it(site: Site, story: Story) -> None:
    client = site()
    with_token(client)
    token = csrf(client.get(f"/p/{story.shape.name}"))
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert client.get(f"/p/{story.shape.name}").status_code == 302


def test_a_token_that_is_revoked_signs_out_whoever_used_it(site: Site, story: Story, redis: Redis) -> None:
    client = site()
    text, made = Tokens(redis).create("robot", Scope.ADMIN, None, time.time())
    with_token(client, text)
    assert client.get(f"/p/{story.shape.name}").status_code == 200
    Tokens(redis).revoke(made.id)
    assert client.get(f"/p/{story.shape.name}").status_code == 302


def test_a_session_ends_however_often_it_is_used(site: Site, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site(SignInSettings(token=True, session=600.0))
    with_token(client)
    began = time.time()
    for minutes, status in ((4, 200), (8, 200), (11, 302)):
        monkeypatch.setattr("time.time", partial(float, began + minutes * 60))
        assert client.get(f"/p/{story.shape.name}").status_code == status


def test_a_cookie_that_somebody_else_has_signed_is_none(site: Site, story: Story) -> None:
    client, other = site(), site(session_secrets=(SecretStr("another secret of 24 chars"),))
    with_token(other)
    stolen = other.get_cookie("interlock")
    assert stolen is not None
    client.set_cookie("interlock", stolen.value)
    assert client.get(f"/p/{story.shape.name}").status_code == 302


def test_while_the_secret_is_changed_both_are_good(site: Site, story: Story) -> None:
    before = site()
    with_token(before)
    cookie = before.get_cookie("interlock")
    assert cookie is not None
    after = site(session_secrets=(SecretStr("the new secret of cookies"), SecretStr(SECRET)))
    after.set_cookie("interlock", cookie.value)
    assert after.get(f"/p/{story.shape.name}").status_code == 200


def test_without_a_secret_for_cookies_the_process_does_not_start(site: Site) -> None:
    with pytest.raises(SettingsError, match="INTERLOCK_SESSION_SECRETS"):
        site(session_secrets=())
    with pytest.raises(SettingsError, match="INTERLOCK_GITHUB_OAUTH_CLIENT_SECRET"):
        site(SignInSettings(github=True), github_oauth_client_secret=None)


def test_where_nobody_can_sign_in_there_is_no_page_for_it(client: FlaskClient) -> None:
    assert client.get("/sign-in").status_code == 404
    assert client.get("/sign-in/github").status_code == 404
    assert "Set-Cookie" not in client.get("/").headers


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example.org", "//evil.example.org", "/\\evil.example.org", "\\\\evil.example.org", "javascript:x",
        "/\t/evil.example.org", "", "evil", "/sign-out", "http:/x", "///evil",
    ],
)  # fmt: skip
def test_a_link_leads_nowhere_else_through_the_sign_in(site: Site, elsewhere: str) -> None:
    assert safe_next(elsewhere) == "/"
    assert with_token(site(), next=elsewhere).headers["Location"] == "/"


def test_a_place_of_this_site_is_gone_to() -> None:
    assert safe_next("/p/shop/runs/S1.1?x=//y") == "/p/shop/runs/S1.1?x=//y"


# -- by a proxy --------------------------------------------------------------------------------------------------------


def through(client: FlaskClient, path: str, address: str, **headers: str) -> TestResponse:
    return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address})


def test_the_proxys_header_counts_from_the_proxy_alone(site: Site, story: Story) -> None:
    client, path = site(SignInSettings(proxy=PROXY)), f"/api/v1/pipelines/{story.shape.name}"
    named = {"X-Forwarded-User": "paula"}
    assert through(client, path, "10.1.2.3", **named).status_code == 200
    assert through(client, path, "::ffff:10.1.2.3", **named).status_code == 200
    for address in ("11.1.2.3", "127.0.0.1", "::1", ""):
        assert through(client, path, address, **named).status_code == 401
    spoofed = {**named, "X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
    assert through(client, path, "11.1.2.3", **spoofed).status_code == 401
    assert through(client, path, "10.1.2.3").status_code == 401


def test_a_name_that_is_none_is_refused(site: Site, story: Story) -> None:
    client = site(SignInSettings(proxy=PROXY))
    for name in ("paula,mallory", "github:kim", "a b", "x" * 64):
        assert through(client, "/api/v1/pipelines", "10.1.2.3", **{"X-Forwarded-User": name}).status_code == 401


def test_whom_the_proxy_signs_in_acts_by_role_and_by_forms_of_ours_alone(site: Site, story: Story) -> None:
    access = PipelineAccess(Roles(operator=(Member(MemberKind.NAME, "paula"),), admin=()))
    client = site(SignInSettings(proxy=PROXY), access)
    story.start()
    named, peer = {"X-Forwarded-User": "paula"}, {"REMOTE_ADDR": "10.1.2.3"}
    action = f"/api/v1/pipelines/{story.shape.name}/stages/production/lock"
    sent = {"json": {"reason": "x"}, "environ_base": peer}
    assert client.post(action, headers=named, **sent).status_code == 403
    page = client.get(f"/p/{story.shape.name}", headers=named, environ_base=peer)
    token = {"X-CSRF-Token": csrf(page)}
    assert client.post(action, headers={**named, **token}, **sent).status_code == 202
    pause = {**sent, "json": {"reason": "x", "mode": "observe"}}
    refused = client.post(f"/api/v1/pipelines/{story.shape.name}/mode", headers={**named, **token}, **pause)
    assert refused.json["needs"] == "admin"


def test_where_the_proxys_names_are_logins_teams_and_permissions_count(
    site: Site, story: Story, github: GitHubStandIn
) -> None:
    roles = Roles(viewer=(), developer=(), operator=(Member(MemberKind.TEAM, "shop/release"),), admin=())
    client = site(SignInSettings(proxy=replace(PROXY, logins=True)), PipelineAccess(roles), github)
    story.start()
    github.control.set_team("shop/release", {"kim": "active", "ivy": "pending"})
    path = f"/api/v1/pipelines/{story.shape.name}"
    for login, status in (("kim", 200), ("ivy", 403), ("mallory", 403)):
        assert through(client, path, "10.1.2.3", **{"X-Forwarded-User": login}).status_code == status
    named, peer = {"X-Forwarded-User": "kim"}, {"REMOTE_ADDR": "10.1.2.3"}
    page = client.get(f"/p/{story.shape.name}", headers=named, environ_base=peer)
    assert "<span>github:kim</span>" in page.text
    headers = {**named, "X-CSRF-Token": csrf(page)}
    locked = client.post(f"{path}/stages/production/lock", json={"reason": "x"}, headers=headers, environ_base=peer)
    assert locked.status_code == 202


# -- through GitHub ----------------------------------------------------------------------------------------------------


def through_github(client: FlaskClient, after: str = "/", root: str = "") -> TestResponse:
    """The whole flow as a browser goes it; the last answer."""
    away = client.get(f"{root}/sign-in/github?next={after}")
    assert away.status_code == 302
    back = requests.get(away.headers["Location"], allow_redirects=False, timeout=5)
    assert back.status_code == 302, back.text
    return client.get(back.headers["Location"].removeprefix(PUBLIC))


def test_github_signs_in_with_state_and_pkce_and_its_token_is_forgotten(
    site: Site, story: Story, github: GitHubStandIn
) -> None:
    client, path = site(SignInSettings(github=True), github=github), f"/p/{story.shape.name}"
    story.start()
    github.control.set_collaborators(story.shape.services[1].repository, {"kim": "write"})
    github.control.sign_in_browser("kim")
    asked = parse_qs(urlsplit(client.get("/sign-in/github").headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [CALLBACK]
    done = through_github(client, path)
    assert (done.status_code, done.headers["Location"]) == (302, path)
    assert "<span>github:kim</span>" in client.get(path).text
    cookie = client.get_cookie("interlock")
    assert cookie is not None
    assert "gho_" not in str(
        client.application.session_interface.get_signing_serializer(client.application).loads(cookie.value)
    )


def test_below_a_path_github_leads_back_below_it(site: Site, story: Story, github: GitHubStandIn) -> None:
    github.control.register_oauth_app("client", "very secret", f"{PUBLIC}/ci/sign-in/github/callback")
    client, path = site(SignInSettings(github=True), github=github, root="/ci"), f"/p/{story.shape.name}"
    github.control.set_collaborators(story.shape.services[0].repository, {"kim": "write"})
    github.control.sign_in_browser("kim")
    done = through_github(client, path, "/ci")
    assert (done.status_code, done.headers["Location"]) == (302, f"/ci{path}")
    assert "<span>github:kim</span>" in client.get(f"/ci{path}").text


def test_a_stranger_of_github_is_signed_in_and_may_read_nothing(
    site: Site, story: Story, github: GitHubStandIn
) -> None:
    client = site(SignInSettings(github=True), github=github)
    story.start()
    github.control.sign_in_browser("mallory")
    through_github(client)
    refused = client.get(f"/p/{story.shape.name}")
    assert refused.status_code == 403
    assert "github:mallory may not look at this pipeline" in refused.text
    github.control.reset_counters()
    assert client.get(f"/p/{story.shape.name}").status_code == 403
    assert not [route for route in github.control.requests() if "permission" in route]  # it is remembered


def test_what_somebody_of_github_may_do_their_permission_says(site: Site, story: Story, github: GitHubStandIn) -> None:
    client = site(SignInSettings(github=True), github=github)
    story.start()
    first, second = (service.repository for service in story.shape.services[:2])
    github.control.set_collaborators(first, {"kim": "write"})
    github.control.sign_in_browser("kim")
    through_github(client)
    token = {"X-CSRF-Token": csrf(client.get(f"/p/{story.shape.name}"))}
    base, why = f"/api/v1/pipelines/{story.shape.name}", {"reason": "x"}
    mine, theirs = story.merge("S1", "a"), story.merge("S2", "a")
    assert client.post(f"{base}/runs/{mine.key}/cancel", json=why, headers=token).status_code == 202
    assert client.post(f"{base}/runs/{theirs.key}/cancel", json=why, headers=token).status_code == 403
    assert client.post(f"{base}/stages/production/lock", json=why, headers=token).status_code == 403
    github.control.set_collaborators(second, {"lee": "maintain"})
    github.control.sign_in_browser("lee")
    through_github(client)
    token = {"X-CSRF-Token": csrf(client.get(f"/p/{story.shape.name}"))}
    assert client.post(f"{base}/stages/production/lock", json=why, headers=token).status_code == 202


def test_whoever_looks_for_five_minutes_costs_github_one_question_a_repository(
    site: Site, story: Story, github: GitHubStandIn, redis: Redis
) -> None:
    """Where reading and every button hang on permissions at GitHub, and a page is loaded every nine seconds.

    With the time that the pages really take it is a little more.
    """
    client, page = site(SignInSettings(github=True), github=github), f"/p/{story.shape.name}"
    story.start()
    for service in story.shape.services:
        github.control.set_collaborators(service.repository, {"kim": "write"})
    github.control.sign_in_browser("kim")
    through_github(client)
    github.control.reset_counters()

    def asked() -> int:
        return sum(count for route, count in github.control.requests().items() if "permission" in route)

    for _ in range(30):
        shown = client.get(page)
        assert "may-developer" in shown.text
        assert "may-operator" not in shown.text
        age(redis, 9.0)
    assert asked() == len(story.shape.services)
    age(redis, 40.0)
    client.get(page)
    assert asked() == 2 * len(story.shape.services), "after five minutes, once more"


def age(redis: Redis, seconds: float) -> None:
    """What is believed of people gets older by so many seconds."""
    for key in list(redis.scan_iter("interlock:{access}:*")):
        left = redis.pttl(key) - int(seconds * 1000)
        if left > 0:
            redis.pexpire(key, left)
        else:
            redis.delete(key)


def test_a_github_that_does_not_answer_is_no_yes(site: Site, story: Story, github: GitHubStandIn) -> None:
    client = site(SignInSettings(github=True), github=github)
    github.control.sign_in_browser("kim")
    through_github(client)
    github.control.fault("status", route=r"GET /repos/.*/permission", status=502)
    answer = client.get(f"/p/{story.shape.name}")
    assert answer.status_code == 503
    assert "Interlock could not ask GitHub what you may do here" in answer.text


@pytest.mark.parametrize("change", ["state", "code"])
def test_an_answer_that_is_not_to_our_question_signs_nobody_in(site: Site, github: GitHubStandIn, change: str) -> None:
    client = site(SignInSettings(github=True), github=github)
    github.control.sign_in_browser("mallory")
    away = client.get("/sign-in/github")
    back = requests.get(away.headers["Location"], allow_redirects=False, timeout=5).headers["Location"]
    forged = re.sub(rf"{change}=[^&]+", f"{change}=forged", back).removeprefix(PUBLIC)
    assert client.get(forged).status_code == 403
    assert client.get("/").status_code == 302


def test_a_code_that_another_browser_was_given_signs_nobody_in(site: Site, github: GitHubStandIn) -> None:
    attacker = site(SignInSettings(github=True), github=github)
    victim = attacker.application.test_client()
    github.control.sign_in_browser("mallory")
    away = attacker.get("/sign-in/github")
    back = requests.get(away.headers["Location"], allow_redirects=False, timeout=5).headers["Location"]
    assert victim.get(back.removeprefix(PUBLIC)).status_code == 403


def test_whoever_refuses_at_github_is_not_signed_in(site: Site, github: GitHubStandIn) -> None:
    client = site(SignInSettings(github=True), github=github)
    github.control.sign_in_browser(None)
    assert through_github(client).status_code == 403


# -- what is read of a request before its view runs --------------------------------------------------------------------


def test_who_shows_nothing_sends_no_body_but_that_of_the_form(site: Site, story: Story, redis: Redis) -> None:
    client = site(SignInSettings(token=True, proxy=PROXY))
    limit = client.application.extensions["interlock-body-limit"]
    acting, path = f"/p/{story.shape.name}/lock", f"/api/v1/pipelines/{story.shape.name}/mode"
    with_token(client)
    cookie = client.get_cookie("interlock")
    assert cookie is not None
    text, _ = Tokens(redis).create("robot", Scope.ACT, None, time.time())
    for known in (
        {"cookie": f"interlock={cookie.value}"},
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"Bearer {text}"},
        {"x-forwarded-user": "paula"},
    ):
        assert limit("POST", acting, known) == limit("POST", path, known) == 64 << 10
    for unknown in (
        {},
        {"cookie": "interlock=x.y.z"},
        {"cookie": f"other={cookie.value}"},
        {"authorization": "Bearer x"},
    ):
        assert limit("POST", acting, unknown) == limit("POST", path, unknown) == 0
    assert limit("POST", "/sign-in/token", {}) == limit("POST", "/sign-out", {}) == 4 << 10
    assert limit("GET", "/sign-in", {}) == 0


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"token=" + b"x" * 5_000, FORM, 413),
        (b"&".join(b"f%d=1" % number for number in range(200)), FORM, 400),
        (b"token=%ff%fe", FORM, 400),
        (b"token=\xff\xfe", FORM, 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n1\r\n--x--',
            "multipart/form-data; boundary=x",
            403,
        ),
        (b'{"token": "1"}', "application/json", 403),
    ],
    ids=["too large", "too many fields", "no UTF-8, encoded", "no UTF-8", "in parts", "no form"],
)
def test_a_form_that_no_page_of_ours_sends_is_refused(site: Site, body: bytes, kind: str, status: int) -> None:
    assert site().post("/sign-in/token", data=body, content_type=kind).status_code == status
