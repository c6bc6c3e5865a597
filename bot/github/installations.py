"""Under which installation of the App a repository is reached: asked once a day, remembered for all processes."""

from __future__ import annotations

from redis import Redis

from bot.github.refusals import NotThere, refusal
from bot.github.transport import GitHubTransport

#: In seconds. Another installation, as after a transfer, is also found after the first refusal under the old one.
REMEMBERED = 86_400
#: For so long a refusal is believed after the installation was found to be the right one, in seconds: a permission
#: that is really missing costs no more than one request in that time.
CONFIRMED = 60


def _key(repository: str) -> str:
    return f"interlock:{{github}}:installation:{repository.casefold()}"


def _confirmed(repository: str) -> str:
    return f"{_key(repository)}:confirmed"


def installation_of(redis: Redis, app: GitHubTransport, repository: str, present: str) -> int:
    """The id of the installation that reaches `repository`, now called `present`; `app` is a wire of the App itself.

    Raises NotThere if the App is not installed there, NotNow or Never for other refusals.
    """
    found = redis.get(_key(repository))
    if found is None:
        number = ask(app, present)
        redis.set(_key(repository), number, ex=REMEMBERED)
        return number
    return int(found)


def is_another(redis: Redis, app: GitHubTransport, repository: str, present: str, number: int) -> bool:
    """After a refusal under installation `number`: whether another may reach the repository by now.

    Raises what `installation_of` raises.
    """
    found = redis.get(_key(repository))
    if found is None or int(found) != number:
        return True  # somebody else was refused, too, and asks or has asked already
    if redis.get(_confirmed(repository)) == str(number).encode():
        return False
    if not redis.delete(_key(repository)):
        return True
    present_number = installation_of(redis, app, repository, present)
    redis.set(_confirmed(repository), present_number, ex=CONFIRMED)
    return present_number != number


def ask(app: GitHubTransport, repository: str) -> int:
    """Ask GitHub. A repository that has another name now is found under the old one, too."""
    answer = app.ask("GET", f"/repos/{repository}/installation")
    if answer.status == 404:
        raise NotThere(f"the App is not installed on {repository}, or there is no such repository (GitHub answers 404)")
    if answer.status >= 400:
        raise refusal(answer, f"the installation on {repository}")
    return int(answer.data["id"])


def forget(redis: Redis, repository: str) -> None:
    """The repository may be another installation's by now: ask again next time, whatever was confirmed."""
    redis.delete(_key(repository), _confirmed(repository))
