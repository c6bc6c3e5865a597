"""The configuration that a pipeline file describes: complete, checked and immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import quote, urlsplit

from bot.core.access import COMMANDS, Roles
from bot.core.model.facts import FactKind
from bot.core.model.freezes import Freeze
from bot.core.model.notice_plan import AUTHORS
from bot.core.model.pipeline import VERIFY, ConfigurationChange, LockStatus, Mode, Pipeline, Service, Track
from config.freezes import ConfiguredFreeze
from config.model import Markup, ReportKind
from config.notices import Notice, WebhookFormat


@dataclass(frozen=True, slots=True)
class JenkinsLimits:
    """The limits of waiting for one controller and of looking back; not keys of the file. Times in seconds."""

    #: How much longer than the time-out of the request a trigger whose reply was lost may take to arrive.
    late_request: float = 3.0
    #: How long every look must fail to find a build before it counts as lost. The queue and the executors lag behind,
    #: and a restarted Jenkins answers before it has read everything.
    lost_after: float = 30.0
    #: The pause between two looks for a build that must end and that Jenkins no longer shows.
    gone_pause: float = 5.0
    #: The most builds of a job that one look reads.
    builds: int = 50
    #: How long after its claim a trigger may be sent on the note of the claim. This is far less than a claim lasts
    #: (`bot.store.outbox`). After that the claim is renewed first, which proves that it is still ours.
    claim_note: float = 2.0


@dataclass(frozen=True, slots=True)
class Controller:
    """One Jenkins controller; its API token is `Settings.jenkins_token(name)`."""

    name: str
    #: The address without a trailing slash.
    url: str
    user: str
    #: Certificate authorities to trust instead of the system's.
    ca_bundle: Path | None = None
    #: The longest one request may take, in seconds.
    timeout: float = 10.0
    #: The markup of its descriptions.
    markup: Markup = Markup.PLAIN
    #: In stages that roll out, a trigger without an answer is given up only after the controller has answered for this
    #: long, in seconds.
    late_triggers: float = 60.0
    limits: JenkinsLimits = field(default_factory=JenkinsLimits)

    def job_url(self, name: str) -> str:
        """Return the address of the page of a job, by the job's full name."""
        return f"{self.url}/{job_path(name)}/"

    def build_url(self, name: str, number: int) -> str:
        """Return the address of the page of a build of that job."""
        return f"{self.job_url(name)}{number}/"

    def log_url(self, name: str, number: int) -> str:
        """Return the address of the console log of a build of that job, for people."""
        return f"{self.build_url(name, number)}console"


def job_path(name: str) -> str:
    """Return Jenkins' path of a job: `job/team/job/deploy` for `team/deploy`, each name percent-encoded once."""
    return "/".join(f"job/{quote(part, safe='')}" for part in name.split("/"))


@dataclass(frozen=True, slots=True)
class GitHubLimits:
    """GitHub's limits, and how long Interlock waits for it; not keys of the file. Times are in seconds."""

    #: How long a request may still arrive after it was sent (GitHub docs: troubleshooting the REST API, time-outs).
    late_request: float = 10.0
    #: The most statuses of one context that GitHub accepts on one commit, ever (GitHub docs: commit statuses).
    statuses_of_context: int = 1000
    #: The most open pull requests of a repository that get the status of a lock; the newest ones do.
    lock_notices: int = 300
    #: The most of them that get it before other work has a turn.
    lock_notices_at_once: int = 20
    #: How long GitHub is asked again whether a person may command.
    command_patience: float = 900.0
    #: The greatest age of a command that is still obeyed.
    command_age: float = 3600.0
    #: The pause after a refusal that names no pause (GitHub docs: rate limits, "wait for at least one minute").
    unnamed_pause: float = 60.0
    #: The limit of that pause, which doubles with each further refusal.
    longest_pause: float = 900.0
    #: How long before its expiry a token of an installation is renewed: longer than a request may take.
    token_renewal: float = 300.0
    #: The age up to which a token counts as new. GitHub may refuse a new token for a moment (octokit/auth-app.js#65).
    new_token: float = 60.0
    #: The pause before the one retry with a new token.
    new_token_pause: float = 0.5
    #: How long a process uses the names of repositories before it reads them again.
    names_believed: float = 30.0


@dataclass(frozen=True, slots=True)
class GitHubSettings:
    """The addresses of GitHub, without a trailing slash, and the options of reporting there."""

    api_url: str = "https://api.github.com"
    web_url: str = "https://github.com"
    status_context_prefix: str = "interlock"
    #: The kind of report about the stages of a run on its commit.
    report: ReportKind = ReportKind.STATUSES
    #: The open pull requests that show a lock; `Pipeline.lock_status` is the same.
    lock_status: LockStatus = LockStatus.HOLDER
    #: The wait in seconds after which Interlock comments on a run's pull request; None: never.
    comment_after: float | None = 900.0
    #: The longest one request may take, in seconds.
    timeout: float = 15.0
    #: Seconds between two writes, over all processes; 0: no spacing.
    write_spacing: float = 1.0
    limits: GitHubLimits = field(default_factory=GitHubLimits)


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """The notices of each channel; the channels' addresses are `Settings.notify_urls`."""

    channels: tuple[tuple[str, tuple[Notice, ...]], ...] = ()

    def channels_for(self, notice: str) -> tuple[str, ...]:
        """Return the channels that get `notice` (a topic of `bot.core.model.effects.Notify`), in the file's order."""
        return tuple(name for name, notices in self.channels if notice in notices)


@dataclass(frozen=True, slots=True)
class OutboundWebhook:
    """An outbound webhook: facts are sent to `url`; its secret is `Settings.webhook_secret(name)`."""

    name: str
    url: str
    #: The kinds of facts that are sent; empty: every kind.
    facts: tuple[FactKind, ...] = ()
    format: WebhookFormat = WebhookFormat.INTERLOCK
    #: The pipelines whose facts are sent; empty: all.
    pipelines: tuple[str, ...] = ()
    #: The longest one delivery may take, in seconds.
    timeout: float = 10.0
    #: Certificate authorities to trust instead of the system's.
    ca_bundle: Path | None = None

    def wants(self, kind: FactKind) -> bool:
        """Return whether facts of this kind are sent to it."""
        return not self.facts or kind in self.facts


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """A reverse proxy that names the person in `header`; the header counts only in requests from `networks`."""

    header: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    #: Whether the names are logins at GitHub.
    logins: bool = False


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """The ways to sign in on the page, and how long a session lasts, in seconds."""

    token: bool = False
    github: bool = False
    proxy: ProxySettings | None = None
    session: float = 43_200.0

    @property
    def is_possible(self) -> bool:
        """Return whether any way to sign in is configured."""
        return self.token or self.github or self.proxy is not None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The settings of the live page."""

    #: The address at which people reach it, without a trailing slash; it may have a path.
    public_url: str = "http://localhost:8080"
    #: Whether reading requires a sign-in.
    private: bool = False
    sign_in: SignInSettings = SignInSettings()
    #: Whether everybody may see badges even if reading requires a sign-in.
    open_badges: bool = False

    @property
    def root(self) -> str:
        """Return the path of `public_url`, which all addresses begin with: `/ci`, or empty at the root of a host."""
        return urlsplit(self.public_url).path


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How much history is kept: seconds, MiB per pipeline, runs per pipeline, facts per pipeline."""

    raw_deliveries: float = 7 * 86400.0
    raw_deliveries_mib: int = 24
    history: int = 5_000
    facts: int = 50_000
    recording: float = 30 * 86400.0
    recording_mib: int = 200


@dataclass(frozen=True, slots=True)
class PollingSettings:
    """The intervals of polling, in seconds."""

    builds: float = 30.0
    heads: float = 120.0
    clock: float = 5.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The limits for judging health and the delays of its notices, in seconds."""

    heartbeat: float = 15.0
    undecided: float = 30.0
    silence: float = 60.0
    tell_after: float = 15.0
    calm: float = 120.0


@dataclass(frozen=True, slots=True)
class PipelineAccess:
    """The roles of one pipeline, and the commands that are obeyed at GitHub."""

    roles: Roles = field(default_factory=Roles)
    commands: tuple[str, ...] = tuple(COMMANDS)


@dataclass(frozen=True)
class Configuration:
    """The content of a pipeline file. To construct one by hand, only `pipelines` is required."""

    pipelines: tuple[Pipeline, ...]
    controllers: Mapping[str, Controller] = field(default_factory=dict)
    #: By the name of the pipeline; a pipeline without an entry has mode `run`.
    modes: Mapping[str, Mode] = field(default_factory=dict)
    #: By the name of the pipeline; a pipeline without an entry has the defaults.
    accesses: Mapping[str, PipelineAccess] = field(default_factory=dict)
    #: By the name of the pipeline; a pipeline without an entry has no freezes.
    freezes: Mapping[str, tuple[ConfiguredFreeze, ...]] = field(default_factory=dict)
    github: GitHubSettings = GitHubSettings()
    notify: NotificationSettings = NotificationSettings()
    webhooks: tuple[OutboundWebhook, ...] = ()
    web: WebSettings = WebSettings()
    keep: RetentionSettings = RetentionSettings()
    polling: PollingSettings = PollingSettings()
    health: HealthSettings = HealthSettings()
    #: SHA-256 of the meaning, in hex: comments, the order of keys and the notation of values do not change it.
    digest: str = ""
    #: Every key that differs from its default, with its value in words.
    meaning: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    #: The text of the file.
    text: str = field(default="", compare=False, repr=False)

    def pipeline(self, name: str) -> Pipeline | None:
        """Return the pipeline called `name`, or None."""
        return self._by_name.get(name)

    def mode(self, name: str) -> Mode:
        """Return the mode of the pipeline called `name`."""
        return self.modes.get(name, Mode.RUN)

    def planned_freezes(self, name: str, now: float) -> tuple[Freeze, ...]:
        """Return the freezes of the pipeline called `name`, each with the window in force and the next ones."""
        return tuple(each.planned(now) for each in self.freezes.get(name, ()))

    def access(self, name: str) -> PipelineAccess:
        """Return the access settings of the pipeline called `name`."""
        return self.accesses.get(name, PipelineAccess())

    def webhooks_of(self, pipeline: str) -> tuple[OutboundWebhook, ...]:
        """Return the outbound webhooks that facts of the pipeline called `pipeline` are sent to."""
        return tuple(each for each in self.webhooks if not each.pipelines or pipeline in each.pipelines)

    def service_for(self, repository: str, branch: str) -> tuple[Pipeline, Service] | None:
        """Return the pipeline and service whose main branch is `branch` of `repository`, or None.

        `repository` is `owner/name`, in any case.
        """
        return self._services.get((repository.casefold(), branch))

    def pipelines_of(self, repository: str) -> tuple[Pipeline, ...]:
        """Return the pipelines that have a service in `repository` (in any case), in the file's order."""
        return self._repositories.get(repository.casefold(), ())

    def changes_from(self, before: Configuration) -> tuple[ConfigurationChange, ...]:
        """Return every key of the file that differs from `before`, sorted by name."""
        keys = sorted({**before.meaning, **self.meaning})
        rows = (ConfigurationChange(key, before.meaning.get(key, ""), self.meaning.get(key, "")) for key in keys)
        return tuple(row for row in rows if row.before != row.after)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Return every channel that gets any notice, in the file's order."""
        named = [name for name, _ in self.notify.channels]
        for plan in (pipeline.notices for pipeline in self.pipelines):
            named += [name for route in plan.routes for name in route.to]
            named += [name for level in plan.escalation for name in level.to]
            named += plan.reminder.to if plan.reminder is not None else ()
            named += plan.weekly.to if plan.weekly is not None else ()
            named += [channel for _, channel in plan.people]
        return tuple(name for name in dict.fromkeys(named) if name != AUTHORS)

    @cached_property
    def jobs(self) -> Mapping[tuple[str, str], tuple[str, str, Track]]:
        """Map (controller, full name of a job) to (pipeline, stage, track), to find what a build belongs to.

        The job of pull requests has `verify` in place of a stage.
        """
        found: dict[tuple[str, str], tuple[str, str, Track]] = {}
        for pipeline in self.pipelines:
            for stage in pipeline.stages:
                found[stage.job.controller, stage.job.name] = (pipeline.name, stage.name, Track.REAL)
                if stage.fast_job is not None:
                    fast = stage.fast_job
                    found[fast.controller, fast.name] = (pipeline.name, stage.name, Track.FAST)
            if pipeline.verify is not None:
                job = pipeline.verify.job
                found[job.controller, job.name] = (pipeline.name, VERIFY.stage, VERIFY.track)
        return found

    @cached_property
    def _by_name(self) -> Mapping[str, Pipeline]:
        return {pipeline.name: pipeline for pipeline in self.pipelines}

    @cached_property
    def _repositories(self) -> Mapping[str, tuple[Pipeline, ...]]:
        found: dict[str, dict[str, Pipeline]] = {}
        for pipeline in self.pipelines:
            for service in pipeline.services:
                found.setdefault(service.repository.casefold(), {})[pipeline.name] = pipeline
        return {name: tuple(pipelines.values()) for name, pipelines in found.items()}

    @cached_property
    def _services(self) -> Mapping[tuple[str, str], tuple[Pipeline, Service]]:
        return {(s.repository.casefold(), s.branch): (p, s) for p in self.pipelines for s in p.services}
