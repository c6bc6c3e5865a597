"""Two workers that race for the turns of one pipeline on a real server, crash, lose the lease, and come late."""

from __future__ import annotations

import uuid
from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.events import BuildSeen, Configured, ContainmentKnown, Event, Merged, Withdrawn
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome, Pipeline, Service, Track
from bot.core.model.run import Run, Status
from bot.store.inbox import Accepted, Inbox, InboxEntry, parked
from bot.store.keys import Keys
from bot.store.records import Records
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from bot.store.store import Busy, Outdated, Store, Work
from demo.pipeline import pipeline as pictures
from workers.turn import decide_all

SERVICES = ("S1", "S2", "S3")
RESULTS = (Outcome.SUCCESS, Outcome.SUCCESS, Outcome.SUCCESS, Outcome.FAILURE, Outcome.ABORTED)


def shop() -> Pipeline:
    """The pipeline of the pictures, a little narrower."""

    services = [Service(name, f"shop/{name}") for name in SERVICES]
    return pictures("p", services=services, changes={"acceptance": {"capacity": 2}})


class Worker:
    """One worker process, as far as turns go; a crash leaves nothing of it but its lease."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis, self._keys = redis, keys
        self.crash()

    def crash(self) -> None:
        self.store = Store(self._redis, self._keys)
        self.token = uuid.uuid4().hex
        self.entries: list[InboxEntry] = []
        self.work: Work | None = None

    def begin(self) -> None:
        try:
            self.entries = self.store.begin(self.token)
        except Busy:
            self.entries = []

    def decide(self) -> None:
        self.work = decide_all(self.store.copy.board, self.entries, self._redis, self._keys)

    def commit(self) -> None:
        assert self.work is not None
        try:
            self.entries = self.store.commit(self.token, self.entries, self.work)
        except Outdated:
            self.store.copy.forget()
            self.entries = []
        self.work = None


class Racing(RuleBasedStateMachine):
    """Everything that may happen between ingress and board, in any order; main has a straight history."""

    redis: Redis
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys(f"p{uuid.uuid4().hex[:12]}")
        self.inbox = Inbox(self.redis, self.keys)
        self.reader = BoardReplica(Scripts(self.redis), self.keys)
        self.records = Records(self.redis, self.keys)
        self.workers = [Worker(self.redis, self.keys) for _ in range(2)]
        self.history: dict[str, list[str]] = {name: [f"{n:040x}"] for n, name in enumerate(SERVICES, 0xA0)}
        self.pocket: list[Event] = []
        self.accepted: list[tuple[str, Event]] = []
        self.deliver(Configured(shop()))

    def board(self) -> Board:
        self.reader.refresh()
        return self.reader.board

    def deliver(self, event: Event) -> None:
        delivery = uuid.uuid4().hex
        assert self.inbox.add(event, delivery) is not Accepted.DUPLICATE
        self.accepted.append((delivery, event))

    # -- the world -----------------------------------------------------------------------------------------------

    @rule(service=st.sampled_from(SERVICES), late=st.booleans())
    def merge(self, service: str, late: bool) -> None:
        commits = self.history[service]
        sha = uuid.uuid4().hex + "0" * 8
        event = Merged(service, sha, before=commits[-1], push_id=f"{commits[-1]}..{sha}")
        commits.append(sha)
        if late:
            self.pocket.append(event)
        else:
            self.deliver(event)

    @rule(dice=st.integers(0, 999), result=st.sampled_from(RESULTS), late=st.booleans())
    def build(self, dice: int, result: Outcome, late: bool) -> None:
        """A build starts, or ends with this result, or Jenkins carries out a withdrawal."""
        inside = sorted((r for r in self.board().runs.values() if r.holds_slot), key=lambda r: r.key)
        if inside:
            event = news(inside[dice % len(inside)], self.board(), result, ends=bool(dice % 3))
            if late:
                self.pocket.append(event)
            else:
                self.deliver(event)

    @precondition(lambda self: self.pocket)
    @rule(dice=st.integers(0, 999))
    def arrive_late(self, dice: int) -> None:
        self.deliver(self.pocket.pop(dice % len(self.pocket)))

    @rule(dice=st.integers(0, 999), same_id=st.booleans())
    def repeat(self, dice: int, same_id: bool) -> None:
        delivery, event = self.accepted[dice % len(self.accepted)]
        if same_id:
            assert self.inbox.add(event, delivery) is Accepted.DUPLICATE
        else:
            self.inbox.add(event, uuid.uuid4().hex)

    # -- the workers ---------------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), loses_its_lease=st.booleans())
    def begin(self, which: int, loses_its_lease: bool) -> None:
        """Begin a turn and decide; perhaps so slowly that the other may begin one, too, before this one commits."""
        worker = self.workers[which]
        if worker.work is None:
            worker.begin()
        if worker.entries and worker.work is None:
            worker.decide()
        if loses_its_lease:
            self.redis.delete(self.keys.lease)

    @rule(which=st.integers(0, 1))
    def commit(self, which: int) -> None:
        if self.workers[which].work is not None:
            self.workers[which].commit()

    @rule(which=st.integers(0, 1))
    def crash(self, which: int) -> None:
        self.workers[which].crash()

    # -- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def no_stage_is_overfull(self) -> None:
        type(self).steps += 1
        board = self.board()
        for step in board.steps():
            capacity = board.capacity(step)
            assert capacity is None or board.occupied(step) <= capacity, str(step)

    def teardown(self) -> None:
        """Everything is delivered and decided; then the books must balance: no merge lost, none decided twice."""
        while self.pocket:
            self.deliver(self.pocket.pop())
        self.settle()
        board, merged = self.board(), [sha for commits in self.history.values() for sha in commits[1:]]
        ended, total = self.records.ended(limit=200)
        places = Counter(run.position.sha for run in [*board.runs.values(), *(e.run for e in ended)])
        assert total <= 200
        assert places == Counter(merged)
        assert parked(self.redis, self.keys) == []
        copy = BoardReplica(Scripts(self.redis), self.keys)
        copy.refresh()
        assert (copy.board.runs, copy.board.locks, copy.board.services) == (board.runs, board.locks, board.services)
        told = [row.fact for _, row in self.records.facts_after("0-0", 5_000)]
        taken_in = Counter(fact.sha for fact in told if fact.kind is FactKind.MERGE_ACCEPTED)
        assert taken_in == Counter(merged)
        self.redis.delete(*self.redis.keys(f"interlock:{{{self.keys.pipeline}}}:*"))

    def settle(self) -> None:
        """A single worker decides everything that is left, and GitHub answers every question."""
        for _ in range(50):
            self.redis.delete(self.keys.lease)
            worker = Worker(self.redis, self.keys)
            worker.begin()
            while worker.entries:
                worker.decide()
                worker.commit()
            questions = [(s.key, pair) for s in self.board().services.values() for pair in s.asked]
            if not questions:
                return
            for service, (base, head) in questions:
                order = self.history[service]
                self.deliver(ContainmentKnown(service, base, head, order.index(base) <= order.index(head)))
        raise AssertionError("GitHub is asked without end")


def news(run: Run, board: Board, result: Outcome, *, ends: bool) -> Event:
    """What Jenkins says next about the present attempt of a run."""
    taken_back = run.status in (Status.RECALLED, Status.ENDING) or run.attempt.cancelled_by is not None
    if taken_back and run.attempt.build is None:
        return Withdrawn(run.key, run.attempt.number)
    stage = board.pipeline.stage(run.step.stage)
    assert stage is not None
    job = stage.job if run.step.track is Track.REAL else stage.fast_job
    assert job is not None
    number = 1_000 * int(run.key.rsplit(".", 1)[1]) + run.attempt.number
    return BuildSeen(job.controller, job.name, number, result if ends else None, run.key, run.attempt.number)
