"""Routes of pull requests and their comments."""

from __future__ import annotations

from typing import Any

from standins.github.model import Comment, Pull, RefusedError
from standins.github.routing import Answer, Call, Handle
from standins.github.shapes_pulls import pull_json

MAX_BODY = 65536


def pull(call: Call) -> Any:
    return pull_json(call.shapes, call.repo, call.pull())


def pulls(call: Call) -> Any:
    """Newest first; `state`, `head` (owner:branch) and `base` as filters."""
    query, repo = call.request.query, call.repo
    state = query.get("state", "open")
    found = [
        one
        for one in reversed(list((repo.open_pulls if state == "open" else repo.pulls).values()))
        if state in ("all", one.state)
        and query.get("base", one.base) == one.base
        and query.get("head", f"{repo.owner}:{one.branch}") == f"{repo.owner}:{one.branch}"
    ]
    return [pull_json(call.shapes, repo, one) for one in call.page(found)]


def pull_commits(call: Call) -> Any:
    one, graph = call.pull(), call.repo.graph
    return [call.shapes.commit(call.repo, c) for c in call.page(graph.compare(one.base_sha, one.head_sha).ahead)]


def issue(call: Call) -> Any:
    return call.shapes.issue(call.repo, call.pull())


def comments(call: Call) -> Any:
    number = call.pull().number
    found = list(call.repo.comments_on.get(number, {}).values())
    return [call.shapes.comment(call.repo, one) for one in call.page(found)]


def create_comment(call: Call) -> Any:
    body = _text(call)
    return Answer(201, add_comment(call, call.pull(), body, call.login))


def add_comment(call: Call, pull_request: Pull, body: str, login: str) -> dict[str, Any]:
    world, repo, now = call.world, call.repo, call.world.clock.now()
    comment = Comment(next(world.ids), pull_request.number, body, login, now, now)
    repo.add_comment(comment)
    world.emit(
        repo,
        "issue_comment",
        lambda brief: world.payloads.issue_comment(repo, pull_request, comment, "created", login, brief=brief),
    )
    return call.shapes.comment(repo, comment)


def comment(call: Call) -> Any:
    return call.shapes.comment(call.repo, _comment(call))


def edit_comment(call: Call) -> Any:
    """Changes the text; nobody is notified, but `issue_comment edited` is sent."""
    body, found = _text(call), _comment(call)
    before, found.body, found.updated = found.body, body, call.world.clock.now()
    world, repo, login = call.world, call.repo, call.login
    on = repo.pulls[found.number]

    def payload(brief: bool) -> dict[str, Any]:
        made = world.payloads.issue_comment(repo, on, found, "edited", login, brief=brief)
        return made | {"changes": {"body": {"from": before}}}

    world.emit(repo, "issue_comment", payload)
    return call.shapes.comment(repo, found)


def delete_comment(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    call.repo.remove_comment(_comment(call))
    return Answer(204)


def _comment(call: Call) -> Comment:
    found = call.repo.comments.get(call.number())
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _text(call: Call) -> str:
    body = call.body().get("body")
    if not isinstance(body, str) or not body.strip():
        raise _invalid("missing_field", "body can't be blank")
    if len(body) > MAX_BODY:
        raise _invalid("unprocessable", "body is too long (maximum is 65536 characters)")
    return body


def _invalid(code: str, message: str) -> RefusedError:
    error = {"resource": "IssueComment", "code": code, "field": "body", "message": message}
    return RefusedError(422, "Validation Failed", [error])


ROUTES: dict[str, Handle] = {
    "GET /repos/{}/{}/pulls": pulls,
    "GET /repos/{}/{}/pulls/{}": pull,
    "GET /repos/{}/{}/pulls/{}/commits": pull_commits,
    "GET /repos/{}/{}/issues/{}": issue,
    "GET /repos/{}/{}/issues/comments/{}": comment,
    "PATCH /repos/{}/{}/issues/comments/{}": edit_comment,
    "DELETE /repos/{}/{}/issues/comments/{}": delete_comment,
    "GET /repos/{}/{}/issues/{}/comments": comments,
    "POST /repos/{}/{}/issues/{}/comments": create_comment,
}
