"""The live state of one pipeline, with the indexes that keep an event's cost flat, and an undo journal.

Everything on a board is a frozen record with a key; `put` and `drop` are the only ways to change one. They keep the
indexes (queues, slots, runs of a service) and note what was there before, so that a turn can store just what it
changed, and take everything back if another worker committed first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from bot.core.model.board_records import (
    FAMILIES,
    TABLES,
    Change,
    CleanUp,
    Counters,
    Header,
    Pull,
    Pulls,
    Record,
    ServiceState,
)
from bot.core.model.indexes import Indexes, Layout, lay_out, queue_key, ticks
from bot.core.model.pipeline import VERIFY, Job, Mode, Pipeline, Step
from bot.core.model.run import Abort, Buildable, Run, Verification
from bot.core.model.stage_state import (
    FollowUp,
    Lock,
    PastBuild,
    StageBackoff,
    StageVersion,
    UnmanagedBuild,
    follow_up_due,
)


@dataclass(slots=True)
class Board:
    """See the module's text. Reading an attribute is free; changing one goes through `put` and `drop`."""

    header: Header
    counters: Counters = field(default_factory=Counters)
    runs: dict[str, Run] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    services: dict[str, ServiceState] = field(default_factory=dict)
    #: By service and step, see `version`.
    versions: dict[str, StageVersion] = field(default_factory=dict)
    backoffs: dict[str, StageBackoff] = field(default_factory=dict)
    unmanaged: dict[str, UnmanagedBuild] = field(default_factory=dict)
    past: dict[str, PastBuild] = field(default_factory=dict)
    #: By service: the clean-ups that go on in the next decision.
    clean_ups: dict[str, CleanUp] = field(default_factory=dict)
    #: By stage: what people were told of it since it was locked.
    follow_ups: dict[str, FollowUp] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    #: By service: the pull requests that something was heard of.
    pulls: dict[str, Pulls] = field(default_factory=dict)
    journal: dict[tuple[str, str], Change] = field(default_factory=dict)
    #: The configuration in force, that of the header, and what follows from it.
    pipeline: Pipeline = field(init=False)
    layout: Layout = field(init=False)
    _indexes: Indexes = field(default_factory=Indexes)
    #: The versions of each service, by step.
    _in_steps: dict[str, dict[Step, StageVersion]] = field(default_factory=dict)
    #: The table of each kind of record.
    _tables: dict[type, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._tables = {kind: getattr(self, name) for kind, name in TABLES.items()}
        self._follow_header()

    def _follow_header(self) -> None:
        self.pipeline = self.header.pipeline
        self.layout = lay_out(self.pipeline)

    def copy(self) -> Board:
        """The same board, apart, with nothing in its journal: whatever is tried on it leaves this one as it is.

        The records are immutable and shared: only the tables and the indexes are copied.
        """
        tables = {name: dict(getattr(self, name)) for name in TABLES.values()}
        in_steps = {service: dict(versions) for service, versions in self._in_steps.items()}
        return Board(
            self.header,
            self.counters,
            **tables,
            _indexes=self._indexes.copy(),
            _in_steps=in_steps,
        )

    # -- reading ---------------------------------------------------------------------------------------------

    def queue(self, step: Step, first: int = 0) -> Iterator[Run]:
        """The runs that wait to enter `step`, first come first served, fast lane first, without the first so many."""
        return (self.runs[entry.run] for entry in islice(self._indexes.queues.get(step, ()), first, None))

    def queue_length(self, step: Step) -> int:
        """How many runs wait to enter `step`."""
        return len(self._indexes.queues.get(step, ()))

    def steps_waited_for(self) -> list[Step]:
        """The steps that runs wait to enter, in the order of the stages."""
        if not self._indexes.queues:
            return []
        places = self.layout.places
        waited_for = [step for step in self._indexes.queues if step in places]
        return sorted(waited_for, key=places.__getitem__) if len(waited_for) > 1 else waited_for

    def services_waiting(self, step: Step) -> Set[str]:
        """The services of which runs wait to enter `step`."""
        return self._indexes.in_line.get(step, {}).keys()

    def may_be_excepted(self, step: Step) -> Set[str]:
        """The keys of those that wait to enter `step` and have labels, or that a person lets through freezes (W2)."""
        return self._indexes.special.get(step, set())

    def waiting_by_service(self, step: Step) -> Mapping[str, int]:
        """How many runs of each service wait to enter `step`."""
        return self._indexes.in_line.get(step, {})

    def ahead_of(self, run: Run) -> int:
        """How many runs stand before `run` in its queue."""
        return bisect_left(self._indexes.queues.get(run.step, []), queue_key(run))

    def inside(self, step: Step) -> list[Run]:
        """The runs that hold a slot of `step`, longest there first."""
        found = [self.runs[key] for key in self._indexes.slots.get(step, ()) if key in self.runs]
        return sorted(found, key=lambda run: (run.queue_number, run.key)) if len(found) > 1 else found

    def holding(self, step: Step) -> list[Buildable]:
        """What holds a slot of `step`, whether run or verification, longest there first."""
        found = (self._at(key) for key in self._indexes.slots.get(step, ()))
        return sorted(found, key=lambda built: (built.queue_number, built.key))

    def built(self, key: str) -> Buildable | None:
        """The run or the verification called `key`."""
        return self.runs.get(key) or self.verifications.get(key)

    def _at(self, key: str) -> Buildable:
        return self.runs[key] if key in self.runs else self.verifications[key]

    def verifying(self) -> Iterator[Verification]:
        """The verifications that wait for a slot, first come first served."""
        return (self.verifications[entry.run] for entry in self._indexes.queues.get(VERIFY, ()))

    def of_pull(self, service: str, number: int) -> list[Verification]:
        """The live verifications of one pull request, oldest first: those before the last are on their way out."""
        found = (self.verifications[key] for key in self._indexes.of_pull.get((service, number), ()))
        return sorted(found, key=lambda v: (v.created, v.key))

    def pull(self, service: str, number: int) -> Pull | None:
        """What is known of a pull request."""
        return self.pulls_of(service).find(number)

    def pulls_of(self, service: str) -> Pulls:
        """What is known of the pull requests of a service; a fresh record if nothing is."""
        return self.pulls.get(service) or Pulls(service)

    def unmanaged_builds(self, step: Step) -> list[UnmanagedBuild]:
        """The builds of nobody's run that occupy a slot of `step`."""
        return sorted((f for f in self.unmanaged.values() if f.step == step), key=lambda f: (f.since, f.number))

    def occupied(self, step: Step) -> int:
        """How many slots of `step` are taken."""
        return len(self._indexes.slots.get(step, ())) + (len(self.unmanaged_builds(step)) if self.unmanaged else 0)

    def of_service(self, service: str) -> list[Run]:
        """The live runs of `service`, oldest first."""
        return self._by_age(self._indexes.of_service.get(service, ()))

    def fast_runs(self, service: str) -> list[Run]:
        """The runs of `service` on the fast lane, oldest first."""
        return self._by_age(self._indexes.fast.get(service, ()))

    def _by_age(self, keys: Iterable[str]) -> list[Run]:
        found = [self.runs[key] for key in keys]
        return sorted(found, key=lambda run: (run.created, run.queue_number)) if len(found) > 1 else found

    def of_commit(self, service: str, sha: str) -> list[Run]:
        """The live runs of one commit of `service`, oldest first: seldom more than one."""
        found = [self.runs[key] for key in self._indexes.of_commit.get((service, sha), ())]
        return sorted(found, key=lambda run: run.queue_number) if len(found) > 1 else found

    def service(self, name: str) -> ServiceState:
        """What is known of a service; a fresh state if nothing is."""
        return self.services.get(name) or ServiceState(name)

    def version(self, service: str, step: Step) -> StageVersion:
        """What is in a step for a service; an empty record if nothing is known to be."""
        return self._in_steps.get(service, {}).get(step) or StageVersion(f"{service}/{step}", service, step)

    def versions_of(self, service: str) -> list[StageVersion]:
        """What is known of a service in each step that is configured, in the order of the stages."""
        places = self.layout.places
        found = [(places[step], version) for step, version in self._in_steps.get(service, {}).items() if step in places]
        return [version for _, version in sorted(found, key=itemgetter(0))]

    def locks_of(self, stage: str) -> list[Lock]:
        """The locks that close `stage`, oldest first."""
        found = [lock for lock in self.locks.values() if lock.stage == stage] if self.locks else []
        return sorted(found, key=lambda lock: (lock.since, lock.key)) if len(found) > 1 else found

    def locks_held_by(self, service: str) -> list[Lock]:
        """The automatic locks that `service` holds, oldest first."""
        found = [lock for lock in self.locks.values() if lock.service == service] if self.locks else []
        return sorted(found, key=lambda lock: (lock.since, lock.key)) if len(found) > 1 else found

    def follow_up(self, stage: str) -> FollowUp:
        """What people were told of a locked stage; a fresh record if nothing was."""
        return self.follow_ups.get(stage) or FollowUp(stage)

    def steps(self) -> tuple[Step, ...]:
        """Every step that a run can be in, in the order of the stages, the fast one of a stage first."""
        return self.layout.steps

    def removed_steps(self) -> list[Step]:
        """The steps that are configured no more and in which builds of runs have not ended yet, in a fixed order."""
        configured = {*self.steps(), VERIFY}
        left = (step for step, keys in self._indexes.slots.items() if keys and step not in configured)
        return sorted(left, key=str)

    def jobs(self) -> dict[Job, Step]:
        """Every job that is configured, with the step that it is for."""
        return self.layout.jobs

    def job_of(self, built: Buildable) -> Job | None:
        """The Jenkins job that what has a build is in."""
        return built.job or self.job(built.step)

    def job(self, step: Step) -> Job | None:
        """The Jenkins job of `step`; None if the configuration has none (any more)."""
        return self.layout.jobs_of.get(step)

    def capacity(self, step: Step) -> int | None:
        """How many runs `step` takes at once; None: as many as come; 0: it is no longer configured."""
        return self.layout.capacities.get(step, 0)

    def records(self) -> Iterator[Record]:
        """Everything on the board."""
        yield self.header
        yield self.counters
        for name in TABLES.values():
            yield from getattr(self, name).values()

    def next_due(self, now: float) -> float | None:
        """When the clock matters next: a lock that ends, a freeze that begins, a trigger to try again, a notice.

        At once while a clean-up is under way.
        """
        if self.clean_ups:
            return now
        times = [k.until for k in self.locks.values() if k.until is not None]
        times += [w.begins for f in self.header.freezes if (w := f.following(now)) is not None]
        times += [t.retry_at for t in self.backoffs.values() if t.retry_at > now]
        times += [run.since + most for run, most in self._timed()]
        times += [a.asked + self.pipeline.patience(a.level) for a in self._aborts() if a.taken and not a.stuck]
        times += self._notices_due()
        return min(times, default=None)

    def _notices_due(self) -> Iterator[float]:
        """When people are to be told that a stage is still locked; while the pipeline observes, nobody is."""
        if not self.locks or self.header.mode is Mode.OBSERVE:
            return
        for stage in dict.fromkeys(lock.stage for lock in self.locks.values()):
            yield from follow_up_due(self.pipeline.notices, self.locks_of(stage), self.follow_up(stage))

    def overdue(self, now: float) -> list[Buildable]:
        """Whose build has run longer than its step allows, and was not timed out before."""
        late: list[Buildable] = []
        for first, most in self._timed():
            if first.since + most <= now:
                late += [built for built in self.holding(first.step) if ticks(built) and built.since + most <= now]
        return sorted(late, key=lambda built: (built.since, built.key))

    def aborts(self) -> bool:
        """Whether there may be a build that was asked to end and has not ended: cheap to ask after every event."""
        return bool(self._indexes.aborting or self.unmanaged)

    def aborting(self) -> list[Buildable]:
        """Whose running build was asked to end, in a fixed order."""
        if not self._indexes.aborting:
            return []
        found = (self._at(key) for key in sorted(self._indexes.aborting))
        return [built for built in found if built.attempt.build is not None]

    def duplicates(self) -> list[UnmanagedBuild]:
        """The builds that repeat one of ours and were asked to end, in a fixed order."""
        if not self.unmanaged:
            return []
        return sorted((f for f in self.unmanaged.values() if f.abort is not None), key=lambda f: f.key)

    def _aborts(self) -> Iterator[Abort]:
        ours = (built.attempt.abort for built in self.aborting())
        found = chain(ours, (unmanaged.abort for unmanaged in self.duplicates()))
        return (abort for abort in found if abort is not None)

    def _timed(self) -> Iterator[tuple[Buildable, float]]:
        """Of each step with a time limit, what has the build that has run longest, and the limit."""
        timeouts = self.layout.timeouts
        for step, running in self._indexes.started.items():
            timeout = timeouts.get(step)
            if timeout is not None:
                yield self._at(running[0][1]), timeout

    # -- changing --------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Store `record` under its key, in place of what was there."""
        self._change(record, record)

    def drop(self, record: Record) -> None:
        """Remove what is stored under the record's key."""
        self._change(record, None)

    def _change(self, record: Record, after: Record | None) -> None:
        kind, key = type(record), record.key
        table = self._tables.get(kind)
        before = table.get(key) if table is not None else getattr(self, key)  # the header, the counters
        where = (FAMILIES[kind], key)
        known = self.journal.get(where)
        if known is not None:
            known.after = after
        else:
            self.journal[where] = Change(before, after)
        self._set(kind, key, before, after)

    def take_changes(self) -> list[Change]:
        """What was changed since the last call, each record once; forgets it."""
        changes = [c for c in self.journal.values() if c.before != c.after]
        self.journal.clear()
        return changes

    def forget_changes(self) -> None:
        """Keep everything that was changed, and do not ask what that was."""
        self.journal.clear()

    def undo(self) -> None:
        """Take back everything changed since the last `take_changes`."""
        journal, self.journal = self.journal, {}
        for change in journal.values():
            record = change.after or change.before
            if record is not None:
                self._set(type(record), record.key, change.after, change.before)

    def queue_number(self) -> int:
        """The next place in line."""
        number = self.counters.next_queue_number
        self.put(Counters(number + 1, self.counters.next_lock))
        return number

    def stored(self, family: str, key: str) -> Record | None:
        """The record of a family (`FAMILIES`) under its key, if there is one."""
        kind = next(kind for kind, name in FAMILIES.items() if name == family)
        found: Record | None = self._tables[kind].get(key)
        return found

    def _set(self, kind: type, key: str, before: Any, after: Any) -> None:
        """Put `after` where `before` is, and keep what is looked up by something else than its key."""
        if kind is Counters:
            self.counters = after
        elif kind is Header:
            self.header = after
            self._follow_header()
        elif after is None:
            self._tables[kind].pop(key, None)
        else:
            self._tables[kind][key] = after
        if kind is Run or kind is Verification:
            self._indexes.change(before, after)
        elif kind is StageVersion:
            self._find_by_step(before, after)

    def _find_by_step(self, before: StageVersion | None, after: StageVersion | None) -> None:
        if after is not None:
            self._in_steps.setdefault(after.service, {})[after.step] = after
        elif before is not None:
            self._in_steps[before.service].pop(before.step)


def build_board(header: Header, records: Iterable[Record]) -> Board:
    """A board with these records, and nothing in its journal."""
    board = Board(header)
    for record in records:
        board._set(type(record), record.key, None, record)
    return board
