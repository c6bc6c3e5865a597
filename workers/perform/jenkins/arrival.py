"""Whether an attempt whose trigger got no answer may still arrive, and until when that must be waited for.

Everywhere, a look finds what arrived within a moment of the time-out. Where a build rolls out, that is not enough: a
Jenkins that hung takes a request up to minutes later, and the build would roll out beside that of the next attempt. No
other attempt is asked for there until one of these holds:

- Jenkins, or whatever stands before it, has answered the request or closed its connection: it is in nobody's hands
  any more;
- Jenkins has restarted since (X-Jenkins-Session): what the old process had taken died with it;
- Jenkins has answered every look for `late_triggers` (a proxy gives a request up after its read time-out, 60 s in
  nginx unless set; a Jenkins that answers is past what held it up).

Only the second is certain beyond doubt. So the printed jobs ask Interlock before they roll out (`bot.core.attempts`).
"""

from __future__ import annotations

import time

from bot.core.effects import Trigger
from bot.core.events import TriggerUnanswered
from workers.context import Context, Line
from workers.jenkins_client import JenkinsClient
from workers.perform.jenkins import posted
from workers.perform.outcome import NotNow

#: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request, in seconds.
STILL_COMING = 3.0
#: How long the note is kept since when Jenkins answers every look, in milliseconds: longer than a series of looks.
ANSWERING_MS = 600_000


def await_arrival(context: Context, line: Line, jenkins: JenkinsClient, effect: Trigger, since: float) -> None:
    """Raise NotNow while an attempt that was posted `since` seconds ago, and that a look has not found, may arrive."""
    controller = context.configuration.controllers[effect.job.controller]
    if since < patience(context, effect):
        raise NotNow("looking for a build whose trigger got no answer", after=1.0)
    if not effect.rolls_out:
        return
    note = posted.read(line, effect.run, effect.attempt)
    if note is None or note.closed or note.outlived_by(jenkins.session):
        return
    answering = _answering_for(line, effect)
    if answering < controller.late_triggers:
        why = (
            f"its trigger got no answer and may still arrive: nothing else is rolled out until {effect.job.controller} "
            f"has answered for {controller.late_triggers:g} s"
        )
        raise NotNow(why, after=1.0, event=TriggerUnanswered(effect.run, effect.attempt, controller.late_triggers))


def patience(context: Context, effect: Trigger) -> float:
    """How long after it was sent a trigger without an answer may still arrive wherever nothing hangs, in seconds."""
    return context.configuration.controllers[effect.job.controller].timeout + STILL_COMING


def _answering_for(line: Line, effect: Trigger) -> float:
    """For how long Jenkins has answered every look for this attempt, in seconds, this one included."""
    now, key = time.time(), line.keys.answering(effect.run, effect.attempt)
    line.redis.set(key, repr(now), nx=True)
    line.redis.pexpire(key, ANSWERING_MS)
    return now - float(line.redis.get(key) or now)


def unanswered_look(line: Line, effect: Trigger) -> None:
    """Jenkins did not answer a look: the series begins anew."""
    line.redis.delete(line.keys.answering(effect.run, effect.attempt))
