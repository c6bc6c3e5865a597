"""Below the path of `web: public_url`: every link, form, asset and redirect of every page stays there and is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from bot.core.access import Member, MemberKind, Roles
from bot.core.model.events import LockAsked, Merged, ModeAsked
from bot.core.model.pipeline import Mode, Outcome
from bot.web.app import create_app
from bot.web.shared import mounted, without_root
from config.configuration import Configuration, PipelineAccess, SignInSettings, WebSettings
from config.settings import Settings
from config.values import OWN_PATHS
from tests.web.addresses import pages
from tests.web.asked import AUTH, TOKEN
from tests.web.conftest import JENKINS_SECRET
from tests.web.story import Story, sha

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WEB = Path(__file__).parents[2] / "bot" / "web"
ROOT = "/ci"
#: The attributes in which a page names an address of its own. In `data-base` it is the beginning of two.
ADDRESSES = ("href", "src", "srcset", "action", "formaction", "data-icon", "data-base")
#: More pages than this, and the crawl goes round in a circle.
MOST = 600


@pytest.fixture
def busy(story: Story) -> Story:
    """A board with everything on it that leads somewhere."""
    story.start()
    story.pass_stages(story.merge("S2", "a"), 4)
    failing = story.merge("S1", "a", "Round prices")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    story.pass_stages(story.merge("S1", "b", "Fix the rounding"))
    story.tell(LockAsked("production", "sam", "the fair"))
    claim, _ = story.context.outbox.claim("people", limit=5)
    assert claim is not None
    story.context.outbox.give_up(claim, "could not notify team-chat (error=403)", 1_700_000_000.0)
    story.tell(ModeAsked(Mode.PAUSE, "alex", "to see"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else sha("S2a"), author="alex") for n in range(6)))
    return story


@dataclass
class Mount:
    """Applications that differ in where they are."""

    settings: Settings
    configuration: Configuration
    story: Story

    def at(self, root: str, *, private: bool = True, host: str = "http://localhost") -> Flask:
        """The application below `root`, in which whoever has the token of the tests may do everything."""
        everything = (Member(MemberKind.NAME, "alex"),)
        access = PipelineAccess(Roles(everything, everything, everything, everything, {}))
        file = replace(
            self.configuration,
            web=WebSettings(f"{host}{root}", private, SignInSettings(token=True)),
            accesses={self.story.shape.name: access},
        )
        update = {"session_secrets": (SecretStr("a secret for the cookies"),)}
        return create_app(self.settings.model_copy(update=update), file, lambda _: None)


@pytest.fixture
def mount(settings: Settings, configuration: Configuration, story: Story) -> Mount:
    return Mount(settings, configuration, story)


@dataclass
class Crawl:
    """Follows what a page names, as a browser would, below `root`."""

    client: FlaskClient
    root: str
    seen: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def get(self, address: str) -> TestResponse:
        return self.client.get(address)

    def post(self, address: str, form: Mapping[str, str]) -> TestResponse:
        return self.client.post(address, data=form)

    def from_page(self, start: str) -> None:
        """Every page that can be reached from this one."""
        left = [(start, "the start")]
        while left:
            address, named_by = left.pop()
            if _kind(address) in self.seen:
                continue
            assert len(self.seen) < MOST
            left += [(each, address) for each in self._look_at(address, named_by)]

    def _look_at(self, address: str, named_by: str) -> Iterator[str]:
        if not address.startswith(f"{self.root}/"):
            self.wrong.append(f"{named_by} leads to {address}")
            return
        answer = self.get(address)
        self.seen[_kind(address)] = answer.status_code
        if answer.status_code not in (200, 302, 303):
            self.wrong.append(f"{named_by} leads to {address}, which answers {answer.status_code}")
        if answer.location:
            yield _on(urljoin(address, answer.location))
        elif answer.mimetype == "text/html":
            yield from self._links(address, answer.text)
        elif answer.mimetype == "text/javascript" and re.search(r"[\"'`]/[a-z]", answer.text):
            self.wrong.append(f"{address} has an address at the root of the host")

    def _links(self, address: str, html: str) -> Iterator[str]:
        reader = Reader()
        reader.feed(html)
        for kind, value in reader.found:
            if kind == "data-base":
                yield f"{value}/mine" if 'id="mine"' in html else value
            elif not urlsplit(value).netloc:
                yield _on(urljoin(address, value))
        for method, action, fields in reader.forms:
            target = urljoin(address, action or address)
            if method == "get":
                yield f"{target.partition('?')[0]}?{urlencode(fields)}"
            elif not target.startswith(f"{self.root}/"):
                self.wrong.append(f"{address} has a form for {target}")
            elif self.post(target, {}).status_code not in (400, 403, 422):
                self.wrong.append(f"{address} has a form for {target}, which does not say what is missing")


class Reader(HTMLParser):
    """The addresses and forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((named.get("method", "get").lower(), named.get("action", ""), {}))
            return
        if tag in ("input", "select") and self.forms and "name" in named:
            self.forms[-1][2][named["name"]] = named.get("value", "")
        self.found += [(name, named[name]) for name in ADDRESSES if name in named]


def _on(address: str) -> str:
    return address.partition("#")[0]


def _kind(address: str) -> str:
    """Addresses that differ in the order of their questions alone are the same page; so are all moments of the past."""
    parts = urlsplit(address)
    questions = sorted(parse_qsl(parts.query))
    if parts.path.endswith("/past"):
        questions = [(name, "any moment" if name == "at" else value) for name, value in questions]
    return f"{parts.path}?{urlencode(questions)}"


def stripped(app: Flask, root: str) -> Flask:
    """The application behind a proxy that takes the root off."""
    inner = app.wsgi_app

    def proxy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        assert path.startswith(f"{root}/")
        return inner({**environ, "PATH_INFO": path.removeprefix(root)}, start_response)

    app.wsgi_app = proxy  # type: ignore[assignment,method-assign]
    return app


def signed_in(app: Flask, root: str) -> Crawl:
    crawl = Crawl(app.test_client(), root)
    page = crawl.get(f"{root}/sign-in").text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    answer = crawl.post(f"{root}/sign-in/token", {"csrf_token": found[1], "token": TOKEN, "next": "/docs"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{root}/docs")
    return crawl


# -- the crawl ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("root", "strips"), [(ROOT, False), (ROOT, True), ("", False)], ids=["on", "off", "root"])
def test_every_page_is_reached_and_nothing_leads_out(mount: Mount, busy: Story, root: str, strips: bool) -> None:
    """`on`: the proxy passes the path on; `off`: it takes it off; `root`: there is none."""
    app = mount.at(root)
    crawl = signed_in(stripped(app, root) if strips else app, root)
    crawl.from_page(f"{root}/")
    assert crawl.wrong == []
    base = f"{root}/p/{busy.shape.name}"
    looked_at = {path.partition("?")[0] for path in crawl.seen}
    for page in ("", "/where", "/runs", "/log", "/locks", "/statistics", "/runs/S1.1", "/services/S1", "/act/unlock",
                 "/act/retry", "/act/fast-lane", "/locks/pre-production/S1.1", "/dead-letters"):  # fmt: skip
        assert f"{base}{page}" in looked_at
    assert {f"{root}/docs/fast-lane", f"{root}/find", f"{root}/static/live.js"} <= looked_at


@pytest.mark.parametrize("private", [True, False])
def test_nobody_who_has_not_signed_in_is_led_out(mount: Mount, busy: Story, private: bool) -> None:
    crawl = Crawl(mount.at(ROOT, private=private).test_client(), ROOT)
    crawl.from_page(f"{ROOT}/")
    crawl.from_page(f"{ROOT}/p/{busy.shape.name}/act/lock?stage=production")
    assert crawl.wrong == []
    assert any(path.startswith(f"{ROOT}/sign-in?") for path in crawl.seen)


def test_refusals_lead_back_into_the_path(mount: Mount, busy: Story) -> None:
    crawl = signed_in(mount.at(ROOT), ROOT)
    for path in ("/p/another", f"/p/{busy.shape.name}/runs/nobody.1", f"/p/{busy.shape.name}/log?before=x"):
        page = crawl.get(f"{ROOT}{path}")
        assert page.status_code in (400, 404)
        for address in crawl._links(f"{ROOT}{path}", page.text):
            assert address.startswith(f"{ROOT}/"), (path, address)


def test_the_live_stream_draws_the_same_links_as_the_page(mount: Mount, busy: Story) -> None:
    """It is drawn by a thread of its own, outside of any request."""
    app = mount.at(ROOT, private=False)
    for path in ("", "/runs/S1.1"):
        with app.test_client().get(f"{ROOT}/p/{busy.shape.name}{path}/live", buffered=False) as stream:
            board = ""
            for piece in stream.iter_encoded():
                board += piece.decode()
                if "event: board" in board and board.endswith("\n\n"):
                    break
        reader = Reader()
        reader.feed("".join(line.removeprefix("data:") for line in board.splitlines() if line.startswith("data:")))
        ours = [value for _, value in reader.found if not urlsplit(value).netloc and not value.startswith("#")]
        assert len(ours) > 5
        assert [value for value in ours if not value.startswith(f"{ROOT}/")] == []


# -- requests with and without the path --------------------------------------------------------------------------------


def test_who_asks_the_process_directly_needs_no_path(mount: Mount, busy: Story) -> None:
    client, name = mount.at(ROOT).test_client(), busy.shape.name
    for path in ("/healthz", "/readyz", "/static/page.css", "/api/v1/openapi.json", "/api/v1/callbacks"):
        assert client.get(path).status_code == client.get(f"{ROOT}{path}").status_code == 200, path
    for path in ("/metrics", f"/api/v1/pipelines/{name}", f"/p/{name}/badge.svg"):
        assert client.get(path, headers=AUTH).status_code == client.get(f"{ROOT}{path}", headers=AUTH).status_code
    hint = {"name": "shop/build", "build": {"phase": "COMPLETED", "number": 1}}
    for root in ("", ROOT):
        assert client.post(f"{root}/webhooks/jenkins/build/{JENKINS_SECRET}", json=hint).status_code == 202
        assert client.post(f"{root}/webhooks/github", json={}).status_code == 401
    assert client.get("/city/p/x").status_code == client.get(f"{ROOT}{ROOT}/healthz").status_code == 404


def test_as_much_of_a_body_is_read_below_the_path(mount: Mount, busy: Story) -> None:
    limit = mount.at(ROOT).extensions["interlock-body-limit"]
    signed = {"x-hub-signature-256": "sha256=" + "0" * 64}
    for path in ("/webhooks/github", f"/webhooks/jenkins/build/{JENKINS_SECRET}", "/sign-in/token"):
        assert limit("POST", f"{ROOT}{path}", signed) == limit("POST", path, signed) > 0
    assert limit("POST", f"/other{ROOT}/webhooks/github", signed) == 0


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/ci", "/"),
        ("/ci/", "/"),
        ("/ci/p/shop", "/p/shop"),
        ("/city/p/shop", "/city/p/shop"),
        ("/p/ci/shop", "/p/ci/shop"),
        ("/healthz", "/healthz"),
        ("", ""),
    ],
)
def test_the_root_is_taken_off_once(path: str, inside: str) -> None:
    assert without_root(path, "/ci") == inside
    assert without_root(path, "") == path


def test_without_a_root_nothing_stands_before_the_application(mount: Mount) -> None:
    app = mount.at("").wsgi_app
    assert mounted(app, "") is app


def test_a_path_of_the_configuration_cannot_be_taken_for_a_page(mount: Mount) -> None:
    app = mount.at("")
    assert {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""} == OWN_PATHS - {"webhooks"}
    answer = app.test_client().get("/webhooks/github")
    assert answer.status_code == 405, "the webhooks are an application of their own, in front of this one"


def test_the_description_of_the_api_names_the_path(mount: Mount, busy: Story) -> None:
    document = mount.at(ROOT, host="https://ci.example.com").test_client().get(f"{ROOT}/api/v1/openapi.json").json
    assert document["servers"][0]["url"] == f"https://ci.example.com{ROOT}"


def test_the_api_can_be_followed_by_the_address_of_the_server(mount: Mount, busy: Story) -> None:
    app, name = mount.at(ROOT), busy.shape.name
    client = app.test_client()
    seen = client.get(f"{ROOT}/api/v1/pipelines/{name}/where", headers=AUTH).json
    hrefs = set(re.findall(r"'href': '([^']+)'", str(seen)))
    facts = client.get(f"{ROOT}/api/v1/pipelines/{name}/facts", headers=AUTH).json["facts"]
    hrefs |= {fact["rule_link"].partition("#")[0] for fact in facts if fact["rule_link"]}
    assert len(hrefs) > 2
    for href in hrefs:
        assert client.get(f"{ROOT}{href}", headers=AUTH).status_code == 200, href


# -- cookies, and addresses to go on to --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "cookie"),
    [
        ("", "__Host-interlock=.*; Secure; HttpOnly; Path=/;"),
        (ROOT, "__Secure-interlock=.*; Secure; HttpOnly; Path=/ci;"),
    ],
)
def test_the_cookie_is_sent_to_nobody_else_on_the_host(mount: Mount, busy: Story, root: str, cookie: str) -> None:
    client = mount.at(root, host="https://ci.example.com").test_client()
    answer = client.get(f"{root}/sign-in", base_url="https://ci.example.com")
    assert re.match(cookie, answer.headers["Set-Cookie"])


def test_no_sign_in_and_no_form_leads_elsewhere(mount: Mount, busy: Story) -> None:
    crawl = signed_in(mount.at(ROOT), ROOT)
    for wanted in ("//evil.test", "/\\evil.test", "https://evil.test", "/\t/evil.test", "evil.test", "javascript:x"):
        answer = crawl.get(f"{ROOT}/sign-in?{urlencode({'next': wanted})}")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{ROOT}/")
        form = crawl.get(f"{ROOT}/p/{busy.shape.name}/act/pause?{urlencode({'back': wanted})}").text
        assert f'<a href="{ROOT}/">Back</a>' in form


def test_after_the_sign_in_one_is_where_one_wanted_to_be(mount: Mount, busy: Story) -> None:
    crawl = Crawl(mount.at(ROOT).test_client(), ROOT)
    page = f"/p/{busy.shape.name}/runs?state=live"
    led = crawl.get(f"{ROOT}{page}").headers["Location"]
    assert led.startswith(f"{ROOT}/sign-in?next=/p/")
    found = re.search(r'name="next" value="([^"]+)"', crawl.get(led).text)
    assert found is not None
    assert found[1] == page
    assert signed_in(mount.at(ROOT), ROOT).get(led).headers["Location"] == f"{ROOT}{page}"


# -- so that it stays so -----------------------------------------------------------------------------------------------

#: What leads elsewhere, or to another place of the same page: the last part of the name of what a template writes.
ELSEWHERE = re.compile(r"#|https?://|\{\{ [\w.]*\b(?:\w+_link|link|log|compare) \}\}")
_NAMED = re.compile(rf"\b({'|'.join(ADDRESSES)})=\"([^\"]*)")


def astray(template: str) -> list[str]:
    """The attributes of a template that may lead to the root of the host."""
    found = [match for match in _NAMED.finditer(template) if not match[2].startswith("{{ root }}")]
    return [match[0] for match in found if not ELSEWHERE.match(match[2])]


def redirects(source: str) -> list[int]:
    """The lines of a module that send a browser elsewhere without putting the root before the address."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        node.lineno for node in calls if isinstance(node.func, ast.Name | ast.Attribute)
        and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) in ("redirect", "url_for")
    ]  # fmt: skip


@pytest.mark.parametrize("path", sorted((WEB / "templates").glob("*.html")), ids=lambda path: path.stem)
def test_a_template_writes_the_root_before_each_address(path: Path) -> None:
    assert astray(path.read_text()) == [], "begin it with {{ root }} (bot/web/shared.py)"


def test_only_one_function_sends_a_browser_on() -> None:
    found = {str(path.relative_to(WEB)) for path in WEB.rglob("*.py") if redirects(path.read_text())}
    assert found == {"shared.py"}, "call go_to of bot/web/shared.py"


@pytest.mark.parametrize("path", sorted((WEB / "static").glob("*.[jc]s*")), ids=lambda path: path.name)
def test_scripts_and_styles_name_no_address(path: Path) -> None:
    """What they ask for, the page tells them."""
    assert re.findall(r"[\"'`(]/[a-z][^\"'`)\n]*", path.read_text()) == []


@pytest.mark.parametrize(
    "template",
    ['<a href="/p/x">', '<form action="{{ address }}">', '<img src="/static/x">', '<a href="{{ each.href }}">'],
)
def test_the_search_finds_what_leads_astray(template: str) -> None:
    assert astray(template)


@pytest.mark.parametrize("source", ["return redirect('/p')", "flask.redirect(x)", "url_for('static')"])
def test_the_search_finds_what_sends_a_browser_on(source: str) -> None:
    assert redirects(source)


def test_every_page_there_is_answers_below_the_path(mount: Mount, busy: Story) -> None:
    app = mount.at(ROOT)
    crawl = signed_in(app, ROOT)
    for view, path in pages(app, busy.shape.name).items():
        answer = crawl.get(path if path.startswith(ROOT) else f"{ROOT}{path}")
        assert answer.status_code in (200, 302), view
