"""Whether an attempt whose trigger got no answer may still arrive, and until when that must be waited for.

Everywhere, a look finds what arrived within a moment of the time-out. Where a build rolls out, that is not enough: a
Jenkins that hung takes a request up to minutes later, and the build would roll out beside that of the next attempt. No
other attempt is asked for there until one of these holds:

- Jenkins, or whatever stands before it, has answered the request or closed its connection: it is in nobody's hands
  any more;
- Jenkins has restarted since (X-Jenkins-Session): what the old process had taken died with it;
- Jenkins has answered looks for `late_triggers` (a proxy gives a request up after its read time-out, 60 s in nginx
  unless set; a Jenkins that answers is past what held it up). Time in which it did not answer does not count.

Only the second is certain beyond doubt. So the printed jobs ask Interlock before they roll out
(`bot.core.rules.attempts`).
"""

from __future__ import annotations

import time
from typing import cast

from bot.core.model.effects import Trigger
from bot.core.model.events import TriggerUnanswered
from bot.effect_outcomes import RetryLater
from bot.jenkins import posted
from bot.jenkins.client import JenkinsClient
from bot.runtime import PipelineContext, Runtime

#: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request, in seconds.
STILL_COMING = 3.0
#: How long it is kept for how long Jenkins has answered, in milliseconds: longer than workers are ever down.
ANSWERING_MS = 14 * 86_400_000
#: The longest pause between two looks that still count as one stretch of time in which Jenkins answers, in seconds.
STRETCH = 10.0


def await_arrival(
    runtime: Runtime, context: PipelineContext, jenkins: JenkinsClient, effect: Trigger, since: float
) -> None:
    """Raise NotNow while an attempt that was posted `since` seconds ago, and that a look has not found, may arrive."""
    controller = runtime.configuration.controllers[effect.job.controller]
    if since < patience(runtime, effect):
        raise RetryLater("looking for a build whose trigger got no answer", after=1.0)
    if not effect.rolls_out:
        return
    note = posted.read(context, effect.run, effect.attempt)
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
    return runtime.configuration.controllers[effect.job.controller].timeout + STILL_COMING


def _answering_for(context: PipelineContext, effect: Trigger) -> float:
    """For how long Jenkins has answered the looks for this attempt, in seconds, up to this one."""
    now, key = time.time(), context.keys.answering(effect.run, effect.attempt)
    last, before = cast("list[bytes | None]", context.redis.hmget(key, ["last", "seconds"]))
    pause = now - float(last) if last is not None else 0.0
    seconds = float(before or 0.0) + (pause if 0.0 < pause <= STRETCH else 0.0)
    context.redis.hset(key, mapping={"last": repr(now), "seconds": repr(seconds)})
    context.redis.pexpire(key, ANSWERING_MS)
    return seconds


def unanswered_look(context: PipelineContext, effect: Trigger) -> None:
    """Jenkins did not answer a look: the time since the last one that it answered does not count."""
    context.redis.hdel(context.keys.answering(effect.run, effect.attempt), "last")
