"""The OAuth app for signing in with a GitHub account: its secret, and the codes that are not used yet.

Source: GitHub docs, "Authorizing OAuth apps".
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: A code is valid for ten minutes, once.
CODE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Code:
    """The request that a code belongs to."""

    login: str
    redirect_uri: str
    challenge: str
    until: float


@dataclass(slots=True)
class OAuthApp:
    """One app, and the account in the next browser (None: the person refuses)."""

    client_id: str = ""
    client_secret: str = ""
    callback: str = ""
    browser: str | None = None
    codes: dict[str, Code] = field(default_factory=dict)
