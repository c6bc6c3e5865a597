"""Commits with their parents, and the comparison of two commits."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass

BASE, HEAD = 1, 2
BOTH = BASE | HEAD


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `generation` is one more than its parents' highest, so children always have a higher one."""

    sha: str
    parents: tuple[str, ...]
    message: str
    author: str
    at: float
    generation: int

    @property
    def tree(self) -> str:
        return hashlib.sha1(b"tree " + self.sha.encode()).hexdigest()  # noqa: S324  that is what git uses


@dataclass(frozen=True, slots=True)
class Comparison:
    """base...head: commits of head that base lacks (oldest first), count of the reverse, merge base."""

    ahead: list[Commit]
    behind_by: int
    merge_base: Commit | None

    @property
    def status(self) -> str:
        if self.ahead:
            return "diverged" if self.behind_by else "ahead"
        return "behind" if self.behind_by else "identical"


class Graph:
    """The commits of one repository."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.commits: dict[str, Commit] = {}

    def add(self, parents: tuple[str, ...], message: str, author: str, at: float) -> Commit:
        """Add a commit; its sha depends on the repository, its parents and its number in the order of creation."""
        text = f"{self._seed}\0{len(self.commits)}\0{parents}\0{message}"
        sha = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  that is what git uses
        generation = 1 + max((self.commits[parent].generation for parent in parents), default=0)
        commit = Commit(sha, parents, message, author, at, generation)
        self.commits[sha] = commit
        return commit

    def find(self, text: str) -> Commit | None:
        """Find a commit by its full sha, or by a unique beginning of at least seven digits."""
        commit = self.commits.get(text)
        if commit is None and 7 <= len(text) < 40:
            found = [one for sha, one in self.commits.items() if sha.startswith(text)]
            commit = found[0] if len(found) == 1 else None
        return commit

    def compare(self, base: str, head: str) -> Comparison:
        """Walk down from both, newest generation first, until only common commits are left.

        The cost grows with the difference, not with the history.
        """
        flags = {base: BASE}
        flags[head] = flags.get(head, 0) | HEAD
        heap = [(-self.commits[sha].generation, sha) for sha in flags]
        heapq.heapify(heap)
        single = len([sha for sha in flags if flags[sha] != BOTH])
        ahead: list[Commit] = []
        behind, merge_base = 0, None
        while heap:
            _, sha = heapq.heappop(heap)
            commit, flag = self.commits[sha], flags[sha]
            if flag == BOTH:
                merge_base = merge_base or commit
            else:
                single -= 1
                behind += flag == BASE
                if flag == HEAD:
                    ahead.append(commit)
            if flag == BOTH and not single:
                break
            single += self._paint(commit, flag, flags, heap)
        ahead.reverse()
        return Comparison(ahead, behind, merge_base)

    def _paint(self, commit: Commit, flag: int, flags: dict[str, int], heap: list[tuple[int, str]]) -> int:
        """Pass the flag to the parents; return the change in the number of one-sided commits in the heap."""
        change = 0
        for parent in commit.parents:
            before = flags.get(parent, 0)
            after = flags[parent] = before | flag
            if not before:
                heapq.heappush(heap, (-self.commits[parent].generation, parent))
            change += (after != BOTH) - (before not in (0, BOTH))
        return change

    def contains(self, head: str, sha: str) -> bool:
        """Return whether `sha` is in the history of `head`."""
        comparison = self.compare(sha, head)
        return comparison.behind_by == 0 and comparison.merge_base is not None
