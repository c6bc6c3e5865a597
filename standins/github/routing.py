"""Route patterns, and the call that a handler gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from standins.github.access import Access, Token
from standins.github.model import Delivery, Issue, Pull, RefusedError, Repo
from standins.github.shapes import Shapes
from standins.github.world import World
from standins.wire.message import BadBodyError, Pairs, Request


@dataclass(slots=True)
class Call:
    """One request for a handler; the handler runs under the world's lock."""

    world: World
    access: Access
    request: Request
    token: Token | None
    found_repo: Repo | None = None
    #: The parts of the path at the placeholders of the pattern, in order.
    args: list[str] = field(default_factory=list)
    headers: Pairs = field(default_factory=list)

    @property
    def repo(self) -> Repo:
        assert self.found_repo is not None  # noqa: S101  the router sets it for every route below /repos
        return self.found_repo

    @property
    def shapes(self) -> Shapes:
        """Return the shapes whose addresses have the prefix of the request, as on a GHES."""
        return self.world.shapes_v3 if under_v3(self.request) else self.world.shapes

    @property
    def login(self) -> str:
        return self.token.login if self.token is not None else "anonymous"

    def body(self) -> dict[str, Any]:
        """Check the permission to write and return the JSON body."""
        self.access.check_write(self.token, self.repo)
        return self.json()

    def json(self) -> dict[str, Any]:
        """Return the JSON body, `{}` if there is none."""
        try:
            return self.request.json()
        except BadBodyError:
            raise RefusedError(400, "Problems parsing JSON") from None

    def number(self, at: int = 0) -> int:
        if not self.args[at].isdigit():
            raise RefusedError(404, "Not Found")
        return int(self.args[at])

    def issue(self, at: int = 0) -> Pull | Issue:
        found = self.repo.issue(self.number(at))
        if found is None:
            raise RefusedError(404, "Not Found")
        return found

    def pull(self, at: int = 0) -> Pull:
        pull = self.repo.pulls.get(self.number(at))
        if pull is None:
            raise RefusedError(404, "Not Found")
        return pull

    def page(self, rows: list[Any]) -> list[Any]:
        """Return the requested page of a list (30, at most 100 a page), and add the Link header."""
        query = self.request.query
        size = max(1, min(100, _int(query.get("per_page"), 30)))
        page = max(1, _int(query.get("page"), 1))
        last = max(1, -(-len(rows) // size))
        links = []
        if page < last:
            links += [self._link(page + 1, size, "next"), self._link(last, size, "last")]
        if page > 1:
            links += [self._link(page - 1, size, "prev"), self._link(1, size, "first")]
        if links:
            self.headers.append(("Link", ", ".join(links)))
        return rows[(page - 1) * size : page * size]

    def _link(self, page: int, size: int, rel: str) -> str:
        kept = {name: value for name, value in self.request.query.items() if name not in ("page", "per_page")}
        return self._address({**kept, "per_page": size, "page": page}, rel)

    def page_by_cursor(self, rows: list[Delivery]) -> list[Delivery]:
        """Return the page of deliveries after the request's `cursor`, and add the Link header of the next page."""
        size = max(1, min(100, _int(self.request.query.get("per_page"), 30)))
        cursor = _int(self.request.query.get("cursor", "").removeprefix("v1_"), 0)
        rest = [row for row in rows if not cursor or row.id < cursor]
        if len(rest) > size:
            link = self._address({"per_page": size, "cursor": f"v1_{rest[size - 1].id}"}, "next")
            self.headers.append(("Link", link))
        return rest[:size]

    def _address(self, query: dict[str, Any], rel: str) -> str:
        return f'<http://{self.request.host}{self.request.raw_path}?{urlencode(query)}>; rel="{rel}"'


Handle = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A handler's answer with a status other than 200."""

    status: int
    body: Any = None


class Routes:
    """Patterns such as `GET /repos/{}/{}/branches/{+}`; `{+}` matches the rest of the path with its slashes."""

    def __init__(self) -> None:
        self._by_method: dict[str, list[tuple[tuple[str, ...], Handle]]] = {}

    def add(self, table: dict[str, Handle]) -> None:
        for line, handler in table.items():
            method, path = line.split()
            self._by_method.setdefault(method, []).append((tuple(path.strip("/").split("/")), handler))

    def find(self, method: str, segments: list[str]) -> tuple[str, Handle | None, list[str]]:
        """Return the route's label, its handler (None: no such route) and the values of its placeholders."""
        for pattern, handler in self._by_method.get("GET" if method == "HEAD" else method, ()):
            args = _matched(pattern, segments)
            if args is not None:
                return f"{method} /{'/'.join(pattern)}", handler, args
        return f"{method} unknown", None, []


def _matched(pattern: tuple[str, ...], segments: list[str]) -> list[str] | None:
    open_end = pattern[-1] == "{+}"
    if len(segments) < len(pattern) if open_end else len(segments) != len(pattern):
        return None
    args = []
    for index, part in enumerate(pattern):
        if part == "{+}":
            args.append("/".join(segments[index:]))
        elif part == "{}":
            args.append(segments[index])
        elif part != segments[index]:
            return None
    return args


def under_v3(request: Request) -> bool:
    return request.target.startswith("/api/v3")


def _int(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
