"""Control verbs about repositories, pushes and pull requests."""

from __future__ import annotations

from standins.github.model import Comment, Repo
from standins.github.payloads import ZERO
from standins.github.verbs_base import Json, VerbBase


class RepoVerbs(VerbBase):
    """What people do on GitHub."""

    def create_repo(
        self,
        full_name: str,
        hook: Json | None = None,
        default_branch: str = "main",
        repo_id: int | None = None,
        private: bool = False,
        collaborators: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        ping: bool = False,
    ) -> str:
        """Creates a repository with one commit; returns its sha. `hook`: {url, secret, events, parallel, realistic}.

        `collaborators`: login -> admin, maintain, write, triage or read. `ping`: send the ping of a new hook.
        """
        with self._w.lock:
            repo = self._w.add_repo(
                full_name,
                repo_id,
                default_branch=default_branch,
                private=private,
                collaborators=dict(collaborators or {}),
                files={path: text.encode() for path, text in (files or {}).items()},
            )
            if hook is not None:
                self._add_hook(repo, hook, ping=ping)
            return repo.head

    def add_hook(self, repo: str, hook: Json, ping: bool = False) -> int:
        """Adds a hook; returns its id."""
        with self._w.lock:
            return self._add_hook(self._w.repo(repo), hook, ping=ping)

    def _add_hook(self, repo: Repo, hook: Json, *, ping: bool) -> int:
        made = self._w.hook(repo, hook)
        if ping:
            self._w.emit(repo, "ping", lambda _: self._w.payloads.ping(repo, made))
        return made.id

    def rename(self, repo: str, name: str, sender: str = "admin") -> None:
        """Renames it; the old name redirects (301, 307 for writes) and `repository renamed` is sent."""
        with self._w.lock:
            self._w.rename(self._w.repo(repo), name, sender)

    def head(self, repo: str, branch: str | None = None) -> str:
        """The sha that the branch (default: the default branch) points at."""
        with self._w.lock:
            found = self._w.repo(repo)
            return found.branches[branch or found.default_branch]

    def set_collaborators(self, repo: str, collaborators: dict[str, str]) -> None:
        with self._w.lock:
            self._w.repo(repo).collaborators = dict(collaborators)

    def push(
        self,
        repo: str,
        branch: str | None = None,
        message: str = "Change something",
        author: str = "dev",
        count: int = 1,
        forced: bool = False,
        lost: bool = False,
    ) -> str:
        """Commits `count` times on the branch and pushes once; returns the new head. Creates a missing branch.

        `forced`: the last commit of the branch is replaced instead. `lost`: the webhook is never sent.
        """
        with self._w.lock:
            found = self._w.repo(repo)
            name = branch or found.default_branch
            at = found.branches.get(name, found.head)
            if forced:
                parents = found.graph.commits[at].parents
                at = parents[0] if parents else at
            for _ in range(count):
                at = self._w.commit(found, at, message, author).sha
            self._w.move_branch(found, name, at, author, forced=forced, lost=lost)
            return at

    def force_push(
        self, repo: str, to_sha: str, branch: str | None = None, author: str = "dev", lost: bool = False
    ) -> str:
        """Points the branch at a commit that is there; returns where it pointed before."""
        with self._w.lock:
            found = self._w.repo(repo)
            if to_sha not in found.graph.commits:
                raise LookupError(f"there is no commit {to_sha} in {repo}")
            name = branch or found.default_branch
            return self._w.move_branch(found, name, to_sha, author, forced=True, lost=lost)

    def delete_branch(self, repo: str, branch: str, author: str = "dev") -> None:
        with self._w.lock:
            self._w.move_branch(self._w.repo(repo), branch, ZERO, author)

    def revert(self, repo: str, sha: str | None = None, author: str = "dev") -> str:
        """Commits the undoing of a commit (default: the head) on the default branch; returns the new head."""
        with self._w.lock:
            found = self._w.repo(repo)
            undone = found.graph.commits[sha or found.head]
            title = undone.message.partition("\n")[0]
            message = f'Revert "{title}"\n\nThis reverts commit {undone.sha}.'
        return self.push(repo, message=message, author=author)

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
        """Opens a pull request with one commit; returns its number and sends `opened` unless `quiet`.

        `fork`: the owner of the fork that it comes from; "" for a fork that was deleted since.
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
        """Adds a commit to the pull request's branch; returns the new head. Sends `push` and `synchronize`."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            return self._w.push_to_pull(found, pull, message, author or pull.author)

    def close_pull(self, repo: str, number: int, by: str = "dev") -> None:
        """Closes it unmerged."""
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
    ) -> str:
        """Merges a pull request (None: one that is opened for it, without a word); returns the sha that landed.

        Sends `push` and `pull_request closed`. `order`: push-first, pull_request-first, or with losses push-only,
        pull_request-only, none. `method`: merge, squash or rebase.
        """
        with self._w.lock:
            if number is None:
                number = self.open_pull(repo, title, author=author, quiet=True)
            found, pull = self._pull(repo, number)
            return self._w.merge(found, pull, method, by or pull.author, order)

    def comment(self, repo: str, number: int, body: str, user: str = "dev") -> int:
        """A person comments; returns the comment's id and sends `issue_comment created`."""
        with self._w.lock:
            found, pull = self._pull(repo, number)
            now = self._w.clock.now()
            made = Comment(next(self._w.ids), number, body, user, now, now)
            found.add_comment(made)
            self._w.emit(
                found,
                "issue_comment",
                lambda brief: self._w.payloads.issue_comment(found, pull, made, "created", user, brief=brief),
            )
            return made.id
