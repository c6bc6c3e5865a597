"""The composition root: builds settings, configuration, Redis and pipeline contexts for a process, in one place.

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
from bot.store.migrations.migration import migrate
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
    """The timeout of one command to Redis, in seconds, and the number of its retries."""

    timeout: float
    retries: int


#: Long enough for a worker to continue after a fail-over of Redis.
WORKER_LIMITS = RedisLimits(10.0, 4)
#: GitHub waits ten seconds for an answer; after two tries there is still time to answer 503.
WEB_LIMITS = RedisLimits(3.0, 1)
#: Without retries, because the watch looks again soon, and a person is waiting for the doctor.
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
    #: The freezes of the pipeline file; a worker computes their windows.
    freezes: tuple[ConfiguredFreeze, ...] = ()
    #: The configuration in force that this context was built from; None: it was not stored.
    stored: StoredConfiguration | None = None
    #: Passed to the rules by each turn.
    decision_limits: DecisionLimits = LIMITS
    #: Lets one thread of this process take a turn at a time; a thread that wants a turn sets `asked`.
    turn: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)
    #: Set by a turn that began a board, so that GitHub and Jenkins are polled at once.
    began: threading.Event = field(default_factory=threading.Event)
    #: Set by a turn that received a move of main from an unknown commit, so that GitHub is asked for the head of main.
    main_unclear: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _replica: BoardReplica | None = None

    @contextmanager
    def look(self) -> Iterator[BoardReplica]:
        """Yield this process's board replica for readers, up to date; it does not change until the block ends.

        One reader at a time. Raises RedisError if the store cannot be reached, OtherSchema if another version has
        written it; after an error the next call loads the whole board.
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
        """Yield the board, a live or ended run, and the time of that state in seconds since the epoch.

        The time is now for a live run, and the time of its end for an ended one. Yields None if neither the board nor
        the history has the run. The board does not change until the block ends.
        """
        with self.look() as replica:
            run = replica.board.runs.get(key)
            ended = self.records.ended_run(key) if run is None else None
            if run is not None:
                yield replica.board, run, time.time()
            else:
                yield None if ended is None else (replica.board, ended.run, ended.at)

    def forecast(self, board: Board, run: Run, now: float) -> RunForecast:
        """Return the forecast of a live run at `now`."""
        return Forecast(board, self.statistics.current(), now).of(run)

    def expected(self, board: Board, run: Run, now: float) -> str:
        """Return when a waiting run will probably enter its step, and as of when; empty for all other runs."""
        if run.key not in board.runs or run.status is not Status.WAITING:
            return ""
        return said_at(self.forecast(board, run, now), run, now)

    def configured(self, header: Header) -> Configured:
        """Return the event that brings our configuration to the board with this header.

        It has a mode only if the mode in the pipeline file has changed.
        """
        mode = self.mode if header.configured_mode is not self.mode else None
        if self.stored is None:
            return Configured(self.pipeline, mode)
        return Configured(self.pipeline, mode, self.stored.revision, self.stored.by, self.stored.changes)

    def take_over(self, before: PipelineContext) -> None:
        """Continue from the context of an earlier configuration, whose turn may still be in progress."""
        self.turn, self.asked, self.began, self.main_unclear = (
            before.turn,
            before.asked,
            before.began,
            before.main_unclear,
        )
        self.decision_limits = before.decision_limits
        self.store.copy = before.store.copy

    def pipeline_of(self, board: Board) -> Pipeline:
        """Return the pipeline of the board, or that of our own file while the board has none yet."""
        return board.pipeline if board.pipeline.stages else self.pipeline


@dataclass(frozen=True)
class Runtime:
    """The objects that the threads of one process share. Nothing here connects before its first use."""

    settings: Settings
    configuration: Configuration
    redis: Redis
    pipelines: dict[str, PipelineContext]
    #: Keeps the last answers of Jenkins, GitHub and the channels.
    contacts: Contacts
    #: The waits between tries of a failed effect.
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    #: The stored configuration in force; None: it was not stored.
    stored: StoredConfiguration | None = None
    #: The reason why the configuration differs from the process' own file; empty: it does not differ.
    problem: str = ""
    #: The runtime that has replaced this one in the process: a list of one, or empty.
    successor: list[Runtime] = field(default_factory=list, compare=False, repr=False)

    @property
    def revision(self) -> Revision:
        """Return the revision of the configuration."""
        return self.stored.revision if self.stored is not None else UNSTORED

    def present(self, context: PipelineContext) -> tuple[Runtime, PipelineContext]:
        """Return the runtime that the process uses now, and its context of the same pipeline.

        For long-running code that holds an older context.
        """
        last = self
        while last.successor:
            last = last.successor[0]
        return last, last.pipelines.get(context.pipeline.name, context)

    def pipeline(self, name: str) -> PipelineContext:
        """Return the context of one pipeline. Raises KeyError if the pipeline is not (or no longer) configured."""
        return self.pipelines[name]

    def page_of(self, pipeline: str, run: str = "") -> str:
        """Return the address of our page of a run, or of the whole pipeline."""
        return f"{self.configuration.web.public_url}/p/{pipeline}" + (f"/runs/{run}" if run else "")

    def log_of(self, job: Job | None, build: int | None) -> str:
        """Return the address of a build's log in Jenkins; empty without a build or without a configured controller."""
        controller = self.configuration.controllers.get(job.controller) if job is not None else None
        return controller.log_url(job.name, build) if controller and job and build is not None else ""

    @cached_property
    def observer(self) -> Observer:
        """Return the observer, which judges the health of the installation."""
        return Observer(self.redis, self.configuration)

    @cached_property
    def repositories(self) -> Repositories:
        """Return the stored names and ids of GitHub repositories."""
        return Repositories(self.redis, self.configuration.github.limits.names_believed)

    def migrate(self) -> None:
        """Migrate state stored by an older version to our schema. Raises NewerSchema if a newer version wrote it."""
        for name, context in self.pipelines.items():
            before = migrate(context.redis, context.keys)
            if before is not None:
                log.warning("state-migrated", pipeline=name, before=before, now=SCHEMA)

    def start_watch(self, kind: str, present: Callable[[], Runtime]) -> None:
        """Start the heartbeats of this process (`web` or `worker`) and the watch of the other ones.

        `present`: returns the runtime that the process uses at that time.
        """
        from bot.health import watch  # notifications load slowly; commands and tests do not need them

        redis = connect_store(self.settings, WATCH_LIMITS)
        watch.start(kind, redis, self.settings, lambda: present().configuration)


#: glibc's number of the limit (mallopt(3): M_ARENA_MAX), and the number of pools that the threads of a process share.
_ARENA_MAX, _POOLS = -8, 2


def share_memory_pools() -> None:
    """Limit the threads of this process to two memory pools. Call this before there are many threads.

    By default glibc makes one pool for each thread, up to eight for each core, and each keeps the most that a thread
    ever needed: a worker with 24 threads grew by 12 MiB whenever another thread was the first to do a large piece of
    work. Other C libraries have no such pools.
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
    """Build the runtime for these settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    share_memory_pools()
    redis = connect_store(settings, limits)
    pipelines = {each.name: pipeline_context(redis, each, configuration, stored) for each in configuration.pipelines}
    return Runtime(settings, configuration, redis, pipelines, Contacts(redis), stored=stored, problem=problem)


def rebuild(before: Runtime, configuration: Configuration, stored: StoredConfiguration) -> Runtime:
    """Build the runtime of the same process with another configuration. Work in progress in a pipeline continues."""
    redis = before.redis
    pipelines = {each.name: pipeline_context(redis, each, configuration, stored) for each in configuration.pipelines}
    for name in pipelines.keys() & before.pipelines.keys():
        pipelines[name].take_over(before.pipelines[name])
    return replace(before, configuration=configuration, pipelines=pipelines, stored=stored, problem="", successor=[])


def connect_store(settings: Settings, limits: RedisLimits) -> Redis:
    """Return a client for the Redis of the settings. Raises SettingsError without INTERLOCK_REDIS_URL."""
    if settings.redis_url is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    return connect(settings.redis_url.get_secret_value(), timeout=limits.timeout, retries=limits.retries)


def pipeline_context(
    redis: Redis, pipeline: Pipeline, configuration: Configuration, stored: StoredConfiguration | None = None
) -> PipelineContext:
    """Build the context of one pipeline over `redis`. The configuration sets how much is kept, and for how long."""
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
    """Return the current runtime of this worker or beat; build it on the first call.

    Raises ConfigurationError or SettingsError if it cannot be built.
    """
    with _making:
        if not _present:
            settings = environment.load()
            begins = start(settings, "a worker or beat", puts_in_force=True)
            _present.append(build(settings, begins.configuration, WORKER_LIMITS, begins.stored, begins.problem))
        return _present[0]


def use(runtime: Runtime) -> None:
    """Replace the runtime of this worker or beat. An effect in progress finishes with the runtime before."""
    with _making:
        for before in _present:
            before.successor.append(runtime)
        _present[:] = [runtime]


def start(settings: Settings, who: str, *, puts_in_force: bool) -> FirstConfiguration:
    """Return the configuration that a process with these settings starts with.

    Raises ConfigurationError, SettingsError.
    """
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
