"""Routes of deployments and their statuses. Source: GitHub docs, "Deployments", with the same defaults."""

from __future__ import annotations

from typing import Any

from standins.github.model import Deployment, DeploymentStatus, RefusedError, Repo
from standins.github.routes_git import resolve
from standins.github.routing import Answer, Call, Handle

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
DESCRIPTION = 140


def create(call: Call) -> Any:
    """Answer 201; 202 with only a message when `auto_merge` (default true) merged the default branch into the ref;
    409 when `required_contexts` (omitted: all) are not green."""
    body = call.body()
    if not isinstance(body.get("ref"), str):
        raise RefusedError(
            422, "Validation Failed", [{"resource": "Deployment", "code": "missing_field", "field": "ref"}]
        )
    sha = resolve(call, body["ref"]).sha
    if body.get("auto_merge", True) and _merge_default_branch(call, body["ref"], sha):
        return Answer(202, {"message": f"Auto-merged {call.repo.default_branch} into {body['ref']} on deployment."})
    _check_contexts(call.repo, sha, body.get("required_contexts"))
    environment = str(body.get("environment") or "production")
    made = Deployment(
        next(call.world.ids), sha, body["ref"], str(body.get("task") or "deploy"), environment,
        body.get("description"), body.get("payload") or {},
        bool(body.get("production_environment", environment == "production")),
        bool(body.get("transient_environment", False)), call.login, call.world.clock.now(),
    )  # fmt: skip
    call.repo.deployments[made.id] = made
    world, repo = call.world, call.repo
    world.emit(repo, "deployment", lambda brief: world.payloads.deployment(repo, made, None, brief=brief))
    return Answer(201, call.shapes.deployment(repo, made))


def _merge_default_branch(call: Call, ref: str, sha: str) -> bool:
    """Merge the default branch into a branch that is behind it; a sha is deployed as it is."""
    repo = call.repo
    if ref not in repo.branches or ref == repo.default_branch:
        return False
    if repo.graph.compare(repo.head, sha).behind_by == 0:
        return False
    message = f"Merge branch '{repo.default_branch}' into {ref}"
    merged = repo.graph.add((sha, repo.head), message, call.login, call.world.clock.now())
    call.world.move_branch(repo, ref, merged.sha, call.login)
    return True


def _check_contexts(repo: Repo, sha: str, required: list[str] | None) -> None:
    newest = {one.context.lower(): one.state for one in repo.statuses.get(sha, [])}
    wanted = list(newest) if required is None else [context.lower() for context in required]
    bad = [{"contexts": [context], "state": newest.get(context, "missing")} for context in wanted]
    bad = [one for one in bad if one["state"] != "success"]
    if bad:
        contexts = [{"context": one["contexts"][0], "state": one["state"]} for one in bad]
        error = {"contexts": contexts, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        raise RefusedError(409, f"Conflict: Commit status checks failed for {sha[:7]}.", [error])


def deployment(call: Call) -> Any:
    return call.shapes.deployment(call.repo, _found(call))


def deployments(call: Call) -> Any:
    """List deployments, newest first; `sha`, `ref`, `task` and `environment` filter them."""
    query = call.request.query
    found = [
        one
        for one in reversed(call.repo.deployments.values())
        if all(
            query.get(name, getattr(one, name)) == getattr(one, name) for name in ("sha", "ref", "task", "environment")
        )
    ]
    return [call.shapes.deployment(call.repo, one) for one in call.page(found)]


def create_status(call: Call) -> Any:
    """Answer 201. A success inactivates earlier non-production successes of its environment (`auto_inactive`)."""
    body, one = call.body(), _found(call)
    state, description = body.get("state"), str(body.get("description") or "")
    if state not in STATES or len(description) > DESCRIPTION:
        name = "description" if state in STATES else "state"
        raise RefusedError(
            422, "Validation Failed", [{"resource": "DeploymentStatus", "code": "custom", "field": name}]
        )
    status = DeploymentStatus(
        next(call.world.ids), str(state), description, str(body.get("environment") or one.environment),
        str(body.get("environment_url") or ""), str(body.get("log_url") or body.get("target_url") or ""),
        call.login, call.world.clock.now(),
    )  # fmt: skip
    if state == "success" and body.get("auto_inactive", True):
        _inactivate(call, one)
    one.statuses.append(status)
    world, repo = call.world, call.repo
    world.emit(repo, "deployment_status", lambda brief: world.payloads.deployment(repo, one, status, brief=brief))
    return Answer(201, call.shapes.deployment_status(repo, one, status))


def _inactivate(call: Call, newer: Deployment) -> None:
    for one in call.repo.deployments.values():
        same = one is not newer and one.environment == newer.environment
        if same and not one.production and not one.transient and one.statuses and one.statuses[-1].state == "success":
            one.statuses.append(
                DeploymentStatus(
                    next(call.world.ids), "inactive", "", one.environment, "", "", call.login, call.world.clock.now()
                )
            )


def statuses(call: Call) -> Any:
    one = _found(call)
    rows = call.page(list(reversed(one.statuses)))
    return [call.shapes.deployment_status(call.repo, one, status) for status in rows]


def _found(call: Call) -> Deployment:
    found = call.repo.deployments.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


ROUTES: dict[str, Handle] = {
    "POST /repos/{}/{}/deployments": create,
    "GET /repos/{}/{}/deployments": deployments,
    "GET /repos/{}/{}/deployments/{}": deployment,
    "POST /repos/{}/{}/deployments/{}/statuses": create_status,
    "GET /repos/{}/{}/deployments/{}/statuses": statuses,
}
