"""Collect the observations from Redis: the store itself, processes, contacts, and the backlog of each pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.health.contacts import BROKER, CALLBACKS, CHANNEL, GITHUB, JENKINS, Contacts, Heartbeats
from bot.health.judgement import Health, Limits, judge
from bot.health.observations import (
    ContactSeen,
    ErrorCount,
    FailingAction,
    Observations,
    PipelineSeen,
    ProcessConfigurationSeen,
    ProcessSeen,
    StoreSeen,
    WebhookSeen,
)
from bot.reporting.messages import words
from bot.store.configuration import ConfigurationStore
from bot.store.connection import server_of, servers
from bot.store.delays import Delays
from bot.store.inbox import parked, read_backlog
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.records import stored_loss
from bot.store.scripts import SCHEMA, Scripts, refusal
from bot.store.webhooks import Webhooks
from config.configuration import Configuration

#: How long one judgement is reused for all callers, in seconds.
FRESH = 1.0
#: How long the latest dead letter or parked delivery is cached while their number stays the same, in seconds.
WORDS = 60.0
#: A process notes its configuration every few seconds (`bot.uptake`); a note older than this, in seconds, is ignored.
NOTED = 60.0
#: The time within which every process must use a new configuration, in seconds.
TAKEN_UP = 30.0


class Observer:
    """The observer of one installation. Safe to share between threads."""

    def __init__(self, redis: Redis, configuration: Configuration, prefix: str = "interlock") -> None:
        self._redis = redis
        self._configuration = configuration
        self._limits = limits(configuration)
        self._scripts = Scripts(redis)
        self._heartbeats, self._contacts = Heartbeats(redis, prefix), Contacts(redis, prefix)
        self._store_of_configuration = ConfigurationStore(redis, prefix)
        self._write_key = f"{prefix}:{{health}}:write"
        self._pipelines = [Keys(each.name, prefix) for each in configuration.pipelines]
        self._wrote_at: float | None = None
        self._words: dict[str, tuple[int, float, ErrorCount]] = {}
        self._lock = threading.Lock()
        self._judged: tuple[float, Health] | None = None

    def health(self) -> Health:
        """Return the judgement, at most FRESH seconds old."""
        with self._lock:
            if self._judged is None or time.monotonic() - self._judged[0] > FRESH:
                seen, now = self.observe()
                self._judged = (time.monotonic(), judge(seen, self._limits, now))
            return self._judged[1]

    def observe(self) -> tuple[Observations, float]:
        """Return the present observations, and their time by the clock of the store. Never raises RedisError."""
        try:
            store, now = self._store()
            contacts = tuple(each for each in self._contacts.seen() if self._is_ours(each))
            heard = self._heartbeats.heard().items()
            processes = tuple(ProcessSeen(kind, name, at) for kind, rows in heard for name, at in rows)
            pipelines = tuple(self._pipeline(keys, now) for keys in self._pipelines)
            configured = tuple(self._configured({f"{each.kind} {each.name}" for each in processes}, now))
        except ResponseError as error:
            return Observations(StoreSeen(refused=_with_code(error), wrote_at=self._wrote_at), blind=True), time.time()
        except RedisError as error:
            # The text of the error may contain the address with its password; the kind of error is sufficient.
            store = StoreSeen(unreachable=_kind(error), wrote_at=self._wrote_at)
            return Observations(store, blind=True), time.time()
        return Observations(store, processes, contacts, pipelines, configured), now

    def _store(self) -> tuple[StoreSeen, float]:
        with server_of(self._redis, self._write_key).pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.set(self._write_key, "1", px=60_000)
            moment, wrote = pipe.execute(raise_on_error=False)
        for lost in (moment, wrote):
            if isinstance(lost, RedisError) and not isinstance(lost, ResponseError):
                raise lost
        now = moment[0] + moment[1] / 1e6
        refused = str(wrote) if isinstance(wrote, ResponseError) else ""
        if not refused:
            self._wrote_at = now
        memory, log_written = self._memory()
        seen = StoreSeen(
            refused=_with_code(wrote) if refused else "",
            wrote_at=self._wrote_at,
            used_bytes=int(memory.get("used_memory", 0)),
            most_bytes=int(memory.get("maxmemory", 0)),
            policy=str(memory.get("maxmemory_policy", "noeviction")),
            log_written=log_written,
        )
        return seen, now

    def _configured(self, heard: set[str], now: float) -> Iterator[ProcessConfigurationSeen]:
        """Yield the processes that have noted another configuration than the one in force, or a problem."""
        since = self._store_of_configuration.since()
        for process, uses in sorted(self._store_of_configuration.processes().items()):
            if process not in heard or now - uses.at > NOTED:
                continue
            if uses.problem or (uses.since < since and now - since > TAKEN_UP):
                yield ProcessConfigurationSeen(process, uses.problem)

    def _memory(self) -> tuple[dict[str, Any], bool]:
        """Return the memory data of the server in the worst state, and whether all can write their append-only file."""
        found, log_written = [], True
        for server in servers(self._redis):
            with server.pipeline(transaction=False) as pipe:
                pipe.info("memory")
                pipe.info("persistence")
                memory, persistence = pipe.execute(raise_on_error=False)
            # Not every server allows INFO; then less is known.
            found += [memory] if isinstance(memory, dict) else []
            log_written &= not isinstance(persistence, dict) or persistence.get("aof_last_write_status", "ok") == "ok"
        return max(found, key=_severity, default={}), log_written

    def _is_ours(self, contact: ContactSeen) -> bool:
        """Return whether a contact is still configured; others are ignored."""
        names: dict[str, Iterable[str]] = {
            JENKINS: self._configuration.controllers,
            CALLBACKS: self._configuration.controllers,
            CHANNEL: (name for name, _ in self._configuration.notify.channels),
        }
        return contact.kind in (GITHUB, BROKER) or contact.name in names.get(contact.kind, ())

    def _pipeline(self, keys: Keys, now: float) -> PipelineSeen:
        backlog = read_backlog(self._scripts, keys)
        dead, aside, schema = backlog.dead_letters, backlog.parked, backlog.schema
        delays = Delays(self._redis, keys).all()
        return PipelineSeen(
            keys.pipeline,
            backlog.undecided,
            backlog.oldest_at,
            backlog.committed_at,
            backlog.due,
            tuple(FailingAction(delay.what, delay.why, delay.since, delay.tries) for delay in delays),
            self._latest(f"dead {keys.pipeline}", dead, lambda: self._dead(keys, dead)),
            self._latest(f"parked {keys.pipeline}", aside, lambda: self._parked(keys, aside)),
            str(refusal(keys.pipeline, schema)) if schema not in (None, SCHEMA) else "",
            webhooks=tuple(self._webhooks(keys)),
            **self._lost(keys),
        )

    def _webhooks(self, keys: Keys) -> Iterator[WebhookSeen]:
        found = Webhooks(self._redis, keys)
        for webhook in self._configuration.webhooks_of(keys.pipeline):
            state = found.state(webhook.name)
            since = state.failing_since if state.is_failing else None
            yield WebhookSeen(webhook.name, since, state.error, found.behind(state.cursor))

    def _lost(self, keys: Keys) -> dict[str, Any]:
        """Return the fields of PipelineSeen about a loss."""
        found = stored_loss(self._redis, keys)
        if found is None:
            return {}
        told = tuple(f"{stage}: {words(why)}" for stage, why in found.found)
        return {"lost_at": found.at, "lost_why": found.why, "closed": found.locked, "found": told}

    def _latest(self, name: str, count: int, read: Callable[[], ErrorCount]) -> ErrorCount:
        """Return the count and the latest error, which `read` reads: again when the count has changed, and after
        `WORDS` seconds."""
        if not count:
            return ErrorCount()
        known = self._words.get(name)
        if known is None or known[0] != count or time.monotonic() - known[1] > WORDS:
            known = self._words[name] = (count, time.monotonic(), read())
        return known[2]

    def _dead(self, keys: Keys, count: int) -> ErrorCount:
        letters = Outbox(self._redis, keys).dead_letters(1)
        return ErrorCount(count, letters[0].at, letters[0].error) if letters else ErrorCount(count)

    def _parked(self, keys: Keys, count: int) -> ErrorCount:
        rows = parked(self._redis, keys, 1)
        return ErrorCount(count, rows[0].at, rows[0].error) if rows else ErrorCount(count)


def limits(configuration: Configuration) -> Limits:
    """Return the limits of the pipeline file. Where the file also sets an interval, three of these are allowed."""
    health, polling = configuration.health, configuration.polling
    return Limits(
        heartbeat=health.heartbeat,
        beat=max(health.heartbeat, 3 * polling.clock),
        undecided=health.undecided,
        silence=health.silence,
        refusing={JENKINS: 3 * polling.builds, GITHUB: 3 * polling.heads},
    )


def _severity(memory: dict[str, Any]) -> tuple[bool, float]:
    """Return a sort key for the state of a server: whether it evicts data, and the used share of its memory."""
    most = int(memory.get("maxmemory", 0))
    throws_away = most > 0 and memory.get("maxmemory_policy", "noeviction") != "noeviction"
    return throws_away, int(memory.get("used_memory", 0)) / most if most else 0.0


def _kind(error: RedisError) -> str:
    if isinstance(error, RedisTimeoutError):
        return "it did not answer in time"
    return "no connection" if isinstance(error, RedisConnectionError) else type(error).__name__


def _with_code(error: Exception) -> str:
    """Return the server's error with its code, which redis-py removes if it has a class for the error."""
    codes = {"OutOfMemoryError": "OOM", "ReadOnlyError": "READONLY"}
    code = codes.get(type(error).__name__, "")
    return f"{code} {error}" if code and not str(error).startswith(code) else str(error)
