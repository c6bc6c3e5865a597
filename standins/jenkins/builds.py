"""The life of a build: start, callbacks, work, end; stop, term, kill; hold and release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins.jenkins.model import Build, BuildState, Job, QueueItem

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

_ORDER = {"SUCCESS": 0, "UNSTABLE": 1, "FAILURE": 2, "NOT_BUILT": 3, "ABORTED": 4}
#: A Pipeline offers /term, then /kill, in its log this long after a stop request. Source: WorkflowRun.
FORCE_AFTER = 15.0


class Builds:
    """The builds of a controller. Call all methods but the timers' under its lock."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller
        self.busy_executors = 0

    # -- starting ---------------------------------------------------------------------------------

    def start(self, item: QueueItem) -> None:
        """Create the build of an item that has left the queue, at once or after the delay of the settings."""
        delay = self._c.settings.executable_delay
        if item.job.kind == "freestyle":
            self.busy_executors += 1
        if delay <= 0:
            self._create(item)
            return
        self._c.clock.after(delay, lambda: self._create_late(item))

    def _create_late(self, item: QueueItem) -> None:
        with self._c.lock:
            self._create(item)

    def _create(self, item: QueueItem) -> None:
        job, now = item.job, self._c.clock.now()
        outcome = self._c.outcomes.of(job, item.values)
        build = Build(
            job.next_number,
            job,
            item.id,
            item.values,
            item.causes,
            outcome,
            timestamp=now,
            queued_for=now - item.since,
            ready_for=max(0.0, now - item.due),
        )
        job.next_number += 1
        job.builds[build.number] = build
        job.newest["any"] = build
        previous = list(job.running.values())
        job.running[build.number] = build
        item.build = build
        self._c.history.append(build)
        build.log += [*(cause.description for cause in build.causes), f"Running {job.full_name} #{build.number}"]
        self._c.changed.notify_all()
        if job.abort_previous:
            for older in previous:
                self._interrupt(older, "NOT_BUILT", f"Superseded by {job.full_name} #{build.number}")
        if self._c.notifier.tells(job):
            self._c.notifier.send(build, ("QUEUED", "STARTED"), lambda: self._work(build))
        else:
            self._work(build)

    def _work(self, build: Build) -> None:
        """Run the script; the start callbacks are out."""
        with self._c.lock:
            if build.state is not BuildState.STARTING:
                return
            build.state = BuildState.RUNNING
            if build.outcome.mid_result and build.job.kind == "pipeline":
                build.result = build.outcome.mid_result
            if build.pending_end is not None:
                self.finish(build, build.pending_end)
            elif not self._c.agents.must_wait(build):
                self._begin_work(build)
            self._c.changed.notify_all()

    def _begin_work(self, build: Build) -> None:
        if build.job.asks is None:
            self.proceed(build)
        else:
            build.asking = True
            self._c.asker.ask(build, build.job.asks)

    def proceed(self, build: Build) -> None:
        """Continue the work to its end, unless the build is held."""
        if build.state is BuildState.RUNNING and not build.outcome.held:
            self._finish_in(build, build.outcome.duration, build.outcome.result)

    def go_on(self) -> None:
        """Continue, after a stop of the stand-in, the builds whose callbacks it cut off, as if they had been sent."""
        for job in self._c.jobs.values():
            for build in list(job.running.values()):
                if build.state is BuildState.STARTING:
                    self._work(build)
                else:
                    self._done(build)

    # -- ending -----------------------------------------------------------------------------------

    def release(self, build: Build) -> None:
        """End a running build now, with its outcome."""
        build.outcome.held = False
        self.end(build, build.outcome.result)

    def end(self, build: Build, result: str) -> None:
        """End the build now; during its start callbacks, as soon as they are out."""
        if build.state is BuildState.STARTING:
            build.pending_end = result
        elif build.state is BuildState.RUNNING:
            self.finish(build, result)

    def _finish_in(self, build: Build, seconds: float, result: str) -> None:
        if build.timer is not None:
            build.timer.cancel()
        build.timer = self._c.clock.after(seconds, lambda: self._on_time(build, result))

    def _on_time(self, build: Build, result: str) -> None:
        with self._c.lock:
            if build.state is not BuildState.RUNNING:
                return
            if self._c.restart.down or (self._c.quieting_down and build.job.kind == "pipeline"):
                # a Pipeline pauses at the next step while Jenkins prepares for shutdown, and resumes afterwards
                self._finish_in(build, 0.05, result)
                return
            self.finish(build, result)

    def finish(self, build: Build, result: str) -> None:
        """Set the final result. It cannot be better than a result that the build already showed."""
        if build.timer is not None:
            build.timer.cancel()
        if build.result is not None and _ORDER[build.result] > _ORDER[result]:
            result = build.result
        build.result = result
        build.duration_ms = max(1, int((self._c.clock.now() - build.timestamp) * 1000))
        freestyle = build.job.kind == "freestyle"
        if result == "FAILURE" and not freestyle:
            build.log.append(f"ERROR: {build.outcome.error}")
        build.log.append(f"Finished: {result}")
        if build.job.late_parameters:
            build.job.parameters, build.job.late_parameters = build.job.late_parameters, ()
        build.state = BuildState.POST_PRODUCTION if freestyle else BuildState.DONE
        if not freestyle:
            self._leave_running(build)
        if self._c.notifier.tells(build.job) and not build.silent:
            self._c.notifier.send(build, ("COMPLETED", "FINALIZED"), lambda: self._done(build))
        else:
            self._done(build)
        self._c.changed.notify_all()

    def _done(self, build: Build) -> None:
        with self._c.lock:
            if build.state is BuildState.POST_PRODUCTION:
                build.state = BuildState.DONE
                self._leave_running(build)
                self._c.changed.notify_all()

    def _leave_running(self, build: Build) -> None:
        job = build.job
        job.running.pop(build.number, None)
        job.last_result = build.result
        _remember(job, build)
        if job.kind == "freestyle":
            self.busy_executors -= 1
            self._c.queue.poke_all()
        else:
            self._c.queue.poke(job)

    def forget(self, build: Build) -> None:
        """Remove the record of an ended build; its number is not used again."""
        job = build.job
        job.builds.pop(build.number, None)
        job.newest.clear()
        for left in job.builds.values():
            if not left.in_progress:
                _remember(job, left)
        if job.builds:
            job.newest["any"] = job.builds[max(job.builds)]

    # -- stopping ---------------------------------------------------------------------------------

    def stop(self, build: Build, user: str) -> None:
        """Ask the build to stop: it ends later as ABORTED, or with another result if its script catches it."""
        if not build.building:
            return
        build.stop_asked = build.stop_asked or self._c.clock.now()
        if user not in build.interruptions:
            build.interruptions.append(user)
            build.log.append(f"Aborted by {user}")
        if not build.outcome.ignores_stop:
            self._end_interrupted(build, build.outcome.catches_abort or "ABORTED")

    def term(self, build: Build, user: str) -> None:
        """End running steps by force; possible at any time."""
        if not build.building:
            return
        build.term_asked = self._c.clock.now()
        build.log.append(f"Aborting by {user} (forcibly terminating running steps)")
        self._end_interrupted(build, "ABORTED")

    def kill(self, build: Build) -> None:
        """End the build ABORTED at once; post blocks are skipped."""
        if not build.building:
            return
        build.log.append("Hard kill!")
        build.killed = build.job.kind == "pipeline"
        build.state = BuildState.RUNNING
        self.finish(build, "ABORTED")

    def _interrupt(self, build: Build, result: str, reason: str) -> None:
        if build.building:
            build.superseded = True
            build.log.append(reason)
            self._end_interrupted(build, result)

    def _end_interrupted(self, build: Build, result: str) -> None:
        if build.state is BuildState.STARTING:
            build.pending_end = result
        else:
            self._finish_in(build, build.outcome.stop_seconds, result)

    # -- looking ----------------------------------------------------------------------------------

    def shown_log(self, build: Build) -> str:
        """Return the log as text, with the links that a Pipeline offers while it stops."""
        lines = list(build.log)
        now = self._c.clock.now()
        if build.building and build.stop_asked and now - build.stop_asked > FORCE_AFTER:
            lines.append("Click here to forcibly terminate running steps")
        if build.building and build.term_asked and now - build.term_asked > FORCE_AFTER:
            lines.append("Click here to forcibly kill entire build")
        return "".join(f"{line}\n" for line in lines)


def _remember(job: Job, build: Build) -> None:
    """Update the permalinks: the newest build of each kind, by number."""
    kinds = ["completed", str(build.result)]
    if build.result in ("SUCCESS", "UNSTABLE"):
        kinds.append("successful")
    if build.result != "SUCCESS":
        kinds.append("unsuccessful")
    for kind in kinds:
        if kind not in job.newest or job.newest[kind].number < build.number:
            job.newest[kind] = build
