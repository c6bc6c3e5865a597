"""The configuration of one pipeline as the rules use it: services, stages, jobs, policies. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import takewhile

from bot.core.model.notice_plan import NoticePlan


@dataclass(frozen=True, slots=True)
class Revision:
    """The digest of a configuration's meaning, and since when it has been in force (seconds since the epoch).

    A later revision replaces an earlier one, never the reverse.
    """

    digest: str = ""
    since: float = 0.0


#: The revision of a configuration that is not stored.
UNSTORED = Revision()


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """One key of the pipeline file with its values before and after the change; empty: the key is absent."""

    key: str
    before: str
    after: str


class Track(StrEnum):
    """The kind of job that a build belongs to: a stage's real job, the fast lane's own, the job for pull requests."""

    REAL = "real"
    FAST = "fast"
    VERIFY = "verify"


class Lane(StrEnum):
    """How a run competes for a place. The lane does not change which stages the run must pass."""

    MAIN = "main"
    FAST = "fast"


class Outcome(StrEnum):
    """How one build ended. The first five are Jenkins' results (Jenkins: hudson.model.Result), the last is ours."""

    SUCCESS = "SUCCESS"
    UNSTABLE = "UNSTABLE"
    FAILURE = "FAILURE"
    NOT_BUILT = "NOT_BUILT"
    ABORTED = "ABORTED"
    TIMEOUT = "TIMEOUT"


class Policy(StrEnum):
    """The effect of an outcome on the run and its stage."""

    PASS = "pass"  # noqa: S105  the run has passed the stage
    REPORT = "report"  # the run ends as a reported failure
    LOCK = "lock"  # the stage locks itself; the failed run holds the lock


class AbortLevel(StrEnum):
    """How firmly Interlock asks Jenkins to end a running build (Jenkins: `WorkflowRun#doStop`, `doTerm`, `doKill`)."""

    STOP = "stop"  # interrupt it; its script may clean up, or continue
    TERM = "term"  # end its running steps by force
    KILL = "kill"  # end it at once, without any clean-up


class FastLaneStart(StrEnum):
    """The trigger of a fast run while the lane is open to a service (rule F2)."""

    ON_FIX = "on-fix"  # the next merge of the service
    ON_FAILURE = "on-failure"  # the lock itself, if main has moved since the failed commit
    MANUAL = "manual"  # a person


class Forks(StrEnum):
    """Whether pull requests from forks are verified: anybody may have written their commits."""

    ON_REQUEST = "on-request"  # each head only after a maintainer has asked for it
    NEVER = "never"


class Mode(StrEnum):
    """Whether a pipeline acts."""

    RUN = "run"
    PAUSE = "pause"  # accept and show events, trigger nothing
    OBSERVE = "observe"  # decide and show, send nothing outside


class LockStatus(StrEnum):
    """The open pull requests that get a commit status while a stage is locked."""

    OFF = "off"
    HOLDER = "holder"  # those of the services that hold a lock: a merge enters the fast lane
    ALL = "all"  # also those of other services: they may be merged, and wait


@dataclass(frozen=True, slots=True)
class Job:
    """One Jenkins job: `name` is its full name on `controller`, folders separated by `/`."""

    controller: str
    name: str


@dataclass(frozen=True)  # no slots: the cached properties need a dict
class Stage:
    """A step of the pipeline: a Jenkins job, a capacity, a queue before it, a failure policy."""

    name: str
    job: Job
    #: How many runs may be in the real stage at once. None: no limit.
    capacity: int | None = None
    #: The effect of a failed build on the stage (rule L1).
    on_failure: Policy = Policy.REPORT
    #: Exceptions from `on_failure`, for single outcomes.
    outcomes: tuple[tuple[Outcome, Policy], ...] = ()
    #: The longest a build may run, in seconds. None: no limit.
    timeout: float | None = None
    #: How often a failed build is repeated automatically before its failure counts (rule L4).
    retries: int = 0
    #: The fast lane's own job for this stage, and how many builds it takes at once.
    fast_job: Job | None = None
    fast_capacity: int = 1
    #: The GitHub environment of the deployments of this stage; empty: no deployments are written.
    environment: str = ""
    #: Whether that is a production environment.
    production: bool = False

    def policy(self, outcome: Outcome) -> Policy:
        """Return the effect of `outcome` here: success passes; else the exception for it, or `on_failure`."""
        if outcome is Outcome.SUCCESS:
            return Policy.PASS
        return dict(self.outcomes).get(outcome, self.on_failure)

    @cached_property
    def locks(self) -> bool:
        """Whether this is a lock-policy stage: at least one outcome locks it."""
        return self.on_failure is Policy.LOCK or Policy.LOCK in dict(self.outcomes).values()


@dataclass(frozen=True, slots=True)
class Service:
    """One microservice: one GitHub repository (`owner/name`), one main branch."""

    name: str
    repository: str
    branch: str = "main"
    #: Whether its pull requests are verified, if the pipeline verifies any.
    verify: bool = True


@dataclass(frozen=True, slots=True)
class FastLane:
    """How a fast run starts, and the stage from which it uses the real jobs again (rules F2 to F4)."""

    start: FastLaneStart = FastLaneStart.ON_FIX
    #: The first stage whose real job a fast run uses. None: the first lock-policy stage.
    rejoins: str | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    """The verification of pull requests: one build of one job for each push to a pull request."""

    job: Job
    #: How many may be verified at once. None: no limit.
    capacity: int | None = None
    #: The longest a build may run, in seconds. None: no limit.
    timeout: float | None = None
    #: Whether drafts are verified without a request.
    drafts: bool = False
    forks: Forks = Forks.ON_REQUEST


@dataclass(frozen=True, slots=True)
class Step:
    """One place for a build: a stage's real job, the fast lane's own job for that stage, or `VERIFY`."""

    stage: str
    track: Track = Track.REAL

    def __str__(self) -> str:
        return f"fast {self.stage}" if self.track is Track.FAST else self.stage


#: The step of verifications: no stage, and no run is ever there. Its name is the context of the commit status.
VERIFY = Step("verify", Track.VERIFY)


@dataclass(frozen=True)  # no slots: the cached properties need a dict
class Pipeline:
    """The ordered stages that a set of services share.

    Every event looks up stages and services by name, so the lookup tables are cached for each value. They are no
    fields: equality, `replace` and storage ignore them.
    """

    name: str
    stages: tuple[Stage, ...]
    services: tuple[Service, ...]
    fast_lane: FastLane = field(default_factory=FastLane)
    #: The delay before a refused trigger is tried again (rule L6), in seconds: the first, and the longest.
    retry_first: float = 5.0
    retry_most: float = 120.0
    #: How long a build may take to end after a stop, and after its steps were ended by force, in seconds.
    term_after: float = 60.0
    kill_after: float = 60.0
    #: The verification of pull requests. None: there is none.
    verify: Verify | None = None
    #: The open pull requests that are told of a locked stage.
    lock_status: LockStatus = LockStatus.HOLDER
    #: The recipients of notices.
    notices: NoticePlan = field(default_factory=NoticePlan)

    def stage(self, name: str) -> Stage | None:
        """Return the stage called `name`, or None if the configuration has none."""
        return self.stages_by_name.get(name)

    def service(self, name: str) -> Service | None:
        """Return the service called `name`, or None if the configuration has none."""
        return self.services_by_name.get(name)

    def job(self, stage: str, track: Track) -> Job | None:
        """Return the Jenkins job of a step; None if the configuration has none (any more)."""
        if track is Track.VERIFY:
            return self.verify.job if self.verify is not None else None
        found = self.stage(stage)
        if found is None:
            return None
        return found.job if track is Track.REAL else found.fast_job

    def capacity(self, stage: str, track: Track) -> int | None:
        """Return how many runs a step takes at once; None: no limit; 0: it is not configured (any more)."""
        if track is Track.VERIFY:
            return self.verify.capacity if self.verify is not None else 0
        found = self.stage(stage)
        if found is None:
            return 0
        if track is Track.FAST:
            return found.fast_capacity if found.fast_job is not None else 0
        return found.capacity

    def verifies(self, service: str) -> bool:
        """Return whether the pull requests of `service` are verified."""
        found = self.service(service)
        return self.verify is not None and found is not None and found.verify

    def hears_of_pulls(self, service: str) -> bool:
        """Return whether the open pull requests of `service` matter: for verification or for lock notices."""
        return self.verifies(service) or self.lock_status is not LockStatus.OFF

    def patience(self, level: AbortLevel) -> float:
        """Return how long a build may take to end after an abort of this level, in seconds."""
        return self.term_after if level is AbortLevel.STOP else self.kill_after

    def service_of(self, repository: str, branch: str) -> Service | None:
        """Return the service whose main branch is `branch` of `repository`; names compare as GitHub compares them."""
        return self._branches.get((repository.lower(), branch))

    def services_in(self, repository: str) -> tuple[Service, ...]:
        """Return the services of a repository, one for each main branch; names compare as GitHub compares them."""
        return self._repositories.get(repository.lower(), ())

    def index(self, name: str) -> int:
        """Return the index of the stage in the order, from 0; -1 if it is not (or no longer) configured."""
        return self._order.get(name, -1)

    @cached_property
    def real_steps(self) -> tuple[Step, ...]:
        """The real step of each stage, in order."""
        return tuple(Step(stage.name) for stage in self.stages)

    @cached_property
    def fast_steps(self) -> tuple[Step, ...]:
        """The steps of a fast run before it rejoins: the fast lane's own jobs, and real stages that have none.

        They end before the stage where the fast lane rejoins, or after it at the first stage without a fast job.
        """
        ahead = takewhile(lambda at: at[1].fast_job or at[0] < self.rejoins_at, enumerate(self.stages))
        return tuple(Step(stage.name, Track.FAST) if stage.fast_job else self.real_steps[at] for at, stage in ahead)

    @cached_property
    def roll_outs(self) -> frozenset[str]:
        """The stages whose builds roll out: those from `rolls_out_at` on."""
        return frozenset(stage.name for stage in self.stages[self.rolls_out_at :])

    @cached_property
    def locks_at(self) -> int:
        """Index of the first lock-policy stage; the number of stages if none locks."""
        return next((i for i, s in enumerate(self.stages) if s.locks), len(self.stages))

    @cached_property
    def rolls_out_at(self) -> int:
        """Index of the first stage whose builds roll out: the first that locks; the last one if nothing locks."""
        return min(self.locks_at, len(self.stages) - 1)

    @cached_property
    def rejoins_at(self) -> int:
        """Index of the first stage whose real job a fast run uses, at the latest the first that locks."""
        asked = self.index(self.fast_lane.rejoins) if self.fast_lane.rejoins is not None else -1
        return self.locks_at if asked < 0 else min(asked, self.locks_at)

    # -- lookup tables: of two entries with one name the first counts --------------------------------------------

    @cached_property
    def stages_by_name(self) -> dict[str, Stage]:
        """The stages by name."""
        return {stage.name: stage for stage in reversed(self.stages)}

    @cached_property
    def _order(self) -> dict[str, int]:
        return {stage.name: index for index, stage in reversed(list(enumerate(self.stages)))}

    @cached_property
    def services_by_name(self) -> dict[str, Service]:
        """The services by name."""
        return {service.name: service for service in reversed(self.services)}

    @cached_property
    def _repositories(self) -> dict[str, tuple[Service, ...]]:
        found: dict[str, list[Service]] = {}
        for service in self.services:
            found.setdefault(service.repository.lower(), []).append(service)
        return {name: tuple(services) for name, services in found.items()}

    @cached_property
    def _branches(self) -> dict[tuple[str, str], Service]:
        return {(service.repository.lower(), service.branch): service for service in reversed(self.services)}
