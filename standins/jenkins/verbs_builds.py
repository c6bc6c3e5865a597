"""Control verbs about jobs and the course of their builds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from standins.jenkins import jobs
from standins.jenkins.model import Build, BuildState, Job
from standins.jenkins.notification import PHASES
from standins.jenkins.outcomes import Rule, check_result, matches

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

Json = dict[str, Any]


class BuildVerbs:
    """The verbs for jobs and the results of their builds."""

    _c: Controller

    def create_job(
        self,
        name: str,
        parameters: list[Any] | None = None,
        quiet_period: float | None = None,
        concurrent: bool | None = None,
        duration_seconds: float = 0.1,
        callbacks: list[Json] | None = None,
        description: str | None = None,
        kind: str = "pipeline",
        result: str = "SUCCESS",
        disabled: bool = False,
        abort_previous: bool = False,
        permissions: dict[str, list[str]] | None = None,
        token: str | None = None,
        late_parameters: bool = False,
        refuses_queue: bool = False,
        asks: Json | None = None,
    ) -> None:
        """Create or replace a job. `name` is the full name; its folders are created too.

        `parameters`: names, or objects {name, type, default, choices, description}. `callbacks`: {url, events,
        timeout, retries, credential, branch, log_lines, notes}; `events` is an event of the notification plugin or a
        list of phases. A `credential` without a `url` is looked up among those of the settings. `asks`: {url, silent,
        tries, pause, timeout}, the first question of each build. Times in seconds. `late_parameters`: a
        Jenkinsfile declares them: Jenkins knows of them after the first build.
        """
        check_result(result)
        made = jobs.make(
            name,
            kind=kind,
            parameters=parameters or [],
            callbacks=callbacks or [],
            quiet_period=quiet_period,
            concurrent=concurrent,
            description=description,
            disabled=disabled,
            abort_previous=abort_previous,
            permissions=permissions or {},
            token=token,
            late_parameters=late_parameters,
            refuses_queue=refuses_queue,
            asks=asks,
        )
        made.outcome.duration, made.outcome.result = duration_seconds, result
        with self._c.lock:
            self._c.add_job(made)

    def create_jobs(self, jobs: list[Json]) -> None:
        """Create several jobs; each entry has the arguments of `create_job`."""
        for job in jobs:
            self.create_job(**job)

    def change_job(self, job: str, changes: Json) -> None:
        """Change a job while its builds stay: description, quiet_period, concurrent, disabled, duration_seconds."""
        with self._c.lock:
            jobs.change(self._c.job(job), changes)
            self._c.queue.poke(self._c.job(job))

    def reapply_config(self, job: str) -> None:
        """Set the declared description again, as a re-run of Job DSL does; a banner is lost."""
        with self._c.lock:
            found = self._c.job(job)
            found.description = found.declared_description

    def delete_job(self, job: str) -> None:
        with self._c.lock:
            self._c.remove_job(self._c.job(job))

    def description(self, job: str) -> str | None:
        with self._c.lock:
            return self._c.job(job).description

    def hold(self, job: str) -> None:
        """Keep builds of the job that start from now on running until `release`."""
        with self._c.lock:
            self._c.job(job).held = True

    def unhold(self, job: str) -> None:
        """Let builds that start from now on run by themselves again; held ones stay held."""
        with self._c.lock:
            self._c.job(job).held = False

    def release(
        self,
        job: str,
        number: int | None = None,
        match: Json | None = None,
        result: str = "SUCCESS",
        tests: list[str] | None = None,
        failing_step: str = "",
        error: str | None = None,
        seconds: float = 5.0,
    ) -> list[int]:
        """End the running builds of that number or those parameter values now (neither: all that run).

        `failing_step` names the failed stage, `error` is the message of its step.
        Wait up to `seconds` for one to run; raise LookupError if none does. Return their numbers.
        """
        check_result(result)
        found = self._c.job(job)
        what = f"no build of {job} is running" + (f" with {match}" if match else "")

        def ready() -> list[Build]:
            """Return the chosen builds once the start callbacks of all of them are out."""
            chosen = _running(found, number, match)
            return chosen if all(build.state is BuildState.RUNNING for build in chosen) else []

        with self._c.lock:
            try:
                builds: list[Build] = self._c.await_(ready, seconds, what)
            except LookupError:  # a slow receiver still holds up the start of some: they end after it
                builds = _running(found, number, match)
                if not builds:
                    raise
            for build in builds:
                build.outcome.result, build.outcome.failing_step = result, failing_step
                build.outcome.tests = tuple(tests or ())
                build.outcome.error = build.outcome.error if error is None else error
                self._c.builds.release(build)
            return [build.number for build in builds]

    def rule(
        self,
        job: str = "*",
        match: Json | None = None,
        result: str | None = None,
        duration: float | None = None,
        tests: list[str] | None = None,
        failing_step: str | None = None,
        error: str | None = None,
        stages: list[str] | None = None,
        mid_result: str | None = None,
        stop_seconds: float | None = None,
        catches_abort: str | None = None,
        ignores_stop: bool | None = None,
        hold: bool | None = None,
        count: int | None = None,
    ) -> None:
        """Set the course of builds that start from now on; the newest matching rule wins. `count`: how many builds."""
        changes: Json = {
            "result": result,
            "duration": duration,
            "tests": tuple(tests) if tests is not None else None,
            "failing_step": failing_step,
            "error": error,
            "stages": tuple(stages) if stages is not None else None,
            "mid_result": mid_result,
            "stop_seconds": stop_seconds,
            "catches_abort": catches_abort,
            "ignores_stop": ignores_stop,
            "held": hold,
        }
        kept = {name: value for name, value in changes.items() if value is not None}
        with self._c.lock:
            self._c.outcomes.add(Rule(job, match or {}, kept, count))

    def notify_endpoints(self, job: str, phase: str, number: int | None = None) -> None:
        """Send a phase of the newest running build at any time, as `notifyEndpoints` in a Jenkinsfile does."""
        if phase not in PHASES:
            raise ValueError(f"a phase is one of {', '.join(PHASES)}, not {phase!r}")
        with self._c.lock:
            builds = _running(self._c.job(job), number, None)
            if not builds:
                raise LookupError(f"no build of {job} is running")
            self._c.notifier.send(builds[-1], (phase,), lambda: None, manual=True)

    def clear_rules(self, job: str | None = None) -> None:
        with self._c.lock:
            self._c.outcomes.clear(job)


def _running(job: Job, number: int | None, match: Json | None) -> list[Build]:
    return [
        build
        for build in job.running.values()
        if build.building and number in (None, build.number) and matches(build.values, match or {})
    ]
