"""Read and write in one repository at GitHub, within the rate limits, which all processes share.

A write is sent once, also to a renamed repository. A GET is repeated if the connection breaks. POST, PATCH, PUT and
DELETE never are: the caller must find out whether a request arrived before it sends it again.

No thread sleeps because of a limit: a request that may not be sent yet is postponed (`RateLimited`), which does not
count as a try. Only a write whose turn comes within `MOMENT` waits for it.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar, cast

import structlog

from bot.effect_outcomes import PermanentFailure, RateLimited, RetryLater
from bot.github import identity
from bot.github.transport import (
    GitHubForbidden,
    GitHubLimited,
    GitHubNotFound,
    GitHubResponse,
    GitHubTransport,
    GitHubUnauthorized,
    refusal,
    reset_in,
)
from bot.health.contacts import GITHUB
from bot.runtime import Runtime
from bot.store.github import Allowance, Pace, Wait
from config.configuration import GitHubLimits, GitHubSettings

log = structlog.get_logger()

#: GitHub's limits: points per minute (a read costs 1, a write 5), and requests per minute and per hour that create
#: content (GitHub docs: rate limits for the REST API, secondary rate limits).
POINTS, CREATED_PER_MINUTE, CREATED_PER_HOUR = 900, 80, 500
#: The points of each minute that reads leave to writes, unless the purpose is PROOF, for which a fix may wait.
KEPT_FOR_WRITES = 300
#: How many times farther apart requests that notify people are than other writes. GitHub's own client does the same,
#: and counts only these as content (octokit/plugin-throttling.js: `src/index.ts` and its list of paths). Statuses,
#: check runs, deployments, reactions and edits notify nobody.
CREATED_APART = 3
_NOTIFIES = re.compile(r"POST /issues/\d+/comments")
#: The longest that a thread waits for its turn to write, in seconds.
MOMENT = 1.0


class Purpose(Enum):
    """The purpose of a request; its value is the share of the hourly limits that it leaves to more important ones."""

    PROOF = 0.0  # containment, and who may command: a fix may wait for it, or everybody for an unlock
    HEADS = 0.02
    STATUS = 0.05
    COMMENT = 0.2
    LOCK = 0.3  # lock notices: all other writes go first


def may_read(allowance: Allowance, purpose: Purpose, spacing: float) -> None:
    """Count a read that is sent now; raises RateLimited if it may not be sent. `spacing`: as for `may_write`."""
    pace = _pace(spacing, purpose)
    if purpose is not Purpose.PROOF:
        pace = replace(pace, points=max(0, pace.points - KEPT_FOR_WRITES))
    _raise_unless_now(allowance.ask(purpose.value, pace))


def may_write(allowance: Allowance, purpose: Purpose, ticket: str, what: str, spacing: float) -> None:
    """Take the turn of one write, `spacing` seconds after the last one (0: this GitHub has no limits).

    `what`: the verb and the path below the repository. Raises RateLimited if the turn has not come yet.
    """
    creates, yields = _NOTIFIES.fullmatch(what) is not None, purpose is Purpose.LOCK
    pace = _pace(spacing, purpose)
    wait = allowance.ask_to_write(ticket, purpose.value, pace, creates=creates, yields=yields)
    if yields and wait.seconds > 0:
        wait = Wait(wait.seconds + random.uniform(0.5, 2.0), wait.why)  # noqa: S311  so that not all ask at once
    elif wait.why == "spacing" and wait.seconds <= MOMENT:
        time.sleep(wait.seconds)
        wait = allowance.ask_to_write(ticket, purpose.value, pace, creates=creates)
    _raise_unless_now(wait)


def _pace(spacing: float, purpose: Purpose) -> Pace:
    if spacing == 0:
        return Pace(0, 0.0, 0.0, 0, 0)
    created = round(CREATED_PER_HOUR * (1 - purpose.value))
    return Pace(POINTS, spacing, CREATED_APART * spacing, CREATED_PER_MINUTE, created)


#: The sentence for people why a request waits, by `Wait.why`.
_REASONS = {
    "reserve": "Interlock keeps the rest of GitHub's hourly limit for more important requests",
    "spacing": "GitHub demands a pause between two writes",
    "points": "Interlock has used up GitHub's limit of points per minute",
    "content": "Interlock has used up GitHub's limit of new content per minute or hour",
}


def _raise_unless_now(wait: Wait) -> None:
    if wait.seconds > 0:
        raise RateLimited(_REASONS.get(wait.why, wait.why), after=wait.seconds)


def note_left(allowance: Allowance, answer: GitHubResponse) -> None:
    """Store the hourly limit from the headers of an answer."""
    remaining, limit = answer.headers.get("x-ratelimit-remaining", ""), answer.headers.get("x-ratelimit-limit", "")
    reset = reset_in(answer)
    if remaining.isdigit() and limit.isdigit() and reset is not None:
        allowance.saw(int(remaining), int(limit), reset)


def respect(allowance: Allowance, error: Exception, known: GitHubLimits) -> None:
    """Pause all requests of this identity, in all processes, if `error` concerns all of them and not just one.

    If GitHub did not say for how long, the time is chosen here and set in the error.
    """
    if isinstance(error, GitHubLimited):
        if error.after is None:
            error.after = min(known.longest_pause, known.unnamed_pause * 2 ** (allowance.count_refusal() - 1))
        log.warning("github-limit", why=str(error), seconds=error.after)
        allowance.pause(error.after, str(error))
    elif isinstance(error, GitHubUnauthorized):
        log.error("github-refuses-identity", why=str(error))
        error.after = known.unnamed_pause
        allowance.pause(error.after, str(error))


_T = TypeVar("_T")
_local = threading.local()
_NAME = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9_.-]{1,100}/(?!\.{1,2}\Z)[A-Za-z0-9_.-]{1,100}\Z")
#: The most pages that are read of a list, of a hundred entries each.
PAGES = 30
#: How long our own login is stored, in seconds.
OWN_LOGIN_SECONDS = 86_400


class Session:
    """Access to one repository, by its name in the pipeline file, under the identity that may access it."""

    def __init__(self, runtime: Runtime, repository: str) -> None:
        self.repository = repository
        self._runtime = runtime
        self._names = runtime.repositories
        self._limits = runtime.configuration.github.limits
        self._spacing = runtime.configuration.github.write_spacing
        self._auth, self._transport, self._allowance = _sign_in(runtime, repository)

    def read(self, path: str, purpose: Purpose, etag: str | None = None) -> GitHubResponse:
        """Send a GET for `path` below the repository. With `etag` the answer may be 304, which costs no limit.

        Raises RateLimited, RetryLater, GitHubNotFound, GitHubForbidden or PermanentFailure.
        """
        self._may_read(purpose)
        headers = {"If-None-Match": etag} if etag else {}
        return self._checked(self._send("GET", self._address(path), None, headers), f"GET {path}")

    def read_elsewhere(self, path: str, purpose: Purpose) -> GitHubResponse:
        """Send a GET for a whole `path`, such as one below /orgs, under the identity for the repository.

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
                raise RetryLater(f"GET {path}: GitHub's answer is not a list")
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

        `before` is called when its turn has come, just before it is sent. Raises RateLimited if its turn has not come
        (nothing was sent), RetryLater, GitHubNotFound, GitHubForbidden or PermanentFailure.
        """
        may_write(self._allowance, purpose, ticket, f"{verb} {path}", self._spacing)
        if before is not None:
            before()
        answer = self._send(verb, self._address(path), body)
        if _is_redirect(answer):
            self.look_up()  # a redirected write did nothing: send it to the present name
            answer = self._send(verb, self._address(path), body)
        if _is_redirect(answer):
            raise PermanentFailure(f"{verb} {path}: GitHub redirects from {self.repository} also under its new name")
        return self._checked(answer, f"{verb} {path}").data

    def own_login(self, purpose: Purpose) -> str:
        """Return the login under which we write here; GitHub is asked once a day."""
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
        """Ask for the present name and the id of the repository, store both, and return GitHub's answer.

        Raises RetryLater if another installation has access to it under its new name: then use a new session.
        """
        self._may_read(Purpose.HEADS)
        data = self._checked(self._send("GET", f"/repos/{self.repository}"), f"GET {self.repository}").data
        present, number = str(data["full_name"]), int(data["id"])
        if not _NAME.match(present):
            raise PermanentFailure(
                f"{self.repository} is now called {present!r}, which is not a valid name of a repository"
            )
        before = self._names.present(self.repository)
        if self._names.learn(self.repository, present, number) and present.casefold() != self.repository.casefold():
            mend = "rename it in the pipeline file"
            log.error("repository-renamed", configured=self.repository, present=present, mend=mend)
        if present.casefold() != before.casefold():
            self._check_installation()
        return data

    def _may_read(self, purpose: Purpose) -> None:
        may_read(self._allowance, purpose, self._spacing)

    def _address(self, path: str) -> str:
        return f"/repos/{self._names.present(self.repository)}{path}"

    def _send(self, verb: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> GitHubResponse:
        try:
            answer = self._transport.ask(verb, path, body, headers)
            if answer.status == 401 and isinstance(self._auth, identity.InstallationAuth):
                answer = self._repeat_after_401(self._auth, verb, path, body, headers)
        except (RetryLater, PermanentFailure) as error:
            respect(self._allowance, error, self._limits)
            if isinstance(error, GitHubNotFound | GitHubForbidden):  # no token: the installation is gone, or suspended
                self._raise_if_moved(error)
            raise
        note_left(self._allowance, answer)
        return answer

    def _repeat_after_401(
        self, auth: identity.InstallationAuth, verb: str, path: str, body: object, headers: dict[str, str] | None
    ) -> GitHubResponse:
        """Repeat a request after a 401: wait if the token is new, else make another. A write as well, because a request
        answered 401 did nothing."""
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
            respect(self._allowance, error, self._limits)
            if isinstance(error, GitHubNotFound | GitHubForbidden):
                self._raise_if_moved(error)
            raise error
        return answer

    def _check_installation(self) -> None:
        """Ask again which installation has access, because the repository has another name and perhaps another owner.

        Raises RetryLater if it is another installation.
        """
        if isinstance(self._auth, identity.InstallationAuth):
            identity.forget_installation(self._runtime.redis, self.repository)
            if _installation_of(self._runtime, self.repository) != self._auth.installation:
                raise self._moved_error()

    def _raise_if_moved(self, error: GitHubNotFound | GitHubForbidden) -> None:
        """Raise RetryLater if another installation has access to the repository by now; otherwise do nothing.

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
            raise self._moved_error() from error

    def _moved_error(self) -> RetryLater:
        log.warning("installation-changed", repository=self.repository)
        return RetryLater(f"{self.repository} belongs to another installation of the App now", certain=True)


def _is_redirect(answer: GitHubResponse) -> bool:
    return 300 <= answer.status < 400


def _sign_in(runtime: Runtime, repository: str) -> tuple[Any, GitHubTransport, Allowance]:
    """Return the sign-in, this thread's connection, and the shared allowance for one repository."""
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
    """Ask as the App itself, within its own allowance."""
    transport, allowance = _app_transport(runtime), Allowance(runtime.redis, "app")
    may_read(allowance, Purpose.PROOF, runtime.configuration.github.write_spacing)
    try:
        return ask(transport)
    except (RetryLater, PermanentFailure) as error:
        respect(allowance, error, runtime.configuration.github.limits)
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
    """Close this thread's connections, as at the end of a process."""
    for transport in _local.__dict__.pop("transports", {}).values():
        transport.close()
