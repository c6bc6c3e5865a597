"""Pushes: they move branches and tags, and pull requests follow their branches."""

from __future__ import annotations

from standins.github import checks
from standins.github.graph import Commit
from standins.github.model import Repo
from standins.github.payloads import ZERO
from standins.github.world_talking import Talking


class Pushing(Talking):
    """The moves of branches and tags, with their webhooks."""

    def commit(self, repo: Repo, parent: str, message: str, author: str) -> Commit:
        return repo.graph.add((parent,), message, author, self.clock.now())

    def move_branch(
        self, repo: Repo, branch: str, to: str, sender: str, *, forced: bool = False, lost: bool = False
    ) -> str:
        """Point the branch at a commit (ZERO deletes it), send `push`, and return the old head."""
        before = repo.branches.get(branch, ZERO)
        if self.lag:
            repo.stale.append((self.clock.now() + self.lag, branch, repo.branches.get(branch)))
        if to == ZERO:
            repo.branches.pop(branch, None)
        else:
            repo.branches[branch] = to
        commits: list[Commit] = []
        if ZERO not in (before, to):
            commits = repo.graph.compare(before, to).ahead
        elif to != ZERO:
            commits = [repo.graph.commits[to]]
        self._sync_pulls(repo, branch, to)
        self.emit(
            repo,
            "push",
            lambda brief: self.payloads.push(
                repo, f"refs/heads/{branch}", before, to, commits, sender, forced=forced, brief=brief
            ),
            lost=lost,
        )
        self._tell_about_push(repo, branch, before, to, sender)
        self._sync_heads(repo, branch, to, sender)
        return before

    def _tell_about_push(self, repo: Repo, branch: str, before: str, to: str, sender: str) -> None:
        """Send `create` or `delete`, and make the check suite that an App with checks gets on a new head."""
        if ZERO in (before, to) and before != to:
            self.tell_ref(repo, "branch", branch, sender, deleted=to == ZERO)
        hook = self.apps.app.hook
        if to != ZERO and hook is not None and hook.wants("check_suite") and self.apps.on(repo) is not None:
            suite = checks.suite_of(self, repo, to, branch, before)
            checks.tell_suite(self, repo, suite, "requested", sender)

    def tell_ref(self, repo: Repo, kind: str, name: str, sender: str, *, deleted: bool) -> None:
        event = "delete" if deleted else "create"
        self.emit(repo, event, lambda brief: self.payloads.ref(repo, kind, name, sender, deleted=deleted, brief=brief))

    def move_tag(self, repo: Repo, name: str, to: str, sender: str) -> None:
        """Put a tag on a commit, or delete it with ZERO; send `push`, and `create` or `delete`."""
        before = repo.tags.get(name, ZERO)
        if to == ZERO:
            repo.tags.pop(name, None)
        else:
            repo.tags[name] = to
        self.emit(
            repo,
            "push",
            lambda brief: self.payloads.push(
                repo, f"refs/tags/{name}", before, to, [], sender, forced=ZERO not in (before, to), brief=brief
            ),
        )
        if ZERO in (before, to):
            self.tell_ref(repo, "tag", name, sender, deleted=to == ZERO)

    def _sync_pulls(self, repo: Repo, branch: str, to: str) -> None:
        for pull in repo.open_pulls.values():
            if pull.base == branch and to != ZERO:
                pull.base_sha = to

    def _sync_heads(self, repo: Repo, branch: str, to: str, sender: str) -> None:
        """Move the head of each open pull request with its branch, and close it if the branch is deleted."""
        for pull in [one for one in repo.open_pulls.values() if one.fork is None and one.branch == branch]:
            if to == ZERO:
                self.close_pull(repo, pull, sender)
            elif pull.head_sha != to:
                before, pull.head_sha, pull.updated = pull.head_sha, to, self.clock.now()
                repo.brought_by.setdefault(to, []).append(pull.number)
                self.tell_pull(repo, pull, "synchronize", sender, {"before": before, "after": to})
