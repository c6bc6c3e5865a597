"""Control verbs that cause trouble: faults, restarts, quiet-down, time and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standins.faults import Fault
from standins.jenkins import jobs
from standins.jenkins.callbacks import CallbackFault
from standins.jenkins.restart import Losses

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

Json = dict[str, Any]


class TroubleVerbs:
    """The verbs for faults, restarts, time and settings."""

    _c: Controller

    def fault(
        self,
        kind: str,
        route: str = ".*",
        rate: float = 1.0,
        count: int | None = None,
        status: int = 503,
        seconds: float = 0.0,
        headers: dict[str, str] | None = None,
        body: str = "",
        path: str = "",
    ) -> None:
        """Add a fault: status, status_after, drop_request, drop_reply, repeat or delay, on routes matching `route`.

        `path`: a regular expression that the path must match too.
        """
        self._c.faults.add(Fault(kind, route, rate, count, status, seconds, headers or {}, body, path))

    def callback_fault(
        self,
        kind: str,
        job: str = ".*",
        phase: str = ".*",
        rate: float = 1.0,
        count: int | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Add a fault of callbacks: drop, duplicate, delay (overtaken by others) or timeout.

        `phase`: a phase of the notification plugin, or a type of event such as `org.jenkinsci.job.started`.
        """
        with self._c.lock:
            self._c.notifier.faults.append(CallbackFault(kind, job, phase, rate, count, seconds))

    def clear_faults(self) -> None:
        """Remove all faults, of replies and of callbacks."""
        self._c.faults.clear()
        with self._c.lock:
            self._c.notifier.faults.clear()

    def seed(self, seed: int) -> None:
        """Restart the random numbers of the faults."""
        self._c.faults.seed(seed)
        with self._c.lock:
            self._c.notifier.seed(seed)

    def restart(
        self,
        mode: str = "clean",
        seconds: float = 1.0,
        refuse: bool = False,
        lose_queue: bool = True,
        rebuild_started: bool = False,
        reuse_ids: bool = False,
        lose_builds: bool | None = None,
    ) -> None:
        """Go down, `clean` or by `crash`; answer 503 meanwhile, or with `refuse` break connections.

        A crash may lose the items of the last minute, build its starts twice, and reuse its ids.
        `lose_builds`: the records of running FreeStyle builds are lost; the default of a crash.
        """
        losses = Losses(lose_queue, rebuild_started, reuse_ids, mode == "crash" if lose_builds is None else lose_builds)
        with self._c.lock:
            self._c.restart.begin(mode, seconds, refuse=refuse, losses=losses)

    def quiet_down(self, on: bool = True) -> None:
        with self._c.lock:
            self._c.quieting_down = on
            if not on:
                self._c.queue.poke_all()

    def advance(self, seconds: float) -> None:
        """Move the controller's clock forward: durations, quiet periods and expiries pass at once."""
        self._c.clock.advance(seconds)

    def set(self, settings: Json) -> None:
        """Change settings, by the names of the `settings` part of a configuration."""
        with self._c.lock:
            jobs.change_settings(self._c.settings, settings)
            if not self._c.settings.agents_offline:
                self._c.agents.back()
