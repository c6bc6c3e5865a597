"""A Jenkins stand-in as one object: start it, use its URL, stop it."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Self

from standins.jenkins.control import JenkinsVerbs
from standins.jenkins.controller import Controller
from standins.jenkins.http import Front
from standins.jenkins.settings import Settings
from standins.wire.server import HttpServer

#: Jetty's default for the request line and headers together. Source: winstone --requestHeaderSize.
MAX_HEAD = 8192


class JenkinsStandIn:
    """One controller on loopback. `settings` as in settings.Settings, `jobs` as `control.create_job` takes them.
    With `certificate` and `key`, the names of two PEM files, it speaks https.

    Usable as a context manager. `control` has the verbs in process; other processes use JenkinsControl(url).
    """

    def __init__(
        self,
        settings: dict[str, Any] | None = None,
        jobs: list[dict[str, Any]] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        self.controller = Controller(Settings.from_json(settings or {}), seed)
        self.control = JenkinsVerbs(self.controller)
        self.control.create_jobs(jobs or [])
        self._host = host
        tls = _tls(certificate, key)
        self._scheme = "http" if tls is None else "https"
        self._server = HttpServer(Front(self.controller, self.control), host, port, MAX_HEAD, tls)

    @property
    def base(self) -> str:
        """Return the address of the control API, without a context path."""
        return f"{self._scheme}://{self._host}:{self._server.port}"

    @property
    def url(self) -> str:
        """Return the address for clients, with the context path, without a slash at its end."""
        return f"{self.base}{self.controller.settings.context}"

    def start(self) -> str:
        self.controller.start()
        self._server.start()
        self.controller.base_url = self.base
        return self.url

    def stop(self) -> None:
        self.controller.faults.end_delays()
        self._server.stop()
        self.controller.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if (certificate is None) != (key is None):
        raise ValueError("https needs both: certificate and key")
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
