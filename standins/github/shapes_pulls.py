"""The JSON shape of a pull request, in REST answers and in payloads."""

from __future__ import annotations

from typing import Any

from standins.github.model import Pull, Repo, iso, iso_or_none
from standins.github.shapes import Shapes, association, labels_of


def pull_json(shapes: Shapes, repo: Repo, pull: Pull, *, brief: bool = False) -> dict[str, Any]:
    """Return a pull request. Once closed, `mergeable` is null; `merged` says whether it was merged."""
    url = f"{shapes.api}/repos/{repo.full_name}"
    page = f"{shapes.web}/{repo.full_name}/pull/{pull.number}"
    shape: dict[str, Any] = {
        "url": f"{url}/pulls/{pull.number}", "id": repo.id * 10_000 + pull.number,
        "node_id": f"PR_{pull.number:x}", "html_url": page, "number": pull.number, "state": pull.state,
        "locked": False, "title": pull.title, "user": shapes.user(pull.author, brief=brief), "body": pull.body,
        "created_at": iso(pull.created), "updated_at": iso(pull.updated),
        "closed_at": iso_or_none(pull.closed_at), "merged_at": iso_or_none(pull.merged_at),
        "merge_commit_sha": pull.merge_commit_sha, "assignee": None, "assignees": [],
        "requested_reviewers": [], "requested_teams": [], "labels": labels_of(pull, url), "milestone": None,
        "draft": pull.draft, "author_association": association(repo, pull.author), "auto_merge": None,
        "active_lock_reason": None, "head": _head(shapes, repo, pull, brief=brief),
        "base": _end(shapes, repo, pull.base, pull.base_sha, brief=brief),
        "merged": pull.merged_at is not None, "mergeable": None if pull.state == "closed" else True,
        "rebaseable": None if pull.state == "closed" else True,
        "mergeable_state": "unknown" if pull.state == "closed" else "clean",
        "merged_by": shapes.user(pull.merged_by, brief=brief) if pull.merged_by else None,
        "comments": len(repo.comments_on.get(pull.number, ())),
        "review_comments": 0, "maintainer_can_modify": False, "commits": pull.commits, "additions": 3, "deletions": 1,
        "changed_files": 1,
    }  # fmt: skip
    return shape if brief else shape | _links(url, page, pull)


def _links(url: str, page: str, pull: Pull) -> dict[str, Any]:
    issue = f"{url}/issues/{pull.number}"
    own = f"{url}/pulls/{pull.number}"
    statuses = f"{url}/statuses/{pull.head_sha}"
    hrefs = {
        "self": own, "html": page, "issue": issue, "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments", "review_comment": f"{url}/pulls/comments{{/number}}",
        "commits": f"{own}/commits", "statuses": statuses,
    }  # fmt: skip
    return {
        "diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "issue_url": issue,
        "commits_url": f"{own}/commits", "review_comments_url": f"{own}/comments",
        "review_comment_url": f"{url}/pulls/comments{{/number}}", "comments_url": f"{issue}/comments",
        "statuses_url": statuses, "_links": {name: {"href": href} for name, href in hrefs.items()},
    }  # fmt: skip


def _head(shapes: Shapes, repo: Repo, pull: Pull, *, brief: bool) -> dict[str, Any]:
    end = _end(shapes, repo, pull.branch, pull.head_sha, brief=brief)
    if pull.fork is None:
        return end
    if not pull.fork:  # the fork is gone
        return end | {"label": pull.branch, "repo": None}
    fork_id = repo.id + 500_000
    fork = end["repo"] | {"id": fork_id, "full_name": f"{pull.fork}/{repo.name}", "fork": True}
    fork["owner"] = shapes.user(pull.fork, brief=brief)
    return end | {"label": f"{pull.fork}:{pull.branch}", "user": fork["owner"], "repo": fork}


_MERGE_SETTINGS = {
    "allow_squash_merge": True, "allow_merge_commit": True, "allow_rebase_merge": True, "allow_auto_merge": False,
    "delete_branch_on_merge": True, "allow_update_branch": False, "use_squash_pr_title_as_default": False,
    "squash_merge_commit_message": "COMMIT_MESSAGES", "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "merge_commit_message": "PR_TITLE", "merge_commit_title": "MERGE_MESSAGE", "custom_properties": {},
    "has_discussions": False, "allow_issue_comments": True, "pull_request_creation_policy": "all",
}  # fmt: skip


def _end(shapes: Shapes, repo: Repo, ref: str, sha: str, *, brief: bool) -> dict[str, Any]:
    return {
        "label": f"{repo.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": shapes.user(repo.owner, brief=brief) | {"type": repo.owner_type},
        "repo": shapes.repo(repo, brief=brief) | ({} if brief else _MERGE_SETTINGS),
    }
