"""Looking what has become of a build that somebody hinted at."""

from __future__ import annotations

from bot.core.model.effects import Look
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.jenkins import attempt
from bot.jenkins.client import NotAllowed, NotThere, job_path
from bot.jenkins.reach import client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: How long a build that has just started may be without its parameters (Jenkins: `Executor#run`), in looks.
LOOKS = 4


def look(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Look) -> Done:
    """Ask what has become of a build; a build in its first milliseconds may still lack its parameters."""
    jenkins = client_for(runtime, effect.job)
    try:
        build = jenkins.get(f"{job_path(effect.job.name)}/{effect.number}", attempt.BUILD_TREE)
    except NotThere:
        return Done()
    except NotAllowed as error:
        raise PermanentFailure(str(error)) from error
    if build.get("building") and not attempt.parameters(build) and claim.tries < LOOKS:
        raise RetryLater("the build has no parameters yet", after=0.3)
    return Done(attempt.seen(jenkins, effect.job, build))
