"""Model the people of a what-if: they do what they did in the recording, when the cause of it happens.

A fix, a retry or an unlock that followed a failure follows that failure after the same time. If the commit does not
fail, the fix is merged nevertheless: at its recorded time, or as soon as it is certain that nothing fails. Everything
else happens at its recorded time. A lock that was not recorded is opened by a person after the duration of a recorded
lock, drawn by stage, unless a fix opens it before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random

from bot.core.model.board import Board
from bot.core.model.events import CancelAsked, Event, LetThroughAsked, Merged, MoveAsked, RetryAsked, UnlockAsked
from bot.core.model.facts import Fact, FactKind
from bot.core.model.replaced import replace
from bot.core.model.stage_state import Lock
from bot.core.rules.decision import Decision
from bot.simulation.drawn_builds import DrawnBuilds
from bot.simulation.engine import Intention
from bot.simulation.figures import ENDS
from bot.simulation.recorded_load import Commit, Failure, Reaction, RecordedLoad, RecordedMerge, RecordedRequest

#: The requests about a run, by the fact that results from each.
_ABOUT_A_RUN: dict[FactKind, Callable[[str, str, str], Event]] = {
    FactKind.RUN_RETRIED: RetryAsked,
    FactKind.RUN_CANCELLED: CancelAsked,
    FactKind.RUN_MOVED: MoveAsked,
    FactKind.RUN_EXCEPTED: LetThroughAsked,
}
#: The name of the person who opens a lock that was not recorded.
SOMEBODY = "somebody"

_Caused = RecordedMerge | RecordedRequest


class RecordedPeople:
    """The people of one simulation; each simulation needs a new object."""

    def __init__(self, load: RecordedLoad, builds: DrawnBuilds, seed: int) -> None:
        self._load = load
        self._builds = builds
        self._seed = seed
        merged = {merge.commit for merge in load.merges}
        #: The reactions that wait for a failure, by its commit; each is removed when it is planned.
        self._waiting: dict[Commit, list[tuple[Reaction, _Caused]]] = defaultdict(list)
        self._planned: list[_Caused] = []
        caused: list[_Caused] = [*load.merges, *load.requests]
        for each in caused:
            if each.reaction is not None and each.reaction.failure.commit in merged:
                self._waiting[each.reaction.failure.commit].append((each.reaction, each))
            else:
                self._planned.append(each)
        self._failures: Counter[tuple[Commit, str]] = Counter()

    def arrivals(self) -> Iterator[Intention]:
        """Yield the intentions that happen at their recorded time whatever is decided."""
        yield from (Intention(each.at, self._act(each)) for each in self._planned)

    def react(self, decision: Decision) -> Iterable[Intention]:
        """Yield the intentions of people because of a decision."""
        for fact in decision.facts:
            self._builds.note(fact)
            if fact.service is None:
                continue
            if fact.kind is FactKind.BUILD_FAILED:
                yield from self._failed(decision.now, fact)
            elif fact.kind is FactKind.BUILD_PASSED or fact.kind in ENDS:
                yield from self._fixes_without_failure(decision.now, fact)
            elif fact.kind is FactKind.STAGE_LOCKED:
                yield from self._locked(decision, fact)

    def _failed(self, now: float, fact: Fact) -> Iterator[Intention]:
        if fact.sha is None or fact.step is None:
            return
        commit, stage = (fact.service or "", fact.sha), fact.step.stage
        self._failures[commit, stage] += 1
        failure = Failure(commit, stage, self._failures[commit, stage])
        for reaction, each in self._take_waiting(commit, lambda reaction: reaction.failure == failure):
            yield Intention(now + reaction.after, self._act(each))

    def _fixes_without_failure(self, now: float, fact: Fact) -> Iterator[Intention]:
        """Yield the merges of fixes for a failure that can no longer happen, because the commit has passed the stage or
        is gone."""
        if fact.sha is None:
            return
        stage = fact.step.stage if fact.kind is FactKind.BUILD_PASSED and fact.step is not None else None
        commit = (fact.service or "", fact.sha)
        for _, each in self._take_waiting(commit, lambda reaction: stage in (None, reaction.failure.stage)):
            if isinstance(each, RecordedMerge):
                yield Intention(max(now, each.at), self._act(each))

    def _take_waiting(self, commit: Commit, wanted: Callable[[Reaction], bool]) -> list[tuple[Reaction, _Caused]]:
        """Remove and return the reactions that wait for a failure of this commit and match `wanted`."""
        waiting = self._waiting.get(commit)
        if not waiting:
            return []
        found = [each for each in waiting if wanted(each[0])]
        self._waiting[commit] = [each for each in waiting if not wanted(each[0])]
        return found

    def _locked(self, decision: Decision, fact: Fact) -> Iterator[Intention]:
        """Yield the unlock of a lock that was not recorded, after the duration of a recorded one."""
        lock = decision.board.locks.get(fact.lock or "")
        if lock is None or lock.position is None or lock.service is None:
            return
        commit = (lock.service, lock.position.sha)
        stood = self._load.stood.get(lock.stage) or [each for many in self._load.stood.values() for each in many]
        if (commit, lock.stage) in self._load.locking or not stood:
            return
        random = Random(f"{self._seed} {commit} {lock.stage}")  # noqa: S311  not a secret: a repeatable draw
        yield Intention(decision.now + random.choice(stood), partial(_open, lock.key, lock.stage))

    # -- events for the board of that time ---------------------------------------------------------------------------

    def _act(self, each: _Caused) -> Callable[[Board], Event | None]:
        if isinstance(each, RecordedMerge):
            return partial(_merge, each.event)
        return partial(_ask, each)


def _merge(event: Merged, board: Board) -> Event | None:
    """Return a merge that follows the present head of main."""
    if board.pipeline.service(event.service) is None:
        return None
    head = board.service(event.service).history.head
    return replace(event, before=head.sha if head is not None else None)


def _open(key: str, stage: str, board: Board) -> Event | None:
    return UnlockAsked(stage, SOMEBODY, "", lock=key) if key in board.locks else None


def _ask(request: RecordedRequest, board: Board) -> Event | None:
    """Return the request of a person; None if its run or lock does not exist."""
    if request.event is not None:
        return request.event
    if request.what is FactKind.STAGE_UNLOCKED:
        lock = next((lock for lock in board.locks_of(request.stage) if _is_meant(request, lock)), None)
        return None if lock is None else UnlockAsked(request.stage, request.by, "", lock=lock.key)
    runs = board.of_commit(*request.commit) if request.commit is not None else []
    return _ABOUT_A_RUN[request.what](runs[-1].key, request.by, "") if runs else None


def _is_meant(request: RecordedRequest, lock: Lock) -> bool:
    if request.freeze:
        return bool(lock.freeze)
    return lock.service == request.service if request.service else lock.by == request.holder
