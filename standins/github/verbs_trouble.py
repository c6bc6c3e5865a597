"""Control verbs that make trouble: lost webhooks, faults, tokens, limits."""

from __future__ import annotations

import base64

from standins.faults import Fault
from standins.github.access import Token
from standins.github.hooks import HookFault
from standins.github.verbs_base import Json, VerbBase


class TroubleVerbs(VerbBase):
    """What goes wrong, and who may do what."""

    def drop_next_webhooks(self, count: int = 1, event: str = "*") -> None:
        """The next so many webhooks (of that event) are never sent; the log has them as `lost`."""
        with self._w.lock:
            self._w.lose_next(count, event)

    def webhook_fault(
        self, kind: str, event: str = ".*", rate: float = 1.0, count: int | None = None, seconds: float = 0.0
    ) -> None:
        """Adds a fault of webhooks: drop, duplicate (same GUID) or delay (overtaken by others)."""
        self._w.sender.faults.append(HookFault(kind, event, rate, count, seconds))

    def fault(
        self,
        kind: str,
        route: str = ".*",
        rate: float = 1.0,
        count: int | None = None,
        status: int = 502,
        seconds: float = 0.0,
        headers: dict[str, str] | None = None,
        body: str = '{"message": "Server Error"}',
    ) -> None:
        """Adds a fault of replies: status, status_after, drop_request, drop_reply or delay.

        `status=403, headers={"Retry-After": "1"}` is a secondary limit; `delay` beyond the client's timeout
        is a timeout.
        """
        self._w.faults.add(Fault(kind, route, rate, count, status, seconds, headers or {}, body))

    def clear_faults(self) -> None:
        self._w.faults.clear()
        self._w.sender.faults.clear()

    def seed(self, seed: int) -> None:
        """Begins the random numbers of the faults anew."""
        self._w.faults.seed(seed)
        self._w.sender.seed(seed)

    def set_tokens(self, tokens: dict[str, Json]) -> None:
        """Replaces the tokens: token -> {login, repos, read_only}."""
        made = {
            t: Token(o["login"], tuple(o.get("repos", ["*"])), o.get("read_only", False)) for t, o in tokens.items()
        }
        with self._w.lock:
            self._access.tokens = made

    def set_rate_limit(self, limit: int) -> None:
        """Requests per hour and token; 0: not limited, no headers."""
        with self._w.lock:
            self._access.limit = limit

    def put_file(self, repo: str, path: str, text: str, encoding: str = "utf-8") -> None:
        """Sets a file; `encoding` base64 for what is not text."""
        with self._w.lock:
            data = base64.b64decode(text) if encoding == "base64" else text.encode()
            self._w.repo(repo).files[path] = data
