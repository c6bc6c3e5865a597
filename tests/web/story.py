"""One pipeline driven by hand: events go in, and the workers' own turn decides them."""

from __future__ import annotations

import hashlib
import uuid

from redis import Redis

from bot.core.model.board import Board
from bot.core.model.events import BuildSeen, Configured, Event, FirstStart, HeadSeen, Merged, TriggerAccepted
from bot.core.model.pipeline import Job, Outcome, Pipeline, Service, Verify
from bot.core.model.run import Run
from bot.runtime import pipeline_context
from config.configuration import Configuration
from demo.pipeline import SERVICES
from demo.pipeline import pipeline as pictures
from demo.verbs import StoryWorld
from workers.turn import take_turns


def sha(name: str) -> str:
    """A commit's sha, told from others by `name`."""
    return hashlib.sha1(name.encode()).hexdigest()


def pipeline(name: str) -> Pipeline:
    """The pipeline of the four pictures; the pull requests of two of its services are verified."""

    def job(short: str) -> Job:
        return Job("build" if short == "build" else "cdp", f"shop/{short}")

    services = [Service(each, f"shop/{each.lower()}-{name}", verify=each != "S3") for each in SERVICES]
    return pictures(name, job, services=services, verify=Verify(Job("build", "shop/verify")))


class Story(StoryWorld):
    """One pipeline whose events are put in by hand and decided by the workers' own turn; nothing goes to Jenkins."""

    def __init__(self, redis: Redis, shape: Pipeline) -> None:
        self.shape = shape
        self.redis = redis
        self.context = pipeline_context(redis, shape, Configuration((shape,), {}))
        self.keys, self.inbox, self.store = self.context.keys, self.context.inbox, self.context.store
        self.items = 100
        self._called: dict[str, str] = {}

    @property
    def board(self) -> Board:
        return self.store.copy.board

    def board_now(self) -> Board:
        """The board that the turns go on with."""
        return self.board

    def sha_of(self, name: str) -> str:
        """The sha of a commit such as `S1a`."""
        return sha(name)

    def name_of(self, sha: str) -> str:
        """What `merge` called a commit."""
        return self._called.get(sha, sha[:7])

    def tell(self, *events: Event) -> None:
        """Put events into the inbox, and decide them."""
        for event in events:
            self.inbox.add(event, uuid.uuid4().hex)
        self.turns()

    def turns(self) -> None:
        """Decide everything that waits in the inbox."""
        take_turns(self.context)

    def start(self) -> None:
        """Configure the pipeline and take the heads of main as its baseline."""
        self.tell(
            Configured(self.shape),
            FirstStart(),
            *(HeadSeen(s.name, sha(f"{s.name} base")) for s in self.shape.services),
        )

    def merge(self, service: str, letter: str, title: str = "", before: str | None = None) -> Run:
        """Merge one commit and return its run."""
        head = self.board.service(service).history.head
        known = sha(before) if before else head.sha if head else None
        number = self.store.copy.board.service(service).number + 40
        title = title or f"Change {letter} of {service}"
        self._called[sha(service + letter)] = service + letter
        self.tell(Merged(service, sha(service + letter), known, pull=number, title=title, author="kim"))
        return self.run(service + letter)

    def build(self, run: Run, result: Outcome | None, tests: tuple[str, ...] = ()) -> Run | None:
        """Let the build of a run start, and end with `result`; returns the run, or None if it has ended."""
        live = self.board.runs[run.key]
        job = self.board.pipeline.job(live.step.stage, live.step.track)
        assert job is not None
        assert self.context.outbox.has(f"trigger/{run.key}/{live.attempt.number}")
        self.items += 1
        number = live.attempt.build or self.items
        self.tell(TriggerAccepted(run.key, live.attempt.number, self.items))
        self.tell(BuildSeen(job.controller, job.name, number, None, run.key, live.attempt.number))
        if result is not None:
            seen = BuildSeen(job.controller, job.name, number, result, run.key, live.attempt.number, tests)
            self.tell(seen)
        return self.board.runs.get(run.key)

    def pass_stages(self, run: Run, stages: int = 1) -> None:
        """Let the next few builds of a run pass."""
        for _ in range(stages):
            self.build(run, Outcome.SUCCESS)

    def waiting(self) -> int:
        """How many deliveries are in the inbox, taken or not."""
        return int(self.redis.xlen(self.keys.inbox))

    def nothing_is_stored(self) -> bool:
        """Whether Redis has not a single key of this pipeline."""
        return not list(self.redis.scan_iter(match=f"interlock:{{{self.keys.pipeline}}}:*", count=1000))
