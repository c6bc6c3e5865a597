"""The keys of the pipeline file with their descriptions; the JSON Schema is made from them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bot.core.access import COMMANDS
from bot.core.model.pipeline import FastLaneStart, Forks, LockStatus, Mode, Policy
from config import sections
from config import values as v
from config.access import Members, ReadPolicy, RolesEntry, SignInEntry
from config.errors import shown
from config.freezes import FreezeEntry
from config.notices import Notice, PipelineNotifyEntry, WebhookEntry
from config.values import FileSection

#: The committed copy that `# yaml-language-server: $schema=` lines point to.
SCHEMA_FILE = Path(__file__).with_name("pipeline.schema.json")


class Markup(StrEnum):
    """The markup in which a controller shows descriptions (Jenkins: Security, Markup Formatter)."""

    PLAIN = "plain"
    HTML = "html"


class ReportKind(StrEnum):
    """The kind of report about the stages of a run on its commit."""

    STATUSES = "statuses"
    CHECKS = "checks"


class FailurePolicy(StrEnum):
    """The effect of a failed build on its stage."""

    REPORT = "report"
    LOCK = "lock"


class ControllerEntry(FileSection):
    """One Jenkins controller. Its API token comes from the environment: INTERLOCK_JENKINS_TOKEN_<NAME>."""

    url: v.Url
    """Address of the controller, with its context path if it has one."""
    user: v.Plain
    """The Jenkins user that the API token belongs to."""
    ca_bundle: v.Plain | None = None
    """A file of certificate authorities to trust for this controller, relative to this file."""
    timeout: Annotated[v.Duration, v.between("1s", "5m")] = 10.0
    """The longest one request to this controller may take. Default 10s."""
    markup: Markup = Markup.PLAIN
    """The markup of this controller's descriptions: `plain` text, Jenkins' default, or `html` (its Safe HTML)."""
    late_triggers: Annotated[v.Duration, v.between("1s", "1h")] = 60.0
    """In stages that roll out, a trigger without an answer is given up only after the controller has answered for this
    long. Default 1m. It must be longer than the read time-out of a proxy before Jenkins."""


class JobEntry(FileSection):
    """A Jenkins job, as `controller: full/job/name` (in quotes) or as a mapping."""

    controller: v.ControllerName
    """A name from `controllers`."""
    name: v.JobName
    """The job's full name on that controller, folders separated by `/`."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        words = '`"controller: full/job/name"`, or a mapping of `controller` and `name`'
        return v.split_job(value) or v.refuse(f"{shown(value)} does not name a job", words)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema with both notations of a job."""
        mapping = handler.resolve_ref_schema(handler(core))
        words = {"title": mapping.pop("title"), "description": mapping.pop("description")}
        short = {"type": "string", "pattern": v.JOB, "examples": ["build: shop/build"]}
        return {**words, "anyOf": [short, mapping]}


class FastEntry(FileSection):
    """The fast lane's own job for a stage."""

    job: JobEntry
    """The Jenkins job that a fast run uses here before it reaches the real stages."""
    capacity: v.FastCapacity = 1
    """How many fast builds run at once. Default 1."""


class OutcomesEntry(FileSection):
    """The policy for single outcomes of a build, where it differs from `on_failure`. SUCCESS always passes."""

    UNSTABLE: Policy | None = None
    """Jenkins ended the build as UNSTABLE (tests failed)."""
    FAILURE: Policy | None = None
    """Jenkins ended the build as FAILURE."""
    NOT_BUILT: Policy | None = None
    """Jenkins ended the build as NOT_BUILT (a milestone or a newer build superseded it)."""
    ABORTED: Policy | None = None
    """Somebody, or Jenkins' own time limit, aborted the build."""
    TIMEOUT: Policy | None = None
    """The build ran longer than the stage's `timeout` and was aborted for that."""


class StageEntry(FileSection):
    """One step of the pipeline."""

    name: v.Name
    """Name of the stage: on the page, in the API and in commit statuses."""
    job: JobEntry
    """The Jenkins job of the stage."""
    capacity: v.Capacity = None
    """How many runs may be in the stage at once: a number, or `unlimited`, which is the default."""
    on_failure: FailurePolicy = FailurePolicy.REPORT
    """`report`: the run ends, the stage stays open. `lock`: it locks until it is fixed. Default `report`."""
    outcomes: OutcomesEntry = OutcomesEntry()
    """Exceptions from `on_failure` for single outcomes."""
    timeout: Annotated[v.Duration, v.between("1s", "7d")] | None = None
    """The longest a build may run before it is aborted. Default: no limit."""
    retries: v.Retries = 0
    """How often a failed build is repeated before its failure counts. Default 0."""
    fast: FastEntry | None = None
    """The fast lane's own job for this stage; without it a fast run uses the real job here."""
    environment: v.Plain | None = None
    """The GitHub environment that a run is deployed to here. Default: no deployments are written for this stage."""
    production: v.Switch = False
    """Whether GitHub shows `environment` as a production environment. Default `false`."""


class ServiceEntry(FileSection):
    """One microservice."""

    name: v.ServiceName
    """Name of the service: on the page, in the API and as a parameter of its builds."""
    repository: v.Repository
    """Its GitHub repository, as `owner/name`."""
    branch: v.Branch = "main"
    """The branch whose merges are rolled out. Default `main`."""
    verify: v.Switch = True
    """Whether pull requests to that branch are verified, where the pipeline has `verify`. Default `true`."""
    developers: Members = ()
    """The developers of this service, in addition to those of all services (`roles`). Default: no others."""


class FastLaneEntry(FileSection):
    """How a fix passes the queue."""

    start: FastLaneStart = FastLaneStart.ON_FIX
    """The event that starts a fast run while a service holds a lock: its next merge (`on-fix`, the default), the
    failure itself if main has moved on already (`on-failure`), or only a person (`manual`)."""
    rejoins: v.Name | None = None
    """The first stage that a fast run enters with the real job. Default: the first stage that can lock."""


class RetryEntry(FileSection):
    """The waits between tries to start a build that Jenkins refuses."""

    first: Annotated[v.Duration, v.between("1s", "1h")] = 5.0
    """The first wait; it doubles with each further try. Default 5s."""
    most: Annotated[v.Duration, v.between("1s", "1d")] = 120.0
    """The longest wait. Default 2m."""


class AbortEntry(FileSection):
    """The waits before Interlock aborts a build with more force."""

    term: Annotated[v.Duration, v.between("1s", "1h")] = 60.0
    """The time from `stop` until Interlock terminates its running steps (`term`). Default 1m."""
    kill: Annotated[v.Duration, v.between("1s", "1h")] = 60.0
    """The time from `term` until Interlock kills it. Default 1m. In stages that roll out Interlock does no more than
    `stop`."""


class VerifyEntry(FileSection):
    """The verification of pull requests: one build for each push to one, and its result as a commit status."""

    job: JobEntry
    """The Jenkins job that verifies a pull request."""
    capacity: v.Capacity = None
    """How many pull requests may be verified at once: a number, or `unlimited`, which is the default."""
    timeout: Annotated[v.Duration, v.between("1s", "7d")] | None = None
    """The longest a build may run before it is aborted. Default: no limit."""
    drafts: v.Switch = False
    """Whether drafts are verified without a request. Default `false`."""
    forks: Forks = Forks.ON_REQUEST
    """The verification of pull requests from forks, which anybody may have written: `on-request`, the default, verifies
    each head after a maintainer has requested it; `never`."""


class PipelineEntry(FileSection):
    """The ordered stages that a set of services share."""

    name: v.Name
    """Name of the pipeline."""
    mode: Mode = Mode.RUN
    """`run`: act, the default. `pause`: take in, trigger nothing. `observe`: decide and show, send nothing."""
    stages: Annotated[tuple[StageEntry, ...], Field(min_length=1)]
    """The stages, in the order a run passes them."""
    services: Annotated[tuple[ServiceEntry, ...], Field(min_length=1)]
    """The services that are rolled out through these stages."""
    verify: VerifyEntry | None = None
    """The verification of pull requests. Without it they are not verified."""
    fast_lane: FastLaneEntry = FastLaneEntry()
    """The options of the fast lane, on which the fix of a locked stage passes the queue."""
    retry: RetryEntry = RetryEntry()
    """The waits before a trigger that Jenkins refused is tried again."""
    abort: AbortEntry = AbortEntry()
    """The steps by which Interlock aborts a build."""
    freezes: tuple[FreezeEntry, ...] = ()
    """Times in which stages are closed. Default: none."""
    roles: RolesEntry | None = None
    """The members of each role. Default: everybody with an API token may do everything; at GitHub, write permission
    makes a developer, and maintain permission an operator."""
    commands: v.Commands = tuple(COMMANDS)
    """The commands that are obeyed at GitHub, in comments and by the buttons of check runs: a list, `all`, the default,
    or `none`."""
    notify: PipelineNotifyEntry = PipelineNotifyEntry()
    """The notices of this pipeline: routes, escalation and reminders, in addition to the global channels in
    `notify`."""


class GitHubEntry(FileSection):
    """The addresses of GitHub and the reports there.

    The App or the token, and the webhook secrets, come from the environment.
    """

    api_url: v.Url = "https://api.github.com"
    """Address of the API; for GitHub Enterprise Server `https://HOST/api/v3`. Default https://api.github.com."""
    web_url: v.Url = "https://github.com"
    """Address of the web pages, for links. Default https://github.com."""
    status_context_prefix: v.ContextPrefix = "interlock"
    """The prefix of the contexts of our commit statuses, as in `interlock/build`. Default `interlock`."""
    report: ReportKind = ReportKind.STATUSES
    """The kind of report about the stages of a run on its commit: commit `statuses`, the default, or `checks` (check
    runs, with the reason and buttons), which only a GitHub App may write."""
    lock_status: LockStatus = LockStatus.HOLDER
    """The open pull requests that get a commit status while a stage is locked: none (`off`), those of the services that
    hold a lock (`holder`, the default), or those of all services (`all`)."""
    comment_after: Annotated[v.DurationOrOff, v.between("1m", "7d")] = 900.0
    """The wait after which Interlock comments on a run's pull request, with the reason and the estimated time of entry;
    `off`: never. Default 15m."""
    timeout: Annotated[v.Duration, v.between("1s", "5m")] = 15.0
    """The longest one request to GitHub may take. Default 15s."""
    write_spacing: Annotated[v.Spacing, v.between("0s", "1m")] = 1.0
    """The time between two writes to GitHub, over all processes. `0s` is for a GitHub Enterprise Server without rate
    limits: Interlock then neither spaces nor counts its requests. Default 1s."""


class NotifyEntry(FileSection):
    """The notices of each channel. The channels' addresses are secrets: INTERLOCK_NOTIFY_URLS."""

    channels: dict[v.Name, Annotated[tuple[Notice, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """For each channel, the notices it gets."""


class WebEntry(FileSection):
    """The live page and its address."""

    public_url: v.Site = "http://localhost:8080"
    """The address of Interlock for people and Jenkins, with its path if it has one: for links and callbacks."""
    read: ReadPolicy | None = None
    """The people who may read page and API: everybody (`public`), or viewers who have signed in (`signed-in`). Default:
    `signed-in` if there is a way to sign in, else `public`."""
    badge: ReadPolicy | None = None
    """The people who may see status badges: everybody (`public`), or those who may read (`signed-in`). Default: as for
    `read`."""
    sign_in: SignInEntry = SignInEntry()
    """The ways to sign in on the page."""


class KeepEntry(FileSection):
    """How much history is kept; older data is deleted."""

    raw_deliveries: Annotated[v.Duration, v.between("1h", "90d")] = 7 * 86400.0
    """How long webhook deliveries are kept in their original form, for inspection or replay. Default 7d."""
    raw_deliveries_mib: v.Mebibytes = 24
    """How much of Redis they may take for each pipeline, compressed, in MiB; the oldest go first. Default 24."""
    history: v.Kept = 5_000
    """How many finished runs each pipeline keeps, each with its log. Default 5000."""
    facts: v.Kept = 50_000
    """How many facts (the audit log) each pipeline keeps. Default 50000."""
    recording: Annotated[v.Duration, v.between("1h", "365d")] = 30 * 86400.0
    """How far back the recording of each pipeline goes, for replays. Default 30d."""
    recording_mib: v.Mebibytes = 200
    """The largest size of the recording of each pipeline in MiB; the oldest part is deleted first. Default 200."""


class PollingEntry(FileSection):
    """The intervals of polling. Polling finds changes whose webhook was lost, and notices that time has passed."""

    builds: Annotated[v.Duration, v.between("1s", "1h")] = 30.0
    """How often Interlock asks Jenkins about queued and running builds. Default 30s."""
    heads: Annotated[v.Duration, v.between("10s", "1d")] = 120.0
    """How often Interlock asks GitHub for the heads of the main branches. Default 2m."""
    clock: Annotated[v.Duration, v.between("1s", "1m")] = 5.0
    """How often Interlock checks the clock: time limits, the end of a lock, the next attempt. Default 5s."""


class HealthEntry(FileSection):
    """The limits at which Interlock itself counts as `degraded` or `down`, and the delays of the notices about it."""

    heartbeat: Annotated[v.Duration, v.between("5s", "10m")] = 15.0
    """A web process, worker or beat without a heartbeat for this long counts as dead. Default 15s."""
    undecided: Annotated[v.Duration, v.between("5s", "1h")] = 30.0
    """A delivery may wait this long for its decision. Default 30s."""
    silence: Annotated[v.Duration, v.between("5s", "1h")] = 60.0
    """A Jenkins, GitHub or a channel may answer with errors, or an action fail, for this long. Default 1m."""
    tell_after: Annotated[v.Duration, v.between("1s", "1h")] = 15.0
    """A cause is reported after it has lasted this long. Default 15s."""
    calm: Annotated[v.Duration, v.between("1s", "1h")] = 120.0
    """A cause is reported as over after it has been gone for this long. Default 2m."""


class PipelineFile(FileSection):
    """The pipeline file of Interlock."""

    controllers: Annotated[dict[v.ControllerName, ControllerEntry], Field(min_length=1)]
    """The Jenkins controllers, by the name that jobs use for them."""
    pipelines: Annotated[tuple[PipelineEntry, ...], Field(min_length=1)]
    """The pipelines."""
    github: GitHubEntry = GitHubEntry()
    """The addresses of GitHub, and the reports there."""
    notify: NotifyEntry = NotifyEntry()
    """The notices of each channel."""
    webhooks: tuple[WebhookEntry, ...] = ()
    """The outbound webhooks: addresses that facts are sent to over HTTP. Default: none."""
    web: WebEntry = WebEntry()
    """The live page."""
    keep: KeepEntry = KeepEntry()
    """How much history is kept."""
    polling: PollingEntry = PollingEntry()
    """How often Interlock polls Jenkins, GitHub and the clock."""
    health: HealthEntry = HealthEntry()
    """The limits at which Interlock itself counts as `degraded` or `down`."""


# -- the JSON Schema -------------------------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """Return the schema as JSON-able data.

    `interlock schema -o config/pipeline.schema.json` writes the committed one.
    """
    return sections.json_schema(PipelineFile, "Interlock pipeline file")
