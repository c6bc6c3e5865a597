"""The note that an attempt was posted, and until when a post that got no answer may still become a build.

The note says when, to which job, in which session of Jenkins, and whether the request is over. It is known after a
crash and under a new configuration.

Everywhere, a look finds what arrived within a moment of the time-out. Where a build rolls out, that is not enough: a
Jenkins that hung takes a request up to minutes later, and the build would roll out beside that of the next attempt. No
other attempt is asked for there until one of these holds:

- Jenkins, or whatever stands before it, has answered the request or closed its connection: it is in nobody's hands
  any more;
- Jenkins has restarted since (X-Jenkins-Session): what the old process had taken died with it;
- Jenkins has answered looks for `late_triggers` (a proxy gives a request up after its read time-out, 60 s in nginx
  unless set; a Jenkins that answers is past what held it up). Time in which it did not answer does not count.

Only the second is certain. So the printed jobs ask Interlock before they roll out
(`bot.core.rules.unmanaged_builds`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from bot.core.model.effects import Trigger
from bot.core.model.events import TriggerUnanswered
from bot.core.model.pipeline import Job
from bot.core.model.run import Buildable
from bot.effect_outcomes import ClaimLost, RetryLater
from bot.jenkins.client import JenkinsClient
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim, NotedPost, UnacknowledgedWrites

#: How long a note is kept, in milliseconds: longer than workers are ever down, and than a build runs.
NOTED_MS = 14 * 86_400_000


@dataclass(frozen=True, slots=True)
class PostNote:
    """What is known of a post. `session`: of Jenkins, as it was known before; empty: unknown.

    `closed`: the request was answered, or its connection was closed by the other side.
    """

    job: Job
    session: str = ""
    closed: bool = False

    def outlived_by(self, session: str) -> bool:
        """Whether Jenkins has restarted since: a session of another name answers now."""
        return bool(self.session and session) and self.session != session

    def text(self) -> str:
        """As it is stored."""
        return "\n".join((self.job.controller, self.job.name, self.session, "closed" if self.closed else ""))


def note(
    context: PipelineContext,
    claim: Claim,
    effect: Trigger,
    session: str = "",
    looked: UnacknowledgedWrites | None = None,
) -> NotedPost | UnacknowledgedWrites:
    """Store the intent before the request goes out; by the clock of Redis, whichever machine reads it.

    `session`: that of Jenkins, as far as it is known. Raises ClaimLost if another worker has the trigger.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    noted = context.outbox.intend(claim, key, PostNote(effect.job, session).text(), NOTED_MS, looked)
    if noted is None:
        raise ClaimLost
    return noted


def confirm(context: PipelineContext, effect: Trigger) -> None:
    """Wait until a replica has the note. Raises RetryLater if none has: then nothing may go out, and it is taken back.

    Otherwise a fail-over could forget that this attempt was posted, and it would be posted once more.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    if not context.outbox.confirm(key, NOTED_MS):
        context.redis.delete(key)
        raise RetryLater("no replica of the store confirms that the build is about to be started", certain=True)


def close(context: PipelineContext, run: str, attempt: int) -> None:
    """Note that the request is over, whatever its result. Without this note (a worker died) it counts as under way."""
    found = read(context, run, attempt)
    if found is not None:
        context.redis.set(context.keys.posted(run, attempt), replace(found, closed=True).text(), keepttl=True, xx=True)


def read(context: PipelineContext, run: str, attempt: int) -> PostNote | None:
    """What is known of the post of an attempt; None if it was not posted."""
    return _note(cast("bytes | None", context.redis.get(context.keys.posted(run, attempt))))


def since(context: PipelineContext, run: str, attempt: int) -> float | None:
    """Seconds since the attempt was posted; None if it was not, or longer ago than anybody remembers."""
    left = int(context.redis.pttl(context.keys.posted(run, attempt)))
    return (NOTED_MS - left) / 1000 if left >= 0 else None


def jobs(context: PipelineContext, runs: Sequence[Buildable]) -> list[Job | None]:
    """To which job the present attempt of each run was posted; None for those that were not."""
    if not runs:
        return []
    rows = cast(
        "list[bytes | None]", context.redis.mget([context.keys.posted(run.key, run.attempt.number) for run in runs])
    )
    notes = (_note(row) for row in rows)
    return [found.job if found is not None else None for found in notes]


def job(context: PipelineContext, run: str, attempt: int) -> Job | None:
    """To which job an attempt was posted; None if it was not."""
    found = read(context, run, attempt)
    return found.job if found is not None else None


def _note(row: bytes | None) -> PostNote | None:
    """Notes of an older version end after the job."""
    controller, name, session, state, *_ = [*(row or b"").decode().split("\n"), "", "", "", ""]
    return PostNote(Job(controller, name), session, state == "closed") if name else None


# -- late arrivals -----------------------------------------------------------------------------------------------------

#: The longest pause between two looks that still count as one stretch of time in which Jenkins answers, in seconds.
STRETCH = 10.0


def await_arrival(
    runtime: Runtime, context: PipelineContext, jenkins: JenkinsClient, effect: Trigger, since: float
) -> None:
    """Return if an attempt that was posted `since` seconds ago, and that a look has not found, cannot arrive any more.

    Raises RetryLater while it may.
    """
    controller = runtime.configuration.controllers[effect.job.controller]
    if since < patience(runtime, effect):
        raise RetryLater("looking for a build whose trigger got no answer", after=1.0)
    if not effect.rolls_out:
        return
    note = read(context, effect.run, effect.attempt)
    if note is None or note.closed or note.outlived_by(jenkins.session):
        return
    answering = _answering_for(context, effect)
    if answering < controller.late_triggers:
        why = (
            f"its trigger got no answer and may still arrive: nothing else is rolled out until {effect.job.controller} "
            f"has answered for {controller.late_triggers:g} s"
        )
        raise RetryLater(why, after=1.0, event=TriggerUnanswered(effect.run, effect.attempt, controller.late_triggers))


def patience(runtime: Runtime, effect: Trigger) -> float:
    """How long after it was sent a trigger without an answer may still arrive wherever nothing hangs, in seconds."""
    controller = runtime.configuration.controllers[effect.job.controller]
    return controller.timeout + controller.limits.late_request


def _answering_for(context: PipelineContext, effect: Trigger) -> float:
    """For how long Jenkins has answered the looks for this attempt, in seconds, up to this one."""
    now, key = time.time(), context.keys.answering(effect.run, effect.attempt)
    last, before = cast("list[bytes | None]", context.redis.hmget(key, ["last", "seconds"]))
    pause = now - float(last) if last is not None else 0.0
    seconds = float(before or 0.0) + (pause if 0.0 < pause <= STRETCH else 0.0)
    context.redis.hset(key, mapping={"last": repr(now), "seconds": repr(seconds)})
    context.redis.pexpire(key, NOTED_MS)
    return seconds


def unanswered_look(context: PipelineContext, effect: Trigger) -> None:
    """Jenkins did not answer a look: the time since the last one that it answered does not count."""
    context.redis.hdel(context.keys.answering(effect.run, effect.attempt), "last")
