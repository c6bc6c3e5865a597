"""Routes that a GitHub App needs: who it is, where it is installed, tokens for an hour. The JWT is not verified."""

from __future__ import annotations

from typing import Any

from standins.github.access import Token
from standins.github.model import RefusedError, iso
from standins.github.routing import Answer, Call, Handle

HOUR = 3600.0


def app(call: Call) -> Any:
    _need_jwt(call)
    return {"id": 1, "slug": "interlock", "name": "Interlock", "owner": call.shapes.user("acme"), "permissions": {}}


def installation(call: Call) -> Any:
    """The installation on a repository; every repository has one, numbered as the repository."""
    _need_jwt(call)
    return _installation(call, call.repo.id)


def access_token(call: Call) -> Any:
    """A token for an hour that reaches every repository. Longer than 40 characters, as they come now."""
    _need_jwt(call)
    number = call.number()
    secret = f"ghs_{number}_{next(call.world.ids):056d}"
    call.access.tokens[secret] = Token("interlock[bot]", expires=call.world.clock.now() + HOUR)
    expires = iso(call.world.clock.now() + HOUR)
    return Answer(201, {"token": secret, "expires_at": expires, "permissions": {}, "repository_selection": "all"})


def _installation(call: Call, number: int) -> dict[str, Any]:
    url = f"{call.shapes.api}/app/installations/{number}"
    return {
        "id": number, "account": call.shapes.user(call.repo.owner), "app_id": 1, "app_slug": "interlock",
        "access_tokens_url": f"{url}/access_tokens", "repositories_url": f"{call.shapes.api}/installation/repositories",
        "html_url": url, "target_id": 1, "target_type": "Organization", "permissions": {}, "events": [],
        "created_at": iso(0), "updated_at": iso(0), "repository_selection": "all",
    }  # fmt: skip


def _need_jwt(call: Call) -> None:
    if call.token is None or not call.token.app:
        raise RefusedError(401, "A JSON web token could not be decoded")


ROUTES: dict[str, Handle] = {
    "GET /app": app,
    "GET /repos/{}/{}/installation": installation,
    "POST /app/installations/{}/access_tokens": access_token,
}
