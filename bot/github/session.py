"""Reading and writing in one repository at GitHub; a write is sent once, and follows a renamed repository.

A GET is repeated when the connection breaks. POST, PATCH, PUT and DELETE never are: the caller must find out whether
one arrived before it sends it again.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import structlog

from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github import identity, limits
from bot.github.limits import Purpose
from bot.github.transport import GitHubForbidden, GitHubNotFound, GitHubResponse, GitHubTransport, refusal
from bot.health.contacts import GITHUB
from bot.runtime import Runtime
from bot.store.github import Allowance
from config.configuration import GitHubSettings

log = structlog.get_logger()

_T = TypeVar("_T")
_local = threading.local()
_NAME = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}\Z")
#: The most pages that a list is read: at a hundred entries each.
PAGES = 30
#: How long our own login is remembered, in seconds.
OWN_LOGIN_SECONDS = 86_400


class Session:
    """One repository, by the name in the pipeline file, under the identity that reaches it."""

    def __init__(self, runtime: Runtime, repository: str) -> None:
        self.repository = repository
        self._runtime = runtime
        self._names = runtime.repositories
        self._limits = runtime.configuration.github.limits
        self._spacing = runtime.configuration.github.write_spacing
        self._auth, self._transport, self._allowance = _reach(runtime, repository)

    def read(self, path: str, purpose: Purpose, etag: str | None = None) -> GitHubResponse:
        """GET `path` below the repository. With `etag` the answer may be 304, which is free.

        Raises RateLimited, RetryLater, GitHubNotFound, GitHubForbidden or PermanentFailure.
        """
        self._may_read(purpose)
        headers = {"If-None-Match": etag} if etag else {}
        return self._checked(self._send("GET", self._address(path), None, headers), f"GET {path}")

    def read_elsewhere(self, path: str, purpose: Purpose) -> GitHubResponse:
        """GET a whole `path`, such as one below /orgs, under the identity that reaches the repository.

        Raises what `read` raises.
        """
        self._may_read(purpose)
        return self._checked(self._send("GET", path), f"GET {path}")

    def pages(self, path: str, purpose: Purpose) -> Iterator[Any]:
        """Yield the entries of a list; reads the next page only when it is needed. `path` may end with a query."""
        mark = "&" if "?" in path else "?"
        for page in range(1, PAGES + 1):
            rows = self.read(f"{path}{mark}per_page=100&page={page}", purpose).data
            if not isinstance(rows, list):
                raise RetryLater(f"GET {path}: GitHub answers with something that is no list")
            yield from rows
            if len(rows) < 100:
                return

    def write(
        self,
        verb: str,
        path: str,
        body: object,
        purpose: Purpose,
        ticket: str,
        before: Callable[[], None] | None = None,
    ) -> Any:
        """Send a write once and return GitHub's answer; `ticket` names it in the queue of all writes.

        `before` is called when its turn has come, just before it goes out. Raises RateLimited if its turn has not come
        (nothing was sent), RetryLater, GitHubNotFound, GitHubForbidden or PermanentFailure.
        """
        limits.may_write(self._allowance, purpose, ticket, f"{verb} {path}", self._spacing)
        if before is not None:
            before()
        answer = self._send(verb, self._address(path), body)
        if _is_redirect(answer):
            self.look_up()  # a redirected write did nothing: send it to the present name
            answer = self._send(verb, self._address(path), body)
        if _is_redirect(answer):
            raise PermanentFailure(f"{verb} {path}: {self.repository} has moved, and cannot be followed")
        return self._checked(answer, f"{verb} {path}").data

    def own_login(self, purpose: Purpose) -> str:
        """The login under which we write here; GitHub is asked once a day."""
        key = f"interlock:{{github}}:login:{self._allowance.identity}"
        known = cast("bytes | None", self._runtime.redis.get(key))
        if known is not None:
            return known.decode()
        self._may_read(purpose)
        if isinstance(self._auth, identity.InstallationAuth):
            app = _app_transport(self._runtime)
            login = str(self._checked(app.ask("GET", "/app"), "GET /app").data["slug"]) + "[bot]"
        else:
            login = str(self._checked(self._send("GET", "/user"), "GET /user").data["login"])
        self._runtime.redis.set(key, login, ex=OWN_LOGIN_SECONDS)
        return login

    def look_up(self) -> Any:
        """Ask for the present name and the id of the repository, remember both, and return GitHub's answer.

        Raises RetryLater if another installation reaches it under its new name: go on with another session.
        """
        self._may_read(Purpose.HEADS)
        data = self._checked(self._send("GET", f"/repos/{self.repository}"), f"GET {self.repository}").data
        present, number = str(data["full_name"]), int(data["id"])
        if not _NAME.match(present):
            raise PermanentFailure(f"{self.repository} is now called {present!r}, which is no name of a repository")
        before = self._names.present(self.repository)
        if self._names.learn(self.repository, present, number) and present.casefold() != self.repository.casefold():
            mend = "rename it in the pipeline file"
            log.error("repository-renamed", configured=self.repository, present=present, mend=mend)
        if present.casefold() != before.casefold():
            self._reached_anew()
        return data

    def _may_read(self, purpose: Purpose) -> None:
        limits.may_read(self._allowance, purpose, self._spacing)

    def _address(self, path: str) -> str:
        return f"/repos/{self._names.present(self.repository)}{path}"

    def _send(self, verb: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> GitHubResponse:
        try:
            answer = self._transport.ask(verb, path, body, headers)
            if answer.status == 401 and isinstance(self._auth, identity.InstallationAuth):
                answer = self._again(self._auth, verb, path, body, headers)
        except (RetryLater, PermanentFailure) as error:
            limits.respect(self._allowance, error, self._limits)
            if isinstance(error, GitHubNotFound | GitHubForbidden):  # no token: the installation is gone, or suspended
                self._perhaps_elsewhere(error)
            raise
        limits.note(self._allowance, answer)
        return answer

    def _again(
        self, auth: identity.InstallationAuth, verb: str, path: str, body: object, headers: dict[str, str] | None
    ) -> GitHubResponse:
        """Repeat after a 401, which did nothing, so even a write: wait if the token is new, else make another."""
        if auth.age() < self._limits.new_token:
            time.sleep(self._limits.new_token_pause)
        else:
            auth.forget()
        return self._transport.ask(verb, path, body, headers)

    def _checked(self, answer: GitHubResponse, what: str) -> GitHubResponse:
        if _is_redirect(answer) and answer.status != 304:
            raise RetryLater(f"{what} ({self.repository}): GitHub answers {answer.status}", certain=True)
        if answer.status >= 400:
            error = refusal(answer, f"{what} ({self.repository})")
            limits.respect(self._allowance, error, self._limits)
            if isinstance(error, GitHubNotFound | GitHubForbidden):
                self._perhaps_elsewhere(error)
            raise error
        return answer

    def _reached_anew(self) -> None:
        """The repository has another name, and perhaps another owner: ask again which installation reaches it."""
        if isinstance(self._auth, identity.InstallationAuth):
            identity.forget_installation(self._runtime.redis, self.repository)
            if _installation_of(self._runtime, self.repository) != self._auth.installation:
                raise self._elsewhere()

    def _perhaps_elsewhere(self, error: GitHubNotFound | GitHubForbidden) -> None:
        """Raises RetryLater if another installation reaches the repository by now; else the refusal stands.

        GitHub refuses the old one after a transfer to another owner, or if the App was installed again.
        """
        if not isinstance(self._auth, identity.InstallationAuth):
            return
        redis, number, present = self._runtime.redis, self._auth.installation, self._names.present(self.repository)
        try:
            moved = _as_app(
                self._runtime,
                lambda app: identity.is_another_installation(redis, app, self.repository, present, number),
            )
        except RetryLater as why:  # the refused request did nothing
            raise RetryLater(f"{error}; {why}", after=why.after, certain=True) from why
        if moved:
            raise self._elsewhere() from error

    def _elsewhere(self) -> RetryLater:
        log.warning("installation-changed", repository=self.repository)
        return RetryLater(f"{self.repository} is reached by another installation of the App now", certain=True)


def _is_redirect(answer: GitHubResponse) -> bool:
    return 300 <= answer.status < 400


def _reach(runtime: Runtime, repository: str) -> tuple[Any, GitHubTransport, Allowance]:
    """The sign-in, this thread's connection, and the shared rate limit of one repository."""
    where, settings = runtime.configuration.github, runtime.settings
    if not identity.is_app(settings):
        auth = identity.token_auth(settings)
        return auth, _transport(runtime, "token", auth), Allowance(runtime.redis, "token")
    number = _installation_of(runtime, repository)
    of_installation = identity.installation_auth(where, settings, number)
    name = f"installation-{number}"
    return of_installation, _transport(runtime, name, of_installation), Allowance(runtime.redis, name)


def _installation_of(runtime: Runtime, repository: str) -> int:
    present = runtime.repositories.present(repository)
    return _as_app(runtime, lambda app: identity.installation_of(runtime.redis, app, repository, present))


def _as_app(runtime: Runtime, ask: Callable[[GitHubTransport], _T]) -> _T:
    """Ask as the App itself, within its own rate limit."""
    transport, allowance = _app_transport(runtime), Allowance(runtime.redis, "app")
    limits.may_read(allowance, Purpose.PROOF, runtime.configuration.github.write_spacing)
    try:
        return ask(transport)
    except (RetryLater, PermanentFailure) as error:
        limits.respect(allowance, error, runtime.configuration.github.limits)
        raise


def _app_transport(runtime: Runtime) -> GitHubTransport:
    return _transport(runtime, "app", identity.app_auth(runtime.settings))


def _transport(runtime: Runtime, name: str, auth: Any) -> GitHubTransport:
    transports: dict[tuple[GitHubSettings, str], GitHubTransport] = _local.__dict__.setdefault("transports", {})
    key = (runtime.configuration.github, name)
    if key not in transports:
        transports[key] = GitHubTransport(runtime.configuration.github, auth, runtime.contacts.of(GITHUB, name))
    return transports[key]


def close_all() -> None:
    """Close this thread's connections, as the end of a process does."""
    for transport in _local.__dict__.pop("transports", {}).values():
        transport.close()
