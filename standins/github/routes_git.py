"""Routes about repositories, branches, commits and comparisons."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from standins.github.graph import Commit
from standins.github.model import RefusedError, iso
from standins.github.routing import Call, Handle
from standins.github.shapes_pulls import pull_json

#: The most commits of a comparison without paging. Source: GitHub docs, "Compare two commits".
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
        "_links": {
            "self": f"{url}/branches/{name}",
            "html": f"{call.shapes.web}/{call.repo.full_name}/tree/{name}",
        },
        "protected": False,
        "protection": {"enabled": False},
        "protection_url": f"{url}/branches/{name}/protection",
    }


def branches(call: Call) -> Any:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return call.page(
        [
            {"name": name, "commit": {"sha": sha, "url": f"{url}/commits/{sha}"}, "protected": False}
            for name, sha in sorted(_seen_branches(call).items())
        ]
    )


def ref(call: Call) -> Any:
    """Return git/ref/heads/main or git/ref/tags/v1; other kinds of refs do not exist here."""
    sha = _refs(call).get(call.args[0])
    if sha is None:
        raise RefusedError(404, "Not Found")
    return _ref(call, call.args[0], sha)


def matching_refs(call: Call) -> Any:
    """Return all refs that begin with the given text."""
    return [_ref(call, name, sha) for name, sha in sorted(_refs(call).items()) if name.startswith(call.args[0])]


def tags(call: Call) -> Any:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return [
        {
            "name": name, "commit": {"sha": sha, "url": f"{url}/commits/{sha}"}, "node_id": f"REF_{sha[:20]}",
            "zipball_url": f"{url}/zipball/refs/tags/{name}", "tarball_url": f"{url}/tarball/refs/tags/{name}",
        }
        for name, sha in call.page(sorted(call.repo.tags.items(), reverse=True))
    ]  # fmt: skip


def _refs(call: Call) -> dict[str, str]:
    heads = {f"heads/{name}": sha for name, sha in _seen_branches(call).items()}
    return heads | {f"tags/{name}": sha for name, sha in call.repo.tags.items()}


def _ref(call: Call, name: str, sha: str) -> Any:
    url = f"{call.shapes.api}/repos/{call.repo.full_name}"
    return {
        "ref": f"refs/{name}",
        "node_id": f"REF_{sha[:20]}",
        "url": f"{url}/git/refs/{name}",
        "object": {"sha": sha, "type": "commit", "url": f"{url}/git/commits/{sha}"},
    }


def commit(call: Call) -> Any:
    shape = call.shapes.commit(call.repo, _commit_of(call))
    return shape | {"stats": {"total": 4, "additions": 3, "deletions": 1}, "files": []}


def commits(call: Call) -> Any:
    """Return the first-parent history from `sha` (default: the default branch), newest first."""
    at: Commit | None = resolve(call, call.request.query.get("sha", call.repo.default_branch))
    found: list[Commit] = []
    enough = 100 * max(1, int(call.request.query.get("page", "1")))
    while at is not None and len(found) <= enough:
        found.append(at)
        at = call.repo.graph.commits[at.parents[0]] if at.parents else None
    return [call.shapes.commit(call.repo, one) for one in call.page(found)]


def pulls_of_commit(call: Call) -> Any:
    """List merged ones if the commit is on the default branch, else the open and merged ones that hold it."""
    sha = _commit_of(call).sha
    repo = call.repo
    brought = [repo.pulls[number] for number in repo.brought_by.get(sha, ())]
    if repo.graph.contains(repo.head, sha):
        brought = [pull for pull in brought if pull.merged_at is not None]
    return call.page([pull_json(call.shapes, repo, pull) for pull in brought])


def compare(call: Call) -> Any:
    """Compare base...head; 404 for an unknown end or no common history; `behind`: head is the older one."""
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
    """Return the permission of a login; everybody has `read` on a public one, so trust only admin and write."""
    login, repo = call.args[0], call.repo
    role = repo.collaborators.get(login) or ("admin" if login == repo.owner else None)
    role = role or ("none" if repo.private else "read")
    coarse = {"maintain": "write", "triage": "read"}.get(role, role)
    levels = ("pull", "triage", "push", "maintain", "admin")
    top = ("read", "triage", "write", "maintain", "admin").index(role) if role != "none" else -1
    may = {level: at <= top for at, level in enumerate(levels)}
    user = call.shapes.user(login) | {"permissions": may, "role_name": role}
    return {"permission": coarse, "role_name": role, "user": user}


def contents(call: Call) -> Any:
    """Return a file of the default branch (files have no history here)."""
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
    if call.token.kind == "integration":
        raise RefusedError(403, "Resource not accessible by integration")
    shape = call.shapes.user(call.token.login)
    empty = dict.fromkeys(("company", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    rest = {"name": call.token.login, "blog": "", "user_view_type": "public", "created_at": iso(0)}
    return shape | empty | counts | rest | {"updated_at": iso(0)}


def meta(_call: Call) -> Any:
    return {"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8"]}


def resolve(call: Call, text: str) -> Commit:
    """Find a commit by its sha, a unique beginning of it, a branch or a tag; raise 404 otherwise."""
    name = text.removeprefix("refs/")
    branches = _seen_branches(call)
    sha = branches.get(name.removeprefix("heads/")) or call.repo.tags.get(name.removeprefix("tags/")) or text
    found = call.repo.graph.find(sha)
    if found is None or _too_new(call, found):
        raise RefusedError(404, "Not Found")
    return found


def _commit_of(call: Call) -> Commit:
    """Return the commit in the path; raise 422 for an unknown one, as GitHub does on these routes."""
    try:
        return resolve(call, call.args[0])
    except RefusedError:
        raise RefusedError(422, f"No commit found for SHA: {call.args[0]}") from None


def _seen_branches(call: Call) -> dict[str, str]:
    """Return the heads of the branches as a replica sees them: for a while after a push, the old ones."""
    repo, now = call.repo, call.world.clock.now()
    repo.stale = [row for row in repo.stale if row[0] > now]
    seen: dict[str, str | None] = {**repo.branches}
    seen.update((name, before) for _, name, before in reversed(repo.stale))
    return {name: sha for name, sha in seen.items() if sha is not None}


def _too_new(call: Call, commit: Commit) -> bool:
    """Return whether a lagging replica does not have the commit yet."""
    return bool(call.repo.stale) and commit.at > call.world.clock.now() - call.world.lag


def _branch_head(call: Call, name: str) -> str:
    sha = _seen_branches(call).get(name)
    if sha is None:
        raise RefusedError(404, "Branch not found")
    return sha


ROUTES: dict[str, Handle] = {
    "GET /repos/{}/{}": repository,
    "GET /repos/{}/{}/branches": branches,
    "GET /repos/{}/{}/git/ref/{+}": ref,
    "GET /repos/{}/{}/git/matching-refs/{+}": matching_refs,
    "GET /repos/{}/{}/tags": tags,
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
