"""The requests of people: through the API and the command line, or by a command at GitHub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.pipeline import Mode


@dataclass(frozen=True, slots=True)
class LockAsked:
    """A person locks a stage. `until`: seconds since the epoch; None: until a person opens it."""

    stage: str
    by: str
    reason: str
    let_fixes_in: bool = False
    until: float | None = None
    kind: Literal["lock-asked"] = "lock-asked"


@dataclass(frozen=True, slots=True)
class UnlockAsked:
    """A person opens one lock of a stage, the one with the key `lock`, or `every` lock."""

    stage: str
    by: str
    reason: str
    lock: str | None = None
    every: bool = False
    kind: Literal["unlock-asked"] = "unlock-asked"


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """A person repeats the failed build of a run, without a new commit (L4)."""

    run: str
    by: str
    reason: str
    kind: Literal["retry-asked"] = "retry-asked"


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A person cancels a run."""

    run: str
    by: str
    reason: str
    kind: Literal["cancel-asked"] = "cancel-asked"


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """A person moves a waiting run to the front of its queue."""

    run: str
    by: str
    reason: str
    kind: Literal["move-asked"] = "move-asked"


@dataclass(frozen=True, slots=True)
class WatchAsked:
    """A person asks for a notice when a stage opens: on the pull request if they asked there, else by their channel.

    `stage` empty: the only locked stage.
    """

    stage: str
    by: str
    repository: str = ""
    pull: int | None = None
    kind: Literal["watch-asked"] = "watch-asked"


@dataclass(frozen=True, slots=True)
class FastLaneAsked:
    """A person puts the head of a service's main on the fast lane, into `stage` even if it is locked (F1)."""

    service: str
    by: str
    reason: str
    stage: str | None = None
    kind: Literal["fast-lane-asked"] = "fast-lane-asked"


@dataclass(frozen=True, slots=True)
class LetThroughAsked:
    """A person lets one run through the freezes that allow it (W2)."""

    run: str
    by: str
    reason: str
    kind: Literal["let-through-asked"] = "let-through-asked"


@dataclass(frozen=True, slots=True)
class VerifyAsked:
    """A person asks to verify a pull request. `sha`: the head that they saw; a newer head is not built."""

    service: str
    pull: int
    by: str
    sha: str
    #: Whether its commits come from a fork; None: the sender of the request does not know.
    fork: bool | None = None
    kind: Literal["verify-asked"] = "verify-asked"


@dataclass(frozen=True, slots=True)
class ModeAsked:
    """A person sets the mode of the pipeline."""

    mode: Mode
    by: str
    reason: str
    kind: Literal["mode-asked"] = "mode-asked"


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A person has retried or dropped a dead letter or a parked delivery; this event puts it on record.

    `name`: the slot of the dead letter, or the id of the delivery in the inbox. `again`: it is tried again.
    """

    what: Literal["dead-letter", "parked-delivery"]
    name: str
    again: bool
    by: str
    reason: str
    kind: Literal["taken-out"] = "taken-out"


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a comment that begins with `/interlock`. `verb` empty: unknown; `meant`: a similar command."""

    verb: str
    rest: str = ""
    meant: str = ""


@dataclass(frozen=True, slots=True)
class CommandSaid:
    """A person gave commands at GitHub: in a comment on a pull request, or by a button of a check run.

    GitHub has not authorized the person yet.
    """

    #: Identifies the command, however often it is delivered.
    key: str
    repository: str
    by: str
    commands: tuple[Command, ...]
    pull: int | None = None
    #: The comment, and when it was written (seconds since the epoch); None: a button.
    comment: int | None = None
    at: float | None = None
    #: How many more commands the comment has beyond the limit.
    more: int = 0
    #: The commit of the button's check run, and the run that it names.
    sha: str = ""
    run: str = ""
    kind: Literal["command-said"] = "command-said"


@dataclass(frozen=True, slots=True)
class CommandAllowed:
    """GitHub's answer: the person may give the command. The fields describe its subject at this moment."""

    said: CommandSaid
    #: The service whose main branch the pull request goes to; empty for a button.
    service: str = ""
    #: The head of the pull request, whether it is on a fork, and whether the pull request is still open.
    head: str = ""
    fork: bool = False
    open: bool = False
    #: The commit that landed; empty: it is not merged.
    merged: str = ""
    #: How its last run ended, in words, if one has ended.
    past: str = ""
    kind: Literal["command-allowed"] = "command-allowed"


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """GitHub's answer: the command is not carried out, and why."""

    said: CommandSaid
    why: str
    kind: Literal["command-refused"] = "command-refused"
