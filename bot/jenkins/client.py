"""A client for one Jenkins controller: sign-in, crumbs, time-outs, safe repetition, and refusals as exceptions.

python-jenkins 1.8.3 follows the 303 of a folded trigger and loses the queue id, sends parameters in the query string,
has no `tree=` for builds and no description, turns a restart into "does not exist", and accepts neither a file of
authorities nor a time-out in fractions of a second. So it is used only to fetch and keep the crumb, over our session
(`CrumbIssuer`); everything else is sent on that session directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

import jenkins
import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, RequestException
from requests.utils import requote_uri

from bot.core.model.pipeline import Job
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.health.contacts import JENKINS, Contact
from bot.runtime import Runtime
from config.configuration import Controller
from config.errors import SettingsError

#: Statuses after which a request is tried later (503 during a restart; 502 or 504 from a proxy if Jenkins is down).
LATER = frozenset({429, 502, 503, 504})

#: Statuses of a controller that denies us access: a sign-in page, a redirect to one, or a missing permission.
SHUT_OUT = frozenset({301, 302, 303, 307, 401, 403})


class JenkinsNotFound(Exception):
    """An error: there is no such job, build or queue item, or we may not see it. Jenkins answers 404 to both."""


class JenkinsForbidden(Exception):
    """An error: Jenkins refuses the user, a permission is missing, or the request is wrong. It names the status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


_P = ParamSpec("_P")

_Asking = Callable[Concatenate["JenkinsClient", _P], requests.Response]


def _noted(ask: _Asking[_P]) -> _Asking[_P]:
    """Decorate `ask` so that the health is told whether the controller answers and accepts our user."""

    @wraps(ask)
    def noting(self: JenkinsClient, /, *args: _P.args, **kwargs: _P.kwargs) -> requests.Response:
        try:
            answer = ask(self, *args, **kwargs)
        except (RetryLater, JenkinsNotFound, JenkinsForbidden) as error:
            _note_contact(self.contact, error)
            raise
        _note_contact(self.contact, None)
        return answer

    return noting


def _note_contact(contact: Contact | None, error: RetryLater | JenkinsNotFound | JenkinsForbidden | None) -> None:
    if contact is None:
        return
    status = error.status if isinstance(error, JenkinsForbidden) else 0
    if isinstance(error, RetryLater) or status in SHUT_OUT:
        contact.bad(str(error), forbidden=status == 403)
    else:
        contact.good()  # Jenkins is up: a refusal such as 404 concerns only this request


class CrumbIssuer(jenkins.Jenkins):  # type: ignore[misc]
    """python-jenkins over our session: it sends everything through its public method `jenkins_request`."""

    def __init__(self, url: str, transmit: Callable[[requests.Request], requests.Response]) -> None:
        super().__init__(url)
        self._transmit = transmit

    def jenkins_request(
        self, req: requests.Request, add_crumb: bool = True, resolve_auth: bool = True, stream: bool | None = None
    ) -> requests.Response:
        """Send one request through our client, which signs it. No crumb is added: this request fetches the crumb.

        Raises what requests raises, and NotFoundException if there is no crumb issuer.
        """
        response = self._transmit(req)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise jenkins.NotFoundException(f"{req.url} does not exist")
        response.raise_for_status()
        return response


class _Adapter(HTTPAdapter):
    """An adapter that looks up the pool of connections only once, because a client has a single address."""

    _pool: Any = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        if self._pool is None:
            self._pool = super().get_connection_with_tls_context(*args, **kwargs)
        return self._pool


class JenkinsClient:
    """A client of one controller, for one thread: its session is not thread-safe."""

    def __init__(self, controller: Controller, token: str, contact: Contact | None = None) -> None:
        self._controller = controller
        self.contact = contact
        self.url = controller.url
        self.limits = controller.limits
        #: The last session id of Jenkins (X-Jenkins-Session); it changes with each restart.
        self.session = ""
        #: Whether this controller requires crumbs: set after it has refused a request without one.
        self._wants_crumbs = False
        self._http = requests.Session()
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, _Adapter())
        self._http.auth = HTTPBasicAuth(controller.user.encode(), token.encode())
        if controller.ca_bundle is not None:
            self._http.verify = str(controller.ca_bundle)
        self._settings: dict[str, Any] | None = None
        self._templates = RequestTemplates(self._http, self.url)
        self._crumbs = CrumbIssuer(controller.url, self._transmit)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, tree: str | None = None) -> Any:
        """Return the JSON of `path`, narrowed by `tree`. Raises JenkinsNotFound, JenkinsForbidden or RetryLater."""
        return self.read(f"{path}/api/json", {"tree": tree} if tree else None)

    def read(self, path: str, params: dict[str, str] | None = None) -> Any:
        """Return the JSON at `path` itself. Raises JenkinsNotFound, JenkinsForbidden or RetryLater."""
        response = self.ask("GET", path, params=params)
        try:
            return response.json()
        except ValueError as error:
            raise JenkinsForbidden(
                response.status_code, "Jenkins answered with a page instead of JSON, perhaps a sign-in page"
            ) from error

    @_noted
    def ask(
        self,
        method: str,
        path: str,
        *,
        data: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        expect: tuple[int, ...] = (200,),
    ) -> requests.Response:
        """Send one request and return the answer; redirects are not followed.

        If the connection breaks, a GET is repeated once without a pause, a POST never. Raises JenkinsNotFound,
        JenkinsForbidden or RetryLater unless the status is in `expect`.
        """
        request = requests.Request(method, f"{self.url}/{path}", data=data, params=params)
        response = self._send(request, again=method == "GET")
        if response.status_code == 403 and method == "POST" and "crumb" in response.text.lower():
            # With an API token no crumb is needed. Otherwise the crumb ends with the session, which a restart loses:
            # fetch a new one, once. The request has done nothing (Jenkins: `CrumbFilter` comes before everything else).
            self._crumbs.crumb = None
            self._wants_crumbs = True
            response = self._send(request, again=False)
        self.session = response.headers.get("X-Jenkins-Session") or self.session
        notice_session(self.url, response.headers.get("X-Jenkins-Session"))
        if response.status_code in expect:
            return response
        raise _refusal(method, path, response)

    def _send(self, request: requests.Request, *, again: bool) -> requests.Response:
        name = self._controller.name
        self._add_crumb(request)
        try:
            return self._transmit(request)
        except ConnectTimeout as error:
            raise RetryLater(f"{name} does not answer", certain=True) from error
        except RequestsConnectionError as error:
            nothing_sent = _never_connected(error)
            if again and not nothing_sent:
                return self._send(request, again=False)
            raise RetryLater(f"{name} cannot be reached", certain=nothing_sent, over=_was_closed(error)) from error
        except RequestException as error:
            raise RetryLater(f"{name}: {type(error).__name__}") from error
        except OSError as error:  # raised by requests if the CA bundle does not exist
            raise RetryLater(f"{name}: {error}", certain=True) from error

    def _transmit(self, request: requests.Request) -> requests.Response:
        """Send one request, signed and bounded in time; redirects are not followed. Raises what requests raises."""
        return self._http.send(self._templates.prepare(request), **self._sending())

    def _sending(self) -> dict[str, Any]:
        """Return proxies, certificate authorities and time-out for a request; the environment is read once.

        requests would read the environment twice per request (`get_environ_proxies`), half of the cost of a request.
        """
        if self._settings is None:
            found = self._http.merge_environment_settings(self.url, {}, None, self._http.verify, None)
            self._settings = {**found, "timeout": self._controller.timeout, "allow_redirects": False}
        return self._settings

    def _add_crumb(self, request: requests.Request) -> None:
        """Add a crumb if one is needed. Raises RetryLater; then Jenkins has certainly done nothing."""
        if request.method != "POST" or not self._wants_crumbs:
            return
        name = self._controller.name
        try:
            self._crumbs.maybe_add_crumb(request)
        except RequestsConnectionError as error:
            raise RetryLater(f"{name} cannot be reached", certain=True) from error
        except (RequestException, jenkins.JenkinsException, ValueError) as error:
            raise RetryLater(f"{name} gives no crumb: {str(error).partition(chr(10))[0]}", certain=True) from error


def _was_closed(error: RequestsConnectionError) -> bool:
    """Return whether the other side closed the connection; if not, it may still be processing the request."""
    return "Timeout" not in repr(error) and "timed out" not in repr(error)


def _never_connected(error: RequestsConnectionError) -> bool:
    """Return whether there was no connection at all, so that the request has certainly done nothing."""
    shown = repr(error)
    return any(word in shown for word in ("NewConnectionError", "NameResolutionError", "CERTIFICATE_VERIFY_FAILED"))


def _refusal(method: str, path: str, response: requests.Response) -> Exception:
    status = response.status_code
    if status == 404:
        return JenkinsNotFound(f"{path} does not exist, or Interlock may not see it")
    if status in LATER:
        wait = response.headers.get("Retry-After", "")
        # 504: a proxy has given up, but Jenkins may still be processing the request.
        return RetryLater(
            f"Jenkins answers {status}", after=float(wait) if wait.isdigit() else None, over=status != 504
        )
    if status == 500:
        return RetryLater(f"Jenkins answers 500 to {method} {path}", over=True)
    reason = response.headers.get("X-Error") or response.reason
    return JenkinsForbidden(status, f"Jenkins answers {status} ({reason}) to {method} {path}")


_local = threading.local()


def client_of(controller: Controller, token: str, contact: Contact | None = None) -> JenkinsClient:
    """Return this thread's client of a controller; it is made at the first use and kept."""
    clients = _clients()
    if controller not in clients:
        clients[controller] = JenkinsClient(controller, token, contact)
    return clients[controller]


def _clients() -> dict[Controller, JenkinsClient]:
    """Return the clients of this thread."""
    clients: dict[Controller, JenkinsClient] = _local.__dict__.setdefault("clients", {})
    return clients


_FORM = "application/x-www-form-urlencoded"


class RequestTemplates:
    """Templates of requests below one address, faster than `requests.Session.prepare_request` with the same result."""

    def __init__(self, session: requests.Session, url: str) -> None:
        """Begin without templates. `url`: the controller's address, without a slash at its end."""
        self._session = session
        self._url = url
        self._templates: dict[str, requests.PreparedRequest] = {}

    def prepare(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request below the address, with its parameters and form data. A request with headers is prepared by
        requests itself."""
        session = self._session
        if request.headers or session.cookies or not isinstance(session.auth, HTTPBasicAuth):
            return session.prepare_request(request)  # a crumb, or the session of a password, which change
        prepared = copy(self._template(request.method))
        query = f"?{urlencode(request.params)}" if request.params else ""
        prepared.url = requote_uri(f"{prepared.url}{request.url.removeprefix(self._url).lstrip('/')}{query}")
        prepared.headers = prepared.headers.copy()
        if request.data:
            prepared.body = urlencode(request.data)
            prepared.headers["Content-Length"] = str(len(prepared.body))
            prepared.headers["Content-Type"] = _FORM
        return prepared

    def _template(self, method: str) -> requests.PreparedRequest:
        """Return a prepared request for the address itself: with host and sign-in, and without a body."""
        if method not in self._templates:
            self._templates[method] = self._session.prepare_request(requests.Request(method, f"{self._url}/"))
        return self._templates[method]


def client_for(runtime: Runtime, job: Job) -> JenkinsClient:
    """Return this thread's client of the job's controller. Raises PermanentFailure if that is not configured or has no
    token."""
    controller = runtime.configuration.controllers.get(job.controller)
    if controller is None:
        raise PermanentFailure(f"controller {job.controller!r} is not configured")
    known = _clients().get(controller)
    if known is not None:
        return known
    try:
        token = runtime.settings.jenkins_token(controller.name)
    except SettingsError as error:
        raise PermanentFailure(str(error)) from error
    return client_of(controller, token.get_secret_value(), runtime.contacts.of(JENKINS, controller.name))


# -- restarts of a controller ------------------------------------------------------------------------------------------

log = structlog.get_logger()

_restarts_lock = threading.Lock()

_sessions: dict[str, str] = {}

_restarted: dict[str, float] = {}

_listeners: list[Callable[[], object]] = []


def on_restart(listener: Callable[[], object]) -> None:
    """Call `listener` after each noticed restart of a controller; it must return quickly."""
    _listeners.append(listener)


def notice_session(controller: str, session: str | None) -> None:
    """Compare the session id of an answer with the last one; if it differs, the controller has restarted.

    Source: header X-Jenkins-Session (Jenkins: `hudson.model.Api#setHeaders`).
    """
    if not session:
        return
    with _restarts_lock:
        before, _sessions[controller] = _sessions.get(controller), session
        if before not in (None, session):
            _restarted[controller] = time.time()
    if before not in (None, session):
        log.warning("jenkins-restarted", controller=controller)
        for listener in _listeners:
            listener()


def last_restart(controller: str) -> float | None:
    """Return when this process last noticed a restart of a controller, in seconds since the epoch; None if never."""
    with _restarts_lock:
        return _restarted.get(controller)
