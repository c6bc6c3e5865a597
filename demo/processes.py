"""The verbs for Interlock's real processes: they act at the demo's GitHub and Jenkins, and through the API.

Each waits until the board shows its result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import requests
from redis import Redis
from redis.exceptions import RedisError

from bot.core.model.board import Board
from bot.core.model.events import (
    CancelAsked,
    Event,
    FastLaneAsked,
    LockAsked,
    ModeAsked,
    MoveAsked,
    RetryAsked,
    UnlockAsked,
)
from bot.core.model.pipeline import Job
from bot.core.model.run import Run, Status
from bot.store.keys import Keys
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from demo.town import PIPELINE, SERVICES, Town
from demo.verbs import BuildingWorld, Found, Spoiled, StoryWorld
from demo.words import Names

#: The longest wait for an answer of the web process, in seconds; it includes the decision.
ANSWERS_WITHIN = 30.0


class ProcessWorld(BuildingWorld):
    """Web, worker and beat in the demo's town. `patience`: the longest wait for anything, in seconds.

    `pace`: the pause for a person who watches, in seconds.
    """

    def __init__(self, town: Town, redis: Redis, *, patience: float = 30.0, pace: float = 0.0) -> None:
        self.town, self.redis = town, redis
        self.keys = Keys(PIPELINE)
        self.records = Records(redis, self.keys)
        self.names = Names()
        self.patience, self.pace = patience, pace
        self._replica = BoardReplica(Scripts(redis), self.keys)

    def board_now(self) -> Board:
        """Return the board as it is stored now."""
        self._replica.refresh()
        return self._replica.board

    def wait_until(self, what: str, so: Callable[[], Found]) -> Found:
        """Wait until `so()` is truthy and return it; raise Spoiled with `what` if too late. The store may be down."""
        deadline = time.monotonic() + self.patience
        while True:
            with suppress(RedisError):  # Redis is restarting
                if found := so():
                    return found
            if time.monotonic() > deadline:
                raise Spoiled(f"after {self.patience:.0f} seconds it is still not so that {what}")
            time.sleep(0.05)

    def start(self) -> None:
        """Wait until the heads of main are known, so that each merge counts, and hold all builds."""
        self.wait_until("the heads of main are known", self.is_ready)
        for job in self._jobs():
            self.town.jenkins[job.controller].control.hold(job.name)

    def is_ready(self) -> bool:
        """Return whether the pipeline is configured and all heads of main are known."""
        return len(self.board_now().services) == len(SERVICES)

    def let_go(self, *stages: str) -> None:
        """Let builds of these stages (none named: of all), also running ones, end by themselves again."""
        for job in self._jobs(*stages):
            control = self.town.jenkins[job.controller].control
            control.unhold(job.name)
            for row in control.builds(job.name, running=True):
                control.release(job.name, number=row["number"])

    def _jobs(self, *stages: str) -> list[Job]:
        found = [stage for stage in self.board_now().pipeline.stages if not stages or stage.name in stages]
        return [job for stage in found for job in (stage.job, stage.fast_job) if job is not None]

    # -- merges and builds --------------------------------------------------------------------------------------------

    def push(self, service: str, letter: str = "", *, title: str = "") -> str:
        """Merge a commit without waiting for its webhook; return the sha. Without a letter it has no name."""
        title = title or f"{service}{letter}: a change to {service}"
        sha = str(self.town.github.control.merge(SERVICES[service], title=title, author="dana"))
        if letter:
            self.names.learn(sha, f"{service}{letter}")
        time.sleep(self.pace / 2)
        return sha

    def merge(self, service: str, letter: str) -> str:
        """Merge a commit and wait for its run on the board; return the sha."""
        sha = self.push(service, letter)
        self.wait_until(f"{service}{letter} has a run", lambda: f"{service}{letter}" in self.live())
        return sha

    def pass_build(self, *names: str) -> None:
        """Wait until the builds start, and let them succeed."""
        for name in names:
            self._end(name, "SUCCESS")

    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        """Wait until the build starts, and let it fail."""
        self._end(name, "FAILURE", tests)

    def _end(self, name: str, result: str, tests: tuple[str, ...] = ()) -> None:
        time.sleep(self.pace / 4)
        run = self.wait_until(f"{name} has a build", lambda: run if (run := self.run(name)).holds_slot else None)
        assert run is not None
        job = self._replica.board.job_of(run)
        assert job is not None
        control, match = self.town.jenkins[job.controller].control, {"INTERLOCK_SHA": run.position.sha}
        control.release(job.name, match=match, result=result, tests=list(tests), seconds=self.patience)
        what, passes = f"the end of {name}'s build in {run.step} is known", result == "SUCCESS"
        self.wait_until(what, lambda: self._has_ended(run, passes=passes))

    def _has_ended(self, run: Run, *, passes: bool) -> bool:
        """Return whether the build of the run in its step is over.

        A build that passes may be of a later attempt than the run had: its trigger may have got no answer.
        """
        now = self.board_now().runs.get(run.key)
        if now is None or now.status is Status.FAILED:
            return True
        if passes:
            return run.step in now.passed
        return (now.step, now.attempt.number) != (run.step, run.attempt.number)

    def end_withdrawn(self) -> None:
        """Wait until Jenkins has ended all builds that Interlock asked it to end, and has reported it."""
        ending = Status.ENDING
        self.wait_until(
            "Jenkins has ended all that it was asked to end",
            lambda: not any(run.status is ending for run in self.board_now().runs.values()),
        )

    def tell(self, *events: Event) -> None:
        """Send these requests of people through the API. Other events come from GitHub and Jenkins."""
        for event in events:
            path, details = _request(event)
            person = getattr(event, "by", "")
            answer = requests.post(
                f"http://{self.town.bind}/api/v1/pipelines/{PIPELINE}/{path}?wait=5",
                json={name: value for name, value in details.items() if value},
                headers={"Authorization": f"Bearer {self.town.tokens[person]}"},
                timeout=ANSWERS_WITHIN,
            )
            answer.raise_for_status()

    # -- reading ------------------------------------------------------------------------------------

    def sha_of(self, name: str) -> str:
        """Return the sha of a commit."""
        return self.names.sha(name)

    def name_of(self, sha: str) -> str:
        """Return the name of a commit."""
        return self.names.of(sha)

    def left(self, name: str) -> tuple[str, str | None] | None:
        """Return the last ending of a run of the commit, and the commit that caused it; None if none has ended."""
        return left(self, self.records, name)


def left(world: StoryWorld, records: Records, name: str) -> tuple[str, str | None] | None:
    """Return the same for any world with records: the last ending, and the commit that caused it."""
    ended, _ = records.ended(limit=200)
    runs = {each.run.key: each.run for each in ended} | world.board_now().runs
    for each in ended:
        if each.run.position.sha == world.sha_of(name):
            by = runs.get(each.ending.by or "")
            return str(each.ending.end), world.name_of(by.position.sha) if by is not None else None
    return None


def _request(event: Event) -> tuple[str, dict[str, object]]:
    """Return path and body of a person's request. Raise TypeError for an event that nobody can request."""
    match event:
        case LockAsked():
            details = {"reason": event.reason, "let_fixes_in": event.let_fixes_in, "until": event.until}
            return f"stages/{event.stage}/lock", details
        case UnlockAsked():
            return f"stages/{event.stage}/unlock", {"reason": event.reason, "lock": event.lock, "all": event.every}
        case RetryAsked():
            return f"runs/{event.run}/retry", {"reason": event.reason}
        case CancelAsked():
            return f"runs/{event.run}/cancel", {"reason": event.reason}
        case MoveAsked():
            return f"runs/{event.run}/move", {"reason": event.reason}
        case FastLaneAsked():
            return f"services/{event.service}/fast-lane", {"reason": event.reason, "stage": event.stage}
        case ModeAsked():
            return "mode", {"mode": event.mode, "reason": event.reason}
        case _:
            raise TypeError(f"no person can ask for {event}")
