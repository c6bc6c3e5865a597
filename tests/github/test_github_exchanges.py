"""Single exchanges with GitHub: what each answer means, what goes out, and what is never repeated.

No server: `responses` answers in place of the network; the limits are kept in a real Redis.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from github import Auth
from pydantic import SecretStr
from responses import matchers

from bot.core.model.pipeline import Job, Pipeline, Service, Stage
from bot.effect_outcomes import PermanentFailure, RateLimited, RetryLater
from bot.github import session
from bot.github import transport as github_transport
from bot.github.session import Purpose, Session
from bot.github.transport import (
    GitHubForbidden,
    GitHubLimited,
    GitHubNotFound,
    GitHubResponse,
    GitHubTransport,
    GitHubUnauthorized,
    GitHubUnreachable,
    refusal,
)
from bot.runtime import Runtime, build
from bot.store.github import Allowance
from config.configuration import Configuration, Controller, GitHubLimits, GitHubSettings
from config.settings import Settings
from tests.workers.workshop import clean

API = "https://api.github.example.com"
#: The same as PyGithub asks for it.
AT = f"{API}:443"
REPO = "shop/s1"
STATUSES = f"{AT}/repos/{REPO}/statuses/abc"
PRIMARY = {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "5000"}


@pytest.fixture
def net() -> Iterator[responses.RequestsMock]:
    """Answers what is registered; anything else cannot be reached."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def transport() -> Iterator[GitHubTransport]:
    made = GitHubTransport(GitHubSettings(API, timeout=3.0), Auth.Token("t0ken"))
    yield made
    made.close()


@pytest.fixture
def runtime(redis_url: str) -> Iterator[Runtime]:
    """What a worker has, with nobody at GitHub's address but `net`."""
    pipeline = Pipeline(f"p{uuid.uuid4().hex[:8]}", (Stage("b", Job("cdp", "b")),), (Service("S1", REPO),))
    controllers = {"cdp": Controller("cdp", "https://ci.example.com", "interlock")}
    settings = Settings(redis_url=SecretStr(redis_url), github_token=SecretStr("t0ken"))
    clean(settings)
    session.close_all()
    made = build(
        settings, Configuration((pipeline,), controllers, github=GitHubSettings(API, timeout=3.0, write_spacing=0))
    )
    yield made
    session.close_all()
    made.redis.close()
    clean(settings)


def posted(there: Session) -> Any:
    return there.write("POST", "/statuses/abc", {"state": "success"}, Purpose.STATUS, uuid.uuid4().hex)


# -- the wire --------------------------------------------------------------------------------------------------


def test_a_request_says_who_we_are_and_is_bounded_in_time(
    net: responses.RequestsMock, transport: GitHubTransport
) -> None:
    wanted = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    signed = matchers.header_matcher({"Authorization": "token t0ken", "User-Agent": "interlock", **wanted})
    bounded = matchers.request_kwargs_matcher({"timeout": 3})
    net.add("GET", f"{AT}/user", json={"login": "bot"}, headers={"X-Some": "Thing"}, match=[signed, bounded])
    answer = transport.ask("GET", "/user")
    assert (answer.status, answer.data, answer.headers["x-some"]) == (200, {"login": "bot"}, "Thing")


@pytest.mark.parametrize("status", [200, 204, 304, 307, 401, 403, 404, 409, 422, 500, 502, 503])
def test_every_status_is_handed_back_as_it_is_and_asked_for_once(
    net: responses.RequestsMock, transport: GitHubTransport, status: int
) -> None:
    headers = {"Location": f"{AT}/repositories/7"} if status == 307 else {}
    net.add("POST", f"{AT}/x", status=status, headers=headers)
    assert transport.ask("POST", "/x", {"a": 1}).status == status
    assert len(net.calls) == 1


@pytest.mark.parametrize("body", ["", "<html>", "[1, 2", "[" * 100_000])
def test_what_is_no_json_is_no_data(net: responses.RequestsMock, transport: GitHubTransport, body: str) -> None:
    net.add("GET", f"{AT}/x", body=body)
    assert transport.ask("GET", "/x").data is None


@pytest.mark.parametrize(
    "error",
    [requests.exceptions.ReadTimeout(), requests.exceptions.ConnectionError("reset"), requests.exceptions.SSLError()],
)
def test_a_write_without_an_answer_is_unreachable_and_not_repeated(
    net: responses.RequestsMock, transport: GitHubTransport, error: Exception
) -> None:
    net.add("POST", f"{AT}/x", body=error)
    with pytest.raises(GitHubUnreachable) as caught:
        transport.ask("POST", "/x", {"a": 1})
    assert (caught.value.certain, len(net.calls)) == (False, 1)  # it may have arrived


def test_only_reading_may_be_repeated_and_only_when_the_connection_broke() -> None:
    assert [
        verb
        for verb in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
        if github_transport._RETRY.is_retry(verb, 503)
    ] == []
    assert github_transport._RETRY.allowed_methods == {"GET", "HEAD"}
    assert (github_transport._RETRY.total, github_transport._RETRY.respect_retry_after_header) == (1, False)


def test_github_elsewhere_is_for_a_person(net: responses.RequestsMock, transport: GitHubTransport) -> None:
    net.add("GET", f"{AT}/x", status=301, headers={"Location": "https://other.example.com/x"})
    with pytest.raises(PermanentFailure, match="correct `github: api_url`"):
        transport.ask("GET", "/x")


# -- what a refusal means --------------------------------------------------------------------------------------


def invalid(*errors: Any) -> dict[str, Any]:
    return {"message": "Invalid", "errors": list(errors)}


@pytest.mark.parametrize(
    ("status", "data", "kind", "words"),
    [
        (401, {"message": "Bad credentials"}, GitHubUnauthorized, "Bad credentials (check the token"),
        (403, {"message": "Must have admin rights"}, GitHubForbidden, "Must have admin rights"),
        (403, {"message": "Resource not accessible by integration"}, GitHubForbidden, "a permission is missing"),
        (404, {"message": "Not Found"}, GitHubNotFound, "does not exist, or Interlock may not see it"),
        (408, None, RetryLater, "408"),
        (425, None, RetryLater, "425"),
        (500, None, RetryLater, "500"),
        (502, "<html>", RetryLater, "502"),
        (409, {"message": "Conflict"}, PermanentFailure, "Conflict"),
        (410, {"message": "Gone"}, PermanentFailure, "Gone"),
        (422, invalid({"code": "custom", "message": "No commit"}), PermanentFailure, "(No commit)"),
        (422, invalid("plain", {"code": "missing_field"}), PermanentFailure, "(plain; missing_field)"),
        (422, {"message": "Validation Failed", "errors": "odd"}, PermanentFailure, "Validation Failed"),
        (422, ["odd"], PermanentFailure, "422"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_from_others_with_githubs_own_words(
    status: int, data: Any, kind: type[Exception], words: str
) -> None:
    error = refusal(GitHubResponse(status, {}, data), "POST /x")
    assert type(error) is kind
    assert words in str(error)


def test_the_permission_that_github_names_is_told() -> None:
    headers = {"x-accepted-github-permissions": "checks=write"}
    assert "(the permission checks: write is missing)" in str(
        refusal(GitHubResponse(403, headers, {"message": "no"}), "x")
    )


def test_no_answer_and_a_server_error_are_not_certain_but_a_limit_and_a_bad_token_are() -> None:
    def certain(status: int, **headers: str) -> bool:
        error = refusal(GitHubResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}), "x")
        return isinstance(error, RetryLater) and error.certain

    assert [certain(500), certain(429), certain(401), certain(403, retry_after="7")] == [False, True, True, True]


@pytest.mark.parametrize(
    ("status", "headers", "message", "after"),
    [
        (429, {"retry-after": "7"}, "", 7.0),
        (403, {"retry-after": "7"}, "", 7.0),
        (403, PRIMARY, "API rate limit exceeded", None),
        (403, {}, "You have exceeded a secondary rate limit. Please wait a few minutes.", None),
        (429, {}, "", None),
        (429, {"retry-after": "soon"}, "", None),
    ],
)
def test_a_limit_is_known_by_its_headers_or_its_words(
    status: int, headers: dict[str, str], message: str, after: float | None
) -> None:
    error = refusal(GitHubResponse(status, headers, {"message": message}), "x")
    assert isinstance(error, GitHubLimited)
    assert error.after == after


def test_the_end_of_the_hour_is_taken_from_githubs_own_clock() -> None:
    headers = {**PRIMARY, "x-ratelimit-reset": "1000000300", "date": "Sun, 09 Sep 2001 01:46:40 GMT"}  # 1000000000
    error = refusal(GitHubResponse(403, headers), "x")
    assert isinstance(error, GitHubLimited)
    assert error.after == 301


# -- limits, over all requests of one identity -----------------------------------------------------------------


def test_after_a_limit_nothing_is_sent_until_it_has_passed(net: responses.RequestsMock, runtime: Runtime) -> None:
    net.add("POST", STATUSES, status=403, headers={"Retry-After": "7"})
    there = Session(runtime, REPO)
    with pytest.raises(GitHubLimited):
        posted(there)
    for ask in (lambda: posted(there), lambda: there.read("/git/ref/heads/main", Purpose.PROOF)):
        with pytest.raises(RateLimited) as held:
            ask()
        assert 4 < (held.value.after or 0) <= 7
    assert len(net.calls) == 1


def test_limits_that_do_not_say_how_long_make_the_pause_longer_each_time(runtime: Runtime) -> None:
    allowance, waits = Allowance(runtime.redis, "token"), []
    for _ in range(6):
        silent = refusal(GitHubResponse(429, {}), "a test")
        assert isinstance(silent, GitHubLimited)
        session.respect(allowance, silent, GitHubLimits())
        waits.append(silent.after)
    assert waits == [60, 120, 240, 480, 900, 900]


def test_a_token_that_is_refused_holds_everything_up(net: responses.RequestsMock, runtime: Runtime) -> None:
    net.add("POST", STATUSES, status=401, json={"message": "Bad credentials"})
    there = Session(runtime, REPO)
    with pytest.raises(GitHubUnauthorized):
        posted(there)
    with pytest.raises(RateLimited):
        posted(there)
    assert len(net.calls) == 1


def test_what_is_left_of_the_hour_is_kept_for_what_matters_more(net: responses.RequestsMock, runtime: Runtime) -> None:
    left = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "200", "x-ratelimit-reset": "99999999999"}
    net.add("GET", f"{AT}/repos/{REPO}/git/ref/heads/main", json={}, headers=left)
    there = Session(runtime, REPO)
    there.read("/git/ref/heads/main", Purpose.PROOF)
    there.read("/git/ref/heads/main", Purpose.HEADS)  # 4 % are left, 2 % of them are not for this
    for purpose in (Purpose.STATUS, Purpose.COMMENT):
        with pytest.raises(RateLimited, match="for more important requests"):
            there.read("/git/ref/heads/main", purpose)


# -- a session -------------------------------------------------------------------------------------------------


def test_a_read_with_an_etag_may_be_answered_304_and_costs_nothing(
    net: responses.RequestsMock, runtime: Runtime
) -> None:
    known = matchers.header_matcher({"If-None-Match": '"e1"'})
    net.add("GET", f"{AT}/repos/{REPO}/x", status=304, match=[known])
    assert Session(runtime, REPO).read("/x", Purpose.HEADS, etag='"e1"').status == 304


def test_a_list_is_read_page_after_page_and_ends_with_a_short_one(
    net: responses.RequestsMock, runtime: Runtime
) -> None:
    for page, rows in (("1", 100), ("2", 3)):
        query = matchers.query_param_matcher({"state": "open", "per_page": "100", "page": page})
        net.add("GET", f"{AT}/repos/{REPO}/pulls", json=[{"number": n} for n in range(rows)], match=[query])
    assert len(list(Session(runtime, REPO).pages("/pulls?state=open", Purpose.LOCK))) == 103


def test_a_list_that_is_none_is_asked_for_again_later(net: responses.RequestsMock, runtime: Runtime) -> None:
    net.add("GET", f"{AT}/repos/{REPO}/pulls", json={"message": "odd"})
    with pytest.raises(RetryLater, match="is not a list"):
        list(Session(runtime, REPO).pages("/pulls", Purpose.LOCK))


def test_a_write_follows_a_repository_that_was_renamed_and_is_sent_there_once(
    net: responses.RequestsMock, runtime: Runtime
) -> None:
    net.add("POST", STATUSES, status=307, headers={"Location": f"{AT}/repositories/7/statuses/abc"})
    net.add("GET", f"{AT}/repos/{REPO}", json={"full_name": "shop/new", "id": 7})
    net.add("POST", f"{AT}/repos/shop/new/statuses/abc", status=201, json={"id": 1})
    assert posted(Session(runtime, REPO)) == {"id": 1}
    sent = [json.loads(call.request.body or "null") for call in net.calls if call.request.method == "POST"]
    assert sent == [{"state": "success"}] * 2


def test_a_write_that_is_sent_round_in_circles_is_for_a_person(net: responses.RequestsMock, runtime: Runtime) -> None:
    net.add("POST", STATUSES, status=307, headers={"Location": f"{AT}/repositories/7/statuses/abc"})
    net.add("GET", f"{AT}/repos/{REPO}", json={"full_name": REPO, "id": 7})
    with pytest.raises(PermanentFailure, match="redirects from"):
        posted(Session(runtime, REPO))


@pytest.mark.parametrize("name", ["../evil", "shop/..", "shop", "shop/s1/x", "a b/c"])
def test_a_new_name_that_is_no_repositorys_is_not_followed(
    net: responses.RequestsMock, runtime: Runtime, name: str
) -> None:
    net.add("GET", f"{AT}/repos/{REPO}", json={"full_name": name, "id": 7})
    with pytest.raises(PermanentFailure, match="not a valid name of a repository"):
        Session(runtime, REPO).look_up()
