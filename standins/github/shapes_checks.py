"""The JSON shapes of the App, its installations, check suites and check runs."""

from __future__ import annotations

from typing import Any

from standins.github.apps import App, Installation, client_id
from standins.github.checks import CheckRun, CheckSuite, suite_state
from standins.github.model import Repo, iso, iso_or_none
from standins.github.shapes import Json, Shapes


def app_json(shapes: Shapes, app: App) -> Json:
    return {
        "id": app.id, "slug": app.slug, "node_id": f"A_{app.id:x}", "client_id": client_id(app),
        "owner": shapes.user(app.owner) | {"type": "Organization"}, "name": app.slug.title(), "description": None,
        "external_url": f"{shapes.web}/{app.slug}", "html_url": f"{shapes.web}/apps/{app.slug}",
        "created_at": iso(app.at), "updated_at": iso(app.at), "permissions": app.permissions,
        "events": list(app.events),
    }  # fmt: skip


def installation_json(shapes: Shapes, app: App, one: Installation, *, brief: bool = False) -> Json:
    url = f"{shapes.api}/app/installations/{one.id}"
    suspended = one.suspended is not None
    return {
        "id": one.id, "account": shapes.user(one.account, brief=brief) | {"type": "Organization"},
        "repository_selection": "all" if one.repos is None else "selected",
        "access_tokens_url": f"{url}/access_tokens", "repositories_url": f"{shapes.api}/installation/repositories",
        "html_url": f"{shapes.web}/organizations/{one.account}/settings/installations/{one.id}", "app_id": app.id,
        "client_id": client_id(app), "app_slug": app.slug, "target_id": shapes.user(one.account)["id"],
        "target_type": "Organization", "permissions": one.permissions, "events": list(app.events),
        "created_at": iso(one.at), "updated_at": iso(one.at), "single_file_name": None,
        "has_multiple_single_files": False, "single_file_paths": [],
        "suspended_by": shapes.user(one.account) if suspended else None, "suspended_at": iso_or_none(one.suspended),
    }  # fmt: skip


def run_json(shapes: Shapes, app: App, repo: Repo, run: CheckRun, *, hook: bool = False) -> Json:
    """Return a check run; in a webhook with more of its suite."""
    url = f"{shapes.api}/repos/{repo.full_name}/check-runs/{run.id}"
    suite: Json = {"id": run.suite}
    if hook:
        suite = suite_json(shapes, app, repo, repo.check_suites[run.suite])
        suite = {k: v for k, v in suite.items() if k not in _NOT_IN_RUN}
    return {
        "id": run.id, "node_id": f"CR_{run.id:x}", "name": run.name, "head_sha": run.sha,
        "external_id": run.external_id, "url": url,
        "html_url": f"{shapes.web}/{repo.full_name}/runs/{run.id}",
        "details_url": run.details_url or f"{shapes.web}/{app.slug}", "status": run.status,
        "conclusion": run.conclusion, "started_at": run.started or iso(run.at), "completed_at": run.completed,
        "output": {
            "title": run.title, "summary": run.summary, "text": run.text,
            "annotations_count": len(run.annotations), "annotations_url": f"{url}/annotations",
        },
        "check_suite": suite, "app": app_json(shapes, app), "pull_requests": pulls_of(shapes, repo, run.sha),
    }  # fmt: skip


_NOT_IN_RUN = ("head_commit", "latest_check_runs_count", "check_runs_url", "rerequestable", "runs_rerequestable",
               "repository")  # fmt: skip


def suite_json(shapes: Shapes, app: App, repo: Repo, suite: CheckSuite) -> Json:
    """Return a check suite, without its repository."""
    url = f"{shapes.api}/repos/{repo.full_name}/check-suites/{suite.id}"
    status, conclusion = suite_state(repo, suite)
    commit = repo.graph.commits[suite.sha]
    person = {"name": commit.author, "email": f"{commit.author}@example.com"}
    return {
        "id": suite.id, "node_id": f"CS_{suite.id:x}", "head_branch": suite.branch, "head_sha": suite.sha,
        "status": status, "conclusion": conclusion, "url": url, "before": suite.before, "after": suite.sha,
        "pull_requests": pulls_of(shapes, repo, suite.sha), "app": app_json(shapes, app),
        "created_at": iso(suite.at), "updated_at": iso(suite.at), "rerequestable": True,
        "runs_rerequestable": True, "latest_check_runs_count": len(suite.runs),
        "check_runs_url": f"{url}/check-runs",
        "head_commit": {
            "id": commit.sha, "tree_id": commit.tree, "message": commit.message, "timestamp": iso(commit.at),
            "author": person, "committer": person,
        },
    }  # fmt: skip


def pulls_of(shapes: Shapes, repo: Repo, sha: str) -> list[Json]:
    """Return the open pull requests with that head, without those of forks."""
    url = f"{shapes.api}/repos/{repo.full_name}"
    own = {"id": repo.id, "url": url, "name": repo.name}
    return [
        {
            "id": repo.id * 10_000 + pull.number, "number": pull.number, "url": f"{url}/pulls/{pull.number}",
            "head": {"ref": pull.branch, "sha": pull.head_sha, "repo": own},
            "base": {"ref": pull.base, "sha": pull.base_sha, "repo": own},
        }
        for pull in repo.open_pulls.values()
        if pull.fork is None and pull.head_sha == sha
    ]  # fmt: skip


def annotation_json(shapes: Shapes, repo: Repo, run: CheckRun, one: dict[str, Any]) -> Json:
    return {
        "path": one["path"], "start_line": one["start_line"], "end_line": one["end_line"],
        "start_column": one.get("start_column"), "end_column": one.get("end_column"),
        "annotation_level": one["annotation_level"], "title": one.get("title"), "message": one["message"],
        "raw_details": one.get("raw_details"),
        "blob_href": f"{shapes.web}/{repo.full_name}/blob/{run.sha}/{one['path']}",
    }  # fmt: skip
