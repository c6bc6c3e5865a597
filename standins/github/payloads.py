"""Webhook payloads, one method per event."""

from __future__ import annotations

from typing import Any

from standins.github.apps import Apps, Installation
from standins.github.checks import CheckRun, CheckSuite
from standins.github.graph import Commit
from standins.github.model import Comment, Deployment, DeploymentStatus, Hook, Issue, Pull, Repo, Status, iso
from standins.github.shapes import Json, Shapes
from standins.github.shapes_checks import installation_json, run_json, suite_json
from standins.github.shapes_pulls import pull_json

ZERO = "0" * 40
#: The most commits in a push payload. Source: GitHub docs, webhook events, push.
MAX_COMMITS = 2048


class Payloads:
    """The builder of payloads; `brief` leaves the many address fields out."""

    def __init__(self, shapes: Shapes, apps: Apps) -> None:
        self.shapes, self._apps = shapes, apps

    def _around(self, repo: Repo, sender: str, *, brief: bool) -> Json:
        around: Json = {
            "repository": self.shapes.repo(repo, brief=brief),
            "sender": self.shapes.user(sender, brief=brief),
        }
        if repo.owner_type == "Organization":
            around["organization"] = self.shapes.organization(repo.owner, brief=brief)
        return around

    def push(
        self,
        repo: Repo,
        ref: str,
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
            "ref": ref,
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

    def issue_comment(
        self, repo: Repo, pull: Pull | Issue, comment: Comment, action: str, sender: str, *, brief: bool
    ) -> Json:
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
        if status is None:
            payload |= {"workflow": None, "workflow_run": None}
        else:
            payload["deployment_status"] = self.shapes.deployment_status(repo, deployment, status)
        return payload | self._around(repo, deployment.creator, brief=brief)

    def ref(self, repo: Repo, kind: str, name: str, sender: str, *, deleted: bool, brief: bool) -> Json:
        """Build `create` and `delete` of a branch or tag."""
        made: Json = {"ref": name, "ref_type": kind, "pusher_type": "user"}
        if not deleted:
            made |= {"master_branch": repo.default_branch, "description": None}
        return made | self._around(repo, sender, brief=brief)

    def check_run(
        self, repo: Repo, run: CheckRun, action: str, sender: str, button: str | None, *, brief: bool
    ) -> Json:
        made: Json = {"action": action, "check_run": run_json(self.shapes, self._apps.app, repo, run, hook=True)}
        if button is not None:
            made["requested_action"] = {"identifier": button}
        return made | self._around(repo, sender, brief=brief)

    def check_suite(self, repo: Repo, suite: CheckSuite, action: str, sender: str, *, brief: bool) -> Json:
        shown = suite_json(self.shapes, self._apps.app, repo, suite)
        return {"action": action, "check_suite": shown, **self._around(repo, sender, brief=brief)}

    def merge_group(
        self,
        repo: Repo,
        ref: str,
        head: Commit,
        base: str,
        base_sha: str,
        sender: str,
        reason: str | None,
        *,
        brief: bool,
    ) -> Json:
        """Build `merge_group`. `reason` None: checks are requested; else the reason why the group is destroyed."""
        person = {"name": head.author, "email": f"{head.author}@example.com"}
        group = {
            "head_sha": head.sha, "head_ref": f"refs/heads/{ref}", "base_sha": base_sha,
            "base_ref": f"refs/heads/{base}",
            "head_commit": {"id": head.sha, "tree_id": head.tree, "message": head.message, "timestamp": iso(head.at),
                            "author": person, "committer": person},
        }  # fmt: skip
        made: Json = {"action": "checks_requested" if reason is None else "destroyed", "merge_group": group}
        return made | ({} if reason is None else {"reason": reason}) | self._around(repo, sender, brief=brief)

    def installation(self, one: Installation, action: str, repos: list[Repo], sender: str) -> Json:
        return {
            "action": action,
            "installation": installation_json(self.shapes, self._apps.app, one),
            "repositories": [self._named(repo) for repo in repos],
            "requester": None,
            "sender": self.shapes.user(sender),
        }

    def installation_repositories(self, one: Installation, added: list[Repo], removed: list[Repo], sender: str) -> Json:
        return {
            "action": "added" if added else "removed",
            "installation": installation_json(self.shapes, self._apps.app, one),
            "repository_selection": "all" if one.repos is None else "selected",
            "repositories_added": [self._named(repo) for repo in added],
            "repositories_removed": [self._named(repo) for repo in removed],
            "requester": None,
            "sender": self.shapes.user(sender),
        }

    @staticmethod
    def _named(repo: Repo) -> Json:
        return {
            "id": repo.id, "node_id": f"R_{repo.id:x}", "name": repo.name, "full_name": repo.full_name,
            "private": repo.private,
        }  # fmt: skip

    def repository(self, repo: Repo, action: str, changes: Json, sender: str, *, brief: bool) -> Json:
        return {"action": action, "changes": changes, **self._around(repo, sender, brief=brief)}

    def ping_app(self, hook: Hook) -> Json:
        shown = {
            "type": "App", "id": hook.id, "app_id": self._apps.app.id, "name": "web", "active": True,
            "events": list(hook.events), "config": self.shapes.hook_config(hook), "updated_at": iso(self._apps.app.at),
            "created_at": iso(self._apps.app.at), "deliveries_url": f"{self.shapes.api}/app/hook/deliveries",
        }  # fmt: skip
        return {"zen": "Keep it logically awesome.", "hook_id": hook.id, "hook": shown}

    def ping(self, repo: Repo, hook: Hook) -> dict[str, Any]:
        return {
            "zen": "Keep it logically awesome.",
            "hook_id": hook.id,
            "hook": self.shapes.hook(repo, hook),
            **self._around(repo, repo.owner, brief=False),
        }
