"""Signing in at the really served site, as a browser goes: through GitHub and back; and which bodies are read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bot.core.access import Scope
from bot.core.model.events import Merged
from bot.store.tokens import Tokens
from standins.github import GitHubStandIn
from tests.texts import text_of
from tests.web.asked import TOKEN
from tests.web.serving import served_with_sign_in
from tests.web.story import Story, sha

pytestmark = pytest.mark.slow

TIMEOUT = 10


@pytest.fixture
def github(story: Story) -> Iterator[GitHubStandIn]:
    repos = [{"full_name": service.repository, "private": True} for service in story.shape.services]
    with GitHubStandIn(repos) as stand_in:  # type: ignore[arg-type]
        stand_in.control.set_collaborators(story.shape.services[0].repository, {"kim": "maintain"})
        yield stand_in


@pytest.fixture
def site(story: Story, redis_url: str, tmp_path: Path, github: GitHubStandIn) -> Iterator[str]:
    """The address of a site on which people sign in with GitHub or with a token."""
    with served_with_sign_in(story, redis_url, tmp_path, github) as address:
        yield address


def form_token(page: requests.Response) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_somebody_of_github_signs_in_acts_and_signs_out(site: str, story: Story, github: GitHubStandIn) -> None:
    github.control.sign_in_browser("kim")
    with requests.Session() as browser:
        wanted = f"{site}/p/{story.shape.name}"
        shown = browser.get(wanted, timeout=TIMEOUT)  # follows the redirect to the page for signing in
        assert shown.url.startswith(f"{site}/sign-in?next=/p/")
        (link,) = re.findall(r'href="(/sign-in/github\?next=[^"]+)"', shown.text)
        page = browser.get(f"{site}{link}", timeout=TIMEOUT)  # to GitHub, back with the code, and on
        assert (page.status_code, page.url) == (200, wanted)
        assert "github:kim" in page.text
        lock = f"{site}/api/v1/pipelines/{story.shape.name}/stages/production/lock"
        why = {"reason": "Black Friday"}
        assert browser.post(lock, json=why, timeout=TIMEOUT).status_code == 403
        sent = browser.post(lock, json=why, headers={"X-CSRF-Token": form_token(page)}, timeout=TIMEOUT)
        assert sent.status_code == 202
        story.turns()
        (held,) = story.board.locks_of("production")
        assert (held.by, text_of(held.reason)) == ("github:kim", "Black Friday")
        out = browser.post(f"{site}/sign-out", data={"csrf_token": form_token(page)}, timeout=TIMEOUT)
        assert out.url.startswith(f"{site}/sign-in")
        assert browser.get(wanted, timeout=TIMEOUT).url.startswith(f"{site}/sign-in")


def test_mine_are_the_runs_of_whom_github_signed_in(site: str, story: Story, github: GitHubStandIn) -> None:
    github.control.sign_in_browser("kim")
    story.merge("S1", "a", "Round prices")  # by kim
    story.tell(Merged("S2", sha("S2a"), None, title="Faster search", author="dana"))
    with requests.Session() as browser:
        signed_in = browser.get(f"{site}/sign-in/github?next=/p/{story.shape.name}", timeout=TIMEOUT)
        (mine,) = re.findall(r'href="([^"]+)">Mine<', signed_in.text)
        page = browser.get(f"{site}{mine}", timeout=TIMEOUT).text
        own = browser.get(f"{site}/p/{story.shape.name}/mine", timeout=TIMEOUT).text
    assert ("Round prices" in page, "Faster search" in page) == (True, False)
    assert own.strip() == ""  # it does not wait


def test_prometheus_scrapes_with_a_token_that_may_only_read(site: str, story: Story) -> None:
    story.merge("S1", "a")
    token, _ = Tokens(story.redis).create("prometheus", Scope.READ, None, time.time())
    assert requests.get(f"{site}/metrics", timeout=TIMEOUT).status_code == 401
    answer = requests.get(f"{site}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)
    assert answer.headers["Content-Type"].startswith("text/plain")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    live = {sample.labels["pipeline"]: sample.value for sample in found["interlock_runs_live"].samples}
    assert live[story.shape.name] == 1
    assert found["interlock_up"].samples[0].value == 1


def test_a_token_signs_in_by_the_form_and_the_live_page_follows(site: str, story: Story) -> None:
    with requests.Session() as browser:
        shown = browser.get(f"{site}/sign-in?next=/p/{story.shape.name}", timeout=TIMEOUT)
        form = {"csrf_token": form_token(shown), "token": TOKEN, "next": f"/p/{story.shape.name}"}
        page = browser.post(f"{site}/sign-in/token", data=form, timeout=TIMEOUT)
        assert page.url == f"{site}/p/{story.shape.name}"
        with browser.get(f"{page.url}/live", stream=True, timeout=TIMEOUT) as live:
            assert live.status_code == 200
            assert next(live.iter_content(64)).startswith(b"retry:")
    assert requests.get(f"{site}/p/{story.shape.name}/live", timeout=TIMEOUT).status_code == 401


def test_a_stranger_sends_no_body_but_the_small_one_of_the_form(site: str, story: Story) -> None:
    large = {"token": "x" * 8192}
    assert requests.post(f"{site}/sign-in/token", data=large, timeout=TIMEOUT).status_code in (403, 413)
    form = f"{site}/p/{story.shape.name}/lock"
    for cookies in ({}, {"interlock": "eyJ3YXkiOiJ0b2tlbiJ9.aaaa.bbbb"}):
        answer = requests.post(form, data={"reason": "x" * 5000}, cookies=cookies, timeout=TIMEOUT)
        assert answer.status_code in (401, 404, 405, 413)
