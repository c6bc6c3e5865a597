"""A minimal Jenkins and GitHub in one process that answers at once and notes the arrival of each trigger.

It is not a stand-in: it knows only the requests of the measurements, so that its own cost is negligible.
A trigger is answered 201 with a queue item; the build of that number has passed at the first question about it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qsl, unquote

from bench import bodies

#: A job without builds that declares the required parameters.
_JOB = {
    "builds": [],
    "property": [{"parameterDefinitions": [{"name": "INTERLOCK_RUN"}, {"name": "INTERLOCK_ATTEMPT"}]}],
}
_OK, _CREATED, _MISSING = b"200 OK", b"201 Created", b"404 Not Found"


class Sink:
    """The arrived requests, and the answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.arrivals: list[tuple[str, float, int]] = []
        self.writes = 0
        self.numbers = 1000
        self.builds: dict[int, dict[str, str]] = {}

    def answer(self, method: bytes, path: str, content: bytes, now: float) -> bytes:
        """Return the whole response to one request that arrived at `now`."""
        if method == b"POST":
            return self._post(path, content, now)
        if path == "/arrivals":
            found, self.arrivals = self.arrivals, []
            return _response(_OK, found)
        if path == "/writes":
            return _response(_OK, self.writes)
        if "/git/ref" in path:  # GitHub: the head of main
            full_name = path.split("/repos/", 1)[1].split("/git/", 1)[0]
            return _response(_OK, {"ref": "refs/heads/main", "object": {"sha": bodies.baseline(full_name)}})
        if "/compare/" in path:  # GitHub: every commit is the child of the one that it is compared with
            base, head = path.rsplit("/", 1)[1].split("...")
            commits = [{"sha": head, "parents": [{"sha": base}]}]
            return _response(_OK, {"status": "ahead", "commits": commits})
        if path.startswith("/job/") and "/api/json" in path:
            return self._build(path)
        return _response(_MISSING, {})

    def _post(self, path: str, content: bytes, now: float) -> bytes:
        if path.endswith("/buildWithParameters"):
            fields = dict(parse_qsl(content.decode()))
            self.numbers += 1
            self.builds[self.numbers] = fields
            self.arrivals.append((fields.get("INTERLOCK_SHA", ""), now, self.numbers))
            item = f"http://127.0.0.1:{self._port}/queue/item/{self.numbers}/".encode()
            return _response(_CREATED, None, b"Location: " + item + b"\r\n")
        if path == "/build":  # the benchmark: a build that it has put on a board itself
            self.numbers += 1
            self.builds[self.numbers] = json.loads(content)
            return _response(_CREATED, self.numbers)
        self.writes += 1
        return _response(_CREATED, {"id": self.writes, "url": ""})

    def _build(self, path: str) -> bytes:
        number = path.split("/api/json", 1)[0].rsplit("/", 1)[-1]
        fields = self.builds.get(int(number)) if number.isdigit() else None
        if fields is None:
            return _response(_MISSING, {}) if number.isdigit() else _response(_OK, _JOB)
        parameters = [{"name": name, "value": value} for name, value in fields.items()]
        build = {"number": int(number), "building": False, "result": "SUCCESS", "timestamp": int(time.time() * 1000)}
        return _response(_OK, {**build, "queueId": int(number), "actions": [{"parameters": parameters}]})


def _response(status: bytes, value: Any, headers: bytes = b"") -> bytes:
    content = b"" if value is None else json.dumps(value).encode()
    head = b"HTTP/1.1 %b\r\n%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, headers, len(content)) + content


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        while True:
            head, gap, rest = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            lowered = head.lower()
            length = 0
            if b"content-length:" in lowered:
                length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, target = head.split(b" ", 2)[:2]
            path = unquote(target.decode().split("?", 1)[0])
            self._transport.write(self._sink.answer(method, path, rest[:length], now))


async def serve(port: int) -> None:
    """Answer until the process is stopped."""
    sink = Sink(port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(sink), "127.0.0.1", port, backlog=256)
    async with server:
        print("sink ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
