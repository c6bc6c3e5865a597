"""Comments on issues and pull requests, their labels, and their closing and reopening."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from standins.github.model import Comment, Issue, Pull, Repo
from standins.github.shapes import Json, labels_of
from standins.github.world_telling import Telling


class Talking(Telling):
    """Comments, labels and states, each with its webhook."""

    def tell_pull(
        self, repo: Repo, pull: Pull, action: str, sender: str, extra: dict[str, Any] | None = None, lost: bool = False
    ) -> None:
        self.emit(
            repo,
            "pull_request",
            lambda brief: self.payloads.pull_request(repo, pull, action, sender, extra, brief=brief),
            lost=lost,
        )

    def tell_label(self, repo: Repo, pull: Pull, name: str, action: str, sender: str) -> None:
        url = f"{self.shapes.api}/repos/{repo.full_name}"
        label = labels_of(replace(pull, labels=[name]), url)[0]
        self.tell_pull(repo, pull, action, sender, {"label": label})

    def reopen_pull(self, repo: Repo, pull: Pull, sender: str) -> None:
        """Reopen a pull request that was closed unmerged."""
        if pull.state == "open" or pull.merged_at is not None:
            raise ValueError(f"pull request {pull.number} of {repo.full_name} is not closed, or it is merged")
        pull.state, pull.closed_at, pull.updated = "open", None, self.clock.now()
        repo.open_pulls[pull.number] = pull
        self.tell_pull(repo, pull, "reopened", sender)

    def close_pull(self, repo: Repo, pull: Pull, sender: str) -> None:
        """Close a pull request unmerged."""
        pull.state = "closed"
        repo.open_pulls.pop(pull.number, None)
        pull.closed_at = pull.updated = self.clock.now()
        self.tell_pull(repo, pull, "closed", sender)

    def add_comment(self, repo: Repo, on: Pull | Issue, body: str, login: str) -> Comment:
        now = self.clock.now()
        made = Comment(next(self.ids), on.number, body, login, now, now)
        repo.add_comment(made)
        self._tell_comment(repo, on, made, "created", login)
        return made

    def edit_comment(self, repo: Repo, comment: Comment, body: str, login: str) -> None:
        changes = {"changes": {"body": {"from": comment.body}}}
        comment.body, comment.updated = body, self.clock.now()
        self._tell_comment(repo, self._on(repo, comment), comment, "edited", login, changes)

    def delete_comment(self, repo: Repo, comment: Comment, login: str) -> None:
        repo.remove_comment(comment)
        self._tell_comment(repo, self._on(repo, comment), comment, "deleted", login)

    @staticmethod
    def _on(repo: Repo, comment: Comment) -> Pull | Issue:
        found = repo.issue(comment.number)
        assert found is not None  # noqa: S101  a comment belongs to an issue or a pull request
        return found

    def _tell_comment(
        self, repo: Repo, on: Pull | Issue, comment: Comment, action: str, login: str, extra: Json | None = None
    ) -> None:
        self.emit(
            repo,
            "issue_comment",
            lambda brief: self.payloads.issue_comment(repo, on, comment, action, login, brief=brief) | (extra or {}),
        )
