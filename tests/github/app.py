"""A GitHub App as a test needs it: a key, its JSON web tokens, and requests as the App or as an installation."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def keys(name: str = "app") -> tuple[str, str]:
    """A private and a public key, PEM; another pair for another name."""
    made = rsa.generate_private_key(65537, 2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def web_token(key: str | None = None, **changes: Any) -> str:
    """A JSON web token of the App, signed a minute ago and good for five; `changes` to its claims, None takes away."""
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 300, "iss": "1", **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key or keys()[0], algorithm="RS256")


class Site:
    """Requests to one address with one token; no redirects are followed."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token

    def __call__(self, method: str, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= arguments.pop("headers", {})
        more = {"json": body} if body is not None else {}
        return requests.request(
            method, self.url + path, headers=headers, timeout=10, allow_redirects=False, **more, **arguments
        )

    def ok(self, method: str, path: str, body: Any = None, status: tuple[int, ...] = (200, 201, 202, 204)) -> Any:
        """The answer's JSON; fails for another status."""
        answer = self(method, path, body)
        assert answer.status_code in status, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


def installation_token(url: str, installation: int, **body: Any) -> str:
    made = Site(url, web_token()).ok("POST", f"/app/installations/{installation}/access_tokens", body or None)
    return str(made["token"])
