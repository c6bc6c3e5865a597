"""A GitHub stand-in as one object: start it, use its URL, stop it."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from standins.github import (
    routes_apps,
    routes_checks,
    routes_deployments,
    routes_git,
    routes_hooks,
    routes_oauth,
    routes_pulls,
    routes_reactions,
    routes_statuses,
    routes_teams,
)
from standins.github.access import Access
from standins.github.control import GitHubVerbs
from standins.github.front import Front
from standins.github.routing import Routes
from standins.github.world import World
from standins.wire.server import HttpServer

#: The routes that GitHub's OpenAPI description covers; signing in is not in it.
MODULES = (
    routes_apps,
    routes_git,
    routes_statuses,
    routes_pulls,
    routes_deployments,
    routes_hooks,
    routes_checks,
    routes_reactions,
    routes_teams,
)


class GitHubStandIn:
    """GitHub on loopback. `repos` as `control.create_repo` takes them; without `tokens`, the token `t` is valid.
    `app`: as `control.register_app` takes it.

    Usable as a context manager. `control` are the verbs in process; other processes use GitHubControl(url).
    """

    def __init__(
        self,
        repos: list[dict[str, Any]] | None = None,
        tokens: dict[str, dict[str, Any]] | None = None,
        rate_limit: int | None = None,
        webhook_timeout: float = 10.0,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        app: dict[str, Any] | None = None,
    ) -> None:
        self.world = World(seed)
        self.world.sender.timeout = webhook_timeout
        access = Access(self.world.apps)
        self.control = GitHubVerbs(self.world, access)
        if tokens is not None:
            self.control.set_tokens(tokens)
        if rate_limit is not None:
            self.control.set_rate_limit(rate_limit)
        for repo in repos or []:
            self.control.create_repo(**repo)
        if app is not None:
            self.control.register_app(**app)
        routes = Routes()
        for module in (*MODULES, routes_oauth):
            routes.add(module.ROUTES)
        self._host = host
        self._server = HttpServer(Front(self.world, access, routes, self.control), host, port)

    @property
    def url(self) -> str:
        """Return the base URL for clients; the same paths are also under `/api/v3`."""
        return f"http://{self._host}:{self._server.port}"

    def start(self) -> str:
        self._server.start()
        self.world.start(self.url, self.url)
        return self.url

    def stop(self) -> None:
        self.world.faults.end_delays()
        self._server.stop()
        self.world.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
