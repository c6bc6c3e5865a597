"""HTTP requests as received and replies as sent: plain values, parsed only when a handler asks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

Pairs = list[tuple[str, str]]


class BadBodyError(ValueError):
    """A request body that does not match its content type."""


@dataclass(eq=False)
class Request:
    """A request whose body has been read. `headers` has lower-case names; repeated headers are joined by commas."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    peer: str = "127.0.0.1"
    scheme: str = "http"
    #: The name of the route; the counters use it.
    route: str = "unknown"

    @cached_property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @cached_property
    def segments(self) -> list[str]:
        """Return the path's parts, percent-decoded once each, without empty ones."""
        return [unquote(part) for part in self.raw_path.split("/") if part]

    @cached_property
    def query_pairs(self) -> Pairs:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        """Return the query's fields; of a repeated name, the first."""
        return dict(reversed(self.query_pairs))

    @cached_property
    def form_pairs(self) -> Pairs:
        """Return the fields of a form body (empty for every other content type)."""
        if not self.body or "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    @cached_property
    def fields(self) -> dict[str, str]:
        """Return query and form fields together, as a servlet sees them; the query's come first."""
        return dict(reversed(self.query_pairs + self.form_pairs))

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object, `{}` when empty; raises BadBodyError for anything else."""
        if not self.body:
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise BadBodyError(f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise BadBodyError("the body must be a JSON object")
        return value

    @property
    def host(self) -> str:
        return self.headers.get("host", "localhost")


@dataclass(eq=False)
class Reply:
    """A reply. `dropped` closes the connection instead: the work is done, the answer is lost."""

    status: int = 200
    body: bytes = b""
    headers: Pairs = field(default_factory=list)
    dropped: bool = False

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


def json_reply(value: object, status: int = 200, headers: Pairs | None = None) -> Reply:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, body, [("Content-Type", "application/json; charset=utf-8"), *(headers or [])])
