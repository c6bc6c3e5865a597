"""Repositories and their changes: creating, renaming, pull requests and merges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standins.github.graph import Graph
from standins.github.model import Pull, Repo
from standins.github.world_pushing import Pushing

METHODS = ("merge", "squash", "rebase")
#: The order of the two webhooks of a merge, and the ones that are lost.
ORDERS = ("push-first", "pull_request-first", "push-only", "pull_request-only", "none")


class World(Pushing):
    """The repositories of one GitHub."""

    def add_repo(self, full_name: str, repo_id: int | None, **settings: Any) -> Repo:
        owner, slash, name = full_name.partition("/")
        if not slash or not owner or not name or "/" in name:
            raise ValueError(f"a repository's full name is owner/name, not {full_name!r}")
        if full_name.lower() in self.repos:
            raise ValueError(f"there is a repository {full_name!r} already")
        number = repo_id if repo_id is not None else next(self.ids)
        repo = Repo(number, owner, name, Graph(f"{number}"), self.clock.now(), **settings)
        first = repo.graph.add((), "First commit", owner, self.clock.now())
        repo.branches[repo.default_branch] = first.sha
        self.repos[full_name.lower()] = repo
        self.by_id[number] = repo
        return repo

    def repo(self, full_name: str) -> Repo:
        """Return the repository of that current name; raise LookupError with the known names."""
        found = self.repos.get(full_name.lower())
        if found is None:
            known = ", ".join(sorted(repo.full_name for repo in self.repos.values())) or "none"
            raise LookupError(f"there is no repository {full_name!r}; there are: {known}")
        return found

    def rename(self, repo: Repo, name: str, sender: str) -> None:
        old = repo.name
        del self.repos[repo.full_name.lower()]
        self.moved[repo.full_name.lower()] = repo.id
        repo.name = name
        self.repos[repo.full_name.lower()] = repo
        self.emit(
            repo,
            "repository",
            lambda brief: self.payloads.repository(
                repo, "renamed", {"repository": {"name": {"from": old}}}, sender, brief=brief
            ),
        )

    def transfer(self, repo: Repo, owner: str, sender: str) -> None:
        """Transfer it to another owner; only hooks that reach the new owner get a webhook."""
        old, is_org = repo.owner, repo.owner_type == "Organization"
        changed = self.shapes.organization(old) if is_org else self.shapes.user(old)
        del self.repos[repo.full_name.lower()]
        self.moved[repo.full_name.lower()] = repo.id
        repo.owner = owner
        self.repos[repo.full_name.lower()] = repo
        changes = {"owner": {"from": {"organization" if is_org else "user": changed}}}
        self.emit(
            repo,
            "repository",
            lambda brief: self.payloads.repository(repo, "transferred", changes, sender, brief=brief),
        )

    def edit_default_branch(self, repo: Repo, branch: str, sender: str) -> None:
        old, repo.default_branch = repo.default_branch, branch
        changes = {"default_branch": {"from": old}}
        self.emit(
            repo, "repository", lambda brief: self.payloads.repository(repo, "edited", changes, sender, brief=brief)
        )

    def open_pull(
        self, repo: Repo, title: str, branch: str, author: str, base: str, body: str, *, draft: bool, fork: str | None
    ) -> Pull:
        """Open a pull request from the branch; a missing branch is created with a first commit."""
        base_sha = repo.branches[base]
        head = repo.branches.get(branch) if fork is None else None
        if head is None:
            head = self.commit(repo, base_sha, title, author).sha
        if fork is None:
            repo.branches[branch] = head
        now = self.clock.now()
        number = repo.next_number
        repo.next_number += 1
        pull = Pull(number, title, body, branch, base, author, head, base_sha, now, now, draft=draft, fork=fork)
        repo.pulls[number] = repo.open_pulls[number] = pull
        repo.brought_by.setdefault(pull.head_sha, []).append(number)
        return pull

    def push_to_pull(self, repo: Repo, pull: Pull, message: str, author: str) -> str:
        """Add a commit to the branch; send `push` for the branch and `synchronize` for the pull request."""
        commit = self.commit(repo, pull.head_sha, message, author)
        before, pull.head_sha, pull.updated = pull.head_sha, commit.sha, self.clock.now()
        pull.commits += 1
        repo.brought_by.setdefault(commit.sha, []).append(pull.number)
        if pull.fork is None:
            self.move_branch(repo, pull.branch, commit.sha, author)
        self.tell_pull(repo, pull, "synchronize", author, {"before": before, "after": commit.sha})
        return commit.sha

    def merge(self, repo: Repo, pull: Pull, method: str, by: str, order: str, *, stale: bool = False) -> str:
        """Merge it and send `push` and `closed` in `order`; return the sha that landed on the base branch.

        `stale`: `closed` shows the pull request as before the merge, open and unmerged.
        """
        if method not in METHODS:
            raise ValueError(f"a merge's method is one of {', '.join(METHODS)}, not {method!r}")
        if order not in ORDERS:
            raise ValueError(f"an order is one of {', '.join(ORDERS)}, not {order!r}")
        if pull.state != "open":
            raise ValueError(f"pull request {pull.number} of {repo.full_name} is closed")
        return self.landed(repo, pull, self._land(repo, pull, method, by), by, order, stale=stale)

    def landed(self, repo: Repo, pull: Pull, sha: str, by: str, order: str, *, stale: bool = False) -> str:
        """Mark a pull request as merged by a commit on its base branch."""
        before = replace(pull)
        pull.base_sha = repo.branches[pull.base]
        pull.state, pull.merge_commit_sha, pull.merged_by = "closed", sha, by
        repo.open_pulls.pop(pull.number, None)
        repo.contributors.add(pull.author)
        pull.merged_at = pull.closed_at = pull.updated = self.clock.now()
        repo.brought_by.setdefault(sha, []).append(pull.number)

        def push() -> None:
            self.move_branch(repo, pull.base, sha, by, lost=order in ("pull_request-only", "none"))

        def closed() -> None:
            self.tell_pull(repo, before if stale else pull, "closed", by, lost=order in ("push-only", "none"))

        if order == "pull_request-first":
            closed()
            push()
        else:
            push()
            closed()
        return sha

    def _land(self, repo: Repo, pull: Pull, method: str, by: str) -> str:
        """Make the commits of the merge method: one merge commit, one squashed commit, or a copy of each."""
        base, now = repo.branches[pull.base], self.clock.now()
        if method == "squash":
            return repo.graph.add((base,), f"{pull.title} (#{pull.number})", pull.author, now).sha
        if method == "merge":
            message = f"Merge pull request #{pull.number} from {repo.owner}/{pull.branch}\n\n{pull.title}"
            return repo.graph.add((base, pull.head_sha), message, by, now).sha
        for commit in repo.graph.compare(base, pull.head_sha).ahead:
            base = repo.graph.add((base,), commit.message, commit.author, now).sha
        return base
