"""The composition root: what a process needs of settings, configuration, Redis and each pipeline, built in one place.

The web process and the workers build a `Runtime`; the commands, the doctor and the watch connect by `connect_store`.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import structlog
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import Header
from bot.core.model.events import Configured
from bot.core.model.pipeline import UNSTORED, Job, Mode, Pipeline, Revision
from bot.core.model.run import Run, Status
from bot.core.rules.decision import LIMITS, DecisionLimits
from bot.effect_outcomes import RetryPolicy
from bot.forecast.forecast import Forecast, RunForecast
from bot.health.contacts import Contacts
from bot.health.observing import Observer
from bot.reporting.estimates import said_at
from bot.start import FirstConfiguration, at_start
from bot.store.configuration import StoredConfiguration
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
from config import settings as environment
from config.configuration import Configuration
from config.errors import SettingsError
from config.freezes import ConfiguredFreeze
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
    #: The configuration that all of this follows, as it is in force; None: it was not stored.
    stored: StoredConfiguration | None = None
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

    @contextmanager
    def reported(self, key: str) -> Iterator[tuple[Board, Run, float] | None]:
        """The board, a run, live or ended, and when that is true, in seconds since the epoch: now, or when it ended.

        None if neither the board nor the history knows the run any more. The board stays as it is until the block ends.
        """
        with self.look() as replica:
            run = replica.board.runs.get(key)
            ended = self.records.ended_run(key) if run is None else None
            if run is not None:
                yield replica.board, run, time.time()
            else:
                yield None if ended is None else (replica.board, ended.run, ended.at)

    def forecast(self, board: Board, run: Run, now: float) -> RunForecast:
        """What is expected of a live run now."""
        return Forecast(board, self.statistics.current(), now).of(run)

    def expected(self, board: Board, run: Run, now: float) -> str:
        """When a waiting run will probably enter its step, with the moment of saying so; empty for all others."""
        if run.key not in board.runs or run.status is not Status.WAITING:
            return ""
        return said_at(self.forecast(board, run, now), run, now)

    def configured(self, header: Header) -> Configured:
        """What tells the board with this header of our configuration; of a mode only if the file has another."""
        mode = self.mode if header.configured_mode is not self.mode else None
        if self.stored is None:
            return Configured(self.pipeline, mode)
        return Configured(self.pipeline, mode, self.stored.revision, self.stored.by, self.stored.changes)

    def take_over(self, before: PipelineContext) -> None:
        """Go on where the context of an earlier configuration is, whose turn may be under way."""
        self.turn, self.asked, self.began, self.main_unclear = (
            before.turn,
            before.asked,
            before.began,
            before.main_unclear,
        )
        self.decision_limits = before.decision_limits
        self.store.copy = before.store.copy

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
    #: The configuration as it is in force; None: it was not stored.
    stored: StoredConfiguration | None = None
    #: Why it is not what the process' own file says; empty: it is.
    problem: str = ""
    #: The runtime that this process uses in place of this one, if it does.
    successor: list[Runtime] = field(default_factory=list, compare=False, repr=False)

    @property
    def revision(self) -> Revision:
        """Which configuration this is."""
        return self.stored.revision if self.stored is not None else UNSTORED

    def present(self, context: PipelineContext) -> tuple[Runtime, PipelineContext]:
        """For whoever goes on for long with a pipeline: the runtime that the process uses by now, and its context."""
        last = self
        while last.successor:
            last = last.successor[0]
        return last, last.pipelines.get(context.pipeline.name, context)

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

    def start_watch(self, kind: str, present: Callable[[], Runtime]) -> None:
        """Say from now on that this process (`web` or `worker`) lives, and watch how the rest is.

        `present`: the runtime that the process uses by then.
        """
        from bot.health import watch  # notifications load slowly, and the commands and tests send none

        redis = connect_store(self.settings, WATCH_LIMITS)
        watch.start(kind, redis, self.settings, lambda: present().configuration)


#: glibc's number of the limit (mallopt(3): M_ARENA_MAX), and how many pools the threads of a process share.
_ARENA_MAX, _POOLS = -8, 2


def share_memory_pools() -> None:
    """Let the threads of this process share two pools of memory, before there are many.

    By default glibc makes one for each thread, up to eight for each core, and each keeps the most that a thread ever
    needed: a worker with 24 threads grew by 12 MiB whenever another of them was the first to do a large piece of work.
    Other C libraries have no such pools.
    """
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    if limit is not None:
        limit(_ARENA_MAX, _POOLS)


def build(
    settings: Settings,
    configuration: Configuration,
    limits: RedisLimits = WORKER_LIMITS,
    stored: StoredConfiguration | None = None,
    problem: str = "",
) -> Runtime:
    """The runtime for these settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    share_memory_pools()
    redis = connect_store(settings, limits)
    pipelines = {each.name: pipeline_context(redis, each, configuration, stored) for each in configuration.pipelines}
    return Runtime(settings, configuration, redis, pipelines, Contacts(redis), stored=stored, problem=problem)


def rebuild(before: Runtime, configuration: Configuration, stored: StoredConfiguration) -> Runtime:
    """The runtime of the same process with another configuration: what is under way in a pipeline goes on."""
    redis = before.redis
    pipelines = {each.name: pipeline_context(redis, each, configuration, stored) for each in configuration.pipelines}
    for name in pipelines.keys() & before.pipelines.keys():
        pipelines[name].take_over(before.pipelines[name])
    return replace(before, configuration=configuration, pipelines=pipelines, stored=stored, problem="", successor=[])


def connect_store(settings: Settings, limits: RedisLimits) -> Redis:
    """A client for the Redis of the settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    if settings.redis_url is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    return connect(settings.redis_url.get_secret_value(), timeout=limits.timeout, retries=limits.retries)


def pipeline_context(
    redis: Redis, pipeline: Pipeline, configuration: Configuration, stored: StoredConfiguration | None = None
) -> PipelineContext:
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
        stored=stored,
    )


# -- the runtime of a worker or beat -----------------------------------------------------------------------------------

_present: list[Runtime] = []
_making = threading.Lock()


def runtime() -> Runtime:
    """The runtime of this worker or beat as it is now. Raises ConfigurationError or SettingsError if all is wrong."""
    with _making:
        if not _present:
            settings = environment.load()
            begins = start(settings, "a worker or beat", puts_in_force=True)
            _present.append(build(settings, begins.configuration, WORKER_LIMITS, begins.stored, begins.problem))
        return _present[0]


def use(runtime: Runtime) -> None:
    """From now on this worker or beat uses another runtime; an effect that is under way ends with the one before."""
    with _making:
        for before in _present:
            before.successor.append(runtime)
        _present[:] = [runtime]


def start(settings: Settings, who: str, *, puts_in_force: bool) -> FirstConfiguration:
    """The configuration that a process of these settings starts with. Raises ConfigurationError, SettingsError."""
    redis = connect_store(settings, WATCH_LIMITS)
    try:
        return at_start(redis, settings.config, who, puts_in_force=puts_in_force)
    finally:
        redis.close()


def _jobs(pipeline: Pipeline) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in Board(Header(pipeline)).jobs():
        found.setdefault(job.controller, []).append(job)
    return found
