"""Talking to one Jenkins controller: python-jenkins for session, sign-in and crumbs; our own requests where it lacks.

python-jenkins 1.8.3 follows the 303 of a folded trigger and loses the queue id, sends parameters in the query string,
knows no `tree=` for builds and no description, and turns a restart into "does not exist"; so only its session, its
authentication and its crumb are used. One place maps what can go wrong to *not there*, *not allowed*, *not now*.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote

import jenkins
import requests
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, RequestException

from config.configuration import Controller
from workers.perform.outcome import NotNow

#: Statuses that say: come back later (a restart is 503; a proxy before a Jenkins that is down says 502 or 504).
LATER = frozenset({429, 502, 503, 504})


class NotThere(Exception):
    """There is no such job, build or queue item, or we may not even see it (both are 404)."""


class NotAllowed(Exception):
    """Jenkins refuses: who we are, what we may do, or what we ask for is wrong. The message has the status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class JenkinsClient:
    """One controller, for one thread: the session under it is not safe to share."""

    def __init__(self, controller: Controller, token: str) -> None:
        self._controller = controller
        self._server = jenkins.Jenkins(controller.url, controller.user, token, timeout=int(controller.timeout) or 1)
        if controller.ca_bundle is not None:
            self._server._session.verify = str(controller.ca_bundle)

    def get(self, path: str, tree: str | None = None) -> Any:
        """The JSON of `path`, narrowed by `tree`. Raises NotThere, NotAllowed or NotNow."""
        response = self.ask("GET", f"{path}/api/json", params={"tree": tree} if tree else None)
        try:
            return response.json()
        except ValueError as error:
            raise NotAllowed(response.status_code, "Jenkins answered a page instead of JSON: a sign-in?") from error

    def ask(
        self,
        method: str,
        path: str,
        *,
        data: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        expect: tuple[int, ...] = (200,),
    ) -> requests.Response:
        """One request; redirects are answers, not followed. Raises unless the status is one of `expect`.

        A connection that breaks under a question is no answer: it is asked once more, at once. A command is not.
        """
        response = self._send(method, path, data, params, again=method == "GET")
        if response.status_code == 403 and "crumb" in response.text.lower() and method == "POST":
            self._server.crumb = None  # it dies with the session, a restart loses it: fetch another, once
            response = self._send(method, path, data, params, again=method == "GET")
        if response.status_code in expect:
            return response
        raise _refusal(method, path, response)

    def _send(
        self, method: str, path: str, data: dict[str, str] | None, params: dict[str, str] | None, *, again: bool
    ) -> requests.Response:
        request = requests.Request(method, f"{self._controller.url}/{path}", data=data, params=params)
        self._sign(request)
        try:
            session = self._server._session
            prepared = session.prepare_request(request)
            settings = session.merge_environment_settings(prepared.url, {}, None, session.verify, None)
            settings["timeout"] = self._controller.timeout
            settings["allow_redirects"] = False
            response: requests.Response = session.send(prepared, **settings)
            return response
        except ConnectTimeout as error:
            raise NotNow(f"{self._controller.name} does not answer", certain=True) from error
        except RequestsConnectionError as error:
            # Only a connection that never came about is certain to have done nothing.
            never_connected = "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)
            if again and not never_connected:
                return self._send(method, path, data, params, again=False)
            raise NotNow(f"{self._controller.name} cannot be reached", certain=never_connected) from error
        except RequestException as error:
            raise NotNow(f"{self._controller.name}: {type(error).__name__}") from error

    def _sign(self, request: requests.Request) -> None:
        """Add who we are and, where it is needed, a crumb. What fails here is certain to have done nothing."""
        try:
            self._server._maybe_add_auth()
            if request.method == "POST":
                self._server.maybe_add_crumb(request)
        except RequestsConnectionError as error:
            raise NotNow(f"{self._controller.name} cannot be reached", certain=True) from error
        except (RequestException, jenkins.JenkinsException, ValueError) as error:
            why = f"{self._controller.name} gives no crumb: {str(error).partition(chr(10))[0]}"
            raise NotNow(why, certain=True) from error


def _refusal(method: str, path: str, response: requests.Response) -> Exception:
    status = response.status_code
    if status == 404:
        return NotThere(f"{path} is not there (or may not be seen)")
    if status in LATER:
        wait = response.headers.get("Retry-After", "")
        return NotNow(f"Jenkins answers {status}", after=float(wait) if wait.isdigit() else None)
    if status == 500:
        return NotNow(f"Jenkins answers 500 to {method} {path}")
    reason = response.headers.get("X-Error") or response.reason
    return NotAllowed(status, f"Jenkins answers {status} ({reason}) to {method} {path}")


def job_path(name: str) -> str:
    """`team/deploy` as Jenkins addresses it: `job/team/job/deploy`, each name percent-encoded once."""
    return "/".join(f"job/{quote(part, safe='')}" for part in name.split("/"))


_local = threading.local()


def client(controller: Controller, token: str) -> JenkinsClient:
    """This thread's client of a controller; made at the first use and kept."""
    clients: dict[str, JenkinsClient] = _local.__dict__.setdefault("clients", {})
    if controller.name not in clients:
        clients[controller.name] = JenkinsClient(controller, token)
    return clients[controller.name]
