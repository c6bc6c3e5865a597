"""Control verbs about repositories, branches, tags and pushes."""

from __future__ import annotations

from standins.github.model import Repo
from standins.github.payloads import ZERO
from standins.github.verbs_base import Json, VerbBase


class RepoVerbs(VerbBase):
    """The acts of people on repositories."""

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
        """Create a repository with one commit; return its sha. `hook`: {url, secret, events, parallel, realistic}.

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
        """Add a hook; return its id."""
        with self._w.lock:
            return self._add_hook(self._w.repo(repo), hook, ping=ping)

    def _add_hook(self, repo: Repo, hook: Json, *, ping: bool) -> int:
        made = self._w.hook(hook)
        repo.hooks[made.id] = made
        if ping:
            self._w.ping(repo, made)
        return made.id

    def rename(self, repo: str, name: str, sender: str = "admin") -> None:
        """Rename it; the old name redirects (301, 307 for writes) and `repository renamed` is sent."""
        with self._w.lock:
            self._w.rename(self._w.repo(repo), name, sender)

    def head(self, repo: str, branch: str | None = None) -> str:
        """Return the head of the branch (default: the default branch)."""
        with self._w.lock:
            found = self._w.repo(repo)
            return found.branches[branch or found.default_branch]

    def set_collaborators(self, repo: str, collaborators: dict[str, str]) -> None:
        with self._w.lock:
            self._w.repo(repo).collaborators = dict(collaborators)

    def set_team(self, team: str, members: dict[str, str]) -> None:
        """Set the members of a team `org/slug`: login -> active or pending."""
        with self._w.lock:
            self._w.teams[team.lower()] = dict(members)

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
        """Commit `count` times on the branch, push once and return the new head. Create a missing branch.

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
        """Point the branch at an existing commit; return the old head."""
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
        """Commit the revert of a commit (default: the head) on the default branch; return the new head."""
        with self._w.lock:
            found = self._w.repo(repo)
            undone = found.graph.commits[sha or found.head]
            title = undone.message.partition("\n")[0]
            message = f'Revert "{title}"\n\nThis reverts commit {undone.sha}.'
        return self.push(repo, message=message, author=author)

    def push_tag(self, repo: str, tag: str, sha: str | None = None, author: str = "dev") -> None:
        """Put a tag on a commit (default: the head): `push` and, for a new one, `create`."""
        with self._w.lock:
            found = self._w.repo(repo)
            self._w.move_tag(found, tag, sha or found.head, author)

    def delete_tag(self, repo: str, tag: str, author: str = "dev") -> None:
        with self._w.lock:
            self._w.move_tag(self._w.repo(repo), tag, ZERO, author)

    def transfer(self, repo: str, owner: str, sender: str = "admin") -> None:
        """Transfer it to another owner: like `rename`, with `repository transferred`."""
        with self._w.lock:
            found = self._w.repo(repo)
            if owner == found.owner or f"{owner}/{found.name}".lower() in self._w.repos:
                raise ValueError(f"{owner} has a repository {found.name} already")
            self._w.transfer(found, owner, sender)

    def set_default_branch(self, repo: str, branch: str, sender: str = "admin") -> None:
        """Make another branch the default branch; send `repository edited`."""
        with self._w.lock:
            found = self._w.repo(repo)
            if branch not in found.branches:
                raise LookupError(f"{repo} has no branch {branch!r}; there are: {', '.join(sorted(found.branches))}")
            self._w.edit_default_branch(found, branch, sender)
