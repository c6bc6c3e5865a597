"""Records the last requests and answers on demand, to compare them with GitHub's OpenAPI description."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from standins.wire.message import Reply, Request


class Recorder:
    """A bounded log of exchanges. Off until `start`; it keeps the newest."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Request, Reply, bool]] | None = None

    def start(self, limit: int) -> None:
        self._kept = deque(maxlen=limit)

    def keep(self, request: Request, reply: Reply, *, made_up: bool) -> None:
        """Record one exchange. `made_up`: a fault gave the answer, not GitHub's rules."""
        if self._kept is not None:
            self._kept.append((request, reply, made_up))

    def listed(self) -> list[dict[str, Any]]:
        """List, oldest first: method, path, query, body, status, response, headers, made_up. Bodies are JSON."""
        if self._kept is None:
            raise ValueError("nothing is recorded: call `record` first")
        return [
            {
                "method": request.method,
                "path": request.raw_path.removeprefix("/api/v3"),
                "query": request.query,
                "body": _read(request.body),
                "status": 0 if reply.dropped else reply.status,
                "response": _read(reply.body),
                "headers": {name.lower(): value for name, value in reply.headers},
                "made_up": made_up,
            }
            for request, reply, made_up in list(self._kept)
        ]


def _read(body: bytes) -> Any:
    """Return the JSON in a body; None if it is empty, the text if it is not JSON."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
