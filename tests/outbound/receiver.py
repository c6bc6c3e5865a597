"""A receiver of outbound webhooks over real HTTP: checks signatures by itself, and answers what a test wants."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "c0ffee-5ecret-of-the-tests"


@dataclass(frozen=True)
class Taken:
    """One request as it came in."""

    headers: dict[str, str]
    raw: bytes
    path: str

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def delivery(self) -> str:
        return self.headers["x-interlock-delivery"]


#: What a receiver answers to a request: a status, and headers.
Answers = Callable[[Taken], tuple[int, dict[str, str]]]


class Receiver:
    """Listens on a free port of this machine. `answer` may be changed at any time."""

    def __init__(self) -> None:
        self.requests: list[Taken] = []
        self.connections = 0
        self.answer: Answers = lambda _: (204, {})
        self.changed = threading.Condition()
        #: Set it, and requests are kept without an answer until it is unset.
        self.silent = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def taken(self) -> list[Taken]:
        """What was answered with 2xx."""
        return [each for each in self.requests if self.answer(each)[0] < 300]

    def deliveries(self) -> list[str]:
        return [each.delivery for each in self.requests]

    def wait(self, until: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something is true of what has come in."""
        with self.changed:
            assert self.changed.wait_for(until, seconds), f"{len(self.requests)} requests came in, and no more"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver.connections += 1

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                taken = Taken({name.lower(): value for name, value in self.headers.items()}, raw, self.path)
                with receiver.changed:
                    receiver.requests.append(taken)
                    receiver.changed.notify_all()
                if receiver.silent.is_set():
                    threading.Event().wait(3.0)
                status, headers = receiver.answer(taken)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        return Handler


def signature_by_openssl(secret: str, raw: bytes) -> str:
    """What the header must hold, by a program that is not ours."""
    command = ["openssl", "dgst", "-sha256", "-hmac", secret, "-binary"]
    digest = subprocess.run(command, input=raw, capture_output=True, check=True).stdout
    return "sha256=" + base64.b16encode(digest).decode().lower()
