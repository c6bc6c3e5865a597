"""Read the load from a recording: merges, actions of people, and the builds of each commit.

All of it is read from the facts, so a request that was refused, or a build that ended too late, does not count. An
action that followed a failure (a fix, a retry, an unlock) is stored with that failure and the time in between: if the
failure happens at another time in a simulation, so does the action. Times in seconds since the epoch.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.core.model.board_records import Header
from bot.core.model.events import (
    Configured,
    Event,
    FastLaneAsked,
    FreezesPlanned,
    LockAsked,
    Merged,
    ModeAsked,
    PullLabelled,
)
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import AskedBy, Cancelled, Message, Promoted, RunEnding, StartsFast
from bot.core.model.notice_plan import NoticePlan
from bot.core.model.pipeline import LockStatus, Mode, Outcome, Pipeline, Track
from bot.core.model.replaced import replace
from bot.core.model.stage_messages import Frozen, LetThrough, ModeChanged, StageLocked, StageUnlocked, UnlockedBy
from bot.core.rules.recorded import BoardSnapshot, DecidedEntry, Recorded, RecordedTurn
from bot.simulation.figures import TimedFact, failed_build

#: A commit of a service.
Commit = tuple[str, str]


class UnusableRecording(Exception):
    """An error: the recording lacks data that a simulation needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The n-th failure of a commit in a stage, from 1, in either of its jobs; an automatically retried build does not
    count."""

    commit: Commit
    stage: str
    number: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """The cause of an action of people: a failure, and the seconds between it and the action."""

    failure: Failure
    after: float


@dataclass(frozen=True, slots=True)
class RecordedMerge:
    """A merge that started a run. It has a `reaction` if its service held a lock then: it counts as a fix."""

    at: float
    event: Merged
    reaction: Reaction | None = None

    @property
    def commit(self) -> Commit:
        """The merged commit."""
        return self.event.service, self.event.sha


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request of a person. `what` is the kind of the resulting fact. Its subject is looked up on the board at that
    time: a run of the commit, or a lock of the stage that a person (`holder`), a service or a freeze holds."""

    at: float
    what: FactKind
    by: str
    stage: str = ""
    commit: Commit | None = None
    holder: str = ""
    service: str = ""
    freeze: bool = False
    #: The event itself, for a lock, a new mode, and a head that is sent on the fast lane.
    event: Event | None = None
    reaction: Reaction | None = None


@dataclass(frozen=True, slots=True)
class RecordedBuild:
    """An ended build: its time in Jenkins' queue and its duration, in seconds, its outcome and failed tests."""

    queued: float
    seconds: float
    outcome: Outcome
    tests: tuple[str, ...] = ()


@dataclass(slots=True)
class RecordedLoad:
    """The load of one recording, from its first usable turn on."""

    pipeline: Pipeline
    mode: Mode
    began: float
    until: float = 0.0
    facts: list[TimedFact] = field(default_factory=list)
    #: The keys of the runs that had begun before the recording; the figures leave them out.
    older: frozenset[str] = frozenset()
    merges: list[RecordedMerge] = field(default_factory=list)
    requests: list[RecordedRequest] = field(default_factory=list)
    #: Configurations, freezes and labels of pull requests, with their times.
    told: list[tuple[float, Event]] = field(default_factory=list)
    #: The ended builds by commit and step, in their order.
    builds: dict[tuple[Commit, str], list[RecordedBuild]] = field(default_factory=lambda: defaultdict(list))
    #: When a build of a commit last failed in a stage; and the commits and stages where that locked the stage.
    failed: dict[tuple[Commit, str], float] = field(default_factory=dict)
    locking: set[tuple[Commit, str]] = field(default_factory=set)
    #: The durations of the automatic locks, by stage.
    stood: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    #: Since when it can be used, if turns are missing before; and the number of force-pushes, played as plain merges.
    gap: float | None = None
    forced: int = 0


def read_load(recorded: Iterable[Recorded]) -> RecordedLoad:
    """Read the load of a recording. If turns are missing or the board began anew, only the part after the last of
    these places is used.

    Raises UnusableRecording.
    """
    reader: _Reader | None = None
    version, epoch, gap = 0, "", None
    for item in recorded:
        if isinstance(item, BoardSnapshot):
            if reader is None or (item.version, item.epoch) != (version, epoch):
                gap = item.at if reader is not None else gap
                reader = _Reader.of_snapshot(item, gap)
            version, epoch = item.version, item.epoch
            continue
        follows = (item.version - 1, item.after) == (version, epoch) or (item.version, version) == (1, 0)
        if not follows:
            reader, gap = None, item.at
        version, epoch = item.version, item.epoch
        reader = reader or _Reader.of_turn(item, gap)
        if reader is not None:
            reader.read(item)
    if reader is None or not reader.load.facts:
        raise UnusableRecording(
            "the recording says nothing that can be used: it has no turns, or no configuration that this version reads"
        )
    if not reader.load.merges:
        raise UnusableRecording("the recording has no merge, so there is nothing to simulate")
    return reader.load


@dataclass(slots=True)
class _Standing:
    """An automatic lock that has not opened yet."""

    service: str
    stage: str
    since: float
    failure: Failure | None


class _Reader:
    """The reader of the turns, one after the other."""

    def __init__(self, load: RecordedLoad) -> None:
        self.load = load
        self._counts: Counter[tuple[Commit, str]] = Counter()
        self._last: dict[str, tuple[Failure, float]] = {}
        self._standing: dict[str, _Standing] = {}
        self._hands: dict[str, str] = {}
        #: By run: its last failure, while that is the cause of what follows; when it was admitted; when its build
        #: started. And the runs whose cancellation was counted.
        self._failure: dict[str, tuple[Failure, float]] = {}
        self._admitted: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._leaving: set[str] = set()

    @classmethod
    def of_snapshot(cls, snapshot: BoardSnapshot, gap: float | None) -> _Reader:
        """Begin with the board of a snapshot."""
        header = next(record for record in snapshot.records if isinstance(record, Header))
        load = RecordedLoad(plain(header.pipeline), header.mode, snapshot.at, snapshot.at, gap=gap)
        load.older = frozenset(each.key for each in snapshot.records if hasattr(each, "passed"))
        if header.freezes:
            load.told.append((snapshot.at, FreezesPlanned(header.freezes, header.revision)))
        return cls(load)

    @classmethod
    def of_turn(cls, turn: RecordedTurn, gap: float | None) -> _Reader | None:
        """Begin with the turn that configured the pipeline, if there is no snapshot before; None for any other turn."""
        for entry in turn.decided:
            for event in entry.events:
                if isinstance(event, Configured):
                    load = RecordedLoad(plain(event.pipeline), event.mode or Mode.RUN, entry.at, entry.at, gap=gap)
                    return cls(load)
        return None

    def read(self, turn: RecordedTurn) -> None:
        """Read one more turn."""
        for entry in turn.decided:
            self.load.until = max(self.load.until, entry.at)
            for event in entry.events:
                if isinstance(event, Configured):
                    event = replace(event, pipeline=plain(event.pipeline))
                if isinstance(event, Configured | FreezesPlanned | PullLabelled):
                    self.load.told.append((entry.at, event))
            for fact in entry.facts:
                self.load.facts.append((entry.at, fact))
                if fact.step is None or fact.step.track is not Track.VERIFY:
                    self._read(entry, fact)

    def _read(self, entry: DecidedEntry, fact: Fact) -> None:
        at = entry.at
        match fact.kind:
            case FactKind.MERGE_ACCEPTED:
                self._merge(entry, fact)
            case FactKind.RUN_ADMITTED:
                self._admitted[fact.run or ""] = at
            case FactKind.BUILD_STARTED:
                self._started[fact.run or ""] = at
            case FactKind.BUILD_PASSED | FactKind.BUILD_FAILED | FactKind.BUILD_REPEATED:
                self._ended(at, fact)
            case FactKind.STAGE_LOCKED:
                self._locked(entry, fact)
            case FactKind.STAGE_UNLOCKED:
                self._unlocked(at, fact)
            case FactKind.MODE_CHANGED | FactKind.RUN_RETRIED | FactKind.RUN_MOVED | FactKind.RUN_EXCEPTED:
                self._asked(at, fact)
            case FactKind.RUN_LEAVING | FactKind.RUN_CANCELLED:
                self._cancelled(at, fact)
            case FactKind.RUN_PROMOTED | FactKind.RUN_QUEUED:
                self._failure.pop(fact.run or "", None)
                self._sent_fast(entry, fact)
            case _:
                pass

    # -- merges ------------------------------------------------------------------------------------------------------

    def _merge(self, entry: DecidedEntry, fact: Fact) -> None:
        if fact.service is None or fact.sha is None:
            return
        told = next((e for e in entry.events if isinstance(e, Merged) and e.sha == fact.sha), None)
        self.load.forced += told is not None and told.forced
        kept = told or Merged(fact.service, fact.sha)
        event = Merged(
            fact.service, fact.sha, push_id=fact.sha, pull=kept.pull, title=kept.title, author=kept.author,
            labels=kept.labels,
        )  # fmt: skip
        self.load.merges.append(RecordedMerge(entry.at, event, self._reaction(entry.at, fact.service)))

    def _reaction(self, at: float, service: str) -> Reaction | None:
        """Return the last failure of a service that holds a lock, with the time since then; None otherwise."""
        holds = any(lock.service == service for lock in self._standing.values())
        if not holds or service not in self._last:
            return None
        failure, failed = self._last[service]
        return Reaction(failure, at - failed)

    # -- builds ------------------------------------------------------------------------------------------------------

    def _ended(self, at: float, fact: Fact) -> None:
        key = fact.run or ""
        if fact.service is None or fact.sha is None or fact.step is None or key not in self._admitted:
            return
        started = self._started.pop(key, at)  # if its start was not seen, it ended before Jenkins was asked
        why = failed_build(fact.why)
        passed = fact.kind is FactKind.BUILD_PASSED
        outcome = Outcome.SUCCESS if passed else why.outcome if why is not None else Outcome.FAILURE
        queued = max(0.0, started - self._admitted.pop(key))
        build = RecordedBuild(queued, at - started, outcome, why.tests if why is not None and not passed else ())
        commit = (fact.service, fact.sha)
        self.load.builds[commit, str(fact.step)].append(build)
        if fact.kind is FactKind.BUILD_FAILED:  # nobody reacts to a build that the stage retries automatically
            stage = fact.step.stage
            self._counts[commit, stage] += 1
            failure = Failure(commit, stage, self._counts[commit, stage])
            self._last[fact.service] = self._failure[key] = (failure, at)
            self.load.failed[commit, stage] = at

    # -- locks -------------------------------------------------------------------------------------------------------

    def _locked(self, entry: DecidedEntry, fact: Fact) -> None:
        if fact.step is None or (isinstance(fact.why, StageLocked) and isinstance(fact.why.reason, Frozen)):
            return
        stage, key = fact.step.stage, fact.lock or fact.run or ""
        if fact.run is None:
            event = next((e for e in entry.events if isinstance(e, LockAsked) and e.stage == stage), None)
            self._hands[key] = fact.by or ""
            event = event or LockAsked(stage, fact.by or "", "")
            self.load.requests.append(RecordedRequest(entry.at, fact.kind, fact.by or "", stage, event=event))
        elif key not in self._standing and fact.service is not None:
            found = self._failure.get(fact.run)
            failure = found[0] if found is not None and found[0].stage == stage else None
            self._standing[key] = _Standing(fact.service, stage, entry.at, failure)
            if failure is not None:
                self.load.locking.add((failure.commit, stage))

    def _unlocked(self, at: float, fact: Fact) -> None:
        if fact.step is None:
            return
        key, stage = fact.lock or fact.run or "", fact.step.stage
        standing, hand = self._standing.pop(key, None), self._hands.pop(key, "")
        if standing is not None:
            self.load.stood[stage].append(at - standing.since)
        if not isinstance(fact.why, StageUnlocked) or not isinstance(fact.why.why, UnlockedBy):
            return  # a fix has passed, or its end time was reached
        by = fact.by or ""
        reaction = None
        if standing is not None and standing.failure is not None:
            reaction = Reaction(standing.failure, at - standing.since)
        frozen = standing is None and not hand and fact.run is None
        request = RecordedRequest(
            at, fact.kind, by, stage, holder=hand, service=fact.service or "", freeze=frozen, reaction=reaction
        )
        self.load.requests.append(request)

    # -- requests of people ------------------------------------------------------------------------------------------

    def _asked(self, at: float, fact: Fact) -> None:
        if fact.kind is FactKind.RUN_EXCEPTED and not isinstance(fact.why, LetThrough):
            return
        by = fact.by or ""
        if isinstance(fact.why, ModeChanged):
            event = ModeAsked(fact.why.now, by, "")
            self.load.requests.append(RecordedRequest(at, fact.kind, by, event=event))
        elif fact.service is not None and fact.sha is not None:
            reaction = self._since_failure(at, fact.run or "")
            self.load.requests.append(
                RecordedRequest(at, fact.kind, by, commit=(fact.service, fact.sha), reaction=reaction)
            )
            self._failure.pop(fact.run or "", None)

    def _since_failure(self, at: float, run: str) -> Reaction | None:
        failed = self._failure.get(run)
        return Reaction(failed[0], at - failed[1]) if failed is not None else None

    def _cancelled(self, at: float, fact: Fact) -> None:
        why: Message = fact.why.why if isinstance(fact.why, RunEnding) else fact.why
        key = fact.run or ""
        if not isinstance(why, Cancelled) or key in self._leaving or fact.service is None or fact.sha is None:
            return
        self._leaving.add(key)
        commit, reaction = (fact.service, fact.sha), self._since_failure(at, key)
        self.load.requests.append(RecordedRequest(at, FactKind.RUN_CANCELLED, why.by, commit=commit, reaction=reaction))

    def _sent_fast(self, entry: DecidedEntry, fact: Fact) -> None:
        why = fact.why.why if isinstance(fact.why, Promoted | StartsFast) else None
        if not isinstance(why, AskedBy) or fact.service is None:
            return
        event = next((e for e in entry.events if isinstance(e, FastLaneAsked) and e.service == fact.service), None)
        permit = fact.why.permit if isinstance(fact.why, Promoted) else None
        event = event or FastLaneAsked(fact.service, why.by, why.reason, permit)
        reaction = self._reaction(entry.at, fact.service)
        self.load.requests.append(
            RecordedRequest(
                entry.at, FactKind.RUN_PROMOTED, why.by, service=fact.service, event=event, reaction=reaction
            )
        )


def plain(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline without the parts that move no run: verifications, lock notices and the notice plan."""
    return dataclasses.replace(pipeline, verify=None, lock_status=LockStatus.OFF, notices=NoticePlan())
