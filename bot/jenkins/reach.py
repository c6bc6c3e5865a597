"""This thread's client of the controller that a job is on."""

from __future__ import annotations

from bot.core.model.pipeline import Job
from bot.effect_outcomes import PermanentFailure
from bot.health.contacts import JENKINS
from bot.jenkins.client import JenkinsClient, client
from bot.runtime import Runtime
from config.errors import SettingsError


def client_for(runtime: Runtime, job: Job) -> JenkinsClient:
    """This thread's client of the job's controller. Raises Never if it is not configured or has no token."""
    controller = runtime.configuration.controllers.get(job.controller)
    if controller is None:
        raise PermanentFailure(f"controller {job.controller!r} is not configured")
    try:
        token = runtime.settings.jenkins_token(controller.name)
    except SettingsError as error:
        raise PermanentFailure(str(error)) from error
    return client(controller, token.get_secret_value(), runtime.contacts.of(JENKINS, controller.name))
