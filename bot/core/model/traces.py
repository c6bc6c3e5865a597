"""What Jenkins and GitHub still show of a board whose store was lost: frozen values, read by who asks there.

Whoever may start builds, or edit the description of a job, may have written them. So a trace can close a stage and
start the head of main; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.messages import Message
from bot.core.model.pipeline import Lane, Outcome, Step


@dataclass(frozen=True, slots=True)
class BuildTrace:
    """A build, or an item of Jenkins' queue, that was asked for before this board began, by its parameters."""

    step: Step
    service: str
    sha: str
    run: str
    attempt: int
    version: str
    lane: Lane = Lane.MAIN
    #: Its number in Jenkins; None: it waits in Jenkins' queue.
    number: int | None = None
    #: How it ended; None: it runs or waits.
    result: Outcome | None = None
    #: When it began, in seconds since the epoch by Jenkins' clock; 0: it has not.
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class LockTrace:
    """A lock that stood before: as the banner of its stage tells it, or as a worker remembers it."""

    stage: str
    reason: Message
    by: str
    since: float
    until: float | None = None
    let_fixes_in: bool = False
    #: Whose failure it was: empty and None for a lock of a person.
    run: str = ""
    service: str = ""
    sha: str = ""
    build: int | None = None
    #: The banner over this job told it; empty: it is remembered.
    banner: str = ""


@dataclass(frozen=True, slots=True)
class DeployedCommit:
    """The commit that GitHub's deployments name as the last one that came into a stage; `at` in epoch seconds."""

    stage: str
    sha: str
    at: float
