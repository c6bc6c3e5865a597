"""Signing in: Basic credentials, sessions, crumbs, permissions. Source: BasicHeaderProcessor, CrumbFilter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from standins.jenkins.model import Job, RefusedError
from standins.jenkins.pages import accessdenied_page, authentication_page, crumb_page, page
from standins.jenkins.settings import EVERYTHING, Settings, User
from standins.wire.message import Request

COOKIE = "JSESSIONID.standin"
_REALM = ("WWW-Authenticate", 'Basic realm="Jenkins"')


@dataclass(frozen=True, slots=True)
class Asker:
    """The user of a request; `name` is None for anonymous."""

    name: str | None
    permissions: frozenset[str]
    by_token: bool = False

    def may(self, permission: str, job: Job | None = None) -> bool:
        granted = self.permissions
        if job is not None and job.permissions:
            granted = job.permissions.get(self.name or "anonymous", granted)
        return "*" in granted or permission in granted

    @property
    def label(self) -> str:
        return self.name or "anonymous"


class SignIns:
    """The sessions and crumbs; they are in memory, so a restart loses them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sessions: set[str] = set()
        self._salt = secrets.token_hex(16)

    def forget_sessions(self) -> None:
        self._sessions.clear()

    def asker(self, request: Request) -> Asker:
        """Return the user of the Basic header; raise RefusedError(401) for a wrong one, even where anyone may read."""
        header = request.headers.get("authorization", "")
        if not header.lower().startswith("basic "):
            return Asker(None, self._settings.anonymous if self._settings.users else EVERYTHING)
        try:
            name, colon, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = colon = secret = ""
        if not colon:
            raise RefusedError(401, page("Error 401", "Malformed HTTP basic Authorization header"), [_REALM])
        if not self._settings.users:
            return Asker(name, EVERYTHING)
        return self._signed_in(name, secret)

    def _signed_in(self, name: str, secret: str) -> Asker:
        user = self._settings.users.get(name)
        if user is not None and secret in user.tokens:
            return Asker(user.name, user.permissions, by_token=True)
        if user is not None and user.password and secret == user.password:
            return Asker(user.name, user.permissions)
        raise RefusedError(401, page("Error 401", "Invalid password/token for user"), [_REALM])

    def check_crumb(self, request: Request, asker: Asker) -> None:
        """Check the crumb: for POST only, before any routing, not for requests that a token authenticated."""
        if request.method != "POST" or not self._settings.use_crumbs or asker.by_token:
            return
        crumb = request.headers.get("jenkins-crumb") or request.fields.get("Jenkins-Crumb")
        session = self._session(request)
        if crumb is None or session is None or not secrets.compare_digest(crumb, self._crumb(asker, session)):
            raise RefusedError(403, crumb_page(), [("Content-Type", "text/html;charset=utf-8")])

    def issue_crumb(self, request: Request, asker: Asker) -> tuple[str, list[tuple[str, str]]]:
        """Return (crumb, headers) for this user and session; begin a session if there is none yet."""
        session = self._session(request)
        headers = []
        if session is None:
            session = secrets.token_hex(16)
            self._sessions.add(session)
            path = self._settings.context or "/"
            headers.append(("Set-Cookie", f"{COOKIE}={session}; Path={path}; HttpOnly"))
        return self._crumb(asker, session), headers

    def _session(self, request: Request) -> str | None:
        for pair in request.headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and value in self._sessions:
                return value
        return None

    def _crumb(self, asker: Asker, session: str) -> str:
        return hashlib.sha256(f"{asker.label};{session}{self._salt}".encode()).hexdigest()


#: From this version on, the 403 for anonymous names the user and the permission. At least up to 2.555 it does
#: not: Spring Security before 7.1.1 turns the exception with both into another one. Seen on a real core (2.426.3).
NOBODY_IS_NAMED = (2, 556)


def require(asker: Asker, permission: str, job: Job | None = None, version: tuple[int, ...] = ()) -> None:
    """Raise 403 in Jenkins' two forms: sign in, or the permission is missing. `version`: of the controller."""
    if asker.may(permission, job):
        return
    headers = [("Content-Type", "text/html;charset=utf-8"), ("X-Hudson", "1.395")]
    if asker.name is not None or version >= NOBODY_IS_NAMED:
        headers += [
            ("X-You-Are-Authenticated-As", asker.label),
            ("X-You-Are-In-Group-Disabled", "JENKINS-39402: use -Dhudson.security.AccessDeniedException2"),
            ("X-Required-Permission", _as_jenkins_says(permission)),
            ("X-Permission-Implied-By", "hudson.model.Hudson.Administer"),
        ]
    text = authentication_page() if asker.name is None else accessdenied_page(asker.label, permission)
    raise RefusedError(403, text, headers)


def _as_jenkins_says(permission: str) -> str:
    """Return Jenkins' name: `hudson.model.Hudson.Read` for `Overall/Read`.

    Overall/Manage is off unless a system property turns it on.
    """
    group, _, name = permission.partition("/")
    return f"hudson.model.{group.replace('Overall', 'Hudson')}.{name.replace('Manage', 'Administer')}"


def must_see(asker: Asker, job: Job) -> None:
    """Refuse a job that the user may not read: 404 as if absent, or 403 if the user may discover it."""
    if asker.may("Item/Read", job):
        return
    if asker.may("Item/Discover", job):
        raise RefusedError(403, page("Access denied", f"Please login to access job {job.full_name}"))
    raise RefusedError(404, page("Error 404 Not Found", "Not Found"))


__all__ = ["Asker", "SignIns", "User", "must_see", "require"]
