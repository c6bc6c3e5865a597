"""Starting a build: at most one request for an attempt, ever; a lost reply is looked for (invariant 5)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from bot.core.model.effects import Trigger
from bot.core.model.events import TriggerAccepted, TriggerRefused, Withdrawn
from bot.core.model.pipeline import Job
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.jenkins import attempts, builds, posted
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound, client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim, UnacknowledgedWrites
from config.configuration import job_path


def trigger(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Trigger) -> Done:
    """Start one build. An attempt is posted at most once, ever: without an answer it is only looked for (invariant 5).

    The order is: note the intent (at a first try mostly together with the claim), have a replica confirm it (if there
    is one), post, keep the answer. If the answer is lost, the note says when it was posted. Once it cannot arrive any
    more and there is no build, it counts as refused, and the rules start another attempt. After a fail-over of the
    store, or a backup that was put back, even a note may be lost: then builds of this commit are looked for first.
    """
    jenkins = client_for(runtime, effect.job)
    if claim.noted is not None and time.monotonic() - claim.at < jenkins.limits.claim_note:  # the intent is noted
        if claim.noted.follows:
            posted.confirm(context, effect)
        return _sent(context, jenkins, effect)
    done = _became_of_it(runtime, context, jenkins, effect) if claim.tries > 0 or effect.look_first else None
    done = done or _refused_unasked(jenkins, effect) or _noted(runtime, context, claim, jenkins, effect)
    return done or _sent(context, jenkins, effect)


def _became_of_it(runtime: Runtime, context: PipelineContext, jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    """The result of an earlier try; None: it is certain that nothing was posted."""
    since = posted.since(context, effect.run, effect.attempt)
    try:
        found = _look_for(jenkins, effect)
    except RetryLater:
        posted.unanswered_look(context, effect)
        raise
    if found is not None or since is None:
        return found
    posted.await_arrival(runtime, context, jenkins, effect, since)
    return Done(TriggerRefused(effect.run, effect.attempt, "the trigger got no answer and left no build"))


def _noted(
    runtime: Runtime, context: PipelineContext, claim: Claim, jenkins: JenkinsClient, effect: Trigger
) -> Done | None:
    """Note that the attempt is about to be posted. Returns a build that the store has forgotten, if there is one."""
    noted = posted.note(context, claim, effect, jenkins.session)
    if isinstance(noted, UnacknowledgedWrites):
        found = _look_for(jenkins, effect) or attempts.find_forgotten(jenkins, context, effect)
        if found is not None:
            return found
        if noted.seconds < posted.patience(runtime, effect):
            raise RetryLater("the store may have forgotten builds that were just started: looking for them", after=1.0)
        noted = posted.note(context, claim, effect, jenkins.session, looked=noted)
        if isinstance(noted, UnacknowledgedWrites):
            raise RetryLater("the store has changed its history once more", after=0.0)
    if noted.follows:
        posted.confirm(context, effect)
    return None


def _sent(context: PipelineContext, jenkins: JenkinsClient, effect: Trigger) -> Done:
    """Post it; if no answer comes, note at least whether the request is over.

    One that is late, because a worker was down or there was much to do, is withdrawn instead (W1).
    """
    if effect.not_after is not None and effect.not_after <= context.inbox.now():
        return Done(Withdrawn(effect.run, effect.attempt))
    try:
        return _post(jenkins, effect)
    except RetryLater as error:
        if error.over:
            posted.close(context, effect.run, effect.attempt)
        raise


def _refused_unasked(jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    """Refuse a job that lacks the parameters: nothing was posted, so the refusal is certain (L6)."""
    try:
        missing = undeclared(jenkins, effect.job)
    except (RetryLater, JenkinsNotFound, JenkinsForbidden) as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    return Done(TriggerRefused(effect.run, effect.attempt, refusal_of(effect.job, missing))) if missing else None


def _post(jenkins: JenkinsClient, effect: Trigger) -> Done:
    path = f"{job_path(effect.job.name)}/buildWithParameters"
    try:
        # 303: an equal item is in the queue already; equal means this run and attempt (Jenkins: `Queue#schedule2`).
        response = jenkins.ask("POST", path, data=_parameters(effect), expect=(201, 303))
    except JenkinsNotFound as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    except JenkinsForbidden as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except RetryLater as error:
        if error.certain:
            return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
        raise RetryLater(str(error), after=1.0, over=error.over) from error
    number = builds.item_of(response)
    if number is None:
        raise RetryLater("Jenkins took the trigger but named no queue item", after=0.5, over=True)
    return Done(TriggerAccepted(effect.run, effect.attempt, number))


def _parameters(effect: Trigger) -> dict[str, str]:
    """The parameters of a trigger. Only the commit comes from outside, and it is checked to be hexadecimal."""
    return {
        builds.RUN: effect.run,
        builds.ATTEMPT: str(effect.attempt),
        "INTERLOCK_STAGE": effect.stage,
        "INTERLOCK_LANE": str(effect.lane),
        "INTERLOCK_SERVICE": effect.service,
        "INTERLOCK_REPOSITORY": effect.repository,
        "INTERLOCK_SHA": effect.sha,
        "INTERLOCK_VERSION": effect.version,
        "delay": "0sec",
        **({"INTERLOCK_PULL": str(effect.pull)} if effect.pull is not None else {}),
    }


def _attempt(effect: Trigger) -> attempts.AttemptParameters:
    return attempts.AttemptParameters(effect.run, effect.attempt, effect.version, effect.sha)


def _look_for(jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    try:
        found = attempts.find(jenkins, effect.job, _attempt(effect))
    except JenkinsNotFound as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except JenkinsForbidden as error:
        raise RetryLater(f"Jenkins does not let us look for a build whose trigger got no answer: {error}") from error
    if found is None:
        return None
    if found.build is not None:
        return Done(builds.build_seen(jenkins, effect.job, found.build))
    return Done(TriggerAccepted(effect.run, effect.attempt, found.item or 0))


# -- what a job must declare -------------------------------------------------------------------------------------------

#: How long a job that was found good is not asked again, in seconds.
TRUSTED_FOR = 600.0

_DECLARED = "property[parameterDefinitions[name]]"

_good_until: dict[tuple[str, Job], float] = {}


def undeclared(jenkins: JenkinsClient, job: Job) -> list[str]:
    """Which of the parameters that identify a build the job does not declare; a good job is asked again after a while.

    Raises what the client raises: then nothing was posted.
    """
    key = (jenkins.url, job)
    if _good_until.get(key, 0.0) > time.monotonic():
        return []
    answer = jenkins.get(job_path(job.name), _DECLARED)
    names = {
        definition.get("name")
        for entry in answer.get("property") or []
        for definition in (entry or {}).get("parameterDefinitions") or []
    }
    lacking = [name for name in (builds.RUN, builds.ATTEMPT) if name not in names]
    if not lacking:
        _good_until[key] = time.monotonic() + TRUSTED_FOR
    return lacking


def known_good(url: str, jobs: Iterable[Job]) -> list[Job]:
    """Those of the jobs on this controller that `undeclared` would not ask about now."""
    now = time.monotonic()
    return [job for job in jobs if _good_until.get((url, job), 0.0) > now]


def refusal_of(job: Job, names: list[str]) -> str:
    """Why no build is started in a job that lacks parameters, and what to do."""
    return (
        f"{job.name} does not declare {' and '.join(names)}, so nobody could tell whose its builds are; declare what "
        f"`interlock doctor` lists"
    )


def notes_for_claim(runtime: Runtime, context: PipelineContext) -> dict[Job, str]:
    """The notes that a claim may store at once, by job: for jobs that are known to declare the parameters."""
    found: dict[Job, str] = {}
    for controller, jobs in context.jobs.items():
        where = runtime.configuration.controllers.get(controller)
        good = known_good(where.url, jobs) if where is not None else []
        try:
            session = client_for(runtime, good[0]).session if good else ""
        except PermanentFailure:  # without a client nothing is noted at once; the trigger is refused with the reason
            continue
        found |= {job: posted.PostNote(job, session).text() for job in good}
    return found
