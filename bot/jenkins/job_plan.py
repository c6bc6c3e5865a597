"""The job plans: what each job of a pipeline must have, in any form: its parameters, its callback, its concurrency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from bot.core.model.pipeline import VERIFY, Stage, Step, Track, Verify
from bot.core.rules.stage_versions import rolls_out
from config.configuration import Configuration

#: The parameters of a trigger, each with its purpose. The job itself must declare them: Jenkins drops undeclared ones,
#: and the first two identify the attempt of a build (Jenkins: `ParameterizedJobMixIn`).
PARAMETERS: tuple[tuple[str, str], ...] = (
    ("INTERLOCK_RUN", "Interlock's name for the run"),
    ("INTERLOCK_ATTEMPT", "the number of the attempt of the run"),
    ("INTERLOCK_STAGE", "the stage that the run is in"),
    ("INTERLOCK_LANE", "main or fast"),
    ("INTERLOCK_SERVICE", "the service"),
    ("INTERLOCK_REPOSITORY", "its repository, owner/name"),
    ("INTERLOCK_SHA", "the commit to build or roll out"),
    ("INTERLOCK_VERSION", "the version of the artifact: service and time stamp"),
)
#: The time-out of the notification plugin, in milliseconds, and how often it tries again. It waits within the build,
#: twice before the first step and twice at the end, so an Interlock that hangs must not cost more than this. Polling
#: finds what a lost callback would have reported.
CALLBACK_TIMEOUT_MS, CALLBACK_RETRIES = 2000, 0
#: The additional parameter of a trigger for a pull request; only the job that verifies declares it.
PULL = ("INTERLOCK_PULL", "the number of the pull request")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """The plan of one job: its place, its step, how many builds run at once (None: any number), and if it locks."""

    controller: str
    name: str
    pipeline: str
    stage: str
    track: Track
    capacity: int | None
    locks: bool
    #: The address where a build asks, before it rolls out, whether it is still wanted; empty if it rolls out nothing.
    question: str = ""

    @property
    def concurrent(self) -> bool:
        """Whether Jenkins may run several of its builds at once."""
        return self.capacity != 1

    @property
    def step(self) -> str:
        """The name of the step for people."""
        return str(Step(self.stage, self.track))

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameters that it must declare, each with its purpose."""
        return (*PARAMETERS, PULL) if self.track is Track.VERIFY else PARAMETERS

    @property
    def folders(self) -> tuple[str, ...]:
        """The full names of the folders above the job, outermost first."""
        parts = self.name.split("/")[:-1]
        return tuple("/".join(parts[: depth + 1]) for depth in range(len(parts)))

    @property
    def purpose(self) -> str:
        """The description of the job, one line for people."""
        if self.track is Track.VERIFY:
            return f"Verifies the pull requests of the pipeline {self.pipeline}; started by Interlock."
        return f"Stage {self.step} of the pipeline {self.pipeline}; started by Interlock."


def plans(configuration: Configuration, controller: str | None = None) -> Iterator[JobPlan]:
    """Yield the plans of the jobs that the configuration names, in its order; of one controller, or of all."""
    for pipeline in configuration.pipelines:
        for stage in pipeline.stages:
            asks = rolls_out(pipeline, Step(stage.name))
            question = _question(configuration, pipeline.name, stage.name) if asks else ""
            for plan in _of_stage(pipeline.name, stage, question):
                if controller in (None, plan.controller):
                    yield plan
        verify = pipeline.verify
        if verify is not None and controller in (None, verify.job.controller):
            yield _of_verify(pipeline.name, verify)


def _question(configuration: Configuration, pipeline: str, stage: str) -> str:
    """Return the address of `bot.web.api_machines.judge_attempt`, with variables for the shell of a build."""
    attempt = f"attempts/$INTERLOCK_RUN/{quote(stage)}/$INTERLOCK_ATTEMPT"
    query = "version=$INTERLOCK_VERSION&build=$BUILD_NUMBER"
    return f"{configuration.web.public_url}/api/v1/pipelines/{quote(pipeline)}/{attempt}?{query}"


def _of_stage(pipeline: str, stage: Stage, question: str) -> Iterator[JobPlan]:
    job = stage.job
    real = (pipeline, stage.name, Track.REAL, stage.capacity, stage.locks, question)
    yield JobPlan(job.controller, job.name, *real)
    if stage.fast_job is not None:
        fast = stage.fast_job
        yield JobPlan(fast.controller, fast.name, pipeline, stage.name, Track.FAST, stage.fast_capacity, locks=False)


def _of_verify(pipeline: str, verify: Verify) -> JobPlan:
    job = verify.job
    return JobPlan(job.controller, job.name, pipeline, VERIFY.stage, VERIFY.track, verify.capacity, locks=False)


def credential(plan: JobPlan) -> str:
    """Return the id of the secret text in Jenkins that contains the whole address of the callback with its secret."""
    return f"interlock-callback-{plan.controller}"


def callback_url(configuration: Configuration, controller: str) -> str:
    """Return the content of that secret text; `SECRET` stands for INTERLOCK_JENKINS_WEBHOOK_SECRET."""
    return f"{configuration.web.public_url}/webhooks/jenkins/{controller}/SECRET"
