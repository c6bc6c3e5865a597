"""Routes about repositories, branches, commits and comparisons."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from standins.github.graph import Commit
from standins.github.model import RefusedError, iso
from standins.github.routing import Call, Handle
from standins.github.shapes_pulls import pull_json

#: Without paging a comparison gives so many commits. Source: GitHub docs, "Compare two commits".
COMPARED = 250


def repository(call: Call) -> Any:
    repo = call.repo
    role = repo.collaborators.get(call.login, "admin" if call.token is not None else "read")
    shape = call.shapes.repo(repo)
    levels = ("pull", "triage", "push", "maintain", "admin")
    top = levels.index({"read": "pull", "write": "push"}.get(role, role))
    return shape | {"permissions": {level: at <= top for at, level in enumerate(levels)}}


def branch(call: Call) -> Any:
    name = call.args[0]
    commit = call.repo.graph.commits[_branch_head(call, name)]
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return {
        "name": name,
        "commit": call.shapes.commit(call.repo, commit),
        "_links": {"self": f"{url}/branches/{name}"},
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/branches/{name}/protection",
    }


def branches(call: Call) -> Any:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return call.page(
        [
            {"name": name, "commit": {"sha": sha, "url": f"{url}/commits/{sha}"}, "protected": False}
            for name, sha in sorted(call.repo.branches.items())
        ]
    )


def ref(call: Call) -> Any:
    """git/ref/heads/main; other kinds of refs are not kept."""
    kind, _, name = call.args[0].partition("/")
    if kind != "heads":
        raise RefusedError(404, "Not Found")
    sha = _branch_head(call, name)
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return {
        "ref": f"refs/heads/{name}",
        "node_id": f"REF_{sha[:20]}",
        "url": f"{url}/git/refs/heads/{name}",
        "object": {"sha": sha, "type": "commit", "url": f"{url}/git/commits/{sha}"},
    }


def commit(call: Call) -> Any:
    shape = call.shapes.commit(call.repo, resolve(call, call.args[0]))
    return shape | {"stats": {"total": 4, "additions": 3, "deletions": 1}, "files": []}


def commits(call: Call) -> Any:
    """The first-parent history from `sha` (default: the default branch), newest first."""
    at: Commit | None = resolve(call, call.request.query.get("sha", call.repo.default_branch))
    found: list[Commit] = []
    enough = 100 * max(1, int(call.request.query.get("page", "1")))
    while at is not None and len(found) <= enough:
        found.append(at)
        at = call.repo.graph.commits[at.parents[0]] if at.parents else None
    return [call.shapes.commit(call.repo, one) for one in call.page(found)]


def pulls_of_commit(call: Call) -> Any:
    """Merged ones if the commit is on the default branch, else the open and merged ones that hold it."""
    sha = resolve(call, call.args[0]).sha
    repo = call.repo
    brought = [repo.pulls[number] for number in repo.brought_by.get(sha, ())]
    if repo.graph.contains(repo.head, sha):
        brought = [pull for pull in brought if pull.merged_at is not None]
    return call.page([pull_json(call.shapes, repo, pull) for pull in brought])


def compare(call: Call) -> Any:
    """base...head. 404 for an unknown end or no common history; `behind` means head is the older one."""
    base_name, dots, head_name = call.args[0].partition("...")
    if not dots:
        raise RefusedError(404, "Not Found")
    base, head = resolve(call, base_name), resolve(call, head_name)
    comparison = call.repo.graph.compare(base.sha, head.sha)
    if comparison.merge_base is None:
        raise RefusedError(404, f"No common ancestor between {base_name} and {head_name}.")
    shapes, repo = call.shapes, call.repo
    shown = call.page(comparison.ahead) if "per_page" in call.request.query else comparison.ahead[:COMPARED]
    url = f"{repo.full_name}/compare/{base_name}...{head_name}"
    return {
        "url": f"{shapes.api}/repos/{url}",
        "html_url": f"{shapes.web}/{url}",
        "permalink_url": f"{shapes.web}/{repo.full_name}/compare/{base.sha[:7]}...{head.sha[:7]}",
        "diff_url": f"{shapes.web}/{url}.diff",
        "patch_url": f"{shapes.web}/{url}.patch",
        "base_commit": shapes.commit(repo, base),
        "merge_base_commit": shapes.commit(repo, comparison.merge_base),
        "status": comparison.status,
        "ahead_by": len(comparison.ahead),
        "behind_by": comparison.behind_by,
        "total_commits": len(comparison.ahead),
        "commits": [shapes.commit(repo, one) for one in shown],
        "files": [],
    }


def permission(call: Call) -> Any:
    """What a login may do: on a public repository everybody has at least `read`, so trust only admin and write."""
    login, repo = call.args[0], call.repo
    role = repo.collaborators.get(login) or ("admin" if login == repo.owner else None)
    if role is None and repo.private:
        raise RefusedError(404, f"{login} is not a user")
    role = role or "read"
    coarse = {"maintain": "write", "triage": "read"}.get(role, role)
    return {"permission": coarse, "role_name": role, "user": call.shapes.user(login)}


def contents(call: Call) -> Any:
    """A file of the default branch (files have no history here)."""
    path = call.args[0]
    data = call.repo.files.get(path)
    if "ref" in call.request.query:
        resolve(call, call.request.query["ref"])
    if data is None:
        raise RefusedError(404, "Not Found")
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324  that is what git uses
    url = f"{call.shapes.api}/repos/{call.repo.full_name}/contents/{path}"
    return {
        "type": "file", "encoding": "base64", "size": len(data), "name": path.rpartition("/")[2], "path": path,
        "content": base64.encodebytes(data).decode(), "sha": blob, "url": url, "git_url": None,
        "html_url": None, "download_url": None, "_links": {"self": url, "git": None, "html": None},
    }  # fmt: skip


def rate_limit(call: Call) -> Any:
    entry, limit = call.access.allowance(call.request, call.world.clock.now())
    if limit == 0:
        raise RefusedError(404, "Rate limiting is not enabled.")
    core = {
        "limit": limit,
        "used": min(limit, entry.used),
        "remaining": max(0, limit - entry.used),
        "reset": int(entry.reset),
    }
    other = {"limit": 30, "used": 0, "remaining": 30, "reset": int(entry.reset)}
    return {"resources": {"core": core, "search": other, "graphql": core, "integration_manifest": core}, "rate": core}


def user(call: Call) -> Any:
    if call.token is None:
        raise RefusedError(401, "Requires authentication")
    return call.shapes.user(call.token.login) | {"name": call.token.login, "created_at": iso(0)}


def meta(_call: Call) -> Any:
    return {"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8"]}


def resolve(call: Call, text: str) -> Commit:
    """A sha, a unique beginning of one, or a branch; 404 otherwise. (422 is for what looks like no sha at all.)"""
    sha = call.repo.branches.get(text.removeprefix("heads/").removeprefix("refs/heads/"), text)
    found = call.repo.graph.find(sha)
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _branch_head(call: Call, name: str) -> str:
    sha = call.repo.branches.get(name)
    if sha is None:
        raise RefusedError(404, "Branch not found")
    return sha


ROUTES: dict[str, Handle] = {
    "GET /repos/{}/{}": repository,
    "GET /repos/{}/{}/branches": branches,
    "GET /repos/{}/{}/git/ref/{+}": ref,
    "GET /repos/{}/{}/branches/{+}": branch,
    "GET /repos/{}/{}/commits": commits,
    "GET /repos/{}/{}/commits/{}/pulls": pulls_of_commit,
    "GET /repos/{}/{}/commits/{}": commit,
    "GET /repos/{}/{}/compare/{+}": compare,
    "GET /repos/{}/{}/collaborators/{}/permission": permission,
    "GET /repos/{}/{}/contents/{+}": contents,
    "GET /rate_limit": rate_limit,
    "GET /user": user,
    "GET /meta": meta,
}
