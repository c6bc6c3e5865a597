"""What every job of a pipeline needs, whatever the form: its parameters, its callback, its concurrency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from bot.core.model.pipeline import VERIFY, Stage, Step, Track, Verify
from bot.core.rules.stage_versions import rolls_out
from config.configuration import Configuration

#: The parameters that a trigger carries, each with what it is for. They must be declared in the job itself: Jenkins
#: drops undeclared ones, and with the first two the proof of which build is whose (Jenkins: `ParameterizedJobMixIn`).
PARAMETERS: tuple[tuple[str, str], ...] = (
    ("INTERLOCK_RUN", "Interlock's name for the run"),
    ("INTERLOCK_ATTEMPT", "which attempt of the run this build is"),
    ("INTERLOCK_STAGE", "the stage that the run is in"),
    ("INTERLOCK_LANE", "main or fast"),
    ("INTERLOCK_SERVICE", "the service"),
    ("INTERLOCK_REPOSITORY", "its repository, owner/name"),
    ("INTERLOCK_SHA", "the commit to build or roll out"),
    ("INTERLOCK_VERSION", "the version of the artifact: service and time stamp"),
)
#: How long the notification plugin waits for Interlock, in milliseconds, and how often it tries again. It waits in the
#: build itself, twice before the first step and twice at the end: an Interlock that hangs must cost no more. What is
#: lost is found by asking.
CALLBACK_TIMEOUT_MS, CALLBACK_RETRIES = 2000, 0
#: What a trigger carries beside that for a pull request; declared in the job that verifies, and nowhere else.
PULL = ("INTERLOCK_PULL", "the number of the pull request")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job: where, for which step, how many of its builds run at once (None: as many as come), and if it locks."""

    controller: str
    name: str
    pipeline: str
    stage: str
    track: Track
    capacity: int | None
    locks: bool
    #: Where its builds ask before they roll out whether they are still waited for; empty: nothing rolls out here.
    question: str = ""

    @property
    def concurrent(self) -> bool:
        """Whether Jenkins may run several of its builds at once."""
        return self.capacity != 1

    @property
    def step(self) -> str:
        """The stage, as people call it."""
        return str(Step(self.stage, self.track))

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameters that must be declared in it, each with what it is for."""
        return (*PARAMETERS, PULL) if self.track is Track.VERIFY else PARAMETERS

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders above the job, outermost first, each with its full name."""
        parts = self.name.split("/")[:-1]
        return tuple("/".join(parts[: depth + 1]) for depth in range(len(parts)))

    @property
    def purpose(self) -> str:
        """One line for people."""
        if self.track is Track.VERIFY:
            return f"Verifies the pull requests of the pipeline {self.pipeline}; started by Interlock."
        return f"Stage {self.step} of the pipeline {self.pipeline}; started by Interlock."


def plans(configuration: Configuration, controller: str | None = None) -> Iterator[JobPlan]:
    """The jobs that the configuration names, in its order; of one controller, or of all."""
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
    """The address of `bot.web.api_machines.judge_attempt`, as a shell fills it in from the environment of a build."""
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
    """The id of the secret text in Jenkins that holds the whole address of the callback, secret included."""
    return f"interlock-callback-{plan.controller}"


def callback_url(configuration: Configuration, controller: str) -> str:
    """What goes into that secret text; `SECRET` stands for INTERLOCK_JENKINS_WEBHOOK_SECRET."""
    return f"{configuration.web.public_url}/webhooks/jenkins/{controller}/SECRET"
