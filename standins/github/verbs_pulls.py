"""Control verbs about pull requests, issues, their comments and the merge queue."""

from __future__ import annotations

from standins.github import queueing
from standins.github.model import Comment, Issue, Pull, Repo
from standins.github.verbs_base import VerbBase


class PullVerbs(VerbBase):
    """The acts of people on pull requests."""

    def open_pull(
        self,
        repo: str,
        title: str = "Change something",
        branch: str | None = None,
        author: str = "dev",
        base: str | None = None,
        body: str = "",
        draft: bool = False,
        fork: str | None = None,
        quiet: bool = False,
    ) -> int:
        """Open a pull request with one commit, send `opened` unless `quiet`, and return its number.

        `fork`: the owner of its fork; "" for a fork that was deleted since.
        """
        with self._w.lock:
            found = self._w.repo(repo)
            name = branch or f"{author}/change-{found.next_number}"
            pull = self._w.open_pull(
                found, title, name, author, base or found.default_branch, body, draft=draft, fork=fork
            )
            if not quiet:
                self._w.tell_pull(found, pull, "opened", author)
            return pull.number

    def push_to_pull(self, repo: str, number: int, message: str = "Change it again", author: str | None = None) -> str:
        """Add a commit to the pull request's branch, send `push` and `synchronize`, and return the new head."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            return self._w.push_to_pull(found, pull, message, author or pull.author)

    def close_pull(self, repo: str, number: int, by: str = "dev") -> None:
        """Close it unmerged."""
        with self._w.lock:
            self._w.close_pull(*self._pull(repo, number), by)

    def merge(
        self,
        repo: str,
        number: int | None = None,
        method: str = "merge",
        title: str = "Change something",
        author: str = "dev",
        by: str | None = None,
        order: str = "push-first",
        stale: bool = False,
    ) -> str:
        """Merge a pull request (None: a new one, opened without a webhook); return the sha that landed.

        Sends `push` and `pull_request closed`. `order`: push-first, pull_request-first, or with losses push-only,
        pull_request-only, none. `method`: merge, squash or rebase. `stale`: `closed` shows it open and unmerged, as
        GitHub has been seen to send it.
        """
        with self._w.lock:
            if number is None:
                number = self.open_pull(repo, title, author=author, quiet=True)
            found, pull = self._pull(repo, number)
            return self._w.merge(found, pull, method, by or pull.author, order, stale=stale)

    def comment(self, repo: str, number: int, body: str, user: str = "dev") -> int:
        """Comment as a person, send `issue_comment created`, and return the comment's id."""
        with self._w.lock:
            return self._w.add_comment(*self._issue(repo, number), body, user).id

    def edit_comment(self, repo: str, comment_id: int, body: str, user: str = "dev") -> None:
        """Edit a comment as a person, their own or another's."""
        with self._w.lock:
            self._w.edit_comment(*self._comment(repo, comment_id), body, user)

    def delete_comment(self, repo: str, comment_id: int, user: str = "dev") -> None:
        with self._w.lock:
            self._w.delete_comment(*self._comment(repo, comment_id), user)

    def open_issue(self, repo: str, title: str = "Something is wrong", author: str = "dev", body: str = "") -> int:
        """Open an issue that is not a pull request, without a webhook; return its number."""
        with self._w.lock:
            found, now = self._w.repo(repo), self._w.clock.now()
            made = Issue(found.next_number, title, body, author, now, now)
            found.next_number += 1
            found.issues[made.number] = made
            return made.number

    def reopen_pull(self, repo: str, number: int, by: str = "dev") -> None:
        with self._w.lock:
            self._w.reopen_pull(*self._pull(repo, number), by)

    def convert_to_draft(self, repo: str, number: int, by: str = "dev") -> None:
        with self._w.lock:
            self._set_draft(*self._pull(repo, number), by, draft=True)

    def ready_for_review(self, repo: str, number: int, by: str = "dev") -> None:
        with self._w.lock:
            self._set_draft(*self._pull(repo, number), by, draft=False)

    def _set_draft(self, repo: Repo, pull: Pull, by: str, *, draft: bool) -> None:
        if pull.draft == draft:
            raise ValueError(f"pull request {pull.number} of {repo.full_name} is that already")
        pull.draft, pull.updated = draft, self._w.clock.now()
        self._w.tell_pull(repo, pull, "converted_to_draft" if draft else "ready_for_review", by)

    def edit_pull(
        self, repo: str, number: int, title: str | None = None, base: str | None = None, by: str = "dev"
    ) -> None:
        """Change the title or the base branch; send `edited` with the old values."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            changes: dict[str, object] = {}
            if title is not None:
                changes["title"], pull.title = {"from": pull.title}, title
            if base is not None:
                changes["base"] = {"ref": {"from": pull.base}, "sha": {"from": pull.base_sha}}
                pull.base, pull.base_sha = base, found.branches[base]
            pull.updated = self._w.clock.now()
            self._w.tell_pull(found, pull, "edited", by, {"changes": changes})

    def label_pull(self, repo: str, number: int, label: str, by: str = "dev", on: bool = True) -> None:
        """Add or remove a label; send `labeled` or `unlabeled`."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            if (label in pull.labels) == on:
                raise ValueError(f"pull request {number} of {repo} has {label!r} {'already' if on else 'not'}")
            (pull.labels.append if on else pull.labels.remove)(label)
            self._w.tell_label(found, pull, label, "labeled" if on else "unlabeled", by)

    def delete_fork(self, repo: str, number: int) -> None:
        """Delete the fork of a pull request: its `head.repo` is null from now on."""
        with self._w.lock:
            _, pull = self._pull(repo, number)
            if pull.fork is None:
                raise ValueError(f"pull request {number} of {repo} comes from no fork")
            pull.fork = ""

    def enqueue(self, repo: str, number: int, by: str = "dev") -> str:
        """Put a pull request into the merge queue; send `merge_group checks_requested`; return the group's head sha."""
        with self._w.lock:
            return queueing.enqueue(self._w, *self._pull(repo, number), by)

    def finish_group(self, repo: str, head_sha: str, reason: str = "merged", by: str = "dev") -> None:
        """End a merge group: `merged` lands it; `invalidated` and `dequeued` discard it."""
        with self._w.lock:
            queueing.finish(self._w, self._w.repo(repo), head_sha, reason, by)

    def _issue(self, repo: str, number: int) -> tuple[Repo, Pull | Issue]:
        found = self._w.repo(repo)
        on = found.issue(number)
        if on is None:
            raise LookupError(f"{repo} has no pull request or issue {number}")
        return found, on

    def _comment(self, repo: str, number: int) -> tuple[Repo, Comment]:
        found = self._w.repo(repo)
        if number not in found.comments:
            raise LookupError(f"{repo} has no comment {number}; there are: {sorted(found.comments)}")
        return found, found.comments[number]
