"""Effects on Jenkins: trigger, withdraw, stop a duplicate, look, banner."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from bot.core.effects import AbortDuplicate, Banner, Look, Trigger, Withdraw
from bot.core.events import BuildLost, TriggerAccepted, TriggerRefused, Withdrawn
from bot.core.pipeline import Force, Job
from bot.state.outbox import Claim
from config.errors import SettingsError
from config.model import Markup
from workers.context import Context, Line
from workers.jenkins_client import JenkinsClient, NotAllowed, NotThere, client, job_path
from workers.perform import attempt, declared, posted
from workers.perform.banner import with_banner
from workers.perform.outcome import Done, Lost, Never, NotNow

_NUMBER = re.compile(r"/(\d+)/?$")
#: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request, in seconds.
STILL_COMING = 3.0
#: How long a build that has just started may be without its parameters (Jenkins: `Executor#run`), in looks.
LOOKS = 4
#: How often a build that must end may be gone before it counts as lost, and the pause between, in seconds.
GONE_LOOKS, GONE_PAUSE = 6, 5.0


def client_for(context: Context, job: Job) -> JenkinsClient:
    """This thread's client of the job's controller. Raises Never if it is not configured or has no token."""
    controller = context.configuration.controllers.get(job.controller)
    if controller is None:
        raise Never(f"controller {job.controller!r} is not configured")
    try:
        token = context.settings.jenkins_token(controller.name)
    except SettingsError as error:
        raise Never(str(error)) from error
    return client(controller, token.get_secret_value())


# -- trigger ---------------------------------------------------------------------------------------------------


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
        if since < timeout + STILL_COMING:
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
        found = attempt.find(jenkins, effect.job, effect.run, effect.attempt)
    except NotThere as error:
        return Done(TriggerRefused(effect.run, effect.attempt, str(error)))
    except NotAllowed as error:
        raise NotNow(f"Jenkins does not let us look for a build whose trigger got no answer: {error}") from error
    if found is None:
        return None
    if found.build is not None:
        return Done(attempt.seen(jenkins, effect.job, found.build))
    return Done(TriggerAccepted(effect.run, effect.attempt, found.item or 0))


# -- withdraw --------------------------------------------------------------------------------------------------


def withdraw(context: Context, line: Line, claim: Claim, effect: Withdraw) -> Done:
    """Take an attempt back: from our outbox, from Jenkins' queue, or (if `abort`) from its executor."""
    taken = line.outbox.unsend("jenkins", f"trigger/{effect.run}/{effect.attempt}")
    if taken == "taken-back":
        return Done(Withdrawn(effect.run, effect.attempt))
    if taken == "begun":
        raise NotNow("its trigger is on its way", after=0.3)
    # The job may have another name in the configuration by now: it is taken back where it was sent.
    effect = replace(effect, job=posted.job(line, effect.run, effect.attempt) or effect.job)
    jenkins = client_for(context, effect.job)
    if effect.build is not None:
        return _stop_known(jenkins, effect, effect.build, claim.tries)
    found = None if effect.queue_item is None else _withdraw_item(jenkins, effect, effect.queue_item)
    return found or _find_and_withdraw(jenkins, line, effect)


def _withdraw_item(jenkins: JenkinsClient, effect: Withdraw, number: int) -> Done | None:
    """Cancel a queue item; if it has left the queue, it says what became of it, for as long as Jenkins remembers it.

    None: Jenkins has forgotten it (after 5 minutes, or a restart), so the attempt must be looked for.
    """
    if _cancelled(jenkins, number):
        return Done(Withdrawn(effect.run, effect.attempt))
    try:
        item = jenkins.get(f"queue/item/{number}")
        if item.get("cancelled"):
            return Done(Withdrawn(effect.run, effect.attempt))
        if not item.get("executable"):  # Jenkins: `LeftItem`, whose executable is null for a moment
            raise NotNow("its build is between queue and executor", after=0.3)
        path = f"{job_path(effect.job.name)}/{item['executable']['number']}"
        build = jenkins.get(path, attempt.BUILD_TREE)
    except NotThere:
        return None
    return _withdraw_build(jenkins, effect, build)


def _withdraw_build(jenkins: JenkinsClient, effect: Withdraw, build: dict[str, Any]) -> Done:
    """The attempt has this build: it is told whose it is even if the build does not show its parameters yet."""
    if effect.abort and build.get("building"):
        _end(jenkins, effect.job, int(build["number"]), effect.force)
    seen = attempt.seen(jenkins, effect.job, build)
    return Done(replace(seen, run=effect.run, attempt=effect.attempt))


def _stop_known(jenkins: JenkinsClient, effect: Withdraw, number: int, tries: int) -> Done:
    """End a build of which the number is known. One that is gone may come back after a restart."""
    if not effect.abort:
        return Done()
    try:
        jenkins.get(f"{job_path(effect.job.name)}/{number}", "number")
    except NotThere:
        why = f"build #{number} is no longer there"
        if tries < GONE_LOOKS:
            raise NotNow(why, after=GONE_PAUSE) from None
        return Done(BuildLost(effect.run, effect.attempt, why))
    return _end(jenkins, effect.job, number, effect.force)


def _find_and_withdraw(jenkins: JenkinsClient, line: Line, effect: Withdraw) -> Done:
    try:
        found = attempt.find(jenkins, effect.job, effect.run, effect.attempt)
    except NotThere:
        return Done(Withdrawn(effect.run, effect.attempt))
    if found is None:
        since = posted.since(line, effect.run, effect.attempt)
        if since is not None and since < STILL_COMING:
            raise NotNow("its build is between queue and executor", after=0.3)
        return Done(Withdrawn(effect.run, effect.attempt))
    if found.item is not None:
        if _cancelled(jenkins, found.item):
            return Done(Withdrawn(effect.run, effect.attempt))
        raise NotNow("it left the queue this moment", after=0.3)
    return _withdraw_build(jenkins, effect, found.build or {})


def _cancelled(jenkins: JenkinsClient, item: int) -> bool:
    """Whether Jenkins cancelled the item. 500 and 404: it has left the queue (Jenkins: `Queue#doCancelItem`)."""
    response = jenkins.ask("POST", "queue/cancelItem", data={"id": str(item)}, expect=(204, 302, 404, 422, 500))
    if response.status_code == 422:
        raise Never(f"Jenkins does not let us cancel queue item {item}: Item/Cancel is missing")
    return response.status_code == 204


def _end(jenkins: JenkinsClient, job: Job, number: int, force: Force) -> Done:
    """Ask for the end of a build; that it has ended is only known when Jenkins says so.

    A build that is no Pipeline knows only `stop`; it may be asked that again (Jenkins: `WorkflowRun#doTerm`).
    """
    try:
        jenkins.ask("POST", f"{job_path(job.name)}/{number}/{force}", expect=(200, 302))
    except NotThere:
        return Done() if force is Force.STOP else _end(jenkins, job, number, Force.STOP)
    return Done()


def abort_duplicate(context: Context, line: Line, claim: Claim, effect: AbortDuplicate) -> Done:
    """Stop a second build of an attempt."""
    return _end(client_for(context, effect.job), effect.job, effect.number, effect.force)


# -- look and banner -------------------------------------------------------------------------------------------


def look(context: Context, line: Line, claim: Claim, effect: Look) -> Done:
    """Ask what has become of a build; a build in its first milliseconds may still lack its parameters."""
    jenkins = client_for(context, effect.job)
    try:
        build = jenkins.get(f"{job_path(effect.job.name)}/{effect.number}", attempt.BUILD_TREE)
    except NotThere:
        return Done()
    except NotAllowed as error:
        raise Never(str(error)) from error
    if build.get("building") and not attempt.parameters(build) and claim.tries < LOOKS:
        raise NotNow("the build has no parameters yet", after=0.3)
    return Done(attempt.seen(jenkins, effect.job, build))


def banner(context: Context, line: Line, claim: Claim, effect: Banner) -> Done:
    """Put up the banner, or take it away; what the owner of the job wrote stays to the letter."""
    jenkins = client_for(context, effect.job)
    path = f"{job_path(effect.job.name)}/description"
    try:
        found = jenkins.ask("GET", path)
        found.encoding = "utf-8"
        wanted = shown_on(context, line, found.text, effect)
        if wanted != found.text:
            jenkins.ask("POST", path, data={"description": wanted}, expect=(204, 200))
    except NotThere as error:
        raise Never(f"the banner of {effect.stage}: {error}") from error
    return Done()


def shown_on(context: Context, line: Line, description: str, effect: Banner) -> str:
    """The description of the effect's job as it has to be."""
    controller = context.configuration.controllers.get(effect.job.controller)
    markup = controller.markup if controller is not None else Markup.PLAIN
    link = f"{context.configuration.web.public_url}/p/{line.pipeline.name}"
    return with_banner(description, effect, link, markup)
