"""Keeps a process at the configuration in force: takes up a new one, between requests and tasks, or says why not.

Each process looks once a second. Whoever takes a configuration up tells the boards of it first, so what the process
accepts under it stands behind that in each inbox. A board decides with one configuration at a time, the latest that it
was told of (`bot.core.rules.configuration`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bot.health.contacts import own_name
from bot.reload import ReloadOvertaken, apply, equipment, propose
from bot.runtime import WATCH_LIMITS, Runtime, connect_store, rebuild, start
from bot.start import FirstConfiguration
from bot.store.configuration import ConfigurationStore, ProcessConfiguration
from bot.store.scripts import OtherSchema
from config import pipeline_file
from config.errors import ConfigurationError, SettingsError

log = structlog.get_logger()

#: How often a process looks, and how often it notes what it uses, in seconds.
LOOK, NOTE = 1.0, 10.0
#: How much of a problem is noted, in characters.
LONGEST = 500


@dataclass(frozen=True, slots=True)
class ProcessRuntime:
    """How a process is reached: the runtime that it uses now, and what has it use another one from now on."""

    present: Callable[[], Runtime]
    use: Callable[[Runtime], None]


def tell_boards(runtime: Runtime) -> list[str]:
    """Tell each board that has another configuration, or an earlier one; returns the pipelines that need a turn."""
    return [name for name, context in runtime.pipelines.items() if _tell(runtime, name)]


def _tell(runtime: Runtime, name: str) -> bool:
    context = runtime.pipelines[name]
    with context.look() as copy:
        header, version = copy.board.header, copy.version
    event = context.configured(header)
    told = header.pipeline == event.pipeline and event.mode is None and header.revision == event.revision
    if told or event.revision.since < header.revision.since:
        return False
    which = f"{runtime.configuration.digest}:{event.revision.since}"
    context.inbox.add(event, f"configured:{which}:{version}")
    return True


class ConfigurationUptake:
    """The configuration of one process. `look` and `reload` may be called by several threads."""

    def __init__(self, kind: str, process: ProcessRuntime, redis: Redis) -> None:
        """`kind`: web, worker or beat. `redis`: a client that repeats nothing, for the next look comes soon."""
        self._process, self._runtime = f"{kind} {own_name()}", process
        self._redis, self._store = redis, ConfigurationStore(redis)
        self._problem = process.present().problem
        self._failed = 0.0
        self._noted: tuple[float, str, float] | None = None
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take up what is in force by now; put back what the store has lost. Raises RedisError."""
        with self._lock:
            present = self._runtime.present()
            since, mine = self._store.since(), present.revision.since
            if since < mine:
                self._put_back(present)
            elif since != mine or not mine:
                self._take_up(present, since)
            self._note()

    def reload(self) -> None:
        """Put the process' own file in force (SIGHUP); if that cannot be, all stays as it is, and health says why."""
        path = self._runtime.present().settings.config
        try:
            proposal = propose(self._redis, pipeline_file.load(path), path)
            if proposal.refusals:
                self._say(f"its pipeline file was not put in force: {'; '.join(proposal.refusals)}")
            elif not proposal.is_in_force:
                apply(self._redis, proposal, f"SIGHUP to {self._process}")
                log.warning("reloaded", file=str(path), changes=[change.key for change in proposal.changes])
        except (ConfigurationError, ReloadOvertaken, RedisError, OtherSchema) as error:
            self._say(f"its pipeline file was not put in force: {_why(error)}")
        else:
            if not proposal.refusals:
                self._problem = ""
        with self._lock:
            self._noted = None
        self.look()

    def _take_up(self, present: Runtime, since: float) -> None:
        if since and since == self._failed:
            return
        try:
            begins = self._in_force(present)
            if begins.stored is None:
                self._problem = begins.problem
                return
            new = rebuild(present, begins.configuration, begins.stored)
            tell_boards(new)
            self._runtime.use(new)
        except (ConfigurationError, SettingsError) as error:
            self._failed = since
            self._say(f"it cannot use the configuration that is in force: {_why(error)}")
            return
        self._problem, self._failed = begins.problem, 0.0
        log.info("configured", digest=new.revision.digest, since=new.revision.since, by=begins.stored.by)

    def _in_force(self, present: Runtime) -> FirstConfiguration:
        """What is in force by now; if this process does not know of any yet, it starts with it."""
        stored = self._store.read() if present.revision.since else None
        if stored is None:
            return start(present.settings, self._process, puts_in_force=True)
        return FirstConfiguration(pipeline_file.parse(stored.text, present.settings.config), stored)

    def _put_back(self, present: Runtime) -> None:
        """The store was emptied, or has lost the last moment: what this process uses is later, and stays in force."""
        before = self._store.read()
        if present.stored is not None:
            self._store.replace(before.revision if before is not None else None, present.stored)

    def _say(self, problem: str) -> None:
        log.error("configuration-kept", why=problem)
        self._problem = problem

    def _note(self) -> None:
        """Note what this process uses, when that has changed and now and then."""
        present, now = self._runtime.present(), time.time()
        uses = (present.revision.since, self._problem)
        if self._noted is None or self._noted[:2] != uses or now - self._noted[2] > NOTE:
            has = equipment(present.settings)
            problem = " ".join(self._problem.split())[:LONGEST]
            self._store.note(self._process, ProcessConfiguration(uses[0], now, problem, has))
            self._noted = (*uses, now)


def keep_up(kind: str, process: ProcessRuntime) -> ConfigurationUptake:
    """Keep this process at the configuration in force until it ends."""
    found = ConfigurationUptake(kind, process, connect_store(process.present().settings, WATCH_LIMITS))

    def run() -> None:
        while True:
            try:
                found.look()
            except (RedisError, OtherSchema) as error:  # it goes on as it is, and looks again
                log.debug("configuration-unseen", error=type(error).__name__)
            except Exception:  # the thread must live: the next configuration may be one that it can use
                log.exception("configuration-unseen")
            time.sleep(LOOK)

    threading.Thread(target=run, name="configuration", daemon=True).start()
    return found


def _why(error: Exception) -> str:
    if isinstance(error, ReloadOvertaken):
        return "another configuration was put in force at the same moment"
    if isinstance(error, RedisError):
        return f"the store does not answer ({type(error).__name__})"  # its text may hold the address
    return str(error)
