"""Routes of pull requests and their comments."""

from __future__ import annotations

from typing import Any

from standins.github.model import Comment, Issue, Pull, RefusedError, iso
from standins.github.routing import Answer, Call, Handle
from standins.github.shapes import labels_of
from standins.github.shapes_pulls import pull_json
from standins.github.world import METHODS

MAX_BODY = 65536


def pull(call: Call) -> Any:
    return pull_json(call.shapes, call.repo, call.pull())


def pulls(call: Call) -> Any:
    """List pull requests, newest first; `state`, `head` (owner:branch) and `base` filter them."""
    query, repo = call.request.query, call.repo
    state = query.get("state", "open")
    found = [
        one
        for one in reversed(list((repo.open_pulls if state == "open" else repo.pulls).values()))
        if state in ("all", one.state)
        and query.get("base", one.base) == one.base
        and query.get("head") in (None, f"{one.fork or repo.owner}:{one.branch}")
    ]
    return [pull_json(call.shapes, repo, one) for one in call.page(found)]


def pull_commits(call: Call) -> Any:
    one, graph = call.pull(), call.repo.graph
    return [call.shapes.commit(call.repo, c) for c in call.page(graph.compare(one.base_sha, one.head_sha).ahead)]


def issue(call: Call) -> Any:
    return call.shapes.issue(call.repo, call.issue())


def labels(call: Call) -> Any:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return call.page(labels_of(call.issue(), url))


def add_labels(call: Call) -> Any:
    """Answer 200 with all labels; create a label that the repository does not have yet."""
    names, found = call.body().get("labels"), call.issue()
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise RefusedError(
            422, "Validation Failed", [{"resource": "Label", "code": "missing_field", "field": "labels"}]
        )
    for name in names:
        if name not in found.labels:
            found.labels.append(name)
            _tell_label(call, found, name, "labeled")
    return labels(call)


def remove_label(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    found, name = call.issue(), call.args[1]
    if name not in found.labels:
        raise RefusedError(404, "Label does not exist")
    found.labels.remove(name)
    _tell_label(call, found, name, "unlabeled")
    return labels(call)


def _tell_label(call: Call, found: Pull | Issue, name: str, action: str) -> None:
    if isinstance(found, Pull):
        call.world.tell_label(call.repo, found, name, action, call.login)


def merge(call: Call) -> Any:
    """Answer 200 with the sha that landed; 405 if it cannot be merged, 409 if `sha` is not the head any more."""
    body, found = call.body(), call.pull()
    if found.state != "open" or found.draft:
        raise RefusedError(405, "Pull Request is not mergeable")
    if body.get("sha") not in (None, found.head_sha):
        raise RefusedError(409, "Head branch was modified. Review and try the merge again.")
    method = body.get("merge_method", "merge")
    if method not in METHODS:
        raise RefusedError(
            422, "Validation Failed", [{"resource": "PullRequest", "code": "invalid", "field": "merge_method"}]
        )
    sha = call.world.merge(call.repo, found, method, call.login, "push-first")
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


def comments(call: Call) -> Any:
    number = call.issue().number
    since = call.request.query.get("since", "")
    found = [one for one in call.repo.comments_on.get(number, {}).values() if iso(one.updated) >= since]
    return [call.shapes.comment(call.repo, one) for one in call.page(found)]


def create_comment(call: Call) -> Any:
    body = _text(call)
    return Answer(201, add_comment(call, call.issue(), body, call.login))


def add_comment(call: Call, pull_request: Pull | Issue, body: str, login: str) -> dict[str, Any]:
    return call.shapes.comment(call.repo, call.world.add_comment(call.repo, pull_request, body, login))


def comment(call: Call) -> Any:
    return call.shapes.comment(call.repo, found_comment(call))


def edit_comment(call: Call) -> Any:
    """Change the text; nobody is notified, but `issue_comment edited` is sent."""
    body, found = _text(call), found_comment(call)
    call.world.edit_comment(call.repo, found, body, call.login)
    return call.shapes.comment(call.repo, found)


def delete_comment(call: Call) -> Any:
    call.access.check_write(call.token, call.repo)
    call.world.delete_comment(call.repo, found_comment(call), call.login)
    return Answer(204)


def found_comment(call: Call) -> Comment:
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
    "PUT /repos/{}/{}/pulls/{}/merge": merge,
    "GET /repos/{}/{}/issues/{}": issue,
    "GET /repos/{}/{}/issues/{}/labels": labels,
    "POST /repos/{}/{}/issues/{}/labels": add_labels,
    "DELETE /repos/{}/{}/issues/{}/labels/{}": remove_label,
    "GET /repos/{}/{}/issues/comments/{}": comment,
    "PATCH /repos/{}/{}/issues/comments/{}": edit_comment,
    "DELETE /repos/{}/{}/issues/comments/{}": delete_comment,
    "GET /repos/{}/{}/issues/{}/comments": comments,
    "POST /repos/{}/{}/issues/{}/comments": create_comment,
}
