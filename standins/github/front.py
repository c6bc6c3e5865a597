"""Turns a request into its reply: control, faults, sign-in, rate limit, routing, conditional answers."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from standins import remote
from standins.github.access import Access, LimitedError
from standins.github.model import RefusedError
from standins.github.routing import Answer, Call, Handle, Routes, under_v3
from standins.github.world import World
from standins.wire.message import Pairs, Reply, Request

if TYPE_CHECKING:
    from standins.github.control import GitHubVerbs

DOCS = "https://docs.github.com/rest"


class Front:
    """The handler of the HTTP server."""

    def __init__(self, world: World, access: Access, routes: Routes, verbs: GitHubVerbs) -> None:
        self._world, self._access, self._routes, self._verbs = world, access, routes, verbs
        self._request_ids = itertools.count(1)

    def __call__(self, request: Request) -> Reply:
        if request.target.startswith(remote.PREFIX):
            return remote.answer(self._verbs, request)
        segments = request.segments[2:] if under_v3(request) else request.segments
        label, handler, args = self._routes.find(request.method, self._by_name(segments))
        request.route = label.replace("{}", "*").replace("{+}", "*")
        world = self._world
        own: list[Reply] = []

        def work() -> Reply:
            own.append(self._reply(request, handler, args))
            return own[0]

        reply = world.faults.apply(request, work)
        world.recorder.keep(request, reply, made_up=reply not in own)
        with world.lock:
            world.requests[request.route] += 1
            world.statuses["dropped" if reply.dropped else str(reply.status)] += 1
        return reply

    def _by_name(self, segments: list[str]) -> list[str]:
        """Rewrite /repositories/{id}/... to /repos/{owner}/{name}/..."""
        if len(segments) > 1 and segments[0] == "repositories" and segments[1].isdigit():
            repo = self._world.by_id.get(int(segments[1]))
            if repo is not None:
                return ["repos", repo.owner, repo.name, *segments[2:]]
        return segments

    def _reply(self, request: Request, handler: Handle | None, args: list[str]) -> Reply:
        world = self._world
        with world.lock:
            limits: Pairs = []
            try:
                token = self._access.token(request, world.clock.now())
                limits = self._access.count(request, world.clock.now())
                call = Call(world, self._access, request, token, args=args, headers=limits)
                if request.route.partition(" ")[2].startswith("/repos/"):
                    moved = self._address(call)
                    if moved is not None:
                        return moved
                    if not request.route.endswith("/installation"):
                        accepted = self._access.check_permission(token, call.repo, request.route)
                        limits.append(("X-Accepted-GitHub-Permissions", accepted))
                if handler is None:
                    raise RefusedError(404, "Not Found")
                return self._encoded(request, handler(call), call.headers)
            except RefusedError as refused:
                return self._refusal(refused, limits)

    def _address(self, call: Call) -> Reply | None:
        """Find the repository, hide it from a token that may not see it, redirect from a former name."""
        full_name = "/".join(call.args[:2])
        call.args = call.args[2:]
        repo = self._world.repos.get(full_name.lower())
        if repo is None and full_name.lower() in self._world.moved:
            return self._moved(call.request, self._world.moved[full_name.lower()])
        asks_for_app = call.request.route.endswith("/installation")  # an App may look itself up on a private one
        if repo is None or not (asks_for_app or self._access.sees(call.token, repo)):
            raise RefusedError(404, "Not Found")
        call.found_repo = repo
        return None

    def _moved(self, request: Request, repo_id: int) -> Reply:
        """Redirect to the address by id: 301 for reading, 307 for writing."""
        segments = request.raw_path.strip("/").split("/")
        segments = segments[2:] if under_v3(request) else segments
        query = request.target.partition("?")[2]
        shapes = self._world.shapes_v3 if under_v3(request) else self._world.shapes
        url = "/".join([shapes.api, "repositories", str(repo_id), *segments[3:]])
        body = json.dumps({"message": "Moved Permanently", "url": url, "documentation_url": DOCS}).encode()
        status = 301 if request.method in ("GET", "HEAD") else 307
        return Reply(status, body, [("Location", url + (f"?{query}" if query else "")), *self._common()])

    def _encoded(self, request: Request, value: Any, headers: Pairs) -> Reply:
        status, body = (value.status, value.body) if isinstance(value, Answer) else (200, value)
        if body is None:
            return Reply(status, b"", [*headers, *self._common()])
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        if request.method in ("GET", "HEAD") and status == 200:
            tag = f'W/"{hashlib.sha256(data).hexdigest()}"'
            headers = [("ETag", tag), ("Cache-Control", "private, max-age=60, s-maxage=60"), *headers]
            if tag in request.headers.get("if-none-match", ""):
                self._uncount(request, headers)
                return Reply(304, b"", [*headers, *self._common()])
        return Reply(status, data, [*headers, *self._common()])

    def _uncount(self, request: Request, headers: Pairs) -> None:
        """Do not count a 304: it is free. Source: GitHub docs, "Best practices for using the REST API"."""
        entry, limit = self._access.allowance(request, self._world.clock.now())
        entry.used = max(0, entry.used - 1)
        now = {"x-ratelimit-remaining": max(0, limit - entry.used), "x-ratelimit-used": entry.used}
        headers[:] = [(name, str(now.get(name, value))) for name, value in headers]

    def _refusal(self, refused: RefusedError, limits: Pairs) -> Reply:
        body: dict[str, Any] = {"message": refused.message}
        if refused.errors is not None:
            body["errors"] = refused.errors
        body |= {"documentation_url": DOCS, "status": str(refused.status)}
        if isinstance(refused, LimitedError):
            limits = refused.headers
        return Reply(refused.status, json.dumps(body).encode(), [*limits, *self._common()])

    def _common(self) -> Pairs:
        return [
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-GitHub-Media-Type", "github.v3; format=json"),
            ("X-GitHub-Request-Id", f"5A7C:{next(self._request_ids):08X}"),
            ("Server", "github.com"),
            ("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP"),
        ]
