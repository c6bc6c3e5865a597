"""Starting a build: at most one request for an attempt, ever; a lost reply is looked for (invariant 5)."""

from __future__ import annotations

import re

from bot.core.effects import Trigger
from bot.core.events import TriggerAccepted, TriggerRefused
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.jenkins_client import JenkinsClient, NotAllowed, NotThere, job_path
from workers.perform.jenkins import attempt, declared, posted
from workers.perform.jenkins.reach import client_for
from workers.perform.outcome import Done, Lost, NotNow

_NUMBER = re.compile(r"/(\d+)/?$")


def trigger(context: Context, line: Line, claim: Claim, effect: Trigger) -> Done:
    """Start one build. An attempt is posted at most once, ever: after a doubt it is only looked for (invariant 5).

    The order is: note the intent, post, keep the answer. If the answer is lost, the note says when it was posted;
    once it cannot arrive any more and is nowhere to be found, it is refused, and the rules start another attempt.
    """
    jenkins = client_for(context, effect.job)
    tried = claim.tries > 0 or effect.look_first
    since = posted.since(line, effect.run, effect.attempt) if tried else None
    if tried:
        found = _look_for(jenkins, effect)
        if found is not None:
            return found
    if since is not None:
        timeout = context.configuration.controllers[effect.job.controller].timeout
        if since < timeout + posted.STILL_COMING:
            raise NotNow("looking for a build whose trigger got no answer", after=1.0)
        return Done(TriggerRefused(effect.run, effect.attempt, "the trigger got no answer and left no build"))
    refused = _refused_unasked(jenkins, effect)
    if refused is not None:
        return refused
    if line.outbox.renew(claim) is None:
        raise Lost
    posted.note(line, effect.run, effect.attempt, effect.job)
    return _post(jenkins, effect)


def _refused_unasked(jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    """Why the build is not even asked for: nothing was posted, so that is certain (L6)."""
    try:
        missing = declared.missing(jenkins, effect.job)
    except (NotNow, NotThere, NotAllowed) as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    return Done(TriggerRefused(effect.run, effect.attempt, declared.refusal(effect.job, missing))) if missing else None


def _post(jenkins: JenkinsClient, effect: Trigger) -> Done:
    path = f"{job_path(effect.job.name)}/buildWithParameters"
    try:
        # 303: an equal item is in the queue already; equal means this run and attempt (Jenkins: `Queue#schedule2`).
        response = jenkins.ask("POST", path, data=_parameters(effect), expect=(201, 303))
    except NotThere as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    except NotAllowed as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except NotNow as error:
        if error.certain:
            return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
        raise NotNow(str(error), after=1.0) from error
    number = _NUMBER.search(response.headers.get("Location", ""))
    if number is None:
        raise NotNow("Jenkins took the trigger but named no queue item", after=0.5)
    return Done(TriggerAccepted(effect.run, effect.attempt, int(number.group(1))))


def _parameters(effect: Trigger) -> dict[str, str]:
    """What a trigger carries; nothing in it was written by a stranger but the sha, which is checked hexadecimal."""
    return {
        attempt.RUN: effect.run,
        attempt.ATTEMPT: str(effect.attempt),
        "INTERLOCK_STAGE": effect.stage,
        "INTERLOCK_LANE": str(effect.lane),
        "INTERLOCK_SERVICE": effect.service,
        "INTERLOCK_REPOSITORY": effect.repository,
        "INTERLOCK_SHA": effect.sha,
        "INTERLOCK_VERSION": effect.version,
        "delay": "0sec",
        **({"INTERLOCK_PULL": str(effect.pull)} if effect.pull is not None else {}),
    }


def _look_for(jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    try:
        found = attempt.find(jenkins, effect.job, attempt.Attempt(effect.run, effect.attempt, effect.version))
    except NotThere as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except NotAllowed as error:
        raise NotNow(f"Jenkins does not let us look for a build whose trigger got no answer: {error}") from error
    if found is None:
        return None
    if found.build is not None:
        return Done(attempt.seen(jenkins, effect.job, found.build))
    return Done(TriggerAccepted(effect.run, effect.attempt, found.item or 0))
