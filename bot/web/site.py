"""What the views share: settings, configuration, and for each pipeline its inbox, board, records and outbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from flask import current_app
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.pipeline import Pipeline
from bot.health.observing import Observer
from bot.store.connection import connect
from bot.store.delays import Delays
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from bot.web.problems import unknown
from config.configuration import Configuration
from config.errors import SettingsError
from config.settings import Settings

#: Seconds, and how often it is repeated: two tries in vain still leave GitHub's ten seconds to say so.
REDIS_TIMEOUT, REDIS_RETRIES = 3.0, 1


class Window:
    """This process's copy of a board, for one reader at a time."""

    def __init__(self, redis: Redis, keys: Keys, configured: Pipeline) -> None:
        self._copy = BoardReplica(Scripts(redis), keys)
        self._configured = configured
        self._lock = threading.Lock()

    @contextmanager
    def look(self) -> Iterator[tuple[Board, int]]:
        """The board and its version, up to date; it stays as it is until the block ends.

        Raises RedisError if the store cannot be reached, OtherSchema if another version has written it.
        """
        with self._lock:
            try:
                self._copy.refresh()
            except Exception:
                self._copy.forget()
                raise
            yield self._copy.board, self._copy.version

    def pipeline(self, board: Board) -> Pipeline:
        """The configuration in force; before the workers have put one in force, that of our own file."""
        return board.pipeline if board.pipeline.stages else self._configured


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """One pipeline as the web process sees it."""

    pipeline: Pipeline
    keys: Keys
    inbox: Inbox
    window: Window
    records: Records
    outbox: Outbox
    delays: Delays


@dataclass(frozen=True)
class Site:
    """Everything that the views need. Nothing here connects before it is used."""

    settings: Settings
    configuration: Configuration
    redis: Redis
    poke: Callable[[str], None]
    observer: Observer
    lines: dict[str, PipelineContext] = field(default_factory=dict)

    def line(self, name: str) -> PipelineContext:
        """The pipeline called `name`. Raises Problem (404) with the names there are."""
        line = self.lines.get(name)
        if line is None:
            raise unknown("pipeline", name, self.lines)
        return line


def build(settings: Settings, configuration: Configuration, poke: Callable[[str], None]) -> Site:
    """The site for these settings. Raises SettingsError without an address of Redis."""
    if settings.redis_url is None:
        raise SettingsError(["INTERLOCK_REDIS_URL is not set: start the processes with `interlock up`, or set it"])
    redis = connect(settings.redis_url.get_secret_value(), timeout=REDIS_TIMEOUT, retries=REDIS_RETRIES)
    seen = int(configuration.keep.raw_deliveries)
    lines = {p.name: _line(redis, p, seen) for p in configuration.pipelines}
    return Site(settings, configuration, redis, poke, Observer(redis, configuration), lines)


def _line(redis: Redis, pipeline: Pipeline, seen_seconds: int) -> PipelineContext:
    keys = Keys(pipeline.name)
    return PipelineContext(
        pipeline,
        keys,
        Inbox(redis, keys, seen_seconds=seen_seconds),
        Window(redis, keys, pipeline),
        Records(redis, keys),
        Outbox(redis, keys),
        Delays(redis, keys),
    )


def beyond(version: int) -> str:
    """What to read the stream of changes from, to learn of the versions after this one: ids begin with the version."""
    return f"{version}-{2**64 - 1}"


def site() -> Site:
    """The site of the application that answers the present request."""
    return cast(Site, current_app.extensions["interlock"])
