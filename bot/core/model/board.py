"""The live state of one pipeline, with the indexes that keep an event's cost flat, and an undo journal.

Everything on a board is a frozen record with a key; `put` and `drop` are the only ways to change one. They keep the
indexes (queues, slots, runs of a service) up to date and note each record as it was before. So a turn can store only
the changed records, and can undo all changes if another worker committed first.
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
from bot.core.model.indexes import NOBODY, Indexes, Layout, lay_out, queue_key, ticks
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
from bot.core.model.standing import Standing


@dataclass(slots=True)
class Board:
    """The live state of one pipeline. Attributes may be read directly; `put` and `drop` change them."""

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
    #: By service: the clean-ups that continue in the next decision.
    clean_ups: dict[str, CleanUp] = field(default_factory=dict)
    #: By stage: the notices that people got since it was locked.
    follow_ups: dict[str, FollowUp] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    #: By service: the pull requests that an event was about.
    pulls: dict[str, Pulls] = field(default_factory=dict)
    #: Each record that was changed, by kind and key, as it was before; None: it did not exist.
    journal: dict[tuple[type, str], Record | None] = field(default_factory=dict)
    #: The configuration in force (the header has it), and the layout that follows from it.
    pipeline: Pipeline = field(init=False)
    layout: Layout = field(init=False)
    #: The locks and their fixes, kept by the rules; None: a lock, a run of its service, or the header has changed.
    standing: Standing | None = field(default=None, init=False, compare=False)
    _indexes: Indexes = field(default_factory=Indexes)
    #: The versions of each service, by step.
    _in_steps: dict[str, dict[Step, StageVersion]] = field(default_factory=dict)
    #: The table of each kind of record; header and counters have tables of one record.
    _tables: dict[type, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self._tables = {kind: getattr(self, name) for kind, name in TABLES.items()}
        self._tables |= {type(record): {record.key: record} for record in (self.header, self.counters)}
        self._follow_header()

    def _follow_header(self) -> None:
        self.pipeline = self.header.pipeline
        self.layout = lay_out(self.pipeline)
        self._indexes.follow(self.layout)

    def copy(self) -> Board:
        """Return an independent copy of the board with an empty journal: changes to it leave this board as it is.

        The records are immutable and shared: only the tables and the indexes are copied.
        """
        tables = {name: dict(getattr(self, name)) for name in TABLES.values()}
        in_steps = {service: dict(versions) for service, versions in self._in_steps.items()}
        return Board(self.header, self.counters, **tables, _indexes=self._indexes.copy(), _in_steps=in_steps)

    # -- reading ---------------------------------------------------------------------------------------------

    def queue(self, step: Step, first: int = 0) -> Iterator[Run]:
        """Yield the runs that wait to enter `step`, in the order of the queue, from the index `first` on."""
        return (self.runs[entry.run] for entry in islice(self._indexes.steps.get(step, NOBODY).queue, first, None))

    def queue_length(self, step: Step) -> int:
        """Return how many runs wait to enter `step`."""
        return len(self._indexes.steps.get(step, NOBODY).queue)

    def steps_waited_for(self) -> list[Step]:
        """Return the configured steps that runs wait to enter, in the order of the stages."""
        return [at.step for at in self._indexes.in_order if at.queue]

    def steps_with_room(self) -> list[Step]:
        """Return the steps that runs wait to enter and that have a free slot, in the order of the stages."""
        return self._indexes.steps_with_room()

    def services_waiting(self, step: Step) -> Set[str]:
        """Return the services that have runs waiting to enter `step`."""
        return self._indexes.steps.get(step, NOBODY).in_line.keys()

    def may_be_excepted(self, step: Step) -> Set[str]:
        """Return the keys of the runs in the queue of `step` with labels, or let through: a freeze may except them."""
        return self._indexes.steps.get(step, NOBODY).special

    def waiting_by_service(self, step: Step) -> Mapping[str, int]:
        """Return how many runs of each service wait to enter `step`."""
        return self._indexes.steps.get(step, NOBODY).in_line

    def ahead_of(self, run: Run) -> int:
        """Return how many runs stand before `run` in its queue."""
        return bisect_left(self._indexes.steps.get(run.step, NOBODY).queue, queue_key(run))

    def inside(self, step: Step) -> list[Run]:
        """Return the runs that hold a slot of `step`, ordered by queue number."""
        found = [self.runs[key] for key in self._indexes.steps.get(step, NOBODY).slots if key in self.runs]
        return sorted(found, key=lambda run: (run.queue_number, run.key)) if len(found) > 1 else found

    def holding(self, step: Step) -> list[Buildable]:
        """Return the runs and verifications that hold a slot of `step`, ordered by queue number."""
        found = (self._at(key) for key in self._indexes.steps.get(step, NOBODY).slots)
        return sorted(found, key=lambda built: (built.queue_number, built.key))

    def built(self, key: str) -> Buildable | None:
        """Return the run or the verification called `key`; None if there is none."""
        return self.runs.get(key) or self.verifications.get(key)

    def _at(self, key: str) -> Buildable:
        return self.runs[key] if key in self.runs else self.verifications[key]

    def verifying(self) -> Iterator[Verification]:
        """Yield the verifications that wait for a slot, first come first served."""
        return (self.verifications[entry.run] for entry in self._indexes.steps.get(VERIFY, NOBODY).queue)

    def of_pull(self, service: str, number: int) -> list[Verification]:
        """Return the live verifications of one pull request, oldest first; all but the last are ending."""
        found = (self.verifications[key] for key in self._indexes.of_pull.get((service, number), ()))
        return sorted(found, key=lambda v: (v.created, v.key))

    def pull(self, service: str, number: int) -> Pull | None:
        """Return the record of a pull request; None if there is none."""
        return self.pulls_of(service).find(number)

    def pulls_of(self, service: str) -> Pulls:
        """Return the record of the pull requests of a service, or a fresh record."""
        return self.pulls.get(service) or Pulls(service)

    def unmanaged_builds(self, step: Step) -> list[UnmanagedBuild]:
        """Return the unmanaged builds that occupy a slot of `step`, oldest first."""
        return sorted((f for f in self.unmanaged.values() if f.step == step), key=lambda f: (f.since, f.number))

    def occupied(self, step: Step) -> int:
        """Return how many slots of `step` are taken."""
        return self._indexes.steps.get(step, NOBODY).occupied

    def is_full(self, step: Step) -> bool:
        """Return whether no slot of `step` is free."""
        return self._indexes.steps.get(step, NOBODY).is_full

    def of_service(self, service: str) -> list[Run]:
        """Return the live runs of `service`, oldest first."""
        return self._by_age(self._indexes.of_service.get(service, ()))

    def fast_runs(self, service: str) -> list[Run]:
        """Return the runs of `service` on the fast lane, oldest first."""
        return self._by_age(self._indexes.fast.get(service, ()))

    def _by_age(self, keys: Iterable[str]) -> list[Run]:
        found = [self.runs[key] for key in keys]
        return sorted(found, key=lambda run: (run.created, run.queue_number)) if len(found) > 1 else found

    def of_commit(self, service: str, sha: str) -> list[Run]:
        """Return the live runs of one commit of `service`, oldest first: seldom more than one."""
        found = [self.runs[key] for key in self._indexes.of_commit.get((service, sha), ())]
        return sorted(found, key=lambda run: run.queue_number) if len(found) > 1 else found

    def service(self, name: str) -> ServiceState:
        """Return the state of a service, or a fresh state."""
        return self.services.get(name) or ServiceState(name)

    def version(self, service: str, step: Step) -> StageVersion:
        """Return the stage version of a service in a step, or an empty record."""
        return self._in_steps.get(service, {}).get(step) or StageVersion(f"{service}/{step}", service, step)

    def versions_of(self, service: str) -> list[StageVersion]:
        """Return the stage versions of a service in the configured steps, in the order of the stages."""
        places = self.layout.places
        found = [(places[step], version) for step, version in self._in_steps.get(service, {}).items() if step in places]
        return [version for _, version in sorted(found, key=itemgetter(0))]

    def locks_of(self, stage: str) -> list[Lock]:
        """Return the locks that close `stage`, oldest first."""
        return _oldest_first([lock for lock in self.locks.values() if lock.stage == stage]) if self.locks else []

    def locks_held_by(self, service: str) -> list[Lock]:
        """Return the automatic locks that `service` holds, oldest first."""
        return _oldest_first([lock for lock in self.locks.values() if lock.service == service]) if self.locks else []

    def every_lock(self) -> list[Lock]:
        """Return the locks of all stages, oldest first."""
        return _oldest_first([*self.locks.values()])

    def follow_up(self, stage: str) -> FollowUp:
        """Return the record of the notices about a locked stage, or a fresh record."""
        return self.follow_ups.get(stage) or FollowUp(stage)

    def steps(self) -> tuple[Step, ...]:
        """Return every step that a run can be in, in the order of the stages, the fast step of a stage first."""
        return self.layout.steps

    def removed_steps(self) -> list[Step]:
        """Return the steps no longer configured in which builds have not ended yet, in a fixed order."""
        configured = {*self.steps(), VERIFY}
        left = (step for step, at in self._indexes.steps.items() if at.slots and step not in configured)
        return sorted(left, key=str)

    def jobs(self) -> dict[Job, Step]:
        """Return every configured job with its step."""
        return self.layout.jobs

    def job_of(self, built: Buildable) -> Job | None:
        """Return the Jenkins job in which a run or a verification is built; None if there is none (any more)."""
        return built.job or self.job(built.step)

    def job(self, step: Step) -> Job | None:
        """Return the Jenkins job of `step`; None if the configuration has none (any more)."""
        return self.layout.jobs_of.get(step)

    def capacity(self, step: Step) -> int | None:
        """Return how many runs `step` takes at once; None: no limit; 0: it is no longer configured."""
        return self._indexes.steps.get(step, NOBODY).capacity

    def records(self) -> Iterator[Record]:
        """Yield every record of the board."""
        yield self.header
        yield self.counters
        for name in TABLES.values():
            yield from getattr(self, name).values()

    def next_due(self, now: float) -> float | None:
        """Return the next time at which something is due, in seconds since the epoch; None: nothing is due.

        The end of a lock, the start of a freeze, the end of a backoff, the time limit of a build, a firmer abort and a
        notice are due at their times. While a clean-up is under way, the next decision is due at once: at `now`.
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
        """Yield the times at which notices about locked stages are due; none while the pipeline observes."""
        if not self.locks or self.header.mode is Mode.OBSERVE:
            return
        for stage in dict.fromkeys(lock.stage for lock in self.locks.values()):
            yield from follow_up_due(self.pipeline.notices, self.locks_of(stage), self.follow_up(stage))

    def overdue(self, now: float) -> list[Buildable]:
        """Return the runs and verifications whose build has exceeded its time limit and was not timed out before."""
        late: list[Buildable] = []
        for first, most in self._timed():
            if first.since + most <= now:
                late += [built for built in self.holding(first.step) if ticks(built) and built.since + most <= now]
        return sorted(late, key=lambda built: (built.since, built.key))

    def aborts(self) -> bool:
        """Return whether there may be an aborted build that has not ended. Cheap enough to ask after every event."""
        return bool(self._indexes.aborting or self.unmanaged)

    def aborting(self) -> list[Buildable]:
        """Return the runs and verifications whose running build was asked to end, in a fixed order."""
        if not self._indexes.aborting:
            return []
        found = (self._at(key) for key in sorted(self._indexes.aborting))
        return [built for built in found if built.attempt.build is not None]

    def duplicates(self) -> list[UnmanagedBuild]:
        """Return the duplicates that were asked to end, in a fixed order."""
        return sorted((f for f in self.unmanaged.values() if f.abort is not None), key=lambda f: f.key)

    def _aborts(self) -> Iterator[Abort]:
        ours = (built.attempt.abort for built in self.aborting())
        found = chain(ours, (unmanaged.abort for unmanaged in self.duplicates()))
        return (abort for abort in found if abort is not None)

    def _timed(self) -> Iterator[tuple[Buildable, float]]:
        """Yield for each step with a time limit its longest-running run or verification, and the limit in seconds."""
        timeouts = self.layout.timeouts
        for step, at in self._indexes.steps.items():
            timeout = timeouts.get(step) if at.started else None
            if timeout is not None:
                yield self._at(at.started[0][1]), timeout

    # -- changing --------------------------------------------------------------------------------------------

    def put(self, record: Record) -> None:
        """Store `record` under its key; it replaces an earlier record with that key."""
        kind, key = type(record), record.key
        table = self._tables[kind]
        before = table.get(key)
        self.journal.setdefault((kind, key), before)
        table[key] = record
        self._follow(kind, before, record)

    def drop(self, record: Record) -> None:
        """Remove the record that is stored under this record's key."""
        kind, key = type(record), record.key
        before = self._tables[kind].pop(key, None)
        self.journal.setdefault((kind, key), before)
        self._follow(kind, before, None)

    def take_changes(self) -> list[Change]:
        """Return the changes since the last call, one for each record, and clear the journal."""
        changes = [Change(before, self._tables[kind].get(key)) for (kind, key), before in self.journal.items()]
        self.journal.clear()
        return [change for change in changes if change.before != change.after]

    def forget_changes(self) -> None:
        """Clear the journal and keep the changes."""
        self.journal.clear()

    def undo(self) -> None:
        """Undo all changes since the last `take_changes`."""
        journal, self.journal = self.journal, {}
        for (kind, key), before in journal.items():
            after = self._tables[kind].pop(key, None)
            if before is not None:
                self._tables[kind][key] = before
            if after is not before:  # a record that came and went has left nothing behind
                self._follow(kind, after, before)

    def queue_number(self) -> int:
        """Hand out the next queue number."""
        number = self.counters.next_queue_number
        self.put(Counters(number + 1, self.counters.next_lock))
        return number

    def stored(self, family: str, key: str) -> Record | None:
        """Return the record of a family (`FAMILIES`) with this key; None if there is none."""
        found: Record | None = self._tables[next(k for k, name in FAMILIES.items() if name == family)].get(key)
        return found

    def _follow(self, kind: type, before: Any, after: Any) -> None:
        """Update what follows from the records, after `before` was replaced by `after` in its table."""
        if kind is Run or kind is Verification:
            self._indexes.change(before, after)
            if self.standing is not None and (after or before).service in self.standing.fixes:
                self.standing = None
        elif kind is Counters:
            self.counters = after
        elif kind is Lock:
            self.standing = None
        elif kind is StageVersion:
            self._find_by_step(before, after)
        elif kind is Header:
            self.header, self.standing = after, None
            self._follow_header()
        elif kind is UnmanagedBuild:
            self._indexes.change_unmanaged(before, after)

    def _find_by_step(self, before: StageVersion | None, after: StageVersion | None) -> None:
        if after is not None:
            self._in_steps.setdefault(after.service, {})[after.step] = after
        elif before is not None:
            self._in_steps[before.service].pop(before.step)


def _oldest_first(locks: list[Lock]) -> list[Lock]:
    return sorted(locks, key=lambda lock: (lock.since, lock.key)) if len(locks) > 1 else locks


def build_board(header: Header, records: Iterable[Record]) -> Board:
    """Build a board of these records, with an empty journal."""
    board = Board(header)
    for record in records:
        board.put(record)
    board.forget_changes()
    return board
