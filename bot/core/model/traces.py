"""Traces of a lost board that Jenkins and GitHub still show, as frozen values.

Whoever may start builds or edit the description of a job may have forged them. So a trace can close a stage and start
the head of main, but it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.messages import Message
from bot.core.model.pipeline import Lane, Outcome, Step


@dataclass(frozen=True, slots=True)
class BuildTrace:
    """A build, or an item of Jenkins' queue, that was triggered before this board began, by its parameters."""

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
    #: When it began, in seconds since the epoch by Jenkins' clock; 0: it has not begun.
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class LockTrace:
    """A lock from before the loss: as the banner of its stage shows it, or as a worker remembers it."""

    stage: str
    reason: Message
    by: str
    since: float
    until: float | None = None
    let_fixes_in: bool = False
    #: The failed run, its service and commit; empty and None for a lock of a person.
    run: str = ""
    service: str = ""
    sha: str = ""
    build: int | None = None
    #: The job whose banner showed it; empty: a worker remembered it.
    banner: str = ""


@dataclass(frozen=True, slots=True)
class DeployedCommit:
    """The commit that GitHub's deployments name as the last one in a stage; `at` in epoch seconds."""

    stage: str
    sha: str
    at: float
