"""What every task of this process shares, made once and lazily: configuration, Redis, one store per pipeline."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache

from redis import Redis

from bot.core.model.board import Board, Header
from bot.core.model.pipeline import Job, Mode, Pipeline
from bot.health.contacts import Contacts
from bot.store.connection import connect
from bot.store.delays import Delays
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.patience import Patience
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from bot.store.store import Store
from config import pipeline_file, settings
from config.configuration import Configuration
from config.settings import Settings


@dataclass(slots=True)
class PipelineContext:
    """One pipeline as its workers see it. `turn` keeps this process to one turn at a time, `asked` asks for one."""

    pipeline: Pipeline
    mode: Mode
    keys: Keys
    store: Store
    inbox: Inbox
    outbox: Outbox
    delays: Delays
    patience: Patience
    redis: Redis
    #: The pipeline's Jenkins jobs, by controller.
    jobs: dict[str, list[Job]]
    turn: threading.Lock = field(default_factory=threading.Lock)
    asked: threading.Event = field(default_factory=threading.Event)
    #: Set by a turn that began a board: GitHub and Jenkins must be asked what they know.
    began: threading.Event = field(default_factory=threading.Event)
    _reading: threading.Lock = field(default_factory=threading.Lock)
    _copy: BoardReplica | None = None

    def look(self) -> BoardReplica:
        """A copy of the board for reading, brought up to date; only for one thread at a time: see `reading`."""
        if self._copy is None:
            self._copy = BoardReplica(Scripts(self.redis), self.keys)
        self._copy.refresh()
        return self._copy

    @property
    def reading(self) -> threading.Lock:
        """Hold it while using what `look` returned."""
        return self._reading


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, configuration and lines of this process; and where is noted how those outside answer."""

    settings: Settings
    configuration: Configuration
    redis: Redis
    lines: dict[str, PipelineContext]
    contacts: Contacts

    def line(self, pipeline: str) -> PipelineContext:
        """The line of one pipeline. Raises KeyError if it is not (or no longer) configured."""
        return self.lines[pipeline]


def build(found: Settings, configuration: Configuration) -> Context:
    """The context for these settings. Raises ValueError without INTERLOCK_REDIS_URL."""
    if found.redis_url is None:
        raise ValueError("INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it")
    redis = connect(found.redis_url.get_secret_value())
    lines = {p.name: _line(redis, p, configuration) for p in configuration.pipelines}
    return Context(found, configuration, redis, lines, Contacts(redis))


def _line(redis: Redis, pipeline: Pipeline, configuration: Configuration) -> PipelineContext:
    keys = Keys(pipeline.name)
    keep = configuration.keep
    store = Store(redis, keys, facts_kept=keep.facts, ended_kept=keep.history)
    inbox = Inbox(redis, keys, seen_seconds=int(keep.raw_deliveries))
    outbox, delays, patience = Outbox(redis, keys), Delays(redis, keys), Patience(redis, keys)
    mode, jobs = configuration.mode(pipeline.name), _jobs(pipeline)
    return PipelineContext(pipeline, mode, keys, store, inbox, outbox, delays, patience, redis, jobs)


def _jobs(pipeline: Pipeline) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in Board(Header(pipeline)).jobs():
        found.setdefault(job.controller, []).append(job)
    return found


@lru_cache(maxsize=1)
def context() -> Context:
    """The context of this process. Raises ConfigurationError or SettingsError if something is wrong with either."""
    found = settings.load()
    return build(found, pipeline_file.load(found.config))
