"""The pipeline file as the rest of Interlock sees it: complete, checked, never changed."""

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
    """How long Interlock waits for one controller, and how far it looks back: no key of the file. Times in seconds."""

    #: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request.
    late_request: float = 3.0
    #: How long a build must be nowhere to be seen, at every look, before it counts as lost: queue and executor lag
    #: behind, and a Jenkins that has just restarted answers before it has read everything.
    lost_after: float = 30.0
    #: The pause between two looks for a build that must end and is gone.
    gone_pause: float = 5.0
    #: How many builds of a job one look takes in.
    builds: int = 50
    #: How long after its claim a trigger goes out on what the claim has noted: far less than a claim lasts
    #: (`bot.store.outbox`). Later it is noted once more, which proves that it is still ours.
    claim_note: float = 2.0


@dataclass(frozen=True, slots=True)
class Controller:
    """One Jenkins controller; its API token is `Settings.jenkins_token(name)`."""

    name: str
    #: Address without a trailing slash.
    url: str
    user: str
    #: Certificate authorities to trust instead of the system's.
    ca_bundle: Path | None = None
    #: The longest one request may take, in seconds.
    timeout: float = 10.0
    #: How it shows descriptions.
    markup: Markup = Markup.PLAIN
    #: In stages that roll out, a trigger without an answer is given up after it has answered for so long, in seconds.
    late_triggers: float = 60.0
    limits: JenkinsLimits = field(default_factory=JenkinsLimits)

    def job_url(self, name: str) -> str:
        """The page of a job, by its full name."""
        return f"{self.url}/{job_path(name)}/"

    def build_url(self, name: str, number: int) -> str:
        """The page of a build of that job."""
        return f"{self.job_url(name)}{number}/"

    def log_url(self, name: str, number: int) -> str:
        """The console log of a build of that job, as Jenkins shows it to people."""
        return f"{self.build_url(name, number)}console"


def job_path(name: str) -> str:
    """`team/deploy` as Jenkins addresses it: `job/team/job/deploy`, each name percent-encoded once."""
    return "/".join(f"job/{quote(part, safe='')}" for part in name.split("/"))


@dataclass(frozen=True, slots=True)
class GitHubLimits:
    """What GitHub allows, and how long Interlock waits for it: no key of the file. Times are in seconds."""

    #: How long a request may still arrive after it was sent (GitHub docs: troubleshooting the REST API, time-outs).
    late_request: float = 10.0
    #: So many statuses of one context GitHub takes on one commit, ever (GitHub docs: commit statuses).
    statuses_of_context: int = 1000
    #: How many open pull requests of a repository get the status of a lock (the newest).
    lock_notices: int = 300
    #: How many of them get it before others get a turn.
    lock_notices_at_once: int = 20
    #: For how long GitHub is asked again whether somebody may command.
    command_patience: float = 900.0
    #: How old a command may be when Interlock comes to it.
    command_age: float = 3600.0
    #: The pause after a refusal that names none (GitHub docs: rate limits, "wait for at least one minute").
    unnamed_pause: float = 60.0
    #: That pause doubles with each further refusal, up to this.
    longest_pause: float = 900.0
    #: How long before its end a token of an installation is renewed: longer than a request may take.
    token_renewal: float = 300.0
    #: GitHub may refuse a new token for a moment (octokit/auth-app.js#65): the age up to which a token is new.
    new_token: float = 60.0
    #: The pause before the one repetition with a new token.
    new_token_pause: float = 0.5
    #: For how long a process believes what it has read of the names of repositories.
    names_believed: float = 30.0


@dataclass(frozen=True, slots=True)
class GitHubSettings:
    """Where GitHub is; addresses without a trailing slash."""

    api_url: str = "https://api.github.com"
    web_url: str = "https://github.com"
    status_context_prefix: str = "interlock"
    #: How the stages of a run are reported on its commit.
    report: ReportKind = ReportKind.STATUSES
    #: Which open pull requests show a lock; `Pipeline.lock_status` is the same.
    lock_status: LockStatus = LockStatus.HOLDER
    #: After how many seconds of waiting Interlock comments on a run's pull request; None: never.
    comment_after: float | None = 900.0
    #: The longest one request may take, in seconds.
    timeout: float = 15.0
    #: Seconds between two writes, over all processes; 0: as fast as one likes.
    write_spacing: float = 1.0
    limits: GitHubLimits = field(default_factory=GitHubLimits)


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Which channel gets which notices; the addresses are `Settings.notify_urls`."""

    channels: tuple[tuple[str, tuple[Notice, ...]], ...] = ()

    def channels_for(self, notice: str) -> tuple[str, ...]:
        """The channels that get `notice` (a topic of `bot.core.model.effects.Notify`), in the file's order."""
        return tuple(name for name, notices in self.channels if notice in notices)


@dataclass(frozen=True, slots=True)
class OutboundWebhook:
    """An address that is told of facts; its secret is `Settings.webhook_secret(name)`."""

    name: str
    url: str
    #: The kinds of facts that it is told; empty: every kind.
    facts: tuple[FactKind, ...] = ()
    format: WebhookFormat = WebhookFormat.INTERLOCK
    #: The pipelines whose facts it is told; empty: all.
    pipelines: tuple[str, ...] = ()
    #: The longest that one delivery may take, in seconds.
    timeout: float = 10.0
    #: Certificate authorities to trust instead of the system's.
    ca_bundle: Path | None = None

    def wants(self, kind: FactKind) -> bool:
        """Whether it is told of facts of this kind."""
        return not self.facts or kind in self.facts


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """A reverse proxy that names the person in `header`; it counts from `networks` alone."""

    header: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    #: Whether the names are logins at GitHub.
    logins: bool = False


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """The ways to sign in on the page, and for how many seconds that lasts."""

    token: bool = False
    github: bool = False
    proxy: ProxySettings | None = None
    session: float = 43_200.0

    @property
    def is_possible(self) -> bool:
        """Whether there is a way to sign in."""
        return self.token or self.github or self.proxy is not None


@dataclass(frozen=True, slots=True)
class WebSettings:
    """The live page."""

    #: Address under which people reach it, without a trailing slash; it may have a path.
    public_url: str = "http://localhost:8080"
    #: Whether reading takes a sign-in.
    private: bool = False
    sign_in: SignInSettings = SignInSettings()
    #: Whether everybody may see badges though reading takes a sign-in.
    open_badges: bool = False

    @property
    def root(self) -> str:
        """The path of `public_url`, below which everything is: `/ci`, or nothing at the root of a host."""
        return urlsplit(self.public_url).path


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How much of the past is kept: seconds, MiB per pipeline, runs per pipeline, facts per pipeline."""

    raw_deliveries: float = 7 * 86400.0
    raw_deliveries_mib: int = 24
    history: int = 5_000
    facts: int = 50_000
    recording: float = 30 * 86400.0
    recording_mib: int = 200


@dataclass(frozen=True, slots=True)
class PollingSettings:
    """How often Interlock polls; seconds."""

    builds: float = 30.0
    heads: float = 120.0
    clock: float = 5.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When something counts as wrong, and when that is reported; seconds."""

    heartbeat: float = 15.0
    undecided: float = 30.0
    silence: float = 60.0
    tell_after: float = 15.0
    calm: float = 120.0


@dataclass(frozen=True, slots=True)
class PipelineAccess:
    """Who may do what in one pipeline, and which commands are obeyed at GitHub."""

    roles: Roles = field(default_factory=Roles)
    commands: tuple[str, ...] = tuple(COMMANDS)


@dataclass(frozen=True)
class Configuration:
    """Everything the pipeline file says. Only `pipelines` is needed to make one by hand."""

    pipelines: tuple[Pipeline, ...]
    controllers: Mapping[str, Controller] = field(default_factory=dict)
    #: By the name of the pipeline; a pipeline that is not named runs.
    modes: Mapping[str, Mode] = field(default_factory=dict)
    #: By the name of the pipeline; for one that is not named the defaults hold.
    accesses: Mapping[str, PipelineAccess] = field(default_factory=dict)
    #: By the name of the pipeline; a pipeline that is not named has none.
    freezes: Mapping[str, tuple[ConfiguredFreeze, ...]] = field(default_factory=dict)
    github: GitHubSettings = GitHubSettings()
    notify: NotificationSettings = NotificationSettings()
    webhooks: tuple[OutboundWebhook, ...] = ()
    web: WebSettings = WebSettings()
    keep: RetentionSettings = RetentionSettings()
    polling: PollingSettings = PollingSettings()
    health: HealthSettings = HealthSettings()
    #: SHA-256 of the meaning, in hex: comments, order of keys and ways to write a value do not change it.
    digest: str = ""
    #: Every key that differs from its default, with its value in words.
    meaning: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    #: The text of the file.
    text: str = field(default="", compare=False, repr=False)

    def pipeline(self, name: str) -> Pipeline | None:
        """The pipeline called `name`, or None."""
        return self._by_name.get(name)

    def mode(self, name: str) -> Mode:
        """Whether the pipeline called `name` acts."""
        return self.modes.get(name, Mode.RUN)

    def planned_freezes(self, name: str, now: float) -> tuple[Freeze, ...]:
        """The freezes of the pipeline called `name`, each with the window in force and the next ones."""
        return tuple(each.planned(now) for each in self.freezes.get(name, ()))

    def access(self, name: str) -> PipelineAccess:
        """Who may do what in the pipeline called `name`."""
        return self.accesses.get(name, PipelineAccess())

    def webhooks_of(self, pipeline: str) -> tuple[OutboundWebhook, ...]:
        """The outbound webhooks that are told the facts of the pipeline called so."""
        return tuple(each for each in self.webhooks if not each.pipelines or pipeline in each.pipelines)

    def service_for(self, repository: str, branch: str) -> tuple[Pipeline, Service] | None:
        """Whose main branch `branch` of `repository` (`owner/name`, in any case) is, or None."""
        return self._services.get((repository.casefold(), branch))

    def pipelines_of(self, repository: str) -> tuple[Pipeline, ...]:
        """The pipelines that have a service in `repository` (in any case), in the file's order."""
        return self._repositories.get(repository.casefold(), ())

    def changes_from(self, before: Configuration) -> tuple[ConfigurationChange, ...]:
        """Every key of the file that differs from `before`, in the order of their names."""
        keys = sorted({**before.meaning, **self.meaning})
        rows = (ConfigurationChange(key, before.meaning.get(key, ""), self.meaning.get(key, "")) for key in keys)
        return tuple(row for row in rows if row.before != row.after)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Every channel that is told of anything, in the file's order."""
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
        """(controller, full name of a job) to (pipeline, stage, track): whom a build concerns; `verify` is no stage."""
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
