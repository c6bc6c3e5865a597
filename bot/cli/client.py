"""The client of Interlock's HTTP API. Every call has a time-out, and every error message is a sentence."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from bot.cli.common import CommandFailed, RequestRefused, ServerUnreachable, WrongUsage

Answer = dict[str, Any]

#: In seconds: to connect, and between two pieces of an answer. The server itself waits at most five.
TIMEOUT = (3.05, 15.0)
#: In bytes. A larger answer cannot come from Interlock.
LARGEST = 32 << 20
#: The most valid names that the message of a refusal repeats.
NAMES = 12


class BearerAuth(requests.auth.AuthBase):
    """Authentication by the token, or none. Because it is set, requests does not read ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class ApiClient:
    """A client of one Interlock, for one of its pipelines. The constructor sends nothing.

    The methods raise ServerUnreachable if nothing at the address answers like Interlock; RequestRefused or
    CommandFailed with the server's message if it refuses or fails; WrongUsage if the address, the token or the pipeline
    cannot be used.
    """

    def __init__(self, url: str, pipeline: str | None = None) -> None:
        self.url = _checked(url)
        self._named = pipeline
        self._session = requests.Session()
        self._reads_with_token = False

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    @cached_property
    def pipeline(self) -> str:
        """Return the named pipeline, or the only one."""
        if self._named is not None:
            return self._named
        names = [str(each.get("name")) for each in self.pipelines()["pipelines"]]
        if len(names) != 1:
            which = f"there are several: {', '.join(names)}" if names else "there is none"
            raise WrongUsage(f"name the pipeline with --pipeline; {which}")
        return names[0]

    @property
    def is_named(self) -> bool:
        """Return whether a pipeline was named."""
        return self._named is not None

    def pipelines(self) -> Answer:
        """Return all pipelines, each with its state."""
        return self._call("GET", "/pipelines", has="pipelines")

    def get(self, *path: str, has: str, **query: str | int) -> Answer:
        """Return the answer to a GET of the pipeline's `path`; `has` is a key that the answer must have."""
        return self._call("GET", self._path(path), has=has, query=query)

    def post(self, *path: str, body: Answer, has: str, key: str | None = None) -> Answer:
        """Send a request as the owner of the token, and wait up to five seconds for the decision.

        `key` is the idempotency key. With one, the request is sent again if the answer is lost, and counts once.
        """
        token = BearerAuth(_token())
        headers = {"Idempotency-Key": key} if key else {}
        where = self._path(path)
        try:
            return self._call("POST", where, has=has, query={"wait": 5}, body=body, auth=token, headers=headers)
        except ServerUnreachable:
            if key is None:
                raise
        return self._call("POST", where, has=has, query={"wait": 5}, body=body, auth=token, headers=headers)

    def ask_as_owner(self, method: str, *path: str, has: str, body: Answer | None = None) -> Answer:
        """Send a request that is not about a pipeline, as the owner of the token; it is never sent twice."""
        where = "/" + "/".join(quote(part, safe="") for part in path)
        return self._call(method, where, has=has, body=body, auth=BearerAuth(_token()))

    def _path(self, path: tuple[str, ...]) -> str:
        return "/pipelines/" + "/".join(quote(part, safe="") for part in (self.pipeline, *path))

    def _call(
        self,
        method: str,
        path: str,
        *,
        has: str,
        query: dict[str, Any] | None = None,
        body: Answer | None = None,
        auth: BearerAuth | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        try:
            with self._session.request(
                method,
                f"{self.url}/api/v1{path}",
                params=query,
                json=body,
                auth=auth or BearerAuth(_token_if_any() if self._reads_with_token else None),
                headers={**(headers or {}), "Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,  # following a redirect would turn a POST into a GET
                stream=True,
            ) as response:
                closed = response.status_code == 401 and method == "GET" and auth is None and not self._reads_with_token
                if not closed or _token_if_any() is None:
                    return self._read(response, has)
        except requests.RequestException as error:
            raise ServerUnreachable(f"no Interlock can be reached at {self.url}: {_why(error)}") from None
        self._reads_with_token = True  # reading needs the token there; it is sent to such servers only
        return self._call(method, path, has=has, query=query, headers=headers)

    def _read(self, response: requests.Response, has: str) -> Answer:
        if response.is_redirect:
            where = response.headers.get("Location", "elsewhere")
            raise ServerUnreachable(
                f"{self.url} redirects to {where}: give that address with --url if Interlock is there"
            )
        raw = bytearray()
        for piece in response.iter_content(64 << 10):
            raw += piece
            if len(raw) > LARGEST:
                raise ServerUnreachable(f"{self.url} answers with more than {LARGEST >> 20} MiB: that is not Interlock")
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict) and response.ok and has in data:
            return data
        if isinstance(data, dict) and not response.ok and "detail" in data:
            raise _problem(response, data)
        raise ServerUnreachable(
            f"{self.url} answers {response.status_code}, which is not Interlock's answer: check the address"
        )


def _problem(response: requests.Response, data: Answer) -> Exception:
    """Return the error for a problem (RFC 9457) in the server's answer."""
    sentence = str(data["detail"])
    names = data.get("valid")
    if isinstance(names, list) and names:
        more = ", ..." if len(names) > NAMES else ""
        sentence += f" (valid: {', '.join(str(name) for name in names[:NAMES])}{more})"
    if response.status_code == 401:
        sentence += ". Your token comes from INTERLOCK_TOKEN or INTERLOCK_TOKEN_FILE"
    refusal = response.request.method == "POST" and response.status_code < 500
    return RequestRefused(sentence, data) if refusal else CommandFailed(sentence)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query and parts.port != 0
    except ValueError:  # a port that is not a number
        parts, usable = urlsplit(""), False
    if not usable:
        raise WrongUsage(
            f"{url!r} is not an address; expected one such as http://127.0.0.1:8080 (--url, INTERLOCK_URL)"
        )
    if "@" in parts.netloc:
        raise WrongUsage("the address holds credentials; give the token in INTERLOCK_TOKEN or INTERLOCK_TOKEN_FILE")
    return url.rstrip("/")


def _token_if_any() -> str | None:
    """Return the caller's token if the environment has one, for reading. Raises WrongUsage if it is unusable."""
    return _token() if os.environ.get("INTERLOCK_TOKEN") or os.environ.get("INTERLOCK_TOKEN_FILE") else None


def _token() -> str:
    """Return the caller's token. No message contains its value or the name of its file."""
    given, file = os.environ.get("INTERLOCK_TOKEN"), os.environ.get("INTERLOCK_TOKEN_FILE")
    if given and file:
        raise WrongUsage("INTERLOCK_TOKEN and INTERLOCK_TOKEN_FILE are both set; expected one of them")
    if not given and not file:
        raise WrongUsage(
            "this needs your token: put it into INTERLOCK_TOKEN, or its file's name into INTERLOCK_TOKEN_FILE; "
            "an admin makes one with `interlock token create`"
        )
    token = (given or _first_line(str(file))).strip()
    if not token or not token.isascii() or not token.isprintable():
        raise WrongUsage(f"{'INTERLOCK_TOKEN' if given else 'INTERLOCK_TOKEN_FILE'} holds no token")
    return token


def _first_line(file: str) -> str:
    try:
        with Path(file).expanduser().open(encoding="utf-8") as stream:
            return stream.readline(4_096)
    except OSError as error:
        raise WrongUsage(f"INTERLOCK_TOKEN_FILE names a file that cannot be read ({error.strerror})") from None
    except ValueError:
        raise WrongUsage("INTERLOCK_TOKEN_FILE names a file that is not text") from None


def _why(error: requests.RequestException) -> str:
    """Return the kind of failure in words; the exception's own text is too long to show."""
    match error:
        case requests.exceptions.SSLError():
            return "its certificate is not trusted (REQUESTS_CA_BUNDLE names a file of authorities)"
        case requests.exceptions.ProxyError():
            return "the proxy refuses the connection (see HTTP_PROXY, HTTPS_PROXY, NO_PROXY)"
        case requests.exceptions.ConnectTimeout():
            return f"it does not answer within {TIMEOUT[0]:.0f} s"
        case requests.exceptions.ReadTimeout():
            return f"it accepted the connection and did not answer within {TIMEOUT[1]:.0f} s"
        case requests.exceptions.ConnectionError():
            return (
                "the connection is refused or lost; check that it runs (`interlock up`) and that the "
                "address is right (--url)"
            )
        case _:
            return type(error).__name__
