"""When Jenkins called last, job by job: what the newest deliveries of an inbox say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.jenkins import callbacks as jenkins
from bot.payloads import Unreadable, read_object


@dataclass(slots=True)
class Callbacks:
    """When the last callback came in, in seconds since the epoch: of each controller, of each (controller, job)."""

    controllers: dict[str, float] = field(default_factory=dict)
    jobs: dict[tuple[str, str], float] = field(default_factory=dict)
    #: Since when all that came in is known; None: nothing has come in that is still kept.
    since: float | None = None

    def take(self, deliveries: Iterable[tuple[str, str, float, bytes]]) -> None:
        """Look at the newest deliveries of one pipeline: source, name, when it was accepted, body."""
        oldest: float | None = None
        for source, name, at, body in deliveries:
            oldest = at if oldest is None else min(oldest, at)
            if source == "jenkins":
                self._note(name, at, body)
        if oldest is not None:  # of several pipelines all is known only since the latest of these
            self.since = oldest if self.since is None else max(self.since, oldest)

    def _note(self, controller: str, at: float, body: bytes) -> None:
        self.controllers[controller] = max(at, self.controllers.get(controller, 0.0))
        try:
            job = jenkins.job_of(jenkins.data_of(read_object(body)))
        except Unreadable:
            return
        self.jobs[controller, job] = max(at, self.jobs.get((controller, job), 0.0))
