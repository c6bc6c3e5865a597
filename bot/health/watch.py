"""The watch: a thread of each web process and worker that judges the health, logs changes and sends alerts.

So a running process notices that others have stopped. A cause is reported once, whether it lasts or comes and goes: the
processes agree, in the store, on what was reported and on which of them sends the message; while the store takes no
writes they use a file. Heartbeats have their own thread, so that a slow message does not delay them.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bot.health.channels import send
from bot.health.contacts import CHANNEL, Contacts, Heartbeats
from bot.health.judgement import Health, HealthStatus, headline, sentences
from bot.health.observing import Observer
from bot.store.scripts import Scripts
from config.configuration import Configuration
from config.settings import Settings

#: The most messages within an hour; twice as many if something is newly `down`. The others wait.
MOST_AN_HOUR = 6
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class AlertedCauses:
    """The causes that were reported and not yet reported as over, and when the last messages were sent."""

    causes: frozenset[str] = frozenset()
    at: tuple[float, ...] = ()


@dataclass(slots=True)
class AlertFilter:
    """The causes that one process has seen, and for how long; all times in seconds, by any one clock.

    A cause is reported after it was seen without a break for `tell_after`, and reported as over after it was not seen
    for `calm`. So one that comes and goes is reported once, and as over once it has stayed away.
    """

    tell_after: float
    calm: float
    _there: dict[str, float] = field(default_factory=dict)
    _gone: dict[str, float] = field(default_factory=dict)

    def see(self, health: Health, now: float) -> None:
        """Take in the present judgement."""
        self._there = {name: self._there.get(name, now) for name in names(health)}
        self._gone = {name: since for name, since in self._gone.items() if name not in self._there}

    def change(self, alerted: AlertedCauses, now: float) -> AlertedCauses | None:
        """Return the reported causes after the message that is due now; None if no message is due."""
        come = {name for name, since in self._there.items() if now - since >= self.tell_after} - alerted.causes
        away = {name: self._gone.setdefault(name, now) for name in alerted.causes - self._there.keys()}
        over = {name for name, since in away.items() if now - since >= self.calm}
        if not come and not over:
            return None
        lately = tuple(at for at in alerted.at if now - at < HOUR)
        most = MOST_AN_HOUR * (2 if any(name.endswith("!") for name in come) else 1)
        if len(lately) >= most:
            return None
        return replace(alerted, causes=frozenset((alerted.causes | come) - over), at=(*lately, now))


def names(health: Health) -> list[str]:
    """Return the causes by name. One that is `down` is also listed with a `!`, so that a change for the worse is
    reported as well."""
    found: list[str] = []
    for each in health.findings:
        name = f"{each.cause} {each.pipeline}".strip()
        found += [name, f"{name}!"] if each.status is HealthStatus.DOWN else [name]
    return found


Step = Callable[[AlertedCauses], AlertedCauses | None]


class AlertRecord:
    """The shared record of reported causes. The process that succeeds in storing a change sends the message.

    While the store takes no writes, the processes of one machine use a file in the data folder; if that cannot be
    written either, each process sends its own messages.
    """

    def __init__(self, redis: Redis, file: Path, prefix: str = "interlock") -> None:
        self._redis = redis
        self._scripts = Scripts(redis)
        self._key = f"{prefix}:{{health}}:alerts"
        #: The key that versions of schema 3 used; the causes that they reported count as reported.
        self._former_key = f"{prefix}:{{health}}:told"
        self._file = file
        #: The reported causes as this process last read them, and those that it has reported on its own.
        self._own = AlertedCauses()
        self._alone: AlertedCauses | None = None

    def take(self, step: Step) -> AlertedCauses | None:
        """Apply `step` to the reported causes, store the result and return it; None if nothing changed, or another
        process was first."""
        try:
            return self._in_store(step)
        except RedisError:  # the message will report this
            return self._in_file(step)

    def _in_store(self, step: Step) -> AlertedCauses | None:
        text = cast("bytes | None", self._redis.get(self._key)) or b""
        former = b"" if text else cast("bytes | None", self._redis.get(self._former_key)) or b""
        meanwhile = self._read_file()
        self._own = meanwhile or _load(text or former)
        following = step(self._own)
        stored = following or meanwhile  # the store works again and takes over the content of the file
        if stored is None or not self._scripts.run("alert", [self._key], [text, _dump(stored)]):
            return None
        if self._alone is None:
            self._file.unlink(missing_ok=True)
        self._own, self._alone = stored, None
        return following

    def _in_file(self, step: Step) -> AlertedCauses | None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another process has it, or was suspended with it
                stream.seek(0)
                text = stream.read()
                following = step(_load(text.encode()) if text else self._own)
                if following is not None:
                    stream.truncate(0)
                    stream.write(_dump(following))
                    self._own = following
                return following
        except BlockingIOError:
            return None
        except OSError:  # no such folder here, or no right to write there
            following = step(self._own)
            if following is not None:
                self._own = self._alone = following
            return following

    def _read_file(self) -> AlertedCauses | None:
        if self._alone is not None:
            return self._alone
        try:
            text = self._file.read_bytes()
        except OSError:
            return None
        return _load(text) if text else None


def _load(text: bytes) -> AlertedCauses:
    if not text:
        return AlertedCauses()
    found = json.loads(text)
    return AlertedCauses(frozenset(found["causes"]), tuple(found["at"]))


def _dump(alerted: AlertedCauses) -> str:
    return json.dumps({"causes": sorted(alerted.causes), "at": alerted.at})


log = structlog.get_logger()

#: The interval of heartbeats and that of judgements, in seconds.
BEAT, LOOK = 3.0, 5.0
#: How often a message is tried if a channel does not take it.
TRIES = 3
TOPIC = "health"
#: The cause whose messages also go to the channels that have the notice of this name.
DEAD_LETTERS = "dead-letters"


def start(kind: str, redis: Redis, settings: Settings, present: Callable[[], Configuration]) -> Watch:
    """Start the threads for the heartbeats of this process (`web` or `worker`) and for the watch.

    `redis`: a client for the watch alone, which need not repeat commands because the next look comes soon. `present`:
    returns the configuration that the process uses at that time.
    """
    watch = Watch(redis, settings, present)
    sender = HeartbeatSender(Heartbeats(redis), kind)
    atexit.register(sender.end)
    _every(BEAT, sender.beat, f"heartbeat of {kind}")
    _every(LOOK, watch.look, "health")
    return watch


def _every(seconds: float, act: Callable[[], object], name: str) -> None:
    def run() -> None:
        while True:
            try:
                act()
            except Exception:  # the thread must survive any error and try again
                log.exception("health-failed", thread=name)
            time.sleep(seconds)

    threading.Thread(target=run, name=name, daemon=True).start()


class HeartbeatSender:
    """The heartbeats of this process until its end."""

    def __init__(self, heartbeats: Heartbeats, kind: str) -> None:
        self._heartbeats, self._kind = heartbeats, kind
        self._lock = threading.Lock()
        self._ended = False

    def beat(self) -> None:
        """Store a heartbeat, and delete the processes of this machine that have ended."""
        with self._lock:
            if not self._ended:
                self._try(lambda: self._heartbeats.beat(self._kind))
                self._try(self._heartbeats.bury)

    def end(self) -> None:
        """Stop the heartbeats and delete this process, which ends in order."""
        with self._lock:
            self._ended = True
            self._try(lambda: self._heartbeats.leave(self._kind))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except RedisError as error:  # the watch reports it, once
            log.debug("heartbeat-lost", error=type(error).__name__)


class Watch:
    """The watch of one process: judges the health at intervals, and sends a message when it has changed."""

    def __init__(self, redis: Redis, settings: Settings, present: Callable[[], Configuration]) -> None:
        self._alerts = AlertRecord(redis, settings.data_dir / "health.json")
        self._contacts = Contacts(redis)
        self._redis, self._settings, self._present = redis, settings, present
        self._unsent: list[AlertMessage] = []
        self._use(present())

    def _use(self, configuration: Configuration) -> None:
        """Use this configuration from now on."""
        limits = configuration.health
        self._configuration = configuration
        self._observer = Observer(self._redis, configuration)
        self._filter = AlertFilter(limits.tell_after, limits.calm)

    def look(self) -> None:
        """Judge the health once, and send the messages that are due."""
        if self._present() is not self._configuration:
            self._use(self._present())
        health = self._observer.health()
        now = time.time()
        self._filter.see(health, now)
        alerted = self._alerts.take(lambda before: self._filter.change(before, now))
        if alerted is not None:
            say = log.warning if health.findings else log.info
            say("health-changed", status=str(health.status), causes=sorted(alerted.causes), findings=sentences(health))
            self._unsent += self._messages(health)
        self._unsent = [message for message in self._unsent if not self._is_done(message)]

    def _messages(self, health: Health) -> list[AlertMessage]:
        link = self._configuration.web.public_url
        text = "\n\n".join([*sentences(health), link]) + "\n"
        told = self._configuration.notify.channels_for
        dead = any(finding.cause == DEAD_LETTERS for finding in health.findings)
        channels = dict.fromkeys((*told(TOPIC), *(told(DEAD_LETTERS) if dead else ())))
        key = uuid.uuid4().hex
        return [AlertMessage(name, headline(health), text, key) for name in channels]

    def _is_done(self, message: AlertMessage) -> bool:
        """Send a message; return whether no other try is needed."""
        address = self._settings.notify_urls.get(message.channel)
        if address is None:
            return True  # reported at start
        why = send(address.get_secret_value(), message.subject, message.text, key=message.key, topic=TOPIC)
        self._contacts.note(CHANNEL, message.channel, why)
        message.tries += 1
        if why is not None and message.tries >= TRIES:
            log.error("alert-not-sent", channel=message.channel, why=why, tries=message.tries)
        return why is None or message.tries >= TRIES


class AlertMessage:
    """An alert for one channel, and how often it was tried."""

    def __init__(self, channel: str, subject: str, text: str, key: str) -> None:
        self.channel, self.subject, self.text, self.key = channel, subject, text, key
        self.tries = 0
