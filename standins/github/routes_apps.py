"""Routes for a GitHub App: its identity, its installations, tokens for an hour, its hook.

Source: GitHub docs, "GitHub Apps" and "Authenticating as a GitHub App installation".
"""

from __future__ import annotations

from typing import Any

from standins.github.access import Token
from standins.github.apps import Installation
from standins.github.model import RefusedError, Repo, iso
from standins.github.permissions import granted
from standins.github.routing import Answer, Call, Handle
from standins.github.shapes_checks import app_json, installation_json

HOUR = 3600.0


def app(call: Call) -> Any:
    _need_jwt(call)
    apps = call.world.apps
    return app_json(call.shapes, apps.app) | {"installations_count": len(apps.installations)}


def installations(call: Call) -> Any:
    _need_jwt(call)
    return [_shown(call, one) for one in call.page(list(call.world.apps.installations.values()))]


def installation(call: Call) -> Any:
    _need_jwt(call)
    return _shown(call, _found(call))


def installation_of_repo(call: Call) -> Any:
    """Return the installation, or 404 if the App is not installed there."""
    _need_jwt(call)
    found = call.world.apps.on(call.repo)
    if found is None:
        raise RefusedError(404, "Not Found")
    return _shown(call, found)


def installation_of_account(call: Call) -> Any:
    _need_jwt(call)
    name = call.args[0].lower()
    found = next((one for one in call.world.apps.installations.values() if one.account.lower() == name), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    return _shown(call, found)


def access_token(call: Call) -> Any:
    """Answer 201 with a token for an hour, for the whole installation or the part that the body names.

    The token is longer than 40 characters.
    """
    _need_jwt(call)
    one, body = _found(call), call.json()
    if one.suspended is not None:
        raise RefusedError(403, "This installation has been suspended")
    only = _named_repos(call, one, body)
    permissions = _named_permissions(one, body)
    now = call.world.clock.now()
    secret = f"ghs_{call.world.apps.app.id}_{one.id}_{next(call.world.ids):056d}"
    call.access.tokens[secret] = Token(
        call.world.apps.app.login,
        expires=now + HOUR,
        permissions=permissions,
        installation=one,
        only=None if only is None else frozenset(repo.id for repo in only),
        unknown_for=call.access.fresh_refusals,
    )
    answer: dict[str, Any] = {
        "token": secret,
        "expires_at": iso(now + HOUR),
        "permissions": permissions,
        "repository_selection": "selected" if only is not None or one.repos is not None else "all",
    }
    if only is not None:
        answer["repositories"] = [call.shapes.repo(repo) for repo in only]
    return Answer(201, answer)


def _named_repos(call: Call, one: Installation, body: dict[str, Any]) -> list[Repo] | None:
    names, ids = body.get("repositories"), body.get("repository_ids")
    if names is None and ids is None:
        return None
    of_account = [repo for repo in call.world.repos.values() if one.reaches(repo)]
    found = [repo for repo in of_account if repo.name in (names or ()) or repo.id in (ids or ())]
    if len(found) < max(len(names or ()), len(ids or ())):
        raise RefusedError(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    return found


def _named_permissions(one: Installation, body: dict[str, Any]) -> dict[str, str]:
    wanted = body.get("permissions")
    if not wanted:  # PyGithub sends an empty object to ask for everything
        return dict(one.permissions)
    if not all(granted(one.permissions, (name,), level) for name, level in wanted.items()):
        raise RefusedError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **wanted}


def revoke(call: Call) -> Any:
    """Answer 204; the token is invalid from now on."""
    _need_installation(call)
    secret = call.request.headers["authorization"].partition(" ")[2].strip()
    del call.access.tokens[secret]
    return Answer(204)


def repositories(call: Call) -> Any:
    token = _need_installation(call)
    found = [repo for repo in call.world.repos.values() if token.reaches(repo)]
    chosen = token.only is not None or (token.installation is not None and token.installation.repos is not None)
    return {
        "total_count": len(found),
        "repository_selection": "selected" if chosen else "all",
        "repositories": [call.shapes.repo(repo) for repo in call.page(found)],
    }


def _found(call: Call) -> Installation:
    found = call.world.apps.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _shown(call: Call, one: Installation) -> Any:
    return installation_json(call.shapes, call.world.apps.app, one)


def _need_jwt(call: Call) -> None:
    if call.token is None or not call.token.app:
        raise RefusedError(401, "A JSON web token could not be decoded")


def _need_installation(call: Call) -> Token:
    if call.token is None:
        raise RefusedError(401, "Requires authentication")
    if call.token.installation is None:
        raise RefusedError(403, "You must authenticate with an installation access token in order to use this.")
    return call.token


ROUTES: dict[str, Handle] = {
    "GET /app": app,
    "GET /app/installations": installations,
    "GET /app/installations/{}": installation,
    "POST /app/installations/{}/access_tokens": access_token,
    "GET /repos/{}/{}/installation": installation_of_repo,
    "GET /orgs/{}/installation": installation_of_account,
    "GET /users/{}/installation": installation_of_account,
    "GET /installation/repositories": repositories,
    "DELETE /installation/token": revoke,
}
