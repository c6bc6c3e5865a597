"""The watch: a thread of each web process and worker that judges Interlock's health, logs changes and sends alerts.

A process that runs sees that others have stopped; the processes agree on which one sends the message (alerts.py).
Heartbeats have a thread of their own: a message that takes long to send does not delay them.
"""

from __future__ import annotations

import atexit
import threading
import time
import uuid
from collections.abc import Callable

import structlog
from redis import Redis
from redis.exceptions import RedisError

from bot.health.alerts import AlertFilter, AlertRecord
from bot.health.channels import send
from bot.health.contacts import CHANNEL, Contacts, Heartbeats
from bot.health.judgement import Health, headline, sentences
from bot.health.observing import Observer
from config.configuration import Configuration
from config.settings import Settings

log = structlog.get_logger()

#: How often a process says that it lives, and how often it looks; in seconds.
BEAT, LOOK = 3.0, 5.0
#: How often a message is tried that a channel did not take.
TRIES = 3
TOPIC = "health"
#: The finding whose messages also go to the channels with this notice.
DEAD_LETTERS = "dead-letters"


def start(kind: str, redis: Redis, settings: Settings, present: Callable[[], Configuration]) -> Watch:
    """Say from now on that this process (`web` or `worker`) lives, and watch how the rest is.

    `redis`: a client of the watch's own that repeats nothing, for the next look comes soon. `present`: the
    configuration that the process uses by then.
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
            except Exception:  # the thread must live: whatever happened, it looks again
                log.exception("health-failed", thread=name)
            time.sleep(seconds)

    threading.Thread(target=run, name=name, daemon=True).start()


class HeartbeatSender:
    """This process says that it lives, until it ends."""

    def __init__(self, heartbeats: Heartbeats, kind: str) -> None:
        self._heartbeats, self._kind = heartbeats, kind
        self._lock = threading.Lock()
        self._ended = False

    def beat(self) -> None:
        """It lives; what has ended on this machine is forgotten."""
        with self._lock:
            if not self._ended:
                self._try(lambda: self._heartbeats.beat(self._kind))
                self._try(self._heartbeats.bury)

    def end(self) -> None:
        """It ends as it should: nobody need miss it."""
        with self._lock:
            self._ended = True
            self._try(lambda: self._heartbeats.leave(self._kind))

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except RedisError as error:  # the watch says so, once
            log.debug("heartbeat-lost", error=type(error).__name__)


class Watch:
    """Judges the health again and again, and sends a message when it has changed."""

    def __init__(self, redis: Redis, settings: Settings, present: Callable[[], Configuration]) -> None:
        self._alerts = AlertRecord(redis, settings.data_dir / "health.json")
        self._contacts = Contacts(redis)
        self._redis, self._settings, self._present = redis, settings, present
        self._unsent: list[AlertMessage] = []
        self._use(present())

    def _use(self, configuration: Configuration) -> None:
        """Judge by this configuration from now on."""
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
        """Send it; whether it need not be sent once more."""
        address = self._settings.notify_urls.get(message.channel)
        if address is None:
            return True  # said at start
        why = send(address.get_secret_value(), message.subject, message.text, key=message.key, topic=TOPIC)
        self._contacts.note(CHANNEL, message.channel, why)
        message.tries += 1
        if why is not None and message.tries >= TRIES:
            log.error("alert-not-sent", channel=message.channel, why=why, tries=message.tries)
        return why is None or message.tries >= TRIES


class AlertMessage:
    """A message to one channel."""

    def __init__(self, channel: str, subject: str, text: str, key: str) -> None:
        self.channel, self.subject, self.text, self.key = channel, subject, text, key
        self.tries = 0
