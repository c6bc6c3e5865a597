"""One Jenkins controller: its jobs, queue and builds under one lock, and the parts that work on them."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from standins.clock import Clock
from standins.faults import Faults
from standins.jenkins.agents import Agents
from standins.jenkins.builds import Builds
from standins.jenkins.model import Build, Job
from standins.jenkins.notify import Notifier
from standins.jenkins.outcomes import Outcomes
from standins.jenkins.questions import Asker
from standins.jenkins.queue import Queue
from standins.jenkins.restart import Restart
from standins.jenkins.settings import Settings
from standins.jenkins.signins import SignIns


class Controller:
    """The state. All work except sending callbacks runs under `lock`; `changed` is notified of each step."""

    def __init__(self, settings: Settings, seed: int = 0) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.clock = Clock()
        self.faults = Faults(seed, self.clock)
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.jobs: dict[str, Job] = {}
        self.top: dict[str, Job] = {}
        self.history: list[Build] = []
        self.session = secrets.token_hex(4)
        self.quieting_down = False
        self.quiet_reason: str | None = None
        #: The address of the started server; callbacks contain it when no root URL is set.
        self.base_url = ""
        self.signins = SignIns(settings)
        self.outcomes = Outcomes()
        self.notifier = Notifier(self, seed)
        self.queue = Queue(self)
        self.builds = Builds(self)
        self.restart = Restart(self)
        self.agents = Agents(self)
        self.asker = Asker(self)

    @property
    def root_url(self) -> str:
        """Return the root of `url` fields outside of a request; it ends with a slash."""
        return self.settings.root_url or f"{self.base_url}{self.settings.context}/"

    def add_job(self, job: Job) -> None:
        """Add or replace a job, and create missing folders. The builds of a replaced job stay."""
        old = self.jobs.get(job.full_name)
        if old is not None:
            for kept in (
                "next_number",
                "builds",
                "running",
                "queued",
                "ready",
                "folding",
                "last_result",
                "newest",
                "jobs",
            ):
                setattr(job, kept, getattr(old, kept))
            for build in old.builds.values():
                build.job = job
            for item in old.queued.values():
                item.job = job
        parent, _, name = job.full_name.rpartition("/")
        folder = self._folder(parent) if parent else None
        if folder is not None and folder.kind == "multibranch":
            job.branch = unquote(name)
        siblings = folder.jobs if folder is not None else self.top
        siblings[name] = job
        self.jobs[job.full_name] = job

    def _folder(self, full_name: str) -> Job:
        if full_name not in self.jobs:
            self.add_job(Job(full_name.rpartition("/")[2], full_name, kind="folder"))
        return self.jobs[full_name]

    def remove_job(self, job: Job) -> None:
        for item in list(job.queued.values()):
            self.queue.cancel(item)
        parent, _, name = job.full_name.rpartition("/")
        siblings = self._folder(parent).jobs if parent else self.top
        siblings.pop(name, None)
        self.jobs.pop(job.full_name, None)

    def job(self, full_name: str) -> Job:
        """Return the job of that full name; raise LookupError with the known names."""
        if full_name not in self.jobs:
            raise LookupError(f"there is no job {full_name!r}; there are: {', '.join(sorted(self.jobs)) or 'none'}")
        return self.jobs[full_name]

    def await_(self, ready: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait until `ready()` is truthy and return its value; raise LookupError with `what` if it does not come."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not (found := ready()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LookupError(f"{what}, not within {seconds:g} s")
                self.changed.wait(left)
            return found

    def start(self) -> None:
        self.faults.start()
        self.clock.start()
        self.notifier.start()
        self.asker.start()
        with self.lock:
            self.builds.go_on()

    def stop(self) -> None:
        self.clock.stop()
        self.asker.stop()
        self.notifier.stop()
