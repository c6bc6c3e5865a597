"""What Jenkins says: of its builds, of what it was asked to start or to end, and of the banners over its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.pipeline import AbortLevel, Outcome
from bot.core.model.replaced import quick_to_make


@dataclass(frozen=True, slots=True)
class BuildHinted:
    """Somebody says that something changed about a build; Jenkins must be asked what (invariant 8)."""

    controller: str
    job: str
    number: int
    #: Whoever says it says that the build has ended.
    over: bool = False
    kind: Literal["build-hinted"] = "build-hinted"


@quick_to_make
@dataclass(frozen=True, slots=True)
class BuildSeen:
    """Jenkins was asked: the state of a build. `result` None while it runs. `run` None: not one of ours."""

    controller: str
    job: str
    number: int
    result: Outcome | None
    run: str | None = None
    attempt: int | None = None
    failed_tests: tuple[str, ...] = ()
    #: The step of the Pipeline that went wrong, and what it says.
    failed_step: str = ""
    #: The artifact version that its trigger carried; empty: the job declares none.
    version: str = ""
    #: The commit that its trigger carried; empty: the job declares none.
    sha: str = ""
    #: When the build started, when Jenkins expects it to end, and when it ended: epoch seconds by Jenkins' clock.
    started: float | None = None
    expected: float | None = None
    ended: float | None = None
    kind: Literal["build-seen"] = "build-seen"


@dataclass(frozen=True, slots=True)
class BuildLost:
    """The build of an attempt is no longer there and never will be: deleted, or lost in a crash."""

    run: str
    attempt: int
    why: str
    kind: Literal["build-lost"] = "build-lost"


@quick_to_make
@dataclass(frozen=True, slots=True)
class TriggerAccepted:
    """Jenkins took the trigger of one attempt into its queue."""

    run: str
    attempt: int
    queue_item: int
    kind: Literal["trigger-accepted"] = "trigger-accepted"


@dataclass(frozen=True, slots=True)
class TriggerUnanswered:
    """The trigger of an attempt got no answer and left no build so far; where it rolls out, that is waited for.

    `answering`: for how long Jenkins must answer before the attempt is given up, in seconds.
    """

    run: str
    attempt: int
    answering: float
    kind: Literal["trigger-unanswered"] = "trigger-unanswered"


@dataclass(frozen=True, slots=True)
class TriggerRefused:
    """It is certain that the trigger of one attempt did not arrive, and why (L6)."""

    run: str
    attempt: int
    why: str
    #: The commit of a newer run that was rolled out there, which the store has forgotten; empty: there is none. It was
    #: not sent for that reason (F11).
    newer: str = ""
    kind: Literal["trigger-refused"] = "trigger-refused"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """It is certain that an attempt has no build and will get none: it was cancelled, or never arrived."""

    run: str
    attempt: int
    #: Set when nobody of ours withdrew it: what became of it. A trigger that a freeze has overtaken is withdrawn by us.
    why: str = ""
    kind: Literal["withdrawn"] = "withdrawn"


@dataclass(frozen=True, slots=True)
class AbortTaken:
    """Jenkins took our request to end a build: from now on it has its time.

    `run` and `attempt`: whose build it is, for the job may have another name by now; empty for a duplicate.
    """

    controller: str
    job: str
    number: int
    level: AbortLevel
    #: The build knows nothing firmer than stop, and was asked that again.
    only_stop: bool = False
    run: str = ""
    attempt: int = 0
    kind: Literal["abort-taken"] = "abort-taken"


@dataclass(frozen=True, slots=True)
class BannerOverwritten:
    """Jenkins was asked: over a job stands not what should stand there; somebody has overwritten it."""

    controller: str
    job: str
    kind: Literal["banner-overwritten"] = "banner-overwritten"
