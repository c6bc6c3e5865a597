"""Putting the banner over a job, in the form that its controller shows."""

from __future__ import annotations

from bot.core.model.effects import Banner
from bot.effect_outcomes import Done, PermanentFailure
from bot.jenkins.banner_text import with_banner
from bot.jenkins.client import NotThere, job_path
from bot.jenkins.reach import client_for
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import Markup


def banner(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Banner) -> Done:
    """Put up the banner, or take it away; what the owner of the job wrote stays to the letter."""
    jenkins = client_for(runtime, effect.job)
    path = f"{job_path(effect.job.name)}/description"
    try:
        found = jenkins.ask("GET", path)
        found.encoding = "utf-8"
        wanted = shown_on(runtime, context, found.text, effect)
        if wanted != found.text:
            jenkins.ask("POST", path, data={"description": wanted}, expect=(204, 200))
    except NotThere as error:
        raise PermanentFailure(f"the banner of {effect.stage}: {error}") from error
    return Done()


def shown_on(runtime: Runtime, context: PipelineContext, description: str, effect: Banner) -> str:
    """The description of the effect's job as it has to be."""
    controller = runtime.configuration.controllers.get(effect.job.controller)
    markup = controller.markup if controller is not None else Markup.PLAIN
    link = f"{runtime.configuration.web.public_url}/p/{context.pipeline.name}"
    return with_banner(description, effect, link, markup)
