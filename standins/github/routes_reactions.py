"""Routes of reactions to comments, which say "seen" without a notification. Source: GitHub docs, "Reactions"."""

from __future__ import annotations

from typing import Any

from standins.github.model import Reaction, RefusedError
from standins.github.routes_pulls import found_comment
from standins.github.routing import Answer, Call, Handle
from standins.github.shapes import REACTIONS


def create(call: Call) -> Any:
    """Answer 201; 200 if this user has given it already; 422 for a reaction that is not one of the eight."""
    content = call.body().get("content")
    if content not in REACTIONS:
        error = {"resource": "Reaction", "code": "invalid", "field": "content"}
        raise RefusedError(422, "Validation Failed", [error])
    given = found_comment(call).reactions
    same = next((one for one in given.values() if (one.content, one.user) == (content, call.login)), None)
    if same is not None:
        return call.shapes.reaction(same)
    made = Reaction(next(call.world.ids), content, call.login, call.world.clock.now())
    given[made.id] = made
    return Answer(201, call.shapes.reaction(made))


def listed(call: Call) -> Any:
    wanted = call.request.query.get("content")
    found = [one for one in found_comment(call).reactions.values() if wanted in (None, one.content)]
    return [call.shapes.reaction(one) for one in call.page(found)]


def delete(call: Call) -> Any:
    """Answer 204. Users delete their own reactions; with the permission to write, any reaction."""
    given = found_comment(call).reactions
    one = given.get(call.number(1))
    if one is None:
        raise RefusedError(404, "Not Found")
    if one.user != call.login:
        call.access.check_write(call.token, call.repo)
    del given[one.id]
    return Answer(204)


ROUTES: dict[str, Handle] = {
    "POST /repos/{}/{}/issues/comments/{}/reactions": create,
    "GET /repos/{}/{}/issues/comments/{}/reactions": listed,
    "DELETE /repos/{}/{}/issues/comments/{}/reactions/{}": delete,
}
