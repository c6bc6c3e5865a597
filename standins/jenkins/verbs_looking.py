"""Control verbs that read builds, history, queue, counters and callbacks, or wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from standins.jenkins.model import Build, BuildState
from standins.jenkins.outcomes import as_text, matches

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

Json = dict[str, Any]


class LookingVerbs:
    """The verbs that read and wait."""

    _c: Controller

    def builds(self, job: str | None = None, running: bool | None = None) -> list[Json]:
        """List builds in the order of their starts: job, number, params, result, building, held, queue_id, started."""
        with self._c.lock:
            chosen = [build for build in self._c.history if job in (None, build.job.full_name)]
            return [_row(build) for build in chosen if running in (None, build.building)]

    def history(self, job: str | None = None) -> list[tuple[str, dict[str, Any], str | None]]:
        """List rows (job, params, result) in the order of the starts; result None while building."""
        return [(row["job"], row["params"], row["result"]) for row in self.builds(job)]

    def queue(self, job: str | None = None) -> list[Json]:
        """List the items in the queue: id, job, params, state, why."""
        with self._c.lock:
            chosen = [one for one in self._c.jobs.values() if job in (None, one.full_name)]
            return [
                {
                    "id": item.id,
                    "job": one.full_name,
                    "params": {value.name: value.value for value in item.values},
                    "state": item.state.value,
                    "why": self._c.queue.why(item),
                }
                for one in chosen
                for item in one.queued.values()
            ]

    def wait_builds(
        self,
        job: str,
        count: int = 1,
        state: str = "started",
        match: Json | None = None,
        seconds: float = 10.0,
    ) -> list[Json]:
        """Wait until `count` builds of the job (with those values) are `started`, `running` or `done`."""
        if state not in _STATES:
            raise ValueError(f"state is one of {', '.join(_STATES)}, not {state!r}")
        reached = _STATES[state]
        found = self._c.job(job)

        def ready() -> list[Build] | None:
            chosen = [b for b in found.builds.values() if matches(b.values, match or {}) and reached(b)]
            return chosen if len(chosen) >= count else None

        what = f"{count} build(s) of {job} {state}" + (f" with {match}" if match else "")
        with self._c.lock:
            builds: list[Build] = self._c.await_(ready, seconds, what)
            return [_row(build) for build in builds]

    def wait_idle(self, seconds: float = 10.0) -> None:
        """Wait until nothing is queued, nothing runs and every callback is out."""

        def idle() -> bool:
            jobs_idle = not any(job.queued or job.running for job in self._c.jobs.values())
            return jobs_idle and self._c.notifier.under_way == 0

        self._c.await_(idle, seconds, "no rest")

    def requests(self) -> dict[str, int]:
        """Count the requests of each route, e.g. {"POST job/buildWithParameters": 3}; control calls do not count."""
        with self._c.lock:
            return dict(self._c.requests)

    def statuses(self) -> dict[str, int]:
        """Count the replies by status; `dropped` for the lost ones."""
        with self._c.lock:
            return dict(self._c.statuses)

    def reset_counters(self) -> None:
        with self._c.lock:
            self._c.requests.clear()
            self._c.statuses.clear()

    def callbacks(self, job: str | None = None) -> list[Json]:
        """List the attempted callbacks, oldest first: job, number, phase, url, status or error."""
        with self._c.lock:
            return [row for row in self._c.notifier.log if job in (None, row["job"])]


def _started(_build: Build) -> bool:
    return True


def _works(build: Build) -> bool:
    return build.state is BuildState.RUNNING


def _ended(build: Build) -> bool:
    return not build.in_progress


_STATES: dict[str, Callable[[Build], bool]] = {"started": _started, "running": _works, "done": _ended}


def _row(build: Build) -> Json:
    return {
        "job": build.job.full_name,
        "number": build.number,
        "params": {name: as_text(value) for name, value in build.parameters.items()},
        "result": None if build.building else build.result,
        "building": build.building,
        "held": build.outcome.held,
        "asking": build.asking,
        "turned_away": build.turned_away,
        "let_go_on": build.let_go_on,
        "queue_id": build.queue_id,
        "started": build.timestamp,
        "ended": build.timestamp + build.duration_ms / 1000 if build.duration_ms else None,
        "interrupted_by": list(build.interruptions),
    }
