"""The merge queue: a temporary branch per pull request; the App is asked for its checks before it lands.

Source: GitHub docs, "Managing a merge queue" and the `merge_group` webhook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins.github.model import Pull, Repo
from standins.github.payloads import ZERO

if TYPE_CHECKING:
    from standins.github.world import World

REASONS = ("merged", "invalidated", "dequeued")


def enqueue(world: World, repo: Repo, pull: Pull, by: str) -> str:
    """Make the commit that would land, on a branch of its own; ask for its checks; return its sha."""
    if pull.state != "open" or pull.number in repo.merge_groups.values():
        raise ValueError(f"pull request {pull.number} of {repo.full_name} is closed or in the queue already")
    waiting = list(repo.merge_groups)
    base = waiting[-1] if waiting else repo.branches[pull.base]
    message = f"Merge pull request #{pull.number} from {repo.owner}/{pull.branch}\n\n{pull.title}"
    head = repo.graph.add((base, pull.head_sha), message, by, world.clock.now())
    repo.merge_groups[head.sha] = pull.number
    world.tell_pull(repo, pull, "enqueued", by)
    world.move_branch(repo, branch_of(pull, base), head.sha, by)
    _tell(world, repo, pull, head.sha, by, None)
    return head.sha


def finish(world: World, repo: Repo, head_sha: str, reason: str, by: str) -> None:
    """Land a group or discard it, and delete its branch."""
    if reason not in REASONS:
        raise ValueError(f"a group ends for one of {', '.join(REASONS)}, not {reason!r}")
    if head_sha not in repo.merge_groups:
        raise LookupError(f"{repo.full_name} has no merge group {head_sha}; there are: {sorted(repo.merge_groups)}")
    if reason == "merged" and repo.branches[repo.pulls[repo.merge_groups[head_sha]].base] != _base(repo, head_sha):
        raise ValueError(f"the group {head_sha} is not the next to land")
    pull = repo.pulls[repo.merge_groups.pop(head_sha)]
    if reason == "merged":
        world.landed(repo, pull, head_sha, by, "push-first")
    else:
        world.tell_pull(repo, pull, "dequeued", by, {"reason": "CI_FAILURE" if reason == "invalidated" else "MANUAL"})
    _tell(world, repo, pull, head_sha, by, reason)
    world.move_branch(repo, branch_of(pull, _base(repo, head_sha)), ZERO, by)


def branch_of(pull: Pull, base_sha: str) -> str:
    return f"gh-readonly-queue/{pull.base}/pr-{pull.number}-{base_sha}"


def _base(repo: Repo, head_sha: str) -> str:
    return repo.graph.commits[head_sha].parents[0]


def _tell(world: World, repo: Repo, pull: Pull, head_sha: str, by: str, reason: str | None) -> None:
    base = _base(repo, head_sha)
    head = repo.graph.commits[head_sha]
    world.emit(
        repo,
        "merge_group",
        lambda brief: world.payloads.merge_group(
            repo, branch_of(pull, base), head, pull.base, base, by, reason, brief=brief
        ),
        apps_only=True,
    )
