"""Sends signed webhooks in the background, with a ten-second timeout and no retry, and keeps a log.

Source: GitHub docs, "Webhook events and payloads" (delivery headers) and "Validating webhook deliveries".
"""

from __future__ import annotations

import hmac
import itertools
import json
import random
import re
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, replace

from standins.background import Background
from standins.clock import Clock
from standins.github.model import Delivery, Hook
from standins.github.shapes import Json
from standins.wire.sender import Poster, SendError

KINDS = ("drop", "duplicate", "delay")
USER_AGENT = "GitHub-Hookshot/5a7c1e2"
_THREADS = 64
#: The most bytes of a receiver's answer that the log keeps.
_KEPT = 1000


@dataclass
class HookFault:
    """A rule for webhooks: `drop` loses them, `duplicate` sends twice with one GUID, `delay` sends later."""

    kind: str
    event: str = ".*"
    rate: float = 1.0
    count: int | None = None
    seconds: float = 0.0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a webhook fault's kind is one of {', '.join(KINDS)}, not {self.kind!r}")


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a webhook. `kind` and `id`: the hook of a repository, or of the App (`integration`)."""

    hook: Hook
    kind: str
    id: int
    repository: int | None = None
    installation: int | None = None


class Sender:
    """The deliveries of all hooks. Has its own lock; may be called with or without the world's."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311  the same seed must give the same faults
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._background = Background(_THREADS, "webhook")
        self._poster = Poster()
        self._outstanding = 0
        self._stopping = False
        self.faults: list[HookFault] = []
        self.log: deque[Delivery] = deque(maxlen=3000)
        #: The timeout of a receiver in seconds: 10 on github.com, 30 on GHES.
        self.timeout = 10.0

    def start(self, hooks: list[Hook]) -> None:
        """Begin to send, first the deliveries that the last stop left waiting in the hooks."""
        self._stopping = False
        self._poster.open()
        self._background.start()
        with self._changed:
            self._outstanding = sum(len(hook.waiting) for hook in hooks)
            for hook in hooks:
                hook.workers = 0
                if hook.waiting:
                    self._work_on(hook)

    def stop(self) -> None:
        """Cut off the running sends; waiting deliveries keep waiting."""
        self._stopping = True
        self._poster.close()
        self._background.stop()

    def seed(self, seed: int) -> None:
        with self._changed:
            self._random.seed(seed)

    def send(self, target: Target, event: str, payload: Json, *, lost: bool = False) -> str:
        """Send the event to one hook; return the GUID. `lost`: only log it, as if an outage had lost it."""
        delivery = self._delivery(target, event, payload)
        self._dispatch(target.hook, delivery, lost=lost)
        return delivery.guid

    def redeliver(self, hook: Hook, delivery: Delivery) -> Delivery:
        """Send it again with the same GUID and body, as the Redeliver button does."""
        again = replace(
            delivery, id=next(self._ids), at=self._clock.now(), redelivery=True, outcome="pending", status_code=0
        )
        again.headers = _headers(hook, again.event, again.guid, again.body, again.headers)
        with self._changed:
            self.log.append(again)
        self._enqueue(hook, again)
        return again

    def wait_idle(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._outstanding == 0, seconds)

    def _delivery(self, target: Target, event: str, payload: Json) -> Delivery:
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        guid = str(uuid.uuid4())
        about = {
            "X-GitHub-Hook-ID": str(target.hook.id),
            "X-GitHub-Hook-Installation-Target-Type": target.kind,
            "X-GitHub-Hook-Installation-Target-ID": str(target.id),
        }
        headers = _headers(target.hook, event, guid, body, about)
        made = Delivery(
            next(self._ids), guid, target.hook.id, event, payload.get("action"), body, headers, self._clock.now()
        )
        made.repository_id, made.installation_id = target.repository, target.installation
        return made

    def _dispatch(self, hook: Hook, delivery: Delivery, *, lost: bool) -> None:
        with self._changed:
            self.log.append(delivery)
            fault = self._strike(delivery.event)
        if lost or (fault is not None and fault.kind == "drop"):
            delivery.outcome = "lost"
            return
        if fault is not None and fault.kind == "delay":
            with self._changed:
                self._outstanding += 1
            self._clock.after(fault.seconds, lambda: self._late(hook, delivery))
            return
        self._enqueue(hook, delivery)
        if fault is not None and fault.kind == "duplicate":
            self._enqueue(hook, delivery)

    def _late(self, hook: Hook, delivery: Delivery) -> None:
        self._enqueue(hook, delivery)
        with self._changed:
            self._outstanding -= 1

    def _strike(self, event: str) -> HookFault | None:
        for rule in self.faults:
            spent = rule.count is not None and rule.struck >= rule.count
            if not spent and re.fullmatch(rule.event, event) and self._random.random() < rule.rate:
                rule.struck += 1
                return rule
        return None

    def _enqueue(self, hook: Hook, delivery: Delivery) -> None:
        """Queue a delivery: in order per hook, at most the hook's `parallel` at once."""
        with self._changed:
            if not self._background.running:
                delivery.outcome = "lost"
                return
            self._outstanding += 1
            hook.waiting.append(delivery)
            if hook.workers < hook.parallel:
                self._work_on(hook)

    def _work_on(self, hook: Hook) -> None:
        hook.workers += 1
        self._background.submit(self._drain, hook)

    def _drain(self, hook: Hook) -> None:
        while True:
            with self._changed:
                if not hook.waiting or self._stopping:
                    hook.workers -= 1
                    return
                delivery = hook.waiting.popleft()
            try:
                self._send(hook, delivery)
            finally:
                with self._changed:
                    self._outstanding -= 1
                    self._changed.notify_all()

    def _send(self, hook: Hook, delivery: Delivery) -> None:
        began = time.monotonic()
        try:
            answer = self._poster.post(hook.url, delivery.body, delivery.headers, self.timeout)
            delivery.status_code = answer.status
            delivery.answer_headers = answer.headers
            delivery.answer_body = answer.body[:_KEPT].decode("utf-8", "replace")
            delivery.outcome = "sent"
        except SendError as error:
            delivery.error = str(error)
            delivery.outcome = "failed"
        delivery.seconds = time.monotonic() - began
        delivery.ended = self._clock.now()


def signature(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """Return `sha256=<hex>` over the raw body."""
    return f"{algorithm}={hmac.new(secret.encode(), body, algorithm).hexdigest()}"


def _headers(hook: Hook, event: str, guid: str, body: bytes, target: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in target.items() if name.startswith("X-GitHub-Hook")}
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": event,
        **kept,
    }
    if hook.secret:
        headers["X-Hub-Signature"] = signature(hook.secret, body, "sha1")
        headers["X-Hub-Signature-256"] = signature(hook.secret, body)
    return headers


__all__ = ["HookFault", "Sender", "Target", "signature"]
