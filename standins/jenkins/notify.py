"""Sends callbacks: a build waits for its own callbacks, those of the queue are sent in order.

As in the plugins, any status is success, only I/O errors are repeated, and after one failed attempt all remaining
attempts are sent (notification plugin, Phase#handle).
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from standins.background import Background
from standins.jenkins import cloudevents, notification
from standins.jenkins.callbacks import Callback, CallbackFault
from standins.jenkins.model import Build, Job, QueueItem
from standins.wire.sender import Answer, Poster, SendError

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

_THREADS = 256


class Notifier:
    """The sender of callbacks in the background, in order within one call of `send`."""

    def __init__(self, controller: Controller, seed: int) -> None:
        self._c = controller
        self._random = random.Random(seed)  # noqa: S311  the same seed must give the same faults
        self._background = Background(_THREADS, "callback")
        #: One thread, so that the callbacks of the queue keep their order.
        self._queue_line = Background(1, "queue event")
        self._poster = Poster()
        self._ended = threading.Event()
        self.faults: list[CallbackFault] = []
        #: The attempted callbacks, newest last: job, number, phase, url, status or error.
        self.log: deque[dict[str, Any]] = deque(maxlen=20_000)
        self.under_way = 0

    def start(self) -> None:
        self.under_way = 0
        self._ended.clear()
        self._poster.open()
        self._background.start()
        self._queue_line.start()

    def stop(self) -> None:
        self._ended.set()
        self._poster.close()
        self._queue_line.stop()
        self._background.stop()

    def seed(self, seed: int) -> None:
        self._random.seed(seed)

    def tells(self, job: Job) -> bool:
        """Return whether the job's builds have any receiver."""
        return bool(job.endpoints) or self._c.settings.cloud_events is not None

    def send(self, build: Build, phases: tuple[str, ...], then: Callable[[], None], *, manual: bool = False) -> None:
        """Send the callbacks of each phase in turn, then call `then`. Call under the lock."""
        self.under_way += 1
        if not self._background.submit(self._send_all, build, phases, then, manual):
            self.under_way -= 1
            then()

    def tell_of_item(self, item: QueueItem, event: str) -> None:
        """Send the CloudEvents sink, if there is one, the event of an item that entered or left. Call under the lock.

        Jenkins holds its queue's lock meanwhile (Queue: Listeners.notify), so a slow sink stops all starts; not here.
        """
        sink, now = self._c.settings.cloud_events, self._c.clock.now()
        if sink is None:
            return
        callback = cloudevents.of_queue(sink, item, event, self._c.queue.why(item), self._c.root_url, now)
        if callback is not None:
            self.under_way += 1
            if not self._queue_line.submit(self._send_of_queue, callback):
                self.under_way -= 1

    def _send_of_queue(self, callback: Callback) -> None:
        try:
            self._send_one(callback)
        finally:
            with self._c.lock:
                self.under_way -= 1
                self._c.changed.notify_all()

    def _send_all(self, build: Build, phases: tuple[str, ...], then: Callable[[], None], manual: bool) -> None:
        try:
            self._wait_for_queue_line()
            for phase in phases:
                for callback in self._callbacks(build, phase, manual=manual):
                    self._send_one(callback)
        finally:
            with self._c.lock:
                self.under_way -= 1
                then()
                self._c.changed.notify_all()

    def _wait_for_queue_line(self) -> None:
        """Wait until the callbacks of the queue are sent: those of a build follow the ones of its queue item."""
        passed = threading.Event()
        if self._c.settings.cloud_events is not None and self._queue_line.submit(passed.set):
            while not passed.wait(0.05) and not self._ended.is_set():
                pass

    def _callbacks(self, build: Build, phase: str, *, manual: bool) -> list[Callback]:
        sink = self._c.settings.cloud_events
        with self._c.lock:
            root, now = self._c.root_url, self._c.clock.now()
            made = list(notification.callbacks(build, phase, self._c.settings, now, manual=manual))
            if sink is not None and not manual:
                made += cloudevents.of_build(sink, build, phase, root, now)
            return made

    def _send_one(self, callback: Callback) -> None:
        with self._c.lock:
            fault = next((rule for rule in self.faults if rule.strikes(callback, self._random)), None)
        if fault is None:
            self._attempts(callback)
        elif fault.kind == "duplicate":
            self._attempts(callback)
            self._attempts(callback)
        elif fault.kind == "delay":
            self._c.clock.after(fault.seconds, lambda: self._later(callback))
        else:
            if fault.kind == "timeout":
                self._ended.wait(min(callback.timeout, fault.seconds or callback.timeout))
            self._note(callback, error=f"fault: {fault.kind}")

    def _later(self, callback: Callback) -> None:
        self._background.submit(self._attempts, callback)

    def _attempts(self, callback: Callback) -> None:
        """Repeat as the plugin does: `failed` is never reset, so an attempt that succeeds does not end the loop."""
        failed, remaining = False, callback.retries
        while True:
            try:
                answer = self._post(callback)
                self._note(callback, status=answer.status)
            except SendError as error:
                failed = True
                self._note(callback, error=str(error))
            remaining -= 1
            if not failed or remaining < 0 or self._ended.is_set():
                return

    def _post(self, callback: Callback) -> Answer:
        """Post the callback; follow only 307 redirects, without a limit; refuse a relative address as the plugin."""
        url = callback.url
        while not self._ended.is_set():
            answer = self._poster.post(url, callback.body, callback.headers, callback.timeout)
            location = answer.headers.get("location")
            if answer.status != 307 or location is None:
                return answer
            if "://" not in location:
                raise SendError(f"MalformedURLException: no protocol: {location}")
            url = location
        raise SendError("the stand-in was stopped")

    def _note(self, callback: Callback, status: int | None = None, error: str | None = None) -> None:
        self.log.append(
            {
                "job": callback.job,
                "number": callback.number,
                "phase": callback.phase,
                "url": callback.url,
                "status": status,
                "error": error,
            }
        )
