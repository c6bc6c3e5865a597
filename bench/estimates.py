"""Measures the estimates: replays a long history through the real rules and compares each estimate with the result.

For comparison, the plain way: the place in the queue times the mean duration of a build, as merge queues estimate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from bench.history import BEGIN, DAY, MINUTE, MadeHistory
from bench.report import SMALL, Section, Target, p50, quantile
from bot.core.model.facts import Fact, FactKind
from bot.core.model.run import Run, Status
from bot.core.model.stage_state import Lock
from bot.forecast.forecast import Forecast, LockForecast
from bot.forecast.spread import Estimate
from bot.statistics.parts import Foretold

#: The histories, by their seeds; the length of each in days, and the first day of the measurement: before it
#: there are no figures to estimate from.
SEEDS, DAYS, FROM = (1, 2, 3, 4), 40.0, 10.0
#: The interval of the questions, in seconds of the history, and the number of waiting runs in each.
EVERY, WAITING = 5 * MINUTE, 4
#: The targets: the share of results inside the range that should contain 80 percent of them.
INSIDE = (0.72, 0.92)
#: The groups by the distance of the estimate, in minutes.
AHEAD = ((0, 15, "under 15 min"), (15, 60, "15 to 60 min"), (60, 10**9, "over 1 h"))
#: The groups by the cause that closes the stage.
OPEN, FIX, NO_FIX = "stage open", "locked, fix on its way", "locked, no fix yet"
LEFT = frozenset(
    {
        FactKind.RUN_SUPERSEDED,
        FactKind.RUN_CANCELLED,
        FactKind.RUN_DROPPED,
        FactKind.RUN_FAILED,
        FactKind.BUILD_FAILED,
        FactKind.BUILD_REPEATED,
        FactKind.RUN_PROMOTED,
    }
)


@dataclass(frozen=True, slots=True)
class _Said:
    """An estimate of a run or a lock at some time; `plain`: the estimate of the plain way."""

    kind: Foretold
    at: float
    estimate: Estimate
    plain: float
    closed: str


@dataclass(frozen=True, slots=True)
class _Met:
    """An estimate and the result; times in minutes."""

    kind: Foretold
    closed: str
    ahead: float
    off: float
    plain_off: float
    inside: bool
    early: bool


class _Watcher:
    """A watcher that asks for estimates in working hours, as people do, and compares them with the results."""

    def __init__(self, replay: MadeHistory) -> None:
        self._replay = replay
        self._random = Random(0)
        self._said: dict[tuple[Foretold, str], list[_Said]] = defaultdict(list)
        self.met: list[_Met] = []
        self.asked = self.unforeseen = 0
        replay.watch = self._hear

    def look(self) -> None:
        """Ask about some runs and locks on the board."""
        replay = self._replay
        if replay.now < BEGIN + FROM * DAY or not replay.is_open():
            return
        board = replay.board
        forecast = Forecast(board, replay.statistics, replay.now)
        waiting = [run for run in board.runs.values() if run.status is Status.WAITING]
        running = [run for run in board.runs.values() if run.status is Status.RUNNING]
        for run in self._random.sample(waiting, min(WAITING, len(waiting))):
            found = forecast.of(run)
            if found.removed_by is None:
                closed = _closed(found.locks)
                self._say(Foretold.ENTERS, f"{run.key} {run.step}", found.enters, self._plainly(run), closed)
        for run in self._random.sample(running, min(1, len(running))):
            self._say(Foretold.PASSES, f"{run.key} {run.step}", forecast.of(run).passes, self._plainly(run))
        for lock in board.locks.values():
            if lock.automatic:
                opening = forecast.of_lock(lock)
                self._say(Foretold.OPENS, lock.key, opening.opens, self._usually(lock), _closed((opening,)))

    def _say(self, kind: Foretold, key: str, found: Estimate | None, plain: float, closed: str = OPEN) -> None:
        self.asked += 1
        if found is None:
            self.unforeseen += 1
        else:
            self._said[kind, key].append(_Said(kind, self._replay.now, found, plain, closed))

    def _plainly(self, run: Run) -> float:
        board, now = self._replay.board, self._replay.now
        passed = self._replay.statistics.durations(str(run.step)).passed
        mean = sum(passed) / len(passed) if passed else 0.0
        if run.status is Status.RUNNING:
            return max(now, run.since + mean)
        inside = board.inside(run.step)
        head = min((max(now, each.since + mean) for each in inside), default=now)
        return head + board.ahead_of(run) * mean / (board.capacity(run.step) or 1)

    def _usually(self, lock: Lock) -> float:
        past = [each.seconds for each in self._replay.statistics.past_locks(lock.stage).locks]
        return max(self._replay.now, lock.since + (sum(past) / len(past) if past else 0.0))

    def _hear(self, fact: Fact) -> None:
        where = f"{fact.run} {fact.step}"
        if fact.kind is FactKind.RUN_ADMITTED:
            self._meet(Foretold.ENTERS, where)
        elif fact.kind is FactKind.BUILD_PASSED:
            self._meet(Foretold.PASSES, where)
        elif fact.kind is FactKind.STAGE_UNLOCKED and fact.step is not None:
            self._meet(Foretold.OPENS, f"{fact.step.stage}/{fact.run}")
        elif fact.kind in LEFT:  # it neither enters nor passes: there is nothing to compare
            self._said.pop((Foretold.ENTERS, where), None)
            self._said.pop((Foretold.PASSES, where), None)

    def _meet(self, kind: Foretold, key: str) -> None:
        now = self._replay.now
        for said in self._said.pop((kind, key), []):
            self.met.append(
                _Met(
                    kind,
                    said.closed,
                    (said.estimate.at - said.at) / MINUTE,
                    abs(now - said.estimate.at) / MINUTE,
                    abs(now - said.plain) / MINUTE,
                    said.estimate.low - 1 <= now <= said.estimate.high + 1,
                    now < said.estimate.low - 1,
                )
            )


def _closed(locks: Sequence[LockForecast]) -> str:
    """Return the cause that closes the stage; of several locks, the least predictable one."""
    if not locks:
        return OPEN
    return NO_FIX if any(lock.usual for lock in locks) else FIX


def measure(say: Callable[[str], None], scale: float) -> Section:
    """Replay the histories, whole at scale 1; in a trial run, one short history."""
    days = max(FROM + 1, DAYS * scale)
    met: list[_Met] = []
    asked = unforeseen = ended = 0
    seeds = SEEDS if scale >= SMALL else SEEDS[:1]
    for seed in seeds:
        say(f"estimates: replaying a history (seed {seed})")
        replay = MadeHistory(seed)
        watcher = _Watcher(replay)
        replay.play(days, EVERY, watcher.look)
        met += watcher.met
        asked, unforeseen = asked + watcher.asked, unforeseen + watcher.unforeseen
        ended += sum(replay.statistics.totals().ends.values())
    columns = ["minutes", "said", "median error", "nine of ten", "in its range", "too early", "too late", "plain way"]
    title = "How far estimates are off (minutes), and how often the truth lay in the range (it is to hold eight of ten)"
    section = Section("estimates", title, columns)
    for kind in Foretold:
        for closed in (OPEN, FIX, NO_FIX):
            found = [each for each in met if (each.kind, each.closed) == (kind, closed)]
            if closed == OPEN:
                for low, high, name in AHEAD:
                    _row(section, f"{kind}, {closed}, {name}", [each for each in found if low <= each.ahead < high])
            else:
                _row(section, f"{kind}, {closed}", found)
        _row(section, f"{kind}, all", [each for each in met if each.kind is kind])
    _targets(section, met)
    section.remarks = [
        f"{len(seeds)} histories of {days:g} days, {ended:,} runs; measured from day {FROM:g} on, in working hours.",
        f"No estimate could be given {unforeseen:,} of {asked:,} times: a person's lock without an end, or a lock "
        "without a fix that has stood longer than nearly all before it.",
    ]
    return section


def _row(section: Section, name: str, met: list[_Met]) -> None:
    if not met:
        return
    off, plain = [each.off for each in met], [each.plain_off for each in met]
    late = sum(not each.inside and not each.early for each in met)
    early = sum(each.early for each in met)
    section.figures[name] = {"count": len(met), "median": p50(off), "inside": 1 - (late + early) / len(met)}
    section.rows.append(
        [
            name,
            f"{len(met):,}",
            f"{p50(off):.1f}",
            f"{quantile(off, 0.9):.1f}",
            f"{100 * (1 - (late + early) / len(met)):.0f} %",
            f"{100 * late / len(met):.0f} %",
            f"{100 * early / len(met):.0f} %",
            f"{p50(plain):.1f}",
        ]
    )


def _targets(section: Section, met: list[_Met]) -> None:
    entered = [each for each in met if each.kind is Foretold.ENTERS]
    if not entered:
        return
    inside = sum(each.inside for each in entered) / len(entered)
    section.targets = [
        Target("in the range: waiting runs", inside, INSIDE[0], at_least=True),
        Target("in the range, not wider than need be: waiting runs", inside, INSIDE[1], at_least=False),
        Target(
            "median error beside the plain way",
            p50([each.off for each in entered]) / max(0.001, p50([each.plain_off for each in entered])),
            1.0,
            at_least=False,
        ),
    ]
