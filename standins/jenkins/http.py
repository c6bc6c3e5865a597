"""Turns a request into its reply: control, downtime, sign-in, crumb, routing, in Jenkins' order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins import remote
from standins.jenkins import routes_builds, routes_jobs, routes_root
from standins.jenkins.beans import PERMALINKS, permalink
from standins.jenkins.model import Build, Job, RefusedError
from standins.jenkins.pages import HTML, authentication_page, crumb_page, page, starting_page
from standins.jenkins.signins import must_see, require
from standins.jenkins.site import Call, Handle, Site
from standins.wire.message import Reply, Request

if TYPE_CHECKING:
    from standins.jenkins.control import JenkinsVerbs
    from standins.jenkins.controller import Controller

_LINKS = frozenset(("firstBuild", *PERMALINKS))
_DOWN_HEADERS = [*HTML, ("Expires", "0"), ("Cache-Control", "no-cache,no-store,must-revalidate")]


class Front:
    """The handler of the HTTP server."""

    def __init__(self, controller: Controller, verbs: JenkinsVerbs) -> None:
        self._c = controller
        self._verbs = verbs
        self._site = Site(controller)

    def __call__(self, request: Request) -> Reply:
        if request.target.startswith((remote.PREFIX, self._c.settings.context + remote.PREFIX)):
            return remote.answer(self._verbs, request)
        c = self._c
        names, rest = _split(request.segments, c.settings.context)
        request.route = _label(request.method, names, rest)
        reply = c.faults.apply(request, lambda: self._reply(request, names, rest))
        with c.lock:
            c.requests[request.route] += 1
            c.statuses["dropped" if reply.dropped else str(reply.status)] += 1
        return reply

    def _reply(self, request: Request, names: list[str], rest: list[str] | None) -> Reply:
        c = self._c
        with c.lock:
            if c.restart.down:
                return _down(refusing=c.restart.refusing)
            try:
                return self._routed(request, names, rest)
            except RefusedError as refused:
                return self._refusal(request, refused)

    def _refusal(self, request: Request, refused: RefusedError) -> Reply:
        headers, text = refused.headers, refused.text
        if text == authentication_page() and request.headers.get("x-requested-with") == "XMLHttpRequest":
            text = ""  # a script gets no page that redirects (HudsonAuthenticationEntryPoint)
        if not any(name == "Content-Type" for name, _ in headers):
            headers = [*HTML, *headers]
        if text != crumb_page():  # that filter comes before the one that sends the version
            headers = [*headers, *self._site.identity()]
        return Reply(refused.status, text.encode(), headers)

    def _routed(self, request: Request, names: list[str], rest: list[str] | None) -> Reply:
        c = self._c
        asker = c.signins.asker(request)
        c.signins.check_crumb(request, asker)
        self._site.serve_as(request)
        call = Call(self._site, request, asker)
        if not names and tuple(rest or ()) in routes_root.OPEN:
            return routes_root.OPEN[tuple(rest or ())](call)
        require(asker, "Overall/Read", version=c.settings.version)
        if rest is None:
            raise _not_found()
        if names:
            call.found_job = self._find_job(names)
            must_see(asker, call.found_job)
            if _is_page(rest) and not request.raw_path.endswith("/"):
                return Reply(
                    302, b"", [self._site.location(request, call.found_job.url + "".join(f"{p}/" for p in rest))]
                )
        return self._handler(call, rest)(call)

    def _handler(self, call: Call, rest: list[str]) -> Handle:
        handler: Handle | None
        job = call.found_job
        if rest[-2:] == ["api", "python"]:
            rest = [*rest[:-1], "json"]  # the same in another notation; Site.data looks at the address
        if job is None or rest == ["createItem"]:
            if len(rest) > 2 and rest[:2] == ["queue", "item"] and rest[2].isdigit():
                call.number = int(rest[2])
                rest = ["queue", "item", "N", *rest[3:]]
            handler = routes_root.ROUTES.get(tuple(rest))
        elif rest and (rest[0].isdigit() or rest[0] in _LINKS):
            call.found_build = _find_build(job, rest[0])
            inside = rest[1:]
            if inside[:2] == ["execution", "node"] and len(inside) > 2 and inside[2].isdigit():
                call.number = int(inside[2])
                inside = ["execution", "node", "N", *inside[3:]]
            handler = routes_builds.ROUTES.get(tuple(inside))
        else:
            routes = routes_jobs.FOLDER_ROUTES if job.is_folder else routes_jobs.ROUTES
            handler = routes.get(tuple(rest))
        if handler is None:
            raise _not_found()
        return handler

    def _find_job(self, names: list[str]) -> Job:
        """Find the job by its path; as in Jenkins, ignore case if the exact name does not exist."""
        siblings = self._c.top
        job: Job | None = None
        for name in names:
            job = siblings.get(name)
            if job is None:
                lower = name.lower()
                job = next((one for one in siblings.values() if one.name.lower() == lower), None)
            if job is None:
                raise _not_found()
            siblings = job.jobs
        if job is None:
            raise _not_found()
        return job


def _is_page(rest: list[str]) -> bool:
    """Return whether it is the HTML page of a job or a build, whose address ends with a slash."""
    return not rest or (len(rest) == 1 and (rest[0].isdigit() or rest[0] in _LINKS))


def _find_build(job: Job, name: str) -> Build:
    build = job.builds.get(int(name)) if name.isdigit() else permalink(job, name)
    if build is None:
        raise _not_found()
    return build


def _split(segments: list[str], context: str) -> tuple[list[str], list[str] | None]:
    """Return the names of the job that a path addresses, and the rest; rest None if outside the context path."""
    at = 0
    if context:
        prefix = [part for part in context.split("/") if part]
        if segments[: len(prefix)] != prefix:
            return [], None
        at = len(prefix)
    names = []
    while at + 1 < len(segments) and segments[at] == "job":
        names.append(segments[at + 1])
        at += 2
    return names, segments[at:]


def _label(method: str, names: list[str], rest: list[str] | None) -> str:
    """Return the route's name for counters and faults, e.g. `POST job/buildWithParameters`, `GET job/N/api/json`."""
    parts = ["N" if part.isdigit() else part for part in rest or []]
    return f"{method} {'/'.join(['job', *parts] if names else parts)}"


def _down(*, refusing: bool) -> Reply:
    if refusing:
        return Reply(dropped=True)
    return Reply(503, starting_page(restarting=False).encode(), _DOWN_HEADERS)


def _not_found() -> RefusedError:
    return RefusedError(404, page("Error 404 Not Found", "Not Found"), HTML)
