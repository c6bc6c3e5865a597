"""Webhook payloads: push, pull_request, issue_comment, status, deployment, repository, ping."""

from __future__ import annotations

from typing import Any

from standins.github.graph import Commit
from standins.github.model import Comment, Deployment, DeploymentStatus, Hook, Pull, Repo, Status, iso
from standins.github.shapes import Json, Shapes
from standins.github.shapes_pulls import pull_json

ZERO = "0" * 40
#: A push payload names at most so many commits. Source: GitHub docs, webhook events, push.
MAX_COMMITS = 2048


class Payloads:
    """Builds payloads; with `brief` without the many address fields."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes

    def _around(self, repo: Repo, sender: str, *, brief: bool) -> Json:
        around: Json = {
            "repository": self.shapes.repo(repo, brief=brief),
            "sender": self.shapes.user(sender, brief=brief),
        }
        if repo.owner_type == "Organization":
            around["organization"] = self.shapes.user(repo.owner, brief=True) | {"type": "Organization"}
        return around

    def push(
        self,
        repo: Repo,
        branch: str,
        before: str,
        after: str,
        commits: list[Commit],
        sender: str,
        *,
        forced: bool,
        brief: bool,
    ) -> Json:
        named = [self.shapes.pushed_commit(repo, commit) for commit in commits[-MAX_COMMITS:]]
        head = repo.graph.commits.get(after)
        around = self._around(repo, sender, brief=brief)
        # a push names the repository's times in seconds and its owner with a name and an address
        around["repository"] |= {
            "created_at": int(repo.created),
            "pushed_at": int(head.at if head is not None else repo.created),
            "master_branch": repo.default_branch,
            "organization": repo.owner,
        }
        around["repository"]["owner"] |= {"name": repo.owner, "email": f"{repo.owner}@example.com"}
        return {
            "ref": f"refs/heads/{branch}",
            "before": before,
            "after": after,
            "base_ref": None,
            "created": before == ZERO,
            "deleted": after == ZERO,
            "forced": forced,
            "compare": f"{self.shapes.web}/{repo.full_name}/compare/{before[:12]}...{after[:12]}",
            "commits": named,
            "head_commit": None if head is None else self.shapes.pushed_commit(repo, head),
            "pusher": {"name": sender, "email": f"{sender}@example.com"},
            **around,
        }

    def pull_request(
        self, repo: Repo, pull: Pull, action: str, sender: str, extra: Json | None = None, *, brief: bool
    ) -> Json:
        return {
            "action": action,
            "number": pull.number,
            "pull_request": pull_json(self.shapes, repo, pull, brief=brief),
            **(extra or {}),
            **self._around(repo, sender, brief=brief),
        }

    def issue_comment(self, repo: Repo, pull: Pull, comment: Comment, action: str, sender: str, *, brief: bool) -> Json:
        return {
            "action": action,
            "issue": self.shapes.issue(repo, pull),
            "comment": self.shapes.comment(repo, comment),
            **self._around(repo, sender, brief=brief),
        }

    def status(self, repo: Repo, status: Status, *, brief: bool) -> Json:
        return {
            "id": status.id, "sha": status.sha, "name": repo.full_name, "target_url": status.target_url,
            "context": status.context, "description": status.description, "state": status.state,
            "commit": self.shapes.commit(repo, repo.graph.commits[status.sha]), "branches": [],
            "created_at": iso(status.at), "updated_at": iso(status.at),
            **self._around(repo, status.creator, brief=brief),
        }  # fmt: skip

    def deployment(self, repo: Repo, deployment: Deployment, status: DeploymentStatus | None, *, brief: bool) -> Json:
        payload: Json = {"action": "created", "deployment": self.shapes.deployment(repo, deployment)}
        if status is not None:
            payload["deployment_status"] = self.shapes.deployment_status(repo, deployment, status)
        return payload | self._around(repo, deployment.creator, brief=brief)

    def repository(self, repo: Repo, action: str, changes: Json, sender: str, *, brief: bool) -> Json:
        return {"action": action, "changes": changes, **self._around(repo, sender, brief=brief)}

    def ping(self, repo: Repo, hook: Hook) -> dict[str, Any]:
        return {
            "zen": "Keep it logically awesome.",
            "hook_id": hook.id,
            "hook": {"type": "Repository", "id": hook.id, "name": "web", "active": True, "events": list(hook.events)},
            **self._around(repo, repo.owner, brief=True),
        }
