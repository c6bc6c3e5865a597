"""One pipeline driven by hand: events go in, and a loop like the worker's decides them."""

from __future__ import annotations

import hashlib
import uuid

from redis import Redis

from bot.core.model.board import Board
from bot.core.model.effects import Effect, Trigger
from bot.core.model.events import BuildSeen, Configured, Event, HeadSeen, Merged, TriggerAccepted
from bot.core.model.pipeline import Job, Outcome, Pipeline, Policy, Service, Stage, Verify
from bot.core.model.run import Run
from bot.core.rules.decide import decide
from bot.core.rules.decision import Decision
from bot.github import webhooks
from bot.payloads import read_object
from bot.store.codec import load_event
from bot.store.inbox import Entry, Inbox
from bot.store.keys import Keys
from bot.store.store import Store, Work


def sha(name: str) -> str:
    """A commit's sha, told from others by `name`."""
    return hashlib.sha1(name.encode()).hexdigest()


def pipeline(name: str) -> Pipeline:
    """The pipeline of the four pictures; the pull requests of two of its services are verified."""
    return Pipeline(
        name,
        (
            Stage("build", Job("build", "shop/build")),
            Stage("acceptance", Job("cdp", "shop/acceptance"), 3, fast_job=Job("cdp", "shop/fast-acceptance")),
            Stage(
                "pre-production",
                Job("cdp", "shop/pre-production"),
                1,
                Policy.LOCK,
                fast_job=Job("cdp", "shop/fast-pre-production"),
            ),
            Stage("production", Job("cdp", "shop/production"), 1, Policy.LOCK),
        ),
        tuple(Service(s, f"shop/{s.lower()}-{name}", verify=s != "S3") for s in ("S1", "S2", "S3")),
        verify=Verify(Job("build", "shop/verify")),
    )


class Story:
    """One pipeline whose events are put in by hand and decided by a loop like the worker's."""

    def __init__(self, redis: Redis, shape: Pipeline) -> None:
        self.shape = shape
        self.redis = redis
        self.keys = Keys(shape.name)
        self.inbox = Inbox(redis, self.keys)
        self.store = Store(redis, self.keys)
        self.effects: list[Effect] = []
        self.items = 100

    @property
    def board(self) -> Board:
        return self.store.copy.board

    def put(self, *events: Event) -> None:
        for event in events:
            self.inbox.add(event, uuid.uuid4().hex)
        self.turns()

    def turns(self) -> None:
        """Decide everything that waits in the inbox."""
        entries = self.store.begin("story")
        while entries:
            decided = [(entry, decision) for entry in entries for decision in self._decide(entry)]
            self.effects += [effect for _, decision in decided for effect in decision.effects]
            work = Work(
                self.board.take_changes(),
                [(entry, fact) for entry, decision in decided for fact in decision.facts],
                [effect for _, decision in decided for effect in decision.effects],
                [row for _, decision in decided for row in decision.ended],
                None,
            )
            entries = self.store.commit("story", entries, work)
        self.store.release("story")

    def _decide(self, entry: Entry) -> list[Decision]:
        if entry.source == "event":
            return [decide(self.board, load_event(entry.body), entry.at)]
        if entry.source != "github":
            return []
        payload = read_object(entry.body)
        target = webhooks.target_branch(entry.name, payload)
        assert target is not None
        service = self.board.pipeline.service_of(target.repository, target.branch)
        assert service is not None
        return [decide(self.board, event, entry.at) for event in webhooks.events(entry.name, payload, service.name)]

    def start(self) -> None:
        """Configure the pipeline and take the heads of main as its baseline."""
        self.put(Configured(self.shape), *(HeadSeen(s.name, sha(f"{s.name} base")) for s in self.shape.services))

    def merge(self, service: str, letter: str, title: str = "", before: str | None = None) -> Run:
        """Merge one commit and return its run."""
        head = self.board.service(service).history.head
        known = sha(before) if before else head.sha if head else None
        number = self.store.copy.board.service(service).number + 40
        title = title or f"Change {letter} of {service}"
        self.put(Merged(service, sha(service + letter), known, pull=number, title=title, author="kim"))
        return next(r for r in self.board.runs.values() if r.position.sha == sha(service + letter))

    def build(self, run: Run, result: Outcome | None, tests: tuple[str, ...] = ()) -> Run | None:
        """Let the build of a run start, and end with `result`; returns the run, or None if it has ended."""
        live = self.board.runs[run.key]
        trigger = next(
            e
            for e in reversed(self.effects)
            if isinstance(e, Trigger) and (e.run, e.attempt) == (run.key, live.attempt)
        )
        self.items += 1
        number = live.build or self.items
        self.put(TriggerAccepted(run.key, live.attempt, self.items))
        self.put(BuildSeen(trigger.job.controller, trigger.job.name, number, None, run.key, live.attempt))
        if result is not None:
            seen = BuildSeen(trigger.job.controller, trigger.job.name, number, result, run.key, live.attempt, tests)
            self.put(seen)
        return self.board.runs.get(run.key)

    def passes(self, run: Run, stages: int = 1) -> None:
        """Let the next few builds of a run pass."""
        for _ in range(stages):
            self.build(run, Outcome.SUCCESS)

    def waiting(self) -> int:
        """How many deliveries are in the inbox, taken or not."""
        return int(self.redis.xlen(self.keys.inbox))

    def nothing_is_stored(self) -> bool:
        """Whether Redis has not a single key of this pipeline."""
        return not list(self.redis.scan_iter(match=f"interlock:{{{self.keys.pipeline}}}:*", count=1000))
