"""The OAuth app by which people sign in elsewhere with their account: its secret, and the codes that are on their way.

Source: GitHub docs, "Authorizing OAuth apps".
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: A code is good for ten minutes, once.
CODE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Code:
    """What a code was given for."""

    login: str
    redirect_uri: str
    challenge: str
    until: float


@dataclass(slots=True)
class OAuthApp:
    """One app, and who is signed in at this GitHub in the browser that comes (None: they refuse)."""

    client_id: str = ""
    client_secret: str = ""
    callback: str = ""
    browser: str | None = None
    codes: dict[str, Code] = field(default_factory=dict)
