"""Check every controller, its callbacks, and every job on it. Nothing is started and nothing is changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bot.doctor import DoctorFinding, Subject, Verdict
from bot.effect_outcomes import RetryLater
from bot.jenkins.client import client_of
from bot.jenkins.doctor import callbacks, job
from bot.jenkins.doctor import controller as controllers
from bot.jenkins.job_plan import JobPlan, plans
from bot.runtime import WATCH_LIMITS, connect_store
from config.configuration import Configuration, Controller
from config.errors import SettingsError
from config.settings import Settings

#: The number of jobs that are checked at once, because most of the time is spent waiting for answers.
_AT_ONCE = 4


def examine_jenkins(configuration: Configuration, settings: Settings) -> Iterator[DoctorFinding]:
    """Check every controller, and every job on those that answer; the jobs in the order of the file."""
    known = (
        callbacks.read_callbacks(configuration, connect_store(settings, WATCH_LIMITS))
        if settings.redis_url is not None
        else callbacks.ask_for_callbacks(configuration)
    )
    secrets = tuple(secret.get_secret_value() for secret in settings.jenkins_webhook_secret)
    for controller in configuration.controllers.values():
        yield from _callbacks(controller, configuration, secrets, known)
        try:
            token = settings.jenkins_token(controller.name).get_secret_value()
        except SettingsError as error:
            yield Subject.controller(controller.name).bad(str(error), "set the variable, then run the doctor again")
            continue
        answers = True
        for finding in controllers.examine(controller, token):
            answers &= finding.verdict is not Verdict.BAD
            yield finding
        if answers:
            examiner = _JobExaminer(controller, token, secrets, known, configuration.web.public_url)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for findings in pool.map(examiner.examine, plans(configuration, controller.name)):
                    yield from findings


def _callbacks(
    controller: Controller, configuration: Configuration, secrets: tuple[str, ...], known: callbacks.KnownCallbacks
) -> Iterator[DoctorFinding]:
    findings: list[DoctorFinding] = []
    if not secrets:
        found = "callbacks: INTERLOCK_JENKINS_WEBHOOK_SECRET is not set here, so the doctor cannot test them"
        yield Subject.controller(controller.name).unsure(found, "run the doctor with the environment of the processes")
    else:
        for secret in secrets:
            findings += callbacks.examine_address(controller, configuration.web.public_url, secret)
    yield from findings
    if not known.problem or not any(known.problem in finding.found for finding in findings):
        yield from callbacks.examine_controller(controller.name, known)
    asking = next((plan for plan in plans(configuration, controller.name) if plan.question), None)
    if asking is not None:
        yield from callbacks.examine_question(asking, configuration.web.public_url)


@dataclass(slots=True)
class _JobExaminer:
    """The checks of the jobs of one controller; if it stops answering, the remaining jobs are skipped."""

    controller: Controller
    token: str
    secrets: tuple[str, ...]
    known: callbacks.KnownCallbacks
    public_url: str
    gone: threading.Event = field(default_factory=threading.Event)

    def examine(self, plan: JobPlan) -> list[DoctorFinding]:
        """Return the findings about one job."""
        about = Subject.job(plan.controller, plan.name, plan.step)
        if self.gone.is_set():
            return [
                about.bad("not checked: the controller has stopped answering", "run the doctor again when it answers")
            ]
        try:
            return job.examine(client_of(self.controller, self.token), plan, self.secrets, self.known, self.public_url)
        except RetryLater as error:
            if error.__cause__ is not None:  # there was no answer, rather than one that says to retry
                self.gone.set()
            return [about.bad(str(error), "run the doctor again when the controller answers; its log may say more")]
