"""Keeps a process at the configuration in force: applies a new one between requests and tasks, or records why not.

Each process checks once a second. Before a process uses a configuration, it puts the event for it in the inbox of each
board, so deliveries that it accepts under that configuration come after the event. A board decides with one
configuration at a time, the latest that it received (`bot.core.rules.configuration`).
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

#: The interval of the checks, and of storing the configuration in use, in seconds.
LOOK, NOTE = 1.0, 10.0
#: The longest problem text that is stored, in characters.
LONGEST = 500


@dataclass(frozen=True, slots=True)
class ProcessRuntime:
    """Access to the runtime of a process: a function that returns it, and one that replaces it."""

    present: Callable[[], Runtime]
    use: Callable[[Runtime], None]


def tell_boards(runtime: Runtime) -> list[str]:
    """Send our configuration to each board that has another or an earlier one; return the pipelines to give a turn."""
    return [name for name, context in runtime.pipelines.items() if _tell_board(runtime, name)]


def _tell_board(runtime: Runtime, name: str) -> bool:
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
    """The uptake of one process. Several threads may call `look` and `reload`."""

    def __init__(self, kind: str, process: ProcessRuntime, redis: Redis) -> None:
        """Take `kind` (web, worker or beat) and a Redis client without retries, because the next check comes soon."""
        self._process, self._runtime = f"{kind} {own_name()}", process
        self._redis, self._store = redis, ConfigurationStore(redis)
        self._problem = process.present().problem
        self._failed = 0.0
        self._noted: tuple[float, str, float] | None = None
        self._lock = threading.Lock()

    def look(self) -> None:
        """Apply a new configuration in force, or store ours again if the store has lost it. Raises RedisError."""
        with self._lock:
            present = self._runtime.present()
            since, mine = self._store.since(), present.revision.since
            if since < mine:
                self._put_back(present)
            elif since != mine or not mine:
                self._take_up(present, since)
            self._note()

    def reload(self) -> None:
        """Put the process' own file in force (SIGHUP).

        If that fails, nothing changes, and health reports the reason.
        """
        path = self._runtime.present().settings.config
        try:
            proposal = propose(self._redis, pipeline_file.load(path), path)
            if proposal.refusals:
                self._say(f"its pipeline file was not put in force: {'; '.join(proposal.refusals)}")
            elif not proposal.is_in_force:
                apply(self._redis, proposal, f"SIGHUP to {self._process}")
                log.warning("reloaded", file=str(path), changes=[change.key for change in proposal.changes])
        except (ConfigurationError, ReloadOvertaken, RedisError, OtherSchema) as error:
            self._say(f"its pipeline file was not put in force: {_error_text(error)}")
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
            self._say(f"it cannot use the configuration that is in force: {_error_text(error)}")
            return
        self._problem, self._failed = begins.problem, 0.0
        log.info("configured", digest=new.revision.digest, since=new.revision.since, by=begins.stored.by)

    def _in_force(self, present: Runtime) -> FirstConfiguration:
        """Return the configuration in force now.

        If this process has none from the store yet, choose one as at its start.
        """
        stored = self._store.read() if present.revision.since else None
        if stored is None:
            return start(present.settings, self._process, puts_in_force=True)
        return FirstConfiguration(pipeline_file.parse(stored.text, present.settings.config), stored)

    def _put_back(self, present: Runtime) -> None:
        """Store our configuration again: the store was emptied or lost its last writes, so ours is the later one."""
        before = self._store.read()
        if present.stored is not None:
            self._store.replace(before.revision if before is not None else None, present.stored)

    def _say(self, problem: str) -> None:
        log.error("configuration-kept", why=problem)
        self._problem = problem

    def _note(self) -> None:
        """Store the configuration that this process uses, when it has changed and every `NOTE` seconds."""
        present, now = self._runtime.present(), time.time()
        uses = (present.revision.since, self._problem)
        if self._noted is None or self._noted[:2] != uses or now - self._noted[2] > NOTE:
            has = equipment(present.settings)
            problem = " ".join(self._problem.split())[:LONGEST]
            self._store.note(self._process, ProcessConfiguration(uses[0], now, problem, has))
            self._noted = (*uses, now)


def keep_up(kind: str, process: ProcessRuntime) -> ConfigurationUptake:
    """Start the thread that keeps this process at the configuration in force."""
    found = ConfigurationUptake(kind, process, connect_store(process.present().settings, WATCH_LIMITS))

    def run() -> None:
        while True:
            try:
                found.look()
            except (RedisError, OtherSchema) as error:  # keep the configuration, and look again
                log.debug("configuration-unseen", error=type(error).__name__)
            except Exception:  # keep the thread alive: the next configuration may be usable
                log.exception("configuration-unseen")
            time.sleep(LOOK)

    threading.Thread(target=run, name="configuration", daemon=True).start()
    return found


def _error_text(error: Exception) -> str:
    if isinstance(error, ReloadOvertaken):
        return "another configuration was put in force at the same moment"
    if isinstance(error, RedisError):
        return f"the store does not answer ({type(error).__name__})"  # the error's text may hold the address
    return str(error)
