"""Control verbs that cause trouble: lost webhooks, faults, tokens, limits."""

from __future__ import annotations

import base64
import json

from standins.faults import Fault
from standins.github.access import SECONDARY, Token
from standins.github.hooks import HookFault
from standins.github.secondary_limits import SecondaryLimits
from standins.github.verbs_base import Json, VerbBase


class TroubleVerbs(VerbBase):
    """The verbs for faults, tokens and limits."""

    def drop_next_webhooks(self, count: int = 1, event: str = "*") -> None:
        """Lose the next `count` webhooks (of that event); the log has them as `lost`."""
        with self._w.lock:
            self._w.lose_next(count, event)

    def webhook_fault(
        self, kind: str, event: str = ".*", rate: float = 1.0, count: int | None = None, seconds: float = 0.0
    ) -> None:
        """Add a fault of webhooks: drop, duplicate (same GUID) or delay (overtaken by others)."""
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
        """Add a fault of replies: status, status_after, drop_request, drop_reply, delay or delay_after.

        `status=403, headers={"Retry-After": "1"}` is a secondary limit; `delay` beyond the client's timeout
        is a timeout before the work, `delay_after` one after it.
        """
        self._w.faults.add(Fault(kind, route, rate, count, status, seconds, headers or {}, body))

    def clear_faults(self) -> None:
        self._w.faults.clear()
        self._w.sender.faults.clear()

    def seed(self, seed: int) -> None:
        """Restart the random numbers of the faults."""
        self._w.faults.seed(seed)
        self._w.sender.seed(seed)

    def set_tokens(self, tokens: dict[str, Json]) -> None:
        """Replace the tokens: token -> {login, repos, read_only, permissions}.

        With `permissions` ({"statuses": "write", ...}) it is a fine-grained token with only those.
        """
        made = {
            t: Token(
                o["login"],
                tuple(o.get("repos", ["*"])),
                o.get("read_only", False),
                permissions={"metadata": "read", **o["permissions"]} if "permissions" in o else None,
            )
            for t, o in tokens.items()
        }
        with self._w.lock:
            self._access.tokens = made

    def set_rate_limit(self, limit: int) -> None:
        """Set the requests per hour and token; 0: no limit, no headers."""
        with self._w.lock:
            self._access.limit = limit

    def set_secondary_limit(self, writes_a_minute: int, retry_after: int | None = 60) -> None:
        """Set the writes per minute and token; beyond, 403 as GitHub's secondary limit; 0: no such limit.

        `retry_after` None: without that header, as GitHub sometimes answers.
        """
        with self._w.lock:
            self._access.writes_a_minute, self._access.retry_after = writes_a_minute, retry_after

    def set_documented_limits(
        self, points_a_minute: int = 900, created_a_minute: int = 80, created_an_hour: int = 500, hasten: float = 1.0
    ) -> None:
        """Set GitHub's documented secondary limits; 0 points: off. `hasten`: the factor that shortens minutes."""
        limits = SecondaryLimits(points_a_minute, created_a_minute, created_an_hour, hasten)
        with self._w.lock:
            self._access.secondary = limits if points_a_minute else None

    def limit(
        self,
        kind: str = "secondary",
        route: str = ".*",
        status: int = 403,
        count: int | None = 1,
        retry_after: int | None = None,
    ) -> None:
        """Make the next requests meet a limit, `primary` or `secondary`, answered 403 or 429."""
        if kind not in ("primary", "secondary"):
            raise ValueError(f"a limit is primary or secondary, not {kind!r}")
        message, headers = SECONDARY, {"Content-Type": "application/json; charset=utf-8"}
        if kind == "primary":
            message = "API rate limit exceeded for user."
            reset = str(int(self._w.clock.now()) + 3600)
            headers |= {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-used": "5000"}
            headers |= {"x-ratelimit-reset": reset, "x-ratelimit-resource": "core"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        body = json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"})
        self._w.faults.add(Fault("status", route, 1.0, count, status, 0.0, headers, body))

    def refuse_fresh_tokens(self, count: int = 1) -> None:
        """Answer the first `count` requests with each new installation token with 401."""
        with self._w.lock:
            self._access.fresh_refusals = count

    def set_replica_lag(self, seconds: float) -> None:
        """For `seconds` after a push, answer reads with 404 for its commits and the old head for its branch."""
        with self._w.lock:
            self._w.lag = seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward: tokens expire, limits start again."""
        self._w.clock.advance(seconds)

    def put_file(self, repo: str, path: str, text: str, encoding: str = "utf-8") -> None:
        """Set a file; `encoding` base64 for content that is not text."""
        with self._w.lock:
            data = base64.b64decode(text) if encoding == "base64" else text.encode()
            self._w.repo(repo).files[path] = data
