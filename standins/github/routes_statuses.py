"""Routes of commit statuses: create, list, combine. Source: GitHub docs, "Commit statuses"."""

from __future__ import annotations

import re
from typing import Any

from standins.github.model import RefusedError, Status
from standins.github.routes_git import resolve
from standins.github.routing import Answer, Call, Handle

STATES = ("error", "failure", "pending", "success")
DESCRIPTION = 140
PER_CONTEXT = 1000


def create(call: Call) -> Any:
    """Answer 201; 422 for an unknown sha or state, a description over 140 characters, or the 1001st of a context."""
    body = call.body()
    sha = call.args[0]
    if sha not in call.repo.graph.commits:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    status = _read(call, sha, body)
    known = call.repo.statuses.setdefault(sha, [])
    context = status.context.lower()
    if len(known) >= PER_CONTEXT and sum(one.context.lower() == context for one in known) >= PER_CONTEXT:
        message = "This SHA and context has reached the maximum number of statuses."
        raise RefusedError(422, "Validation Failed", [{"resource": "Status", "code": "custom", "message": message}])
    known.append(status)
    world, repo = call.world, call.repo
    world.emit(repo, "status", lambda brief: world.payloads.status(repo, status, brief=brief))
    return Answer(201, call.shapes.status(repo, status))


def _read(call: Call, sha: str, body: dict[str, Any]) -> Status:
    state, description = body.get("state"), body.get("description")
    if state not in STATES:
        raise _invalid("state", "invalid")
    if description is not None and len(str(description)) > DESCRIPTION:
        raise _invalid("description", "custom", "description is too long (maximum is 140 characters)")
    target = body.get("target_url")
    if target is not None and not re.match(r"https?://", str(target)):
        raise _invalid("target_url", "custom", "target_url must use http(s) scheme")
    return Status(
        next(call.world.ids),
        sha,
        state,
        str(body.get("context") or "default"),
        description,
        target,
        call.login,
        call.world.clock.now(),
    )


def listed(call: Call) -> Any:
    """List the statuses of a commit, newest first."""
    rows = list(reversed(call.repo.statuses.get(resolve(call, call.args[0]).sha, [])))
    return [call.shapes.status(call.repo, one) for one in call.page(rows)]


def combined(call: Call) -> Any:
    """Return the newest status of each context; `pending` if there is none."""
    sha = resolve(call, call.args[0]).sha
    newest = {one.context.lower(): one for one in call.repo.statuses.get(sha, [])}
    states = {one.state for one in newest.values()}
    state = "success" if states == {"success"} else "pending"
    if states & {"error", "failure"}:
        state = "failure"
    shapes = call.shapes
    url = f"{shapes.api}/repos/{call.repo.full_name}/commits/{sha}"
    return {
        "state": state,
        "statuses": [shapes.status(call.repo, one) for one in call.page(list(newest.values()))],
        "sha": sha,
        "total_count": len(newest),
        "repository": shapes.repo(call.repo),
        "commit_url": url,
        "url": f"{url}/status",
    }


def _invalid(name: str, code: str, message: str | None = None) -> RefusedError:
    error = {"resource": "Status", "code": code, "field": name}
    return RefusedError(422, "Validation Failed", [error | ({"message": message} if message else {})])


ROUTES: dict[str, Handle] = {
    "POST /repos/{}/{}/statuses/{}": create,
    "GET /repos/{}/{}/statuses/{}": listed,
    "GET /repos/{}/{}/commits/{}/statuses": listed,
    "GET /repos/{}/{}/commits/{}/status": combined,
}
