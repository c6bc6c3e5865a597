"""A browser without JavaScript: it follows links and redirects, fills in forms as they are, and presses buttons."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from flask.testing import FlaskClient


class Site(Protocol):
    """What answers: an application, or a site over HTTP. Redirects are not followed."""

    def get(self, path: str) -> tuple[int, str, str]:
        """The status, the text, and where a redirect leads to."""

    def post(self, path: str, form: dict[str, str]) -> tuple[int, str, str]:
        """The same for a form."""


class InProcess:
    """The application without a server."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> tuple[int, str, str]:
        answer = self.client.get(path)
        return answer.status_code, answer.text, answer.headers.get("Location", "")

    def post(self, path: str, form: dict[str, str]) -> tuple[int, str, str]:
        answer = self.client.post(path, data=form)
        return answer.status_code, answer.text, answer.headers.get("Location", "")


class OverHttp:
    """A site that is really served."""

    def __init__(self, address: str, headers: dict[str, str] | None = None) -> None:
        self.address = address
        self.session = requests.Session()
        self.session.headers.update(headers or {})

    def get(self, path: str) -> tuple[int, str, str]:
        return self._told(self.session.get(urljoin(self.address, path), allow_redirects=False, timeout=60))

    def post(self, path: str, form: dict[str, str]) -> tuple[int, str, str]:
        address = urljoin(self.address, path)
        return self._told(self.session.post(address, data=form, allow_redirects=False, timeout=60))

    def _told(self, answer: requests.Response) -> tuple[int, str, str]:
        return answer.status_code, answer.text, answer.headers.get("Location", "")


class PlainBrowser:
    """One window: the page that it shows, and what it may do there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.status, self.html, self.path = 0, "", ""

    def open(self, path: str) -> None:
        """Go to an address, and on to where it leads."""
        self._take(path, *self.site.get(path))

    def _take(self, path: str, status: int, html: str, location: str) -> None:
        for _ in range(8):
            if not location:
                self.status, self.html, self.path = status, html, path
                return
            target = urljoin(path, location)
            path = target if urlsplit(target).netloc else target.partition("#")[0]
            status, html, location = self.site.get(path)
        raise AssertionError(f"too many redirects, the last to {location}")

    @property
    def text(self) -> str:
        """What a reader reads."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    @property
    def told(self) -> str:
        """What became of the last action."""
        found = re.search(r'<p class="told [a-z]*" role="status">(.*?)</p>', self.html, re.S)
        return unescape(re.sub(r"<[^>]*>", "", found[1])) if found else ""

    def links(self) -> dict[str, str]:
        """The words of the links, and where they lead."""
        found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', self.html, re.S)
        return {re.sub(r"<[^>]*>", "", words).strip(): unescape(href) for href, words in found}

    def follow(self, words: str) -> None:
        """Press a link."""
        self.open(self.links()[words])

    def submit(self, button: str, **fields: str) -> None:
        """Fill in the form that has this button, and press it. An empty text takes a field away."""
        form = self.form_with(button)
        sent = {**form.fields, **dict([form.buttons[button]] if form.buttons[button][0] else [])}
        sent.update(fields)
        sent = {name: value for name, value in sent.items() if value or name in ("reason",)}
        if form.method == "get":
            query = "&".join(f"{name}={value}" for name, value in sent.items())
            self.open(f"{form.action}?{query}")
        else:
            self._take(form.action, *self.site.post(form.action, sent))

    def form_with(self, button: str) -> Form:
        """The form that has this button."""
        reader = _FormReader()
        reader.feed(self.html)
        found = [form for form in reader.forms if button in form.buttons]
        assert found, f"no button {button!r}, but {[list(form.buttons) for form in reader.forms]}: {self.text[:2000]}"
        return found[-1]

    def has_button(self, button: str) -> bool:
        """Whether there is a form with this button."""
        reader = _FormReader()
        reader.feed(self.html)
        return any(button in form.buttons for form in reader.forms)


class Form:
    """A form: where it goes, what its fields hold, and its buttons by their words, each with its name and value."""

    def __init__(self, action: str, method: str) -> None:
        self.action, self.method = action, method
        self.fields: dict[str, str] = {}
        self.buttons: dict[str, tuple[str, str]] = {}


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False
        self._button: tuple[str, str] | None = None
        self._words = ""
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
            self._open = True
        elif not self._open:
            return
        elif tag == "input":
            kind, name, value = given.get("type", "text"), given.get("name", ""), given.get("value", "")
            if kind not in ("radio", "checkbox") or "checked" in given:
                self.forms[-1].fields[name] = value or ""
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and self._select:
            if "selected" in given:
                self.forms[-1].fields[self._select] = given.get("value") or ""
        elif tag == "button":
            self._button, self._words = (given.get("name", ""), given.get("value", "")), ""

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False
        elif tag == "select":
            self._select = ""
        elif tag == "button" and self._button is not None and self.forms:
            self.forms[-1].buttons[self._words.strip()] = self._button
            self._button = None
