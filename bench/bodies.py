"""Webhook bodies of real size, as GitHub sends them, and the signed requests that carry them."""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import lru_cache
from typing import Any

SECRET = "a-secret-of-the-benchmark"
#: The number of services that share the pushes.
SERVICES = 50

_OWNER, _REPOSITORY = "bench", "s0000"
_BEFORE, _AFTER = "b" * 40, "a" * 40
_API = f"https://api.github.com/repos/{_OWNER}/{_REPOSITORY}"
# The addresses in each repository and user of a payload (GitHub docs: webhook events and payloads).
_OF_REPOSITORY = (
    "forks",
    "keys{/key_id}",
    "collaborators{/collaborator}",
    "teams",
    "hooks",
    "issues/events{/number}",
    "events",
    "assignees{/user}",
    "branches{/branch}",
    "tags",
    "git/blobs{/sha}",
    "git/tags{/sha}",
    "git/refs{/sha}",
    "git/trees{/sha}",
    "statuses/{sha}",
    "languages",
    "stargazers",
    "contributors",
    "subscribers",
    "subscription",
    "commits{/sha}",
    "git/commits{/sha}",
    "comments{/number}",
    "issues/comments{/number}",
    "contents/{+path}",
    "compare/{base}...{head}",
    "merges",
    "{archive_format}{/ref}",
    "downloads",
    "issues{/number}",
    "pulls{/number}",
    "milestones{/number}",
    "notifications{?since,all,participating}",
    "labels{/name}",
    "releases{/id}",
    "deployments",
)
_OF_USER = (
    "followers",
    "following{/other_user}",
    "gists{/gist_id}",
    "starred{/owner}{/repo}",
    "subscriptions",
    "orgs",
    "repos",
    "events{/privacy}",
    "received_events",
)


def repository(service: int) -> str:
    """Return the full name of a service's repository."""
    return f"{_OWNER}/s{service:04d}"


def sha(name: str) -> str:
    """Return a sha made from `name`."""
    return hashlib.sha1(name.encode()).hexdigest()


def baseline(full_name: str) -> str:
    """Return the head of main of a repository before the first push of the benchmark."""
    return sha(f"baseline of {full_name}")


def _user(login: str, number: int) -> dict[str, Any]:
    api = f"https://api.github.com/users/{login}"
    addresses = {f"{path.split('{')[0].split('/')[0]}_url": f"{api}/{path}" for path in _OF_USER}
    return {
        "login": login,
        "id": number,
        "node_id": "MDQ6VXNlcjIxMDMxMDY3",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": f"https://github.com/{login}",
        **addresses,
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def _repo() -> dict[str, Any]:
    addresses = {f"{path.split('{')[0].strip('/').replace('/', '_')}_url": f"{_API}/{path}" for path in _OF_REPOSITORY}
    counts = ("size", "stargazers_count", "watchers_count", "forks_count", "open_issues_count", "forks", "open_issues")
    flags = ("fork", "has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages", "archived", "disabled")
    return {
        "id": 186853002,
        "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=",
        "name": _REPOSITORY,
        "full_name": f"{_OWNER}/{_REPOSITORY}",
        "private": True,
        "owner": _user(_OWNER, 21031067),
        "html_url": f"https://github.com/{_OWNER}/{_REPOSITORY}",
        "description": "One of the services of a shop: takes orders, keeps them, and tells the others about them.",
        "url": _API,
        **addresses,
        "created_at": 1557933565,
        "updated_at": "2026-05-15T15:20:41Z",
        "pushed_at": 1557933657,
        "git_url": f"git://github.com/{_OWNER}/{_REPOSITORY}.git",
        "ssh_url": f"git@github.com:{_OWNER}/{_REPOSITORY}.git",
        "clone_url": f"https://github.com/{_OWNER}/{_REPOSITORY}.git",
        "homepage": None,
        "language": "Java",
        **dict.fromkeys(counts, 17),
        **dict.fromkeys(flags, False),
        "license": None,
        "topics": ["shop", "orders", "microservice"],
        "visibility": "private",
        "default_branch": "main",
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "delete_branch_on_merge": True,
    }


def _push() -> dict[str, Any]:
    person = {"name": "A Developer", "email": "developer@example.com", "username": "a-developer"}
    commit = {
        "id": _AFTER,
        "tree_id": "f9d2a07e9488b91af2641b26b9407fe22a451433",
        "distinct": True,
        "message": "Orders of several addresses (#4711)\n\nAn order may go to several addresses; each gets its part.",
        "timestamp": "2026-05-15T15:20:30Z",
        "url": f"https://github.com/{_OWNER}/{_REPOSITORY}/commit/{_AFTER}",
        "author": person,
        "committer": person,
        "added": [f"src/main/java/com/example/orders/address/Part{n}.java" for n in range(4)],
        "removed": [],
        "modified": [f"src/main/java/com/example/orders/Order{n}.java" for n in range(8)],
    }
    return {
        "ref": "refs/heads/main",
        "before": _BEFORE,
        "after": _AFTER,
        "repository": _repo(),
        "pusher": {"name": "a-developer", "email": "developer@example.com"},
        "organization": _user(_OWNER, 21031067),
        "sender": _user("a-developer", 21031068),
        "created": False,
        "deleted": False,
        "forced": False,
        "base_ref": None,
        "compare": f"https://github.com/{_OWNER}/{_REPOSITORY}/compare/{_BEFORE[:12]}...{_AFTER[:12]}",
        "commits": [commit],
        "head_commit": commit,
    }


def _pull_request() -> dict[str, Any]:
    end = {"label": "bench:main", "ref": "main", "sha": _BEFORE, "user": _user(_OWNER, 21031067), "repo": _repo()}
    pull = {
        "url": f"{_API}/pulls/4711",
        "id": 279147437,
        "html_url": f"https://github.com/{_OWNER}/{_REPOSITORY}/pull/4711",
        "number": 4711,
        "state": "closed",
        "locked": False,
        "title": "Orders of several addresses",
        "user": _user("a-developer", 21031068),
        "body": "An order may go to several addresses; each gets its part. " * 24,
        "created_at": "2026-05-15T15:20:33Z",
        "merged_at": "2026-05-15T16:20:33Z",
        "merge_commit_sha": _AFTER,
        "assignees": [_user("a-reviewer", 21031069)],
        "requested_reviewers": [_user("a-reviewer", 21031069)],
        "labels": [],
        "head": {**end, "ref": "several-addresses"},
        "base": end,
        "merged": True,
        "merged_by": _user("a-reviewer", 21031069),
        "comments": 3,
        "commits": 7,
        "additions": 612,
        "deletions": 87,
        "changed_files": 12,
    }
    common = {"repository": _repo(), "organization": _user(_OWNER, 21031067), "sender": _user("a-reviewer", 21031069)}
    return {"action": "closed", "number": 4711, "pull_request": pull, **common}


@lru_cache(maxsize=4)
def _template(event: str) -> bytes:
    return json.dumps(_push() if event == "push" else _pull_request(), separators=(",", ":")).encode()


def body(event: str, full_name: str, before: str, after: str) -> bytes:
    """Return one delivery's body: `event` is `push` (about 9 KB) or `pull_request` (about 24 KB, closed and merged)."""
    text = _template(event).replace(_BEFORE.encode(), before.encode()).replace(_AFTER.encode(), after.encode())
    return text.replace(f"{_OWNER}/{_REPOSITORY}".encode(), full_name.encode())


def push(index: int, services: int = SERVICES) -> tuple[str, str, str]:
    """Return repository, before and after of push number `index`; the pushes go over the services in turn."""
    full_name = repository(index % services)
    before = sha(f"push {index - services}") if index >= services else baseline(full_name)
    return full_name, before, sha(f"push {index}")


def request(path: str, event: str, delivery: str, content: bytes) -> bytes:
    """Return one whole signed HTTP request (GitHub docs: validating webhook deliveries)."""
    signature = hmac.new(SECRET.encode(), content, "sha256").hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nX-GitHub-Hook-ID: 292430182\r\n"
        f"X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {delivery}\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n"
    )
    return head.encode() + content
