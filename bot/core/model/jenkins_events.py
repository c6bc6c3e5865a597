"""The events of Jenkins: reports about builds, answers to triggers and aborts, and banners of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.pipeline import AbortLevel, Outcome
from bot.core.model.replaced import quick_to_make


@dataclass(frozen=True, slots=True)
class BuildHinted:
    """A hint that a build has changed; Interlock must ask Jenkins for its state (invariant 8)."""

    controller: str
    job: str
    number: int
    #: Whether the hint says that the build has ended.
    over: bool = False
    kind: Literal["build-hinted"] = "build-hinted"


@quick_to_make
@dataclass(frozen=True, slots=True)
class BuildSeen:
    """Jenkins' answer: the state of a build. `result` None: it runs. `run` None: it is not one of ours."""

    controller: str
    job: str
    number: int
    result: Outcome | None
    run: str | None = None
    attempt: int | None = None
    failed_tests: tuple[str, ...] = ()
    #: The step of the Jenkins Pipeline that failed, and its message.
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
    """The build of an attempt is gone for good: deleted, or lost in a crash."""

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
    """The trigger of an attempt got no answer, and no build of it was found yet.

    Where the stage rolls out, Interlock waits for that build. `answering`: for how many seconds Jenkins must answer
    before it gives up the attempt.
    """

    run: str
    attempt: int
    answering: float
    kind: Literal["trigger-unanswered"] = "trigger-unanswered"


@dataclass(frozen=True, slots=True)
class TriggerRefused:
    """The trigger of one attempt certainly did not arrive; `why`: the reason (L6)."""

    run: str
    attempt: int
    why: str
    #: The commit of a newer run that was rolled out there and that the store has lost; empty: there is none. The
    #: trigger was not sent for that reason (F11).
    newer: str = ""
    kind: Literal["trigger-refused"] = "trigger-refused"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An attempt certainly has no build and will get none: it was cancelled, or its trigger never arrived."""

    run: str
    attempt: int
    #: The reason, if no person and no other decision of ours withdrew it; empty for our own withdrawal, such as that of
    #: a trigger after the start of a freeze.
    why: str = ""
    kind: Literal["withdrawn"] = "withdrawn"


@dataclass(frozen=True, slots=True)
class AbortTaken:
    """Jenkins took our request to end a build. The time that the build has to end counts from now on.

    `run` and `attempt` name the build, because the job may have another name by now; empty for a duplicate.
    """

    controller: str
    job: str
    number: int
    level: AbortLevel
    #: The build supports nothing firmer than stop, and got a stop again.
    only_stop: bool = False
    run: str = ""
    attempt: int = 0
    kind: Literal["abort-taken"] = "abort-taken"


@dataclass(frozen=True, slots=True)
class BannerOverwritten:
    """Jenkins shows another text in place of the banner of a job: somebody has overwritten it."""

    controller: str
    job: str
    kind: Literal["banner-overwritten"] = "banner-overwritten"
