"""The notification plugin: QUEUED, STARTED, COMPLETED and FINALIZED, sent on the build's own time.

Source: com.tikal.hudson.plugins.notification (Phase, Endpoint, JobListener). Any status is success, only I/O
errors are repeated, and once one attempt failed all the remaining ones are sent.
"""

from __future__ import annotations

import base64
import json
import random
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from standins.background import Background
from standins.jenkins.model import Build, Endpoint
from standins.jenkins.outcomes import as_text
from standins.wire.sender import Answer, Poster, SendError

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

PHASES = ("QUEUED", "STARTED", "COMPLETED", "FINALIZED")
KINDS = ("drop", "duplicate", "delay", "timeout")
_THREADS = 256
_REDIRECTS = 20


@dataclass
class CallbackFault:
    """A rule for callbacks: `drop` sends nothing, `duplicate` sends twice, `delay` sends `seconds` later (so that
    others overtake it), `timeout` reaches nobody and counts as failed after the endpoint's timeout."""

    kind: str
    job: str = ".*"
    phase: str = ".*"
    rate: float = 1.0
    count: int | None = None
    seconds: float = 0.0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a callback fault's kind is one of {', '.join(KINDS)}, not {self.kind!r}")


class Notifier:
    """Sends callbacks in the background, in order within one call of `send`."""

    def __init__(self, controller: Controller, seed: int) -> None:
        self._c = controller
        self._random = random.Random(seed)  # noqa: S311  the same seed must give the same faults
        self._background = Background(_THREADS, "callback")
        self._poster = Poster()
        self._ended = threading.Event()
        self.faults: list[CallbackFault] = []
        #: What was attempted, newest last: job, number, phase, url, status or error.
        self.log: deque[dict[str, Any]] = deque(maxlen=20_000)
        self.under_way = 0

    def start(self) -> None:
        self.under_way = 0
        self._ended.clear()
        self._poster.open()
        self._background.start()

    def stop(self) -> None:
        self._ended.set()
        self._poster.close()
        self._background.stop()

    def seed(self, seed: int) -> None:
        self._random.seed(seed)

    def send(self, build: Build, phases: tuple[str, ...], then: Callable[[], None]) -> None:
        """Tells the job's endpoints of each phase in turn, then calls `then`. Called under the lock."""
        self.under_way += 1
        if not self._background.submit(self._send_all, build, phases, list(build.job.endpoints), then):
            self.under_way -= 1
            then()

    def _send_all(
        self, build: Build, phases: tuple[str, ...], endpoints: list[Endpoint], then: Callable[[], None]
    ) -> None:
        try:
            for phase in phases:
                for endpoint in endpoints:
                    if _wanted(endpoint, phase, build):
                        self._send_one(build, phase, endpoint)
        finally:
            with self._c.lock:
                self.under_way -= 1
                then()
                self._c.changed.notify_all()

    def _send_one(self, build: Build, phase: str, endpoint: Endpoint) -> None:
        with self._c.lock:
            url = _expanded(endpoint.url, build)
            if url is None:
                build.log.append(f"Skipping notification of {endpoint.url}: unresolved variable")
                return
            build.log.append(f"Notifying endpoint with url '{url}'")
            body = json.dumps(payload(build, phase, self._c.root_url, self._c.clock.now()), ensure_ascii=False)
            fault = self._strike(build, phase)
        if fault is None:
            self._attempts(build, phase, endpoint, url, body.encode())
        elif fault.kind == "duplicate":
            self._attempts(build, phase, endpoint, url, body.encode())
            self._attempts(build, phase, endpoint, url, body.encode())
        elif fault.kind == "delay":
            self._c.clock.after(fault.seconds, lambda: self._later(build, phase, endpoint, url, body.encode()))
        else:
            if fault.kind == "timeout":
                self._ended.wait(min(endpoint.timeout, fault.seconds or endpoint.timeout))
            self._note(build, phase, url, error=f"fault: {fault.kind}")

    def _later(self, build: Build, phase: str, endpoint: Endpoint, url: str, body: bytes) -> None:
        self._background.submit(self._attempts, build, phase, endpoint, url, body)

    def _attempts(self, build: Build, phase: str, endpoint: Endpoint, url: str, body: bytes) -> None:
        """The plugin's loop as it is: `failed` is never reset, so an attempt that succeeds does not end it."""
        failed, remaining = False, endpoint.retries
        while True:
            try:
                answer = self._post(url, body, endpoint.timeout)
                self._note(build, phase, url, status=answer.status)
            except SendError as error:
                failed = True
                self._note(build, phase, url, error=str(error))
            remaining -= 1
            if not failed or remaining < 0 or self._ended.is_set():
                return

    def _post(self, url: str, body: bytes, seconds: float) -> Answer:
        for _ in range(_REDIRECTS):
            answer = self._poster.post(url, body, _headers(url), seconds)
            location = answer.headers.get("location")
            if answer.status != 307 or location is None:
                return answer
            url = location
        raise SendError("too many redirects")

    def _note(self, build: Build, phase: str, url: str, status: int | None = None, error: str | None = None) -> None:
        self.log.append(
            {
                "job": build.job.full_name,
                "number": build.number,
                "phase": phase,
                "url": url,
                "status": status,
                "error": error,
            }
        )

    def _strike(self, build: Build, phase: str) -> CallbackFault | None:
        for rule in self.faults:
            spent = rule.count is not None and rule.struck >= rule.count
            fits = re.fullmatch(rule.job, build.job.full_name) and re.fullmatch(rule.phase, phase)
            if not spent and fits and self._random.random() < rule.rate:
                rule.struck += 1
                return rule
        return None


def payload(build: Build, phase: str, root_url: str, now: float) -> dict[str, Any]:
    """The JSON of one phase: snake_case, nulls left out, `name` without its folders."""
    job, ended = build.job, phase in ("COMPLETED", "FINALIZED")
    url = f"{job.url}{build.number}/"
    state: dict[str, Any] = {
        "full_url": f"{root_url}{url}",
        "number": build.number,
        "queue_id": build.queue_id,
        "timestamp": int(_timestamp(build, phase, now) * 1000),
        "duration": build.duration_ms if ended else 0,
        "phase": phase,
    }
    if build.result is not None:
        state["status"] = build.result
    state |= {"url": url, "scm": {"changes": [], "culprits": []}}
    if job.parameters or build.values:
        state["parameters"] = {v.name: as_text(v.value) for v in build.values if v.kind != "password"}
    state |= {"log": "", "artifacts": {}}
    if ended and build.outcome.tests:
        failed = list(build.outcome.tests)
        state["test_summary"] = {
            "total": len(failed) + 1,
            "failed": len(failed),
            "passed": 1,
            "skipped": 0,
            "failed_tests": failed,
        }
    return {"name": job.name, "display_name": job.display_name or job.name, "url": job.url, "build": state}


def _timestamp(build: Build, phase: str, now: float) -> float:
    if phase == "QUEUED":
        return now - build.queued_for
    if phase == "STARTED":
        return build.timestamp
    return build.timestamp + build.duration_ms / 1000 if phase == "COMPLETED" else now


def _wanted(endpoint: Endpoint, phase: str, build: Build) -> bool:
    if endpoint.phases:
        return phase in endpoint.phases
    event = endpoint.event
    if event in ("failed", "failedAndFirstSuccess"):
        first_success = event == "failedAndFirstSuccess" and build.result == "SUCCESS"
        return phase == "FINALIZED" and (build.result == "FAILURE" or first_success)
    return event == "all" or event.upper() == phase


def _expanded(url: str, build: Build) -> str | None:
    """Variables replaced by the build's parameters; None if one stays unresolved: then nothing is sent."""
    values = {name: as_text(value) for name, value in build.parameters.items()}
    values |= {"JOB_NAME": build.job.full_name, "BUILD_NUMBER": str(build.number)}
    for name in re.findall(r"\$\{?(\w+)\}?", url):
        if name not in values:
            return None
        url = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", lambda _: values[name], url)  # noqa: B023  called at once
    return url


def _headers(url: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json;charset=UTF-8", "Accept": "*/*"}
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers
