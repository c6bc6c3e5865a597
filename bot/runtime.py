"""The composition root: what a process needs of settings, configuration, Redis and each pipeline, built in one place.

The web process and the workers build a `Runtime`; the commands, the doctor and the watch connect by `connect_store`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import structlog
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import Header
from bot.core.model.pipeline import Job, Mode, Pipeline
from bot.core.rules.decision import LIMITS, DecisionLimits
from bot.effect_outcomes import RetryPolicy
from bot.health.contacts import Contacts
from bot.health.observing import Observer
from bot.store.connection import connect
from bot.store.delays import Delays, Patience
from bot.store.deliveries import DeliveryPacks
from bot.store.github import Repositories
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.migrations import migrate
from bot.store.outbox import Outbox
from bot.store.recording import Recording
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import SCHEMA, Scripts
from bot.store.statistics import StatisticsStore
from bot.store.store import Store
from bot.store.webhooks import Webhooks
from config import pipeline_file
from config import settings as environment
from config.configuration import Configuration
from config.errors import SettingsError
from config.freeze_times import ConfiguredFreeze
from config.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RedisLimits:
    """How long one command to Redis may take, in seconds, and how often it is repeated."""

    timeout: float
    retries: int


#: A worker goes on after a fail-over of Redis.
WORKER_LIMITS = RedisLimits(10.0, 4)
#: GitHub waits ten seconds for an answer: after two tries there is time left to answer 503.
WEB_LIMITS = RedisLimits(3.0, 1)
#: The watch looks again soon, and a person waits for the doctor: neither repeats a command.
WATCH_LIMITS = RedisLimits(3.0, 0)


@dataclass(slots=True)
class PipelineContext:
    """One pipeline in this process: its definition and everything that reads or writes its store."""

    pipeline: Pipeline
    mode: Mode
    #: The pipeline's Jenkins jobs, by controller.
    jobs: dict[str, list[Job]]
    redis: Redis
    keys: Keys
    store: Store
    inbox: Inbox
    deliveries: DeliveryPacks
    outbox: Outbox
    delays: Delays
    patience: Patience
    records: Records
    recording: Recording
    statistics: StatisticsStore
    webhooks: Webhooks
    #: The freezes of the file, whose windows a worker works out.
    freezes: tuple[ConfiguredFreeze, ...] = ()
    #: What a turn passes to the rules.
    decision_limits: DecisionLimits = LIMITS
    #: Lets one thread of this process take a turn at a time; a thread that wants a turn sets `asked`.
    turn: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)
    #: Set by a turn that began a board: then GitHub and Jenkins are polled at once.
    began: threading.Event = field(default_factory=threading.Event)
    #: Set by a turn that received a move of main from an unknown commit: then GitHub is asked where main is.
    main_unclear: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _replica: BoardReplica | None = None

    @contextmanager
    def look(self) -> Iterator[BoardReplica]:
        """This process's copy of the board for readers, up to date; it stays as it is until the block ends.

        One reader at a time. Raises RedisError if the store cannot be reached, OtherSchema if another version has
        written it; the next look then loads everything.
        """
        with self._reading:
            if self._replica is None:
                self._replica = BoardReplica(Scripts(self.redis), self.keys)
            try:
                self._replica.refresh()
            except Exception:
                self._replica.forget()
                raise
            yield self._replica

    def pipeline_of(self, board: Board) -> Pipeline:
        """The pipeline as the board has it; before the workers have put one in force, that of our own file."""
        return board.pipeline if board.pipeline.stages else self.pipeline


@dataclass(frozen=True)
class Runtime:
    """What the threads of one process share. Nothing here connects before it is used."""

    settings: Settings
    configuration: Configuration
    redis: Redis
    pipelines: dict[str, PipelineContext]
    #: Keeps how Jenkins, GitHub and the channels answered last.
    contacts: Contacts
    #: How long an effect that failed waits for its next try.
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    def pipeline(self, name: str) -> PipelineContext:
        """The context of one pipeline. Raises KeyError if it is not (or no longer) configured."""
        return self.pipelines[name]

    def page_of(self, pipeline: str, run: str = "") -> str:
        """The address of our own page of a run, or of the whole pipeline."""
        return f"{self.configuration.web.public_url}/p/{pipeline}" + (f"/runs/{run}" if run else "")

    def log_of(self, job: Job | None, build: int | None) -> str:
        """The address of a build's log in Jenkins; empty without a build, or if its controller is not configured."""
        controller = self.configuration.controllers.get(job.controller) if job is not None else None
        return controller.log_url(job.name, build) if controller and job and build is not None else ""

    @cached_property
    def observer(self) -> Observer:
        """Judges the health of the installation."""
        return Observer(self.redis, self.configuration)

    @cached_property
    def repositories(self) -> Repositories:
        """The names and ids of repositories, as GitHub gave them."""
        return Repositories(self.redis, self.configuration.github.limits.names_believed)

    def migrate(self) -> None:
        """Bring what an older version stored to our schema. Raises NewerSchema if a newer version wrote it."""
        for name, context in self.pipelines.items():
            before = migrate(context.redis, context.keys)
            if before is not None:
                log.warning("state-migrated", pipeline=name, before=before, now=SCHEMA)

    def start_watch(self, kind: str) -> None:
        """Say from now on that this process (`web` or `worker`) lives, and watch how the rest is."""
        from bot.health import watch  # notifications load slowly, and the commands and tests send none

        watch.start(kind, connect_store(self.settings, WATCH_LIMITS), self.settings, self.configuration)


def build(settings: Settings, configuration: Configuration, limits: RedisLimits = WORKER_LIMITS) -> Runtime:
    """The runtime for these settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    redis = connect_store(settings, limits)
    pipelines = {each.name: pipeline_context(redis, each, configuration) for each in configuration.pipelines}
    return Runtime(settings, configuration, redis, pipelines, Contacts(redis))


def connect_store(settings: Settings, limits: RedisLimits) -> Redis:
    """A client for the Redis of the settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    if settings.redis_url is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    return connect(settings.redis_url.get_secret_value(), timeout=limits.timeout, retries=limits.retries)


def pipeline_context(redis: Redis, pipeline: Pipeline, configuration: Configuration) -> PipelineContext:
    """One pipeline of this process over `redis`; the configuration says how much is kept, and for how long."""
    keys, keep = Keys(pipeline.name), configuration.keep
    records = Records(redis, keys)
    return PipelineContext(
        pipeline=pipeline,
        mode=configuration.mode(pipeline.name),
        jobs=_jobs(pipeline),
        redis=redis,
        keys=keys,
        store=Store(redis, keys, facts_kept=keep.facts, ended_kept=keep.history),
        inbox=Inbox(redis, keys, seen_seconds=int(keep.raw_deliveries)),
        deliveries=DeliveryPacks(redis, keys),
        outbox=Outbox(redis, keys),
        delays=Delays(redis, keys),
        patience=Patience(redis, keys),
        records=records,
        recording=Recording(redis, keys),
        statistics=StatisticsStore(redis, keys, records),
        webhooks=Webhooks(redis, keys),
        freezes=configuration.freezes.get(pipeline.name, ()),
    )


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The runtime of this worker or beat. Raises ConfigurationError or SettingsError if something is wrong."""
    settings = environment.load()
    return build(settings, pipeline_file.load(settings.config))


def _jobs(pipeline: Pipeline) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in Board(Header(pipeline)).jobs():
        found.setdefault(job.controller, []).append(job)
    return found
