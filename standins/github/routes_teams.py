"""Routes of the teams of an organization: membership. Source: GitHub docs, "Get team membership for a user"."""

from __future__ import annotations

from typing import Any

from standins.github.model import RefusedError
from standins.github.permissions import granted
from standins.github.routing import Call, Handle


def membership(call: Call) -> Any:
    """Return the membership; raise 404 for a login outside the team, 401 without a token.

    An App, or a fine-grained token, needs `members: read`.
    """
    token = call.token
    if token is None:
        raise RefusedError(401, "Requires authentication")
    if token.app or (token.permissions is not None and not granted(token.permissions, ("members",), "read")):
        raise RefusedError(403, f"Resource not accessible by {token.kind}")
    org, slug, login = call.args
    states = call.world.teams.get(f"{org}/{slug}".lower(), {})
    state = {name.lower(): state for name, state in states.items()}.get(login.lower())
    if state is None:
        raise RefusedError(404, "Not Found")
    url = f"{call.shapes.api}/organizations/1/team/1/memberships/{login}"
    return {"state": state, "role": "member", "url": url}


ROUTES: dict[str, Handle] = {"GET /orgs/{}/teams/{}/memberships/{}": membership}
