"""The repositories and what happens in them: commits, pushes, merges, pull requests, with their webhooks."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

from standins.clock import Clock
from standins.faults import Faults
from standins.github.graph import Commit, Graph
from standins.github.hooks import Sender
from standins.github.model import Hook, Pull, Repo
from standins.github.payloads import ZERO, Payloads
from standins.github.record import Recorder
from standins.github.shapes import Shapes

METHODS = ("merge", "squash", "rebase")
#: In which order the two webhooks of a merge are sent, and which of them are lost.
ORDERS = ("push-first", "pull_request-first", "push-only", "pull_request-only", "none")


class World:
    """All state, under one lock. `shapes` and `payloads` speak with the address that the server was started on."""

    def __init__(self, seed: int = 0) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.faults = Faults(seed)
        self.sender = Sender(self.clock, seed)
        self.recorder = Recorder()
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.repos: dict[str, Repo] = {}
        self.by_id: dict[int, Repo] = {}
        #: Former full names, in lower case -> id.
        self.moved: dict[str, int] = {}
        self.ids = itertools.count(1001)
        self.shapes = self.shapes_v3 = Shapes("", "")
        self.payloads = Payloads(self.shapes)
        self._lose: dict[str, int] = {}

    def start(self, api: str, web: str) -> None:
        self.shapes = Shapes(api, web)
        self.shapes_v3 = Shapes(f"{api}/api/v3", web)
        self.payloads = Payloads(self.shapes)
        self.faults.start()
        self.clock.start()
        self.sender.start([hook for repo in self.repos.values() for hook in repo.hooks.values()])

    def stop(self) -> None:
        self.clock.stop()
        self.sender.stop()

    # -- repositories -----------------------------------------------------------------------------

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
        """By its present name; raises LookupError with the names that there are."""
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

    def emit(self, repo: Repo, event: str, build: Any, *, lost: bool = False) -> None:
        """Sends a webhook, unless `drop_next` still has some of it to lose."""
        for key in (event, "*"):
            if self._lose.get(key, 0) > 0:
                self._lose[key] -= 1
                lost = True
                break
        self.sender.emit(repo, event, build, lost=lost)

    def lose_next(self, count: int, event: str) -> None:
        self._lose[event] = self._lose.get(event, 0) + count

    # -- pushes -----------------------------------------------------------------------------------

    def commit(self, repo: Repo, parent: str, message: str, author: str) -> Commit:
        return repo.graph.add((parent,), message, author, self.clock.now())

    def move_branch(
        self, repo: Repo, branch: str, to: str, sender: str, *, forced: bool = False, lost: bool = False
    ) -> str:
        """Points the branch at a commit (ZERO deletes it) and sends `push`. Returns where it pointed before."""
        before = repo.branches.get(branch, ZERO)
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
            lambda brief: self.payloads.push(repo, branch, before, to, commits, sender, forced=forced, brief=brief),
            lost=lost,
        )
        return before

    def _sync_pulls(self, repo: Repo, branch: str, to: str) -> None:
        for pull in repo.open_pulls.values():
            if pull.base == branch and to != ZERO:
                pull.base_sha = to

    # -- pull requests ----------------------------------------------------------------------------

    def open_pull(
        self, repo: Repo, title: str, branch: str, author: str, base: str, body: str, *, draft: bool, fork: str | None
    ) -> Pull:
        """Opens a pull request from the branch, which gets a first commit if it is not there yet."""
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

    def tell_pull(
        self, repo: Repo, pull: Pull, action: str, sender: str, extra: dict[str, Any] | None = None, lost: bool = False
    ) -> None:
        self.emit(
            repo,
            "pull_request",
            lambda brief: self.payloads.pull_request(repo, pull, action, sender, extra, brief=brief),
            lost=lost,
        )

    def push_to_pull(self, repo: Repo, pull: Pull, message: str, author: str) -> str:
        """A further commit on the branch: `push` for the branch, `synchronize` for the pull request."""
        commit = self.commit(repo, pull.head_sha, message, author)
        before, pull.head_sha, pull.updated = pull.head_sha, commit.sha, self.clock.now()
        pull.commits += 1
        repo.brought_by.setdefault(commit.sha, []).append(pull.number)
        if pull.fork is None:
            self.move_branch(repo, pull.branch, commit.sha, author)
        self.tell_pull(repo, pull, "synchronize", author, {"before": before, "after": commit.sha})
        return commit.sha

    def close_pull(self, repo: Repo, pull: Pull, sender: str) -> None:
        """Abandons it."""
        pull.state = "closed"
        repo.open_pulls.pop(pull.number, None)
        pull.closed_at = pull.updated = self.clock.now()
        self.tell_pull(repo, pull, "closed", sender)

    def merge(self, repo: Repo, pull: Pull, method: str, by: str, order: str) -> str:
        """Merges it; returns the sha that landed on the base branch. Sends `push` and `closed` as ordered."""
        if method not in METHODS:
            raise ValueError(f"a merge's method is one of {', '.join(METHODS)}, not {method!r}")
        if order not in ORDERS:
            raise ValueError(f"an order is one of {', '.join(ORDERS)}, not {order!r}")
        if pull.state != "open":
            raise ValueError(f"pull request {pull.number} of {repo.full_name} is closed")
        sha = self._land(repo, pull, method, by)
        pull.base_sha = repo.branches[pull.base]
        pull.state, pull.merge_commit_sha, pull.merged_by = "closed", sha, by
        repo.open_pulls.pop(pull.number, None)
        pull.merged_at = pull.closed_at = pull.updated = self.clock.now()
        repo.brought_by.setdefault(sha, []).append(pull.number)

        def push() -> None:
            self.move_branch(repo, pull.base, sha, by, lost=order in ("pull_request-only", "none"))

        def closed() -> None:
            self.tell_pull(repo, pull, "closed", by, lost=order in ("push-only", "none"))

        if order == "pull_request-first":
            closed()
            push()
        else:
            push()
            closed()
        return sha

    def _land(self, repo: Repo, pull: Pull, method: str, by: str) -> str:
        """Makes the commits of the merge method: one with two parents, one with all, or each anew."""
        base, now = repo.branches[pull.base], self.clock.now()
        if method == "squash":
            return repo.graph.add((base,), f"{pull.title} (#{pull.number})", pull.author, now).sha
        if method == "merge":
            message = f"Merge pull request #{pull.number} from {repo.owner}/{pull.branch}\n\n{pull.title}"
            return repo.graph.add((base, pull.head_sha), message, by, now).sha
        for commit in repo.graph.compare(base, pull.head_sha).ahead:
            base = repo.graph.add((base,), commit.message, commit.author, now).sha
        return base

    def hook(self, repo: Repo, hook: dict[str, Any]) -> Hook:
        if not str(hook["url"]).startswith(("http://", "https://")):
            raise ValueError(f"a hook's url begins with http:// or https://, not {hook['url']!r}")
        made = Hook(
            next(self.ids),
            hook["url"],
            hook.get("secret", ""),
            tuple(hook.get("events", ["*"])),
            parallel=hook.get("parallel", 1),
            realistic=hook.get("realistic", False),
        )
        repo.hooks[made.id] = made
        return made
