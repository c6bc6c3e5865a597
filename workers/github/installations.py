"""Under which installation of the App a repository is reached: asked once a day, remembered for all processes."""

from __future__ import annotations

from redis import Redis

from workers.github.refusals import NotThere, refusal
from workers.github.wire import Wire

#: In seconds. An installation that was made anew is also found after the first refusal of the old one.
REMEMBERED = 86_400


def _key(repository: str) -> str:
    return f"interlock:{{github}}:installation:{repository.casefold()}"


def installation_of(redis: Redis, app: Wire, repository: str) -> int:
    """The id of the installation that reaches `repository`; `app` is a wire of the App itself.

    Raises NotThere if the App is not installed there, NotNow or Never for other refusals.
    """
    found = redis.get(_key(repository))
    if found is None:
        number = ask(app, repository)
        redis.set(_key(repository), number, ex=REMEMBERED)
        return number
    return int(found)


def ask(app: Wire, repository: str) -> int:
    """Ask GitHub. A repository that has another name now is found under the old one, too."""
    answer = app.ask("GET", f"/repos/{repository}/installation")
    if answer.status == 404:
        raise NotThere(f"the App is not installed on {repository}, or there is no such repository (GitHub answers 404)")
    if answer.status >= 400:
        raise refusal(answer, f"the installation on {repository}")
    return int(answer.data["id"])


def forget(redis: Redis, repository: str) -> None:
    """The installation is gone or suspended: ask again next time."""
    redis.delete(_key(repository))
