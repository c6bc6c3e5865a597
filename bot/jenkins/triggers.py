"""Start builds: at most one request per attempt, ever; if the reply is lost, the build is looked for (invariant 5).

A post note says that an attempt was posted: when, to which job, in which session of Jenkins, and whether the request is
over. It survives a crash and a change of the configuration.

A look finds a build that arrived shortly after the time-out. If the build rolls out, that is not enough: a Jenkins that
hung may accept a request minutes later, and the build would roll out beside that of the next attempt. So no other
attempt is sent there until one of these holds:

- Jenkins, or the proxy before it, has answered the request or closed its connection: nobody is processing it any more;
- Jenkins has restarted since (X-Jenkins-Session): the requests of the old process ended with it;
- Jenkins has answered looks for `late_triggers` (a proxy gives up a request after its read time-out, 60 s by default in
  nginx; a Jenkins that answers no longer hangs). Time in which it did not answer does not count.

Only the second is certain. So the printed jobs ask Interlock before they roll out
(`bot.core.rules.unmanaged_builds`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import requests

from bot.core.model.effects import Trigger
from bot.core.model.events import TriggerAccepted, TriggerRefused, TriggerUnanswered, Withdrawn
from bot.core.model.pipeline import Job
from bot.core.model.run import Buildable
from bot.effect_outcomes import ClaimLost, Done, PermanentFailure, RetryLater
from bot.jenkins import attempts, builds
from bot.jenkins.client import JenkinsClient, JenkinsForbidden, JenkinsNotFound, client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim, NotedPost, UnacknowledgedWrites
from config.configuration import job_path

#: How long a post note is kept, in milliseconds: longer than workers are ever down, and longer than a build runs.
NOTED_MS = 14 * 86_400_000
_ITEM = re.compile(r"/(\d+)/?$")


@dataclass(frozen=True, slots=True)
class PostNote:
    """The stored record of an attempt's POST. `session`: Jenkins' session id before it; empty: unknown.

    `closed`: the request was answered, or the other side closed its connection.
    """

    job: Job
    session: str = ""
    closed: bool = False

    def outlived_by(self, session: str) -> bool:
        """Return whether Jenkins has restarted since, because its session id is another one now."""
        return bool(self.session and session) and self.session != session

    def text(self) -> str:
        """Return the text in which it is stored."""
        return "\n".join((self.job.controller, self.job.name, self.session, "closed" if self.closed else ""))


def note_post(
    context: PipelineContext,
    claim: Claim,
    effect: Trigger,
    session: str = "",
    looked: UnacknowledgedWrites | None = None,
) -> NotedPost | UnacknowledgedWrites:
    """Store the post note before the request is sent; its age is measured by the clock of Redis.

    `session`: Jenkins' session id, if known. Raises ClaimLost if another worker has the trigger.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    noted = context.outbox.intend(claim, key, PostNote(effect.job, session).text(), NOTED_MS, looked)
    if noted is None:
        raise ClaimLost
    return noted


def confirm_note(context: PipelineContext, effect: Trigger) -> None:
    """Wait until a replica of Redis has the note. Raises RetryLater, and deletes the note, if none has: then nothing
    may be sent.

    Otherwise a fail-over could lose the note that this attempt was posted, and it would be posted again.
    """
    key = context.keys.posted(effect.run, effect.attempt)
    if not context.outbox.confirm(key, NOTED_MS):
        context.redis.delete(key)
        raise RetryLater("no replica of the store confirms that Interlock is about to start the build", certain=True)


def close_post(context: PipelineContext, run: str, attempt: int) -> None:
    """Record that the request is over, whatever its result. Without this (a worker died) it counts as still running."""
    found = post_of(context, run, attempt)
    if found is not None:
        context.redis.set(context.keys.posted(run, attempt), replace(found, closed=True).text(), keepttl=True, xx=True)


def post_of(context: PipelineContext, run: str, attempt: int) -> PostNote | None:
    """Return the stored record of an attempt's POST, or None if it was never posted."""
    return _note(cast("bytes | None", context.redis.get(context.keys.posted(run, attempt))))


def posted_since(context: PipelineContext, run: str, attempt: int) -> float | None:
    """Return the seconds since the attempt was posted; None if it was not, or the note has expired."""
    left = int(context.redis.pttl(context.keys.posted(run, attempt)))
    return (NOTED_MS - left) / 1000 if left >= 0 else None


def posted_jobs(context: PipelineContext, runs: Sequence[Buildable]) -> list[Job | None]:
    """Return the job to which the present attempt of each run was posted; None for one that was not."""
    if not runs:
        return []
    rows = cast(
        "list[bytes | None]", context.redis.mget([context.keys.posted(run.key, run.attempt.number) for run in runs])
    )
    notes = (_note(row) for row in rows)
    return [found.job if found is not None else None for found in notes]


def posted_job(context: PipelineContext, run: str, attempt: int) -> Job | None:
    """Return the job to which an attempt was posted, or None if it was not."""
    found = post_of(context, run, attempt)
    return found.job if found is not None else None


def _note(row: bytes | None) -> PostNote | None:
    """Decode a post note. Notes of an older version end after the job."""
    controller, name, session, state, *_ = [*(row or b"").decode().split("\n"), "", "", "", ""]
    return PostNote(Job(controller, name), session, state == "closed") if name else None


# -- late arrivals -----------------------------------------------------------------------------------------------------

#: The longest pause between two answered looks that counts as time in which Jenkins answers, in seconds.
STRETCH = 10.0


def await_arrival(
    runtime: Runtime, context: PipelineContext, jenkins: JenkinsClient, effect: Trigger, since: float
) -> None:
    """Return if an attempt that was posted `since` seconds ago, and was not found by a look, cannot arrive any more.

    Raises RetryLater as long as it may.
    """
    controller = runtime.configuration.controllers[effect.job.controller]
    if since < patience(runtime, effect):
        raise RetryLater("Interlock is looking for the build of a trigger that got no answer", after=1.0)
    if not effect.rolls_out:
        return
    note = post_of(context, effect.run, effect.attempt)
    if note is None or note.closed or note.outlived_by(jenkins.session):
        return
    answering = _answering_for(context, effect)
    if answering < controller.late_triggers:
        why = (
            "its trigger got no answer and may still arrive: Interlock rolls out nothing else "
            f"until {effect.job.controller} "
            f"has answered for {controller.late_triggers:g} s"
        )
        raise RetryLater(why, after=1.0, event=TriggerUnanswered(effect.run, effect.attempt, controller.late_triggers))


def patience(runtime: Runtime, effect: Trigger) -> float:
    """Return how long after it was sent an unanswered trigger may still arrive if nothing hangs, in seconds."""
    controller = runtime.configuration.controllers[effect.job.controller]
    return controller.timeout + controller.limits.late_request


def _answering_for(context: PipelineContext, effect: Trigger) -> float:
    """Return for how long, in seconds, Jenkins has answered the looks for this attempt, and store it."""
    now, key = time.time(), context.keys.answering(effect.run, effect.attempt)
    last, before = cast("list[bytes | None]", context.redis.hmget(key, ["last", "seconds"]))
    pause = now - float(last) if last is not None else 0.0
    seconds = float(before or 0.0) + (pause if 0.0 < pause <= STRETCH else 0.0)
    context.redis.hset(key, mapping={"last": repr(now), "seconds": repr(seconds)})
    context.redis.pexpire(key, NOTED_MS)
    return seconds


def unanswered_look(context: PipelineContext, effect: Trigger) -> None:
    """Record that Jenkins did not answer a look: the time since the last answered one does not count."""
    context.redis.hdel(context.keys.answering(effect.run, effect.attempt), "last")


def trigger(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Trigger) -> Done:
    """Start one build. An attempt is posted at most once, ever: without an answer it is only looked for (invariant 5).

    The order is: store the post note (at a first try usually together with the claim), let a replica confirm it (if
    there is one), post, store the answer. If the answer is lost, the note says when it was posted. Once it cannot
    arrive any more and there is no build, it counts as refused, and the rules start another attempt. After a fail-over
    of the store, or the restoration of a backup, the note itself may be lost: then builds of this commit are looked for
    first.
    """
    jenkins = client_for(runtime, effect.job)
    if claim.noted is not None and time.monotonic() - claim.at < jenkins.limits.claim_note:  # the note is stored
        if claim.noted.follows:
            confirm_note(context, effect)
        return _send(context, jenkins, effect)
    done = _earlier_result(runtime, context, jenkins, effect) if claim.tries > 0 or effect.look_first else None
    done = done or _refuse_undeclared(jenkins, effect) or _store_note(runtime, context, claim, jenkins, effect)
    return done or _send(context, jenkins, effect)


def _earlier_result(runtime: Runtime, context: PipelineContext, jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    """Return the result of an earlier try; None if it is certain that nothing was posted. Raises RetryLater."""
    since = posted_since(context, effect.run, effect.attempt)
    try:
        found = _look_for(jenkins, effect)
    except RetryLater:
        unanswered_look(context, effect)
        raise
    if found is not None or since is None:
        return found
    await_arrival(runtime, context, jenkins, effect, since)
    return Done(TriggerRefused(effect.run, effect.attempt, "the trigger got no answer and left no build"))


def _store_note(
    runtime: Runtime, context: PipelineContext, claim: Claim, jenkins: JenkinsClient, effect: Trigger
) -> Done | None:
    """Store the post note and let a replica confirm it. Returns instead the result of a build that the store has lost,
    if there is one. Raises ClaimLost, RetryLater."""
    noted = note_post(context, claim, effect, jenkins.session)
    if isinstance(noted, UnacknowledgedWrites):
        found = _look_for(jenkins, effect) or attempts.find_forgotten(jenkins, context, effect)
        if found is not None:
            return found
        if noted.seconds < patience(runtime, effect):
            raise RetryLater("the store may have forgotten new builds: Interlock is looking for them", after=1.0)
        noted = note_post(context, claim, effect, jenkins.session, looked=noted)
        if isinstance(noted, UnacknowledgedWrites):
            raise RetryLater("the store has lost writes once more", after=0.0)
    if noted.follows:
        confirm_note(context, effect)
    return None


def _send(context: PipelineContext, jenkins: JenkinsClient, effect: Trigger) -> Done:
    """Post the trigger; if no answer comes, record whether the request is over.

    A trigger that is late, because a worker was down or busy, is withdrawn instead (W1).
    """
    if effect.not_after is not None and effect.not_after <= context.inbox.now():
        return Done(Withdrawn(effect.run, effect.attempt))
    try:
        return _post(jenkins, effect)
    except RetryLater as error:
        if error.over:
            close_post(context, effect.run, effect.attempt)
        raise


def _refuse_undeclared(jenkins: JenkinsClient, effect: Trigger) -> Done | None:
    """Refuse the trigger if the job lacks the parameters: nothing was posted, so the refusal is certain (L6)."""
    try:
        missing = undeclared(jenkins, effect.job)
    except (RetryLater, JenkinsNotFound, JenkinsForbidden) as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    return Done(TriggerRefused(effect.run, effect.attempt, refusal_of(effect.job, missing))) if missing else None


def _post(jenkins: JenkinsClient, effect: Trigger) -> Done:
    path = f"{job_path(effect.job.name)}/buildWithParameters"
    try:
        # 303: an equal item is in the queue already, which is of this run and attempt (Jenkins: `Queue#schedule2`).
        response = jenkins.ask("POST", path, data=_parameters(effect), expect=(201, 303))
    except JenkinsNotFound as error:
        return Done(TriggerRefused(effect.run, effect.attempt, f"{effect.job.name}: {error}"))
    except JenkinsForbidden as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except RetryLater as error:
        if error.certain:
            return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
        raise RetryLater(str(error), after=1.0, over=error.over) from error
    number = item_of(response)
    if number is None:
        raise RetryLater("Jenkins accepted the trigger and named no queue item", after=0.5, over=True)
    return Done(TriggerAccepted(effect.run, effect.attempt, number))


def item_of(response: requests.Response) -> int | None:
    """Return the number of the queue item in the answer to a trigger (`Location: .../queue/item/12/`), or None."""
    found = _ITEM.search(response.headers.get("Location", ""))
    return None if found is None else int(found[1])


def _parameters(effect: Trigger) -> dict[str, str]:
    """Return the parameters of a trigger. Only the commit comes from outside, and it is checked to be hexadecimal."""
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
        raise RetryLater(
            f"Jenkins does not let Interlock look for the build of a trigger that got no answer: {error}"
        ) from error
    if found is None:
        return None
    if found.build is not None:
        return Done(builds.build_seen(jenkins, effect.job, found.build))
    return Done(TriggerAccepted(effect.run, effect.attempt, found.item or 0))


# -- the parameters that a job must declare ----------------------------------------------------------------------------

#: How long a job that declares the parameters is not checked again, in seconds.
TRUSTED_FOR = 600.0

_DECLARED = "property[parameterDefinitions[name]]"

_good_until: dict[tuple[str, Job], float] = {}


def undeclared(jenkins: JenkinsClient, job: Job) -> list[str]:
    """Return the parameters that identify a build and that the job does not declare.

    A job that declares them is not checked again for `TRUSTED_FOR` seconds. Raises what the client raises; then nothing
    was posted.
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
    """Return those jobs of this controller that `undeclared` would not check now."""
    now = time.monotonic()
    return [job for job in jobs if _good_until.get((url, job), 0.0) > now]


def refusal_of(job: Job, names: list[str]) -> str:
    """Return a sentence that says why no build is started in a job that lacks parameters, and what to do."""
    return (
        f"{job.name} does not declare {' and '.join(names)}, so Interlock could not recognize its builds; declare the "
        "parameters that `interlock doctor` lists"
    )


def notes_for_claim(runtime: Runtime, context: PipelineContext) -> dict[Job, str]:
    """Return the post notes that a claim may store at once, by job: for jobs known to declare the parameters."""
    found: dict[Job, str] = {}
    for controller, jobs in context.jobs.items():
        where = runtime.configuration.controllers.get(controller)
        good = known_good(where.url, jobs) if where is not None else []
        try:
            session = client_for(runtime, good[0]).session if good else ""
        except PermanentFailure:  # without a client no note is stored; the trigger is refused with the reason
            continue
        found |= {job: PostNote(job, session).text() for job in good}
    return found
