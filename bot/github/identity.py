"""Sign in at GitHub: with the token of a user, or as a GitHub App with an installation for each owner of repositories.

Which installation gives access to a repository is asked once a day and stored for all processes.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from github import Auth
from redis import Redis

from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github.transport import GitHubNotFound, GitHubTransport, refusal
from config.configuration import GitHubSettings
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """An installation's token, when it ends, and when it was made (seconds since the epoch)."""

    text: str
    ends: float
    made: float


class InstallationAuth(Auth.Auth):
    """The sign-in with the token of an installation. All threads share one object, because a token lasts an hour."""

    def __init__(self, where: GitHubSettings, app: Auth.AppAuth, installation: int) -> None:
        self._where, self._app, self.installation = where, app, installation
        self._lock = threading.Lock()
        self._token: InstallationToken | None = None

    @property
    def token_type(self) -> str:
        """The word before the token in the header."""
        return "token"

    @property
    def token(self) -> str:
        """A token that stays valid for some minutes; made if necessary. Raises what `refusal` returns."""
        with self._lock:
            if self._token is None or self._token.ends - time.time() < self._where.limits.token_renewal:
                self._token = self._make()
            return self._token.text

    def age(self) -> float:
        """Return how many seconds ago the present token was made; infinity if there is none."""
        token = self._token
        return float("inf") if token is None else time.time() - token.made

    def forget(self) -> None:
        """Discard the token, which GitHub does not accept, so that the next use makes another one."""
        with self._lock:
            self._token = None

    def _make(self) -> InstallationToken:
        what = f"a token for installation {self.installation}"
        transport = GitHubTransport(self._where, self._app)
        try:
            answer = transport.ask("POST", f"/app/installations/{self.installation}/access_tokens", {})
        finally:
            transport.close()
        if answer.status >= 400:
            raise refusal(answer, what)
        try:
            ends = datetime.fromisoformat(answer.data["expires_at"]).timestamp()
            return InstallationToken(str(answer.data["token"]), ends, time.time())
        except (TypeError, KeyError, ValueError):
            raise RetryLater(f"{what}: GitHub's answer contains no token") from None


_installations: dict[tuple[str, str, int], InstallationAuth] = {}

_lock = threading.Lock()


def is_known(settings: Settings) -> bool:
    """Return whether the environment has an App or a token."""
    return is_app(settings) or settings.github_token is not None


def is_app(settings: Settings) -> bool:
    """Return whether we sign in as a GitHub App. If a token is set as well, it is not used."""
    return settings.github_app_id is not None


def app_auth(settings: Settings) -> Auth.AppAuth:
    """Return the sign-in of the App itself, which may only find its installations and make tokens for them.

    Raises PermanentFailure if no App is set.
    """
    key = settings.github_app_private_key
    if settings.github_app_id is None or key is None:
        raise PermanentFailure("no GitHub App is set: INTERLOCK_GITHUB_APP_ID is missing")
    return Auth.AppAuth(settings.github_app_id, key.get_secret_value())


def token_auth(settings: Settings) -> Auth.Token:
    """Return the sign-in with the token of a user. Raises PermanentFailure if no token is set."""
    if settings.github_token is None:
        raise PermanentFailure(
            "neither INTERLOCK_GITHUB_APP_ID nor INTERLOCK_GITHUB_TOKEN is set: "
            "Interlock can neither ask GitHub nor report anything to it"
        )
    return Auth.Token(settings.github_token.get_secret_value())


def installation_auth(where: GitHubSettings, settings: Settings, installation: int) -> InstallationAuth:
    """Return the sign-in of an installation of the App; the same object for all threads of this process."""
    key = (where.api_url, str(settings.github_app_id), installation)
    with _lock:
        if key not in _installations:
            _installations[key] = InstallationAuth(where, app_auth(settings), installation)
        return _installations[key]


# -- installations -----------------------------------------------------------------------------------------------------

#: How long the installation of a repository is stored, in seconds. A refusal, as after a transfer, also makes us ask
#: again.
REMEMBERED = 86_400

#: How long refusals are accepted without asking again after GitHub confirmed the installation, in seconds. So a
#: permission that is really missing costs one request in that time.
CONFIRMED = 60


def _installation_key(repository: str) -> str:
    return f"interlock:{{github}}:installation:{repository.casefold()}"


def _confirmed_key(repository: str) -> str:
    return f"{_installation_key(repository)}:confirmed"


def installation_of(redis: Redis, app: GitHubTransport, repository: str, present: str) -> int:
    """Return the id of the installation with access to `repository`, now called `present`; `app` signs as the App.

    Raises GitHubNotFound if the App is not installed there, RetryLater or PermanentFailure for other refusals.
    """
    found = redis.get(_installation_key(repository))
    if found is None:
        number = ask_for_installation(app, present)
        redis.set(_installation_key(repository), number, ex=REMEMBERED)
        return number
    return int(found)


def is_another_installation(redis: Redis, app: GitHubTransport, repository: str, present: str, number: int) -> bool:
    """Return whether, after a refusal under installation `number`, another one may have access to the repository now.

    Raises what `installation_of` raises.
    """
    found = redis.get(_installation_key(repository))
    if found is None or int(found) != number:
        return True  # another process was refused as well, and is asking or has asked already
    if redis.get(_confirmed_key(repository)) == str(number).encode():
        return False
    if not redis.delete(_installation_key(repository)):
        return True
    present_number = installation_of(redis, app, repository, present)
    redis.set(_confirmed_key(repository), present_number, ex=CONFIRMED)
    return present_number != number


def ask_for_installation(app: GitHubTransport, repository: str) -> int:
    """Ask GitHub for the id of the installation. GitHub also finds a renamed repository under its old name.

    Raises GitHubNotFound, or what `refusal` returns.
    """
    answer = app.ask("GET", f"/repos/{repository}/installation")
    if answer.status == 404:
        raise GitHubNotFound(
            f"the App is not installed on {repository}, or there is no such repository (GitHub answers 404)"
        )
    if answer.status >= 400:
        raise refusal(answer, f"the installation on {repository}")
    return int(answer.data["id"])


def forget_installation(redis: Redis, repository: str) -> None:
    """Delete the stored installation, so that GitHub is asked again even if it was just confirmed."""
    redis.delete(_installation_key(repository), _confirmed_key(repository))
