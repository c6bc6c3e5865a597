"""Who we are to GitHub: a person's token, or a GitHub App with an installation for each owner of repositories."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from github import Auth

from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github.refusals import refusal
from bot.github.transport import GitHubTransport
from config.configuration import GitHubSettings
from config.settings import Settings

#: So long before its end a token is renewed, in seconds: longer than a request may take.
RENEWED_BEFORE = 300.0


@dataclass(frozen=True, slots=True)
class Token:
    """An installation's token, when it ends, and when it was made (seconds since the epoch)."""

    text: str
    ends: float
    made: float


class InstallationAuth(Auth.Auth):
    """Signs with the present token of an installation. One for all threads: the token is made once an hour."""

    def __init__(self, where: GitHubSettings, app: Auth.AppAuth, installation: int) -> None:
        self._where, self._app, self.installation = where, app, installation
        self._lock = threading.Lock()
        self._token: Token | None = None

    @property
    def token_type(self) -> str:
        """The word before the token in the header."""
        return "token"

    @property
    def token(self) -> str:
        """A token that is good for some minutes yet. Raises what `refusal` makes of GitHub's no."""
        with self._lock:
            if self._token is None or self._token.ends - time.time() < RENEWED_BEFORE:
                self._token = self._make()
            return self._token.text

    def age(self) -> float:
        """How many seconds ago the present token was made."""
        token = self._token
        return float("inf") if token is None else time.time() - token.made

    def forget(self) -> None:
        """GitHub does not accept the token: make another next time."""
        with self._lock:
            self._token = None

    def _make(self) -> Token:
        what = f"a token for installation {self.installation}"
        wire = GitHubTransport(self._where, self._app)
        try:
            answer = wire.ask("POST", f"/app/installations/{self.installation}/access_tokens", {})
        finally:
            wire.close()
        if answer.status >= 400:
            raise refusal(answer, what)
        try:
            ends = datetime.fromisoformat(answer.data["expires_at"]).timestamp()
            return Token(str(answer.data["token"]), ends, time.time())
        except (TypeError, KeyError, ValueError):
            raise RetryLater(f"{what}: GitHub's answer has none") from None


_installations: dict[tuple[str, str, int], InstallationAuth] = {}
_lock = threading.Lock()


def known(settings: Settings) -> bool:
    """Whether there is any way to be known to GitHub."""
    return is_app(settings) or settings.github_token is not None


def is_app(settings: Settings) -> bool:
    """Whether we are a GitHub App. If a token is set as well, it is not used."""
    return settings.github_app_id is not None


def app_auth(settings: Settings) -> Auth.AppAuth:
    """The App itself, which may look for its installations and make their tokens, and nothing else."""
    key = settings.github_app_private_key
    if settings.github_app_id is None or key is None:
        raise PermanentFailure("there is no GitHub App: INTERLOCK_GITHUB_APP_ID is not set")
    return Auth.AppAuth(settings.github_app_id, key.get_secret_value())


def token_auth(settings: Settings) -> Auth.Token:
    """The person or machine user whose token it is. Raises Never if there is none."""
    if settings.github_token is None:
        raise PermanentFailure(
            "neither INTERLOCK_GITHUB_APP_ID nor INTERLOCK_GITHUB_TOKEN is set: "
            "GitHub can be neither asked nor told anything"
        )
    return Auth.Token(settings.github_token.get_secret_value())


def installation_auth(where: GitHubSettings, settings: Settings, installation: int) -> InstallationAuth:
    """An installation of the App; the same object for all threads of this process."""
    key = (where.api_url, str(settings.github_app_id), installation)
    with _lock:
        if key not in _installations:
            _installations[key] = InstallationAuth(where, app_auth(settings), installation)
        return _installations[key]
