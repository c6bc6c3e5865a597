"""The JSON shapes of REST answers and payloads. Source: GitHub's OpenAPI description (fields, not examples)."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

from standins.github.graph import Commit
from standins.github.model import (
    Comment,
    Deployment,
    DeploymentStatus,
    Hook,
    Issue,
    Pull,
    Reaction,
    Repo,
    Status,
    iso,
    iso_or_none,
    number_of,
)

Json = dict[str, Any]
REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")

_USER_LINKS = (
    "followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}", "subscriptions",
    "organizations", "repos", "events{/privacy}", "received_events",
)  # fmt: skip
_REPO_LINKS = {
    "forks_url": "forks", "keys_url": "keys{/key_id}", "collaborators_url": "collaborators{/collaborator}",
    "teams_url": "teams", "hooks_url": "hooks", "issue_events_url": "issues/events{/number}",
    "events_url": "events", "assignees_url": "assignees{/user}", "branches_url": "branches{/branch}",
    "tags_url": "tags", "blobs_url": "git/blobs{/sha}", "git_tags_url": "git/tags{/sha}",
    "git_refs_url": "git/refs{/sha}", "trees_url": "git/trees{/sha}", "statuses_url": "statuses/{sha}",
    "languages_url": "languages", "stargazers_url": "stargazers", "contributors_url": "contributors",
    "subscribers_url": "subscribers", "subscription_url": "subscription", "commits_url": "commits{/sha}",
    "git_commits_url": "git/commits{/sha}", "comments_url": "comments{/number}",
    "issue_comment_url": "issues/comments{/number}", "contents_url": "contents/{+path}",
    "compare_url": "compare/{base}...{head}", "merges_url": "merges", "archive_url": "{archive_format}{/ref}",
    "downloads_url": "downloads", "issues_url": "issues{/number}", "pulls_url": "pulls{/number}",
    "milestones_url": "milestones{/number}", "notifications_url": "notifications{?since,all,participating}",
    "labels_url": "labels{/name}", "releases_url": "releases{/id}", "deployments_url": "deployments",
}  # fmt: skip
_MODIFIED = tuple(
    f"src/main/java/com/example/service/{part}/{part.title()}{kind}.java"
    for part in ("order", "payment", "basket", "customer")
    for kind in ("Controller", "Service", "Repository")
)


class Shapes:
    """Shapes for one address: `api` such as `http://127.0.0.1:8080`, `web` the address of the pages."""

    def __init__(self, api: str, web: str) -> None:
        self.api, self.web = api, web

    def user(self, login: str, *, brief: bool = False) -> Json:
        """Return a user or bot; with `brief` without the unused address fields."""
        kind = "Bot" if login.endswith("[bot]") else "User"
        user: Json = {"login": login, "id": number_of(login), "type": kind, "site_admin": False}
        if brief:
            return user
        base = f"{self.api}/users/{login}"
        links = {f"{link.partition('{')[0]}_url": f"{base}/{link}" for link in _USER_LINKS}
        urls: Json = {
            "node_id": f"U_{number_of(login):x}", "avatar_url": f"{self.web}/avatars/u/{number_of(login)}?v=4",
            "gravatar_id": "", "url": base, "html_url": f"{self.web}/{login}",
        }  # fmt: skip
        return user | urls | links

    def organization(self, login: str, *, brief: bool = False) -> Json:
        shape: Json = {"login": login, "id": number_of(login), "node_id": f"O_{number_of(login):x}"}
        if brief:
            return shape | {"type": "Organization"}
        base = f"{self.api}/orgs/{login}"
        urls = {f"{name}_url": f"{base}/{name}" for name in ("repos", "events", "hooks", "issues")}
        return shape | urls | {
            "url": base, "members_url": f"{base}/members{{/member}}", "description": None,
            "public_members_url": f"{base}/public_members{{/member}}",
            "avatar_url": f"{self.web}/avatars/u/{number_of(login)}?v=4",
        }  # fmt: skip

    def repo(self, repo: Repo, *, brief: bool = False) -> Json:
        owner = self.user(repo.owner, brief=brief) | {"type": repo.owner_type}
        url = f"{self.api}/repos/{repo.full_name}"
        shape: Json = {
            "id": repo.id, "node_id": f"R_{repo.id:x}", "name": repo.name, "full_name": repo.full_name,
            "private": repo.private, "owner": owner, "html_url": f"{self.web}/{repo.full_name}",
            "description": f"The service {repo.name}", "fork": False, "url": url,
            "default_branch": repo.default_branch, "archived": repo.archived,
        }  # fmt: skip
        if brief:
            return shape
        return shape | self._repo_links(repo, url)

    def _repo_links(self, repo: Repo, url: str) -> Json:
        """Return the many addresses, counts and switches of a repository."""
        counts = dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count", "forks", "watchers"), 0)
        has = dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages"), True)
        open_now = len(repo.open_pulls)
        place = self.web.partition("//")[2]
        rest: Json = {
            "created_at": iso(repo.created), "updated_at": iso(repo.created), "pushed_at": iso(repo.created),
            "git_url": f"git://{place}/{repo.full_name}.git", "ssh_url": f"git@{place}:{repo.full_name}.git",
            "clone_url": f"{self.web}/{repo.full_name}.git", "svn_url": f"{self.web}/{repo.full_name}",
            "homepage": None, "language": "Java", "mirror_url": None, "disabled": False, "license": None,
            "open_issues_count": open_now, "open_issues": open_now, "allow_forking": True, "is_template": False,
            "web_commit_signoff_required": False, "topics": [], "has_discussions": False, "network_count": 0,
            "subscribers_count": 0, "has_pull_requests": True,
            "visibility": "private" if repo.private else "public",
        }  # fmt: skip
        return {name: f"{url}/{link}" for name, link in _REPO_LINKS.items()} | counts | has | rest

    def commit(self, repo: Repo, commit: Commit) -> Json:
        """Return a commit as REST gives it."""
        url = f"{self.api}/repos/{repo.full_name}"
        person = {"name": commit.author, "email": f"{commit.author}@example.com", "date": iso(commit.at)}
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha[:20]}",
            "commit": {
                "author": person, "committer": person, "message": commit.message,
                "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
                "url": f"{url}/git/commits/{commit.sha}", "comment_count": 0,
                "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None,
                                 "verified_at": None},
            },
            "url": f"{url}/commits/{commit.sha}",
            "html_url": f"{self.web}/{repo.full_name}/commit/{commit.sha}",
            "comments_url": f"{url}/commits/{commit.sha}/comments",
            "author": self.user(commit.author),
            "committer": self.user(commit.author),
            "parents": [
                {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{self.web}/{repo.full_name}/commit/{sha}"}
                for sha in commit.parents
            ],
        }  # fmt: skip

    def pushed_commit(self, repo: Repo, commit: Commit) -> Json:
        """Return a commit as a push payload gives it."""
        person = {"name": commit.author, "email": f"{commit.author}@example.com", "username": commit.author}
        return {
            "id": commit.sha, "tree_id": commit.tree, "distinct": True, "message": commit.message,
            "timestamp": iso(commit.at), "url": f"{self.web}/{repo.full_name}/commit/{commit.sha}",
            "author": person, "committer": person, "added": [], "removed": [], "modified": list(_MODIFIED),
        }  # fmt: skip

    def status(self, repo: Repo, status: Status) -> Json:
        return {
            "url": f"{self.api}/repos/{repo.full_name}/statuses/{status.sha}",
            "avatar_url": f"{self.web}/avatars/u/{number_of(status.creator)}", "id": status.id,
            "node_id": f"SC_{status.id:x}", "state": status.state, "description": status.description,
            "target_url": status.target_url, "context": status.context, "created_at": iso(status.at),
            "updated_at": iso(status.at), "creator": self.user(status.creator),
        }  # fmt: skip

    def hook(self, repo: Repo, hook: Hook) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/hooks/{hook.id}"
        return {
            "type": "Repository", "id": hook.id, "name": "web", "active": hook.active, "events": list(hook.events),
            "config": self.hook_config(hook), "url": url, "ping_url": f"{url}/pings", "test_url": f"{url}/test",
            "deliveries_url": f"{url}/deliveries", "updated_at": iso(repo.created), "created_at": iso(repo.created),
            "last_response": {"code": None, "status": "unused", "message": None},
        }  # fmt: skip

    @staticmethod
    def hook_config(hook: Hook) -> Json:
        """Return the configuration of a hook, without the secret."""
        secret = {"secret": "********"} if hook.secret else {}
        return {"url": hook.url, "content_type": "json", "insecure_ssl": "0", **secret}

    def reaction(self, one: Reaction) -> Json:
        return {
            "id": one.id, "node_id": f"REA_{one.id:x}", "user": self.user(one.user), "content": one.content,
            "created_at": iso(one.at),
        }  # fmt: skip

    def comment(self, repo: Repo, comment: Comment) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/issues"
        page = "pull" if comment.number in repo.pulls else "issues"
        given = Counter(one.content for one in comment.reactions.values())
        return {
            "url": f"{url}/comments/{comment.id}",
            "html_url": f"{self.web}/{repo.full_name}/{page}/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{url}/{comment.number}", "id": comment.id, "node_id": f"IC_{comment.id:x}",
            "user": self.user(comment.user), "created_at": iso(comment.created),
            "updated_at": iso(comment.updated), "author_association": association(repo, comment.user),
            "body": comment.body, "performed_via_github_app": None,
            "reactions": {
                "url": f"{url}/comments/{comment.id}/reactions", "total_count": given.total(),
                **{content: given[content] for content in REACTIONS},
            },
        }  # fmt: skip

    def issue(self, repo: Repo, pull: Pull | Issue) -> Json:
        """Return an issue; a pull request is one, too, and has `pull_request`."""
        url = f"{self.api}/repos/{repo.full_name}"
        own = f"{url}/issues/{pull.number}"
        page = f"{self.web}/{repo.full_name}/{'pull' if isinstance(pull, Pull) else 'issues'}/{pull.number}"
        shape = {
            "url": own, "repository_url": url, "labels_url": f"{own}/labels{{/name}}", "events_url": f"{own}/events",
            "comments_url": f"{own}/comments", "html_url": page, "timeline_url": f"{own}/timeline",
            "state_reason": None, "active_lock_reason": None, "performed_via_github_app": None,
            "reactions": {"url": f"{own}/reactions", "total_count": 0, **dict.fromkeys(REACTIONS, 0)},
            "id": repo.id * 10_000 + pull.number, "node_id": f"PR_{pull.number:x}", "number": pull.number,
            "title": pull.title, "user": self.user(pull.author), "labels": labels_of(pull, url), "state": pull.state,
            "locked": False, "assignee": None, "assignees": [], "milestone": None,
            "comments": len(repo.comments_on.get(pull.number, ())),
            "created_at": iso(pull.created), "updated_at": iso(pull.updated),
            "closed_at": iso_or_none(pull.closed_at), "author_association": association(repo, pull.author),
            "body": pull.body,
        }  # fmt: skip
        if not isinstance(pull, Pull):
            return shape
        return shape | {
            "draft": pull.draft,
            "pull_request": {"url": f"{url}/pulls/{pull.number}", "html_url": page, "diff_url": f"{page}.diff",
                             "patch_url": f"{page}.patch", "merged_at": iso_or_none(pull.merged_at)},
        }  # fmt: skip

    def deployment(self, repo: Repo, one: Deployment) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/deployments/{one.id}"
        return {
            "url": url, "id": one.id, "node_id": f"DE_{one.id:x}", "sha": one.sha, "ref": one.ref,
            "task": one.task, "payload": one.payload, "original_environment": one.environment,
            "environment": one.environment, "description": one.description, "creator": self.user(one.creator),
            "created_at": iso(one.at), "updated_at": iso(one.statuses[-1].at if one.statuses else one.at),
            "statuses_url": f"{url}/statuses", "repository_url": f"{self.api}/repos/{repo.full_name}",
            "transient_environment": one.transient, "production_environment": one.production,
        }  # fmt: skip

    def deployment_status(self, repo: Repo, one: Deployment, status: DeploymentStatus) -> Json:
        url = f"{self.api}/repos/{repo.full_name}/deployments/{one.id}"
        return {
            "url": f"{url}/statuses/{status.id}", "id": status.id, "node_id": f"DES_{status.id:x}",
            "state": status.state, "creator": self.user(status.creator), "description": status.description,
            "environment": status.environment, "target_url": status.log_url, "log_url": status.log_url,
            "environment_url": status.environment_url, "created_at": iso(status.at),
            "updated_at": iso(status.at), "deployment_url": url,
            "repository_url": f"{self.api}/repos/{repo.full_name}",
        }  # fmt: skip


def association(repo: Repo, login: str) -> str:
    if login == repo.owner:
        return "OWNER"
    if login in repo.collaborators:
        return "COLLABORATOR"
    return "CONTRIBUTOR" if login in repo.contributors else "NONE"


def labels_of(pull: Pull | Issue, url: str) -> list[Json]:
    return [
        {"id": number_of(name), "node_id": f"LA_{number_of(name):x}", "url": f"{url}/labels/{quote(name)}",
         "name": name, "color": "ededed", "default": False, "description": None}
        for name in pull.labels
    ]  # fmt: skip
