"""What is known of the services beyond their live runs: history, pushes, commands, pull requests, clean-ups.

Frozen values, by `key`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.model.history import CommitHistory, Position


@dataclass(frozen=True, slots=True)
class PushedCommits:
    """What one push brought beside its head: whoever merged one of these is carried by the head's run."""

    head: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """A command at GitHub that we took: which, from whom, when; and whether all that follows has been decided."""

    key: str
    by: str
    at: float
    done: bool = False


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What the board remembers of one service beyond its live runs. All tuples are bounded."""

    key: str
    history: CommitHistory = field(default_factory=CommitHistory)
    #: Number of the latest run.
    number: int = 0
    #: How often we have learned that main moved: what GitHub answers about an earlier time is old.
    moves: int = 0
    #: The heads that a force-push put in place: what they do not contain was dropped from main.
    forced_heads: tuple[Position, ...] = ()
    #: Questions about containment under way: (base sha, head sha).
    asked: tuple[tuple[str, str], ...] = ()
    #: Pushes seen lately, as business keys: one push may be delivered several times.
    pushes: tuple[str, ...] = ()
    #: The pushes of several commits seen lately.
    pushed: tuple[PushedCommits, ...] = ()
    #: How many of each there have been: the number of the last one that is remembered.
    push_count: int = 0
    pushed_count: int = 0
    #: The head that GitHub named, while it is not known whether that contains ours; or our head, if it lacks a commit
    #: that was on main, until GitHub names it.
    unconfirmed_head: str = ""
    #: Commands heard lately, and when which pull request was answered somebody who may not write.
    handled_commands: tuple[HandledCommand, ...] = ()
    answered: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Pull:
    """What is known of one pull request: its head, and what was said of it last."""

    number: int
    sha: str
    #: When GitHub changed it last, in seconds since the epoch by GitHub's clock: what tells news from old news.
    at: float | None = None
    open: bool = True
    draft: bool = False
    fork: bool = False
    #: Of the present head: a person asked for it; it waits for a person to ask; what became of it was said.
    asked: bool = False
    held: bool = False
    done: bool = False
    #: The heads that it had before, the latest last.
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulls:
    """The pull requests of one service that something was heard of, the latest last. Bounded."""

    key: str
    #: Number of the latest verification.
    number: int = 0
    seen: tuple[Pull, ...] = ()

    def find(self, number: int) -> Pull | None:
        """What is known of a pull request."""
        return next((pull for pull in self.seen if pull.number == number), None)


@dataclass(frozen=True, slots=True)
class CleanUp:
    """A clean-up (F8) that is not through: more runs of the service `key` go in the next decisions."""

    key: str
