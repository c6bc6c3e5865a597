"""Who may send what: how much of a body, judged by the head of a request alone.

Who shows no secret sends nothing. The worker asks before it collects a body (buffering_worker.py), the views ask
before they read one.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Callable, Mapping

from bot.store.tokens import is_token
from config.settings import Settings

#: GitHub sends at most 25 MiB (GitHub docs: webhook events and payloads).
MOST_FROM_GITHUB = 26 << 20
#: What a callback of Jenkins says takes a few KiB; with the lines of a log in it, it may be large.
MOST_FROM_JENKINS = 1 << 20
#: A request to the API is a few words.
MOST_FROM_PEOPLE = 64 << 10
LONGEST_TOKEN = 1_000

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}\Z")
_GITHUB, _JENKINS, _API, _PAGES = "/webhooks/github", "/webhooks/jenkins", "/api/", "/p/"
#: The forms that anybody may send, and how much of one is read: a token, the token of the form, where to go on.
SIGNING, MOST_OF_A_SIGN_IN = ("/sign-in/token", "/sign-out"), 4 << 10


class Admission:
    """Knows the secrets, and compares them in a time that says nothing about them."""

    def __init__(self, settings: Settings, proxy_header: str = "") -> None:
        """`proxy_header`: the header in which the proxy names people, if there is one.

        Raises SettingsError if a secret is missing: without one, anybody could send deliveries."""
        self._settings = settings
        self._proxy_header = proxy_header.lower()
        self.github_secrets = tuple(s.get_secret_value().encode() for s in settings.need_github_webhook_secrets())
        #: Whether a request comes with a cookie that we have signed, by its header; without sign-in none does.
        self.is_signed_in: Callable[[str], bool] = lambda _: False
        self._jenkins_secrets = tuple(s.get_secret_value().encode() for s in settings.need_jenkins_webhook_secrets())

    def body_limit(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """The most bytes of a body that are read of this request; 0: none. Names of headers in lower case."""
        if method != "POST":
            return 0
        if path == _GITHUB:
            return MOST_FROM_GITHUB if is_signature(headers.get("x-hub-signature-256", "")) else 0
        authorization = headers.get("authorization", "")
        if path == _JENKINS or path.startswith(_JENKINS + "/"):
            in_path = path.removeprefix(_JENKINS).removeprefix("/").partition("/")[2]
            return MOST_FROM_JENKINS if self.knows_jenkins(in_path.encode("latin-1"), authorization) else 0
        if path in SIGNING:
            return MOST_OF_A_SIGN_IN
        if path.startswith((_API, _PAGES)):
            return MOST_FROM_PEOPLE if self._may_act(authorization, headers) else 0
        return 0

    def _may_act(self, authorization: str, headers: Mapping[str, str]) -> bool:
        """Whether somebody may be known by this: a token, our cookie, or what the proxy says."""
        by_proxy = bool(self._proxy_header) and self._proxy_header in headers
        return by_proxy or self.may_have_token(authorization) or self.is_signed_in(headers.get("cookie", ""))

    def knows_jenkins(self, in_path: bytes, authorization: str) -> bool:
        """Whether a callback brings one of the secrets: at the end of its path, or in its Authorization header."""
        given = in_path or _given(authorization)
        known = False
        for secret in self._jenkins_secrets:
            known |= hmac.compare_digest(given, secret)
        return known

    def may_have_token(self, authorization: str) -> bool:
        """Whether this Authorization header brings a token of the environment, or one of the form that we make.

        The store is not asked here, in the loop that collects requests: whether there is such a token, a view asks.
        """
        token = bearer(authorization)
        return 0 < len(token) <= LONGEST_TOKEN and (is_token(token) or self._settings.who(token) is not None)


def is_signature(text: str) -> bool:
    """Whether a text has the form of a signature (GitHub docs: validating webhook deliveries)."""
    return _SIGNATURE.match(text) is not None


def bearer(authorization: str) -> str:
    """The token of an Authorization header, or nothing."""
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _given(authorization: str) -> bytes:
    """The secret in an Authorization header: a Bearer token, or the password of HTTP Basic (any user)."""
    kind, _, value = authorization.partition(" ")
    given = value.strip().encode("latin-1", "replace")
    if kind.lower() == "basic":
        try:
            return b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return given if kind.lower() == "bearer" else b""
