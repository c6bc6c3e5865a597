"""Withdraw an attempt, wherever it is: from the outbox, from Jenkins' queue, or from its executor."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from bot.core.model.effects import AbortDuplicate, Withdraw
from bot.core.model.events import AbortTaken, BuildLost, Withdrawn
from bot.core.model.pipeline import AbortLevel, Job
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.jenkins import attempts, builds, triggers
from bot.jenkins.builds import why_gone
from bot.jenkins.client import JenkinsClient, JenkinsNotFound, client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.configuration import job_path

#: The number of looks that must miss a build that is to be stopped before it counts as lost.
GONE_LOOKS = 6
#: A restart of Jenkins within this many seconds counts as the reason why a build that is to be stopped is gone.
LATELY = 600.0


def withdraw(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Withdraw) -> Done:
    """Withdraw an attempt: from our outbox, from Jenkins' queue, or (if `abort`) from its executor."""
    taken = context.outbox.unsend("jenkins", f"trigger/{effect.run}/{effect.attempt}")
    if taken == "taken-back":
        return Done(Withdrawn(effect.run, effect.attempt))
    if taken == "begun":
        raise RetryLater("its trigger is on its way", after=0.3)
    # The configuration may name another job by now; the attempt is withdrawn from the job to which it was sent.
    effect = replace(effect, job=triggers.posted_job(context, effect.run, effect.attempt) or effect.job)
    jenkins = client_for(runtime, effect.job)
    if effect.build is not None:
        return _with_attempt(effect, _stop_known(jenkins, effect, effect.build, claim.tries))
    found = None if effect.queue_item is None else _withdraw_item(jenkins, effect, effect.queue_item)
    return found or _find_and_withdraw(jenkins, context, effect)


def _with_attempt(effect: Withdraw, done: Done) -> Done:
    """Add run and attempt to the event: the job may have another name by the time it is decided."""
    if isinstance(done.event, AbortTaken):
        return Done(replace(done.event, run=effect.run, attempt=effect.attempt))
    return done


def _withdraw_item(jenkins: JenkinsClient, effect: Withdraw, number: int) -> Done | None:
    """Cancel a queue item. If it has left the queue, Jenkins still returns it for a while, with its build.

    Returns None if Jenkins no longer has it (after 5 minutes, or a restart; another item may then have its number), so
    that the attempt must be looked for.
    """
    try:
        item = jenkins.get(f"queue/item/{number}", builds.ITEM_TREE)
        if attempts.AttemptParameters(effect.run, effect.attempt, effect.version).belongs_to_another(item):
            return None
        if not str(item.get("_class", "")).endswith("LeftItem"):
            if _cancelled(jenkins, number):
                return Done(Withdrawn(effect.run, effect.attempt))
            raise RetryLater("it has just left Jenkins' queue", after=0.3)
        if item.get("cancelled"):
            return Done(Withdrawn(effect.run, effect.attempt))
        if not item.get("executable"):  # Jenkins: `LeftItem`, whose executable is null for a moment
            raise RetryLater("its build has left Jenkins' queue and does not run yet", after=0.3)
        path = f"{job_path(effect.job.name)}/{item['executable']['number']}"
        build = jenkins.get(path, builds.BUILD_TREE)
    except JenkinsNotFound:
        return None
    return _withdraw_build(jenkins, effect, build)


def _withdraw_build(jenkins: JenkinsClient, effect: Withdraw, build: dict[str, Any]) -> Done:
    """Stop the build of the attempt. The event names the attempt even if the build does not show its parameters yet."""
    if effect.abort and build.get("building"):
        _stop(jenkins, effect.job, int(build["number"]), effect.level)
    seen = builds.build_seen(jenkins, effect.job, build)
    return Done(replace(seen, run=effect.run, attempt=effect.attempt))


def _stop_known(jenkins: JenkinsClient, effect: Withdraw, number: int, tries: int) -> Done:
    """Stop a build with a known number. One that is missing may reappear after a restart, so it is looked for again."""
    if not effect.abort:
        return Done()
    try:
        jenkins.get(f"{job_path(effect.job.name)}/{number}", "number")
    except JenkinsNotFound:
        why = why_gone(jenkins, number, time.time() - LATELY)
        if tries < GONE_LOOKS:
            raise RetryLater(why, after=jenkins.limits.gone_pause) from None
        return Done(BuildLost(effect.run, effect.attempt, why))
    return _stop(jenkins, effect.job, number, effect.level)


def _find_and_withdraw(jenkins: JenkinsClient, context: PipelineContext, effect: Withdraw) -> Done:
    try:
        found = attempts.find(
            jenkins, effect.job, attempts.AttemptParameters(effect.run, effect.attempt, effect.version)
        )
    except JenkinsNotFound:
        return Done(Withdrawn(effect.run, effect.attempt))
    if found is None:
        since = triggers.posted_since(context, effect.run, effect.attempt)
        if since is not None and since < jenkins.limits.late_request:
            raise RetryLater("its build has left Jenkins' queue and does not run yet", after=0.3)
        return Done(Withdrawn(effect.run, effect.attempt))
    if found.item is not None:
        if _cancelled(jenkins, found.item):
            return Done(Withdrawn(effect.run, effect.attempt))
        raise RetryLater("it has just left Jenkins' queue", after=0.3)
    return _withdraw_build(jenkins, effect, found.build or {})


def _cancelled(jenkins: JenkinsClient, item: int) -> bool:
    """Cancel a queue item; return whether Jenkins certainly did, otherwise it must be looked at again."""
    status = builds.cancel_item(jenkins, item)
    if status == 422:
        raise PermanentFailure(f"Jenkins does not let Interlock cancel queue item {item}: Item/Cancel is missing")
    return status == 204


def _stop(jenkins: JenkinsClient, job: Job, number: int, level: AbortLevel) -> Done:
    """Ask Jenkins to stop a build; a later look shows whether it has ended.

    A build that is not a Pipeline supports only `stop`, so that is sent to it again (Jenkins: `WorkflowRun#doTerm`).
    """
    path = f"{job_path(job.name)}/{number}"
    if _stop_is_accepted(jenkins, f"{path}/{level}"):
        return Done(AbortTaken(job.controller, job.name, number, level))
    if level is not AbortLevel.STOP and _stop_is_accepted(jenkins, f"{path}/{AbortLevel.STOP}"):
        return Done(AbortTaken(job.controller, job.name, number, level, only_stop=True))
    return Done()


def _stop_is_accepted(jenkins: JenkinsClient, path: str) -> bool:
    """Send a request to stop a build; return whether Jenkins accepted it. False: no such build, or it cannot be stopped
    in this way.

    In the second case a real core (2.426.3) does not answer 404 but redirects to the same path with a slash, where
    there is nothing.
    """
    try:
        response = jenkins.ask("POST", path, expect=(200, 302))
    except JenkinsNotFound:
        return False
    return not urlsplit(response.headers.get("Location", "")).path.endswith(f"/{path}/")


def abort_duplicate(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AbortDuplicate) -> Done:
    """Stop a duplicate: a second build of an attempt. If it has ended already, report how."""
    jenkins = client_for(runtime, effect.job)
    try:
        build = jenkins.get(f"{job_path(effect.job.name)}/{effect.number}", builds.BUILD_TREE)
    except JenkinsNotFound:
        return Done()
    if not build.get("building"):
        return Done(builds.build_seen(jenkins, effect.job, build))
    return _stop(jenkins, effect.job, effect.number, effect.level)
