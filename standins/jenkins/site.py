"""Shared parts of all handlers: the asker, faults, counters, and the common parts of replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standins.jenkins.api_json import Bean, as_python, pruner_for, render
from standins.jenkins.exports import View
from standins.jenkins.model import Build, Job, RefusedError
from standins.jenkins.pages import HTML, oops_page, page
from standins.jenkins.signins import Asker
from standins.wire.message import Reply, Request

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller


@dataclass(slots=True)
class Call:
    """One request for a handler; the handler runs under the controller's lock."""

    site: Site
    request: Request
    asker: Asker
    found_job: Job | None = None
    found_build: Build | None = None
    number: int = 0

    @property
    def job(self) -> Job:
        assert self.found_job is not None  # noqa: S101  the router sets it for every job route
        return self.found_job

    @property
    def build(self) -> Build:
        assert self.found_build is not None  # noqa: S101  the router sets it for every build route
        return self.found_build

    @property
    def c(self) -> Controller:
        return self.site.controller

    def need_post(self, body: str = "") -> None:
        if self.request.method != "POST":
            text = body or page("Method Not Allowed", "This URL requires POST")
            raise RefusedError(405, text, [("Allow", "POST"), *HTML])


Handle = Callable[[Call], Reply]


class Site:
    """The shared state of the handlers. `view` renders with the address of the current request."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self._request_root = ""
        settings = controller.settings
        self.view = View(
            lambda: self._request_root,
            controller.clock.now,
            lambda: settings.late_actions,
            controller.queue.why,
        )

    def serve_as(self, request: Request) -> None:
        """Make `url` fields start with the configured root, or with the host of the request."""
        settings = self.controller.settings
        self._request_root = settings.root_url or f"{self.scheme(request)}://{request.host}{settings.context}/"

    @property
    def root(self) -> str:
        return self._request_root

    @staticmethod
    def scheme(request: Request) -> str:
        return request.headers.get("x-forwarded-proto", request.scheme)

    def location(self, request: Request, path: str) -> tuple[str, str]:
        """Return a Location as the servlet container builds it: from the request, not from the configured root."""
        settings = self.controller.settings
        host = settings.location_host or request.headers.get("x-forwarded-host") or request.host
        begin = host if "://" in host else f"{self.scheme(request)}://{host}"
        return "Location", f"{begin}{settings.context}/{path}"

    def api(self, bean: Bean, request: Request) -> Reply:
        """Return the JSON of an exported object, pruned as the request asks."""
        query = request.query
        if "jsonp" in query:
            raise RefusedError(403, page("Forbidden", "jsonp forbidden; implement jenkins.security.SecureRequester"))
        try:
            value = render(bean, pruner_for(query))
        except ValueError:
            raise RefusedError(500, oops_page(), HTML) from None
        return self.data(value, request)

    def data(self, value: Any, request: Request) -> Reply:
        """Return a value as JSON, or in Python's notation under `api/python`."""
        if request.segments[-1:] == ["python"]:
            kind = ("Content-Type", "text/x-python;charset=utf-8")
            return Reply(200, as_python(value).encode(), [kind, *self.api_headers()[1:]])
        return self.json(value, pretty=request.query.get("pretty", "false") not in ("false", ""))

    def json(self, value: Any, *, pretty: bool = False) -> Reply:
        text = json.dumps(value, indent=2 if pretty else None, separators=None if pretty else (",", ":"))
        return Reply(200, text.encode(), self.api_headers())

    def api_headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "application/json;charset=utf-8"), *self.identity(), ("X-Frame-Options", "deny")]

    def identity(self) -> list[tuple[str, str]]:
        controller = self.controller
        return [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Jenkins", controller.settings.version_text),
            ("X-Jenkins-Session", controller.session),
        ]


def text(body: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, body.encode(), [("Content-Type", "text/plain;charset=UTF-8"), *headers])


def html(body: str, status: int = 200) -> Reply:
    return Reply(status, body.encode(), list(HTML))


def back(call: Call, path: str) -> Reply:
    """Redirect with 302 to a page below the root."""
    return Reply(302, b"", [call.site.location(call.request, path)])
