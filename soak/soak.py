"""The soak itself: real processes at steady work, sampled all the time, and the result."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from redis import Redis

from bot.statistics.parts import WEEK_KEPT
from bot.store.connection import connect
from bot.store.inbox import parked, read_backlog
from bot.store.keys import Keys
from bot.store.outbox import Outbox
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts
from chaos.world import PIPELINE, SERVICES, World
from launch import Stack
from launch.stack import worker_names
from soak import processes, store
from soak.growth import Growth, Sample, judge, later
from soak.leak import plant
from soak.traffic import LOCKS_EVERY, Background, Developers, Operator, Readers

ROOT = Path(__file__).resolve().parent.parent
#: The numbers of workers and web processes, and the names of all watched processes.
WORKERS, WEB_WORKERS = 2, 2
PROCESSES = ("web", *worker_names({"INTERLOCK_WORKERS": str(WORKERS)}), "beat", "server")
#: The merges of one day of `--days`: after so many, a day passes for the keys that Redis keeps for days.
A_DAY = 500
#: Few services, so that the bounded data of each service is full early.
SERVED = dict(islice(SERVICES.items(), 8))
#: The limits of the kept past: low, for the same reason.
LITTLE = {"history": 50, "facts": 2_000, "raw_deliveries_mib": 1, "recording_mib": 1}
#: The merges after which all bounded data is full. Per service, the 100 lead times of a week take longest (64 moves of
#: main are kept, and 30 durations); of the keys that live for days, the 14 days of notes.
PLATEAU = len(SERVED) * WEEK_KEPT
#: The merges after which a day passes: data that lives for 14 days is full by then, too.
SHORT_DAY = PLATEAU // 16
#: The least share of the warm-up in the time: the memory pools of a process also need time to reach their size.
WARM_UP = 0.25
#: The builds of a job at once, so that merges do not pile up.
CAPACITIES = {"acceptance": 8, "pre-production": 6, "production": 8}
#: The readers who load pages all the time, the pause of each in seconds, and the readers who leave a page open.
READERS, READS_EVERY, WATCHERS = 2, 0.3, 4
#: The most live runs: above it merging waits, because an overloaded machine would never catch up.
MOST_LIVE = 150
#: The number of samples, and the shortest and longest interval between them, in seconds.
SAMPLES, EVERY = 60, (0.5, 10.0)
#: The factor by which a long soak scans Redis, with its many keys, less often.
SELDOM = 4
#: The fewest samples in the judged time to judge a figure: a process that has just started has fewer.
FEWEST = 3
#: The allowed growth of Redis in the judged time: all keys, those that last and their bytes, clients.
STORE_TOLERANCES = {"keys": 300.0, "keys that last": 2.0, "bytes that last": 512.0 * 1024, "clients": 6.0}
#: In a run shorter than this, in seconds, caches and bounds still fill in the second half: the factors of tolerance.
SHORT, GENEROUS, GENEROUS_BYTES = 600.0, 6.0, 40.0
#: The longest wait until the heads of main are known, in seconds.
PATIENCE = 60.0


@dataclass
class Outcome:
    """The result of a soak: the growth of each figure, by process; and the faults, by name."""

    seconds: float
    merged: int
    fixes: int
    days: int
    #: The time at which everything was full and judging began, in seconds since the start; None: the second half.
    full: float | None
    growths: dict[tuple[str, str], Growth]
    store: store.StoreUsage
    done: dict[str, int]
    faults: dict[str, list[str]]

    @property
    def growing(self) -> list[str]:
        """Describe the growing figures."""
        return [
            f"{where}: {what} grew by {each.grown:,.0f} in {each.seconds:.0f} s, more than {each.tolerance:,.0f}"
            for (where, what), each in self.growths.items()
            if each.grows
        ]


@dataclass
class Watch:
    """The samples by process (or store) and figure."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))

    def note(self, where: str, at: float, figures: dict[str, float]) -> None:
        """Note the figures of a process or the store."""
        for what, value in figures.items():
            self.samples[where, what].append((at, value))

    def judged(self, seconds: float, since: float | None = None) -> dict[tuple[str, str], Growth]:
        """Return the growth of each figure with a tolerance and enough samples.

        `since`: the time at which everything was full; None: the second half is judged.
        """
        tolerances = {**processes.TOLERANCES, **STORE_TOLERANCES}
        if seconds < SHORT:
            tolerances = {what: GENEROUS * each for what, each in tolerances.items()}
            tolerances["bytes that last"] = GENEROUS_BYTES * STORE_TOLERANCES["bytes that last"]
            tolerances["keys"] = GENEROUS_BYTES * STORE_TOLERANCES["keys"]
        return {
            (where, what): judge(rows, tolerances[what], since)
            for (where, what), rows in self.samples.items()
            if what in tolerances and len(later(rows, since)) >= FEWEST
        }


class SoakWorld(World):
    """The world of chaos without faults, with room for steady work, and little kept past (or the defaults)."""

    def __init__(self, folder: Path, seed: int, keep: dict[str, Any], leak: int = 0) -> None:
        super().__init__(folder, seed)
        self._keep = keep
        self._leak = plant(folder, leak) if leak else {}

    def __enter__(self) -> SoakWorld:
        super().__enter__()
        path = Path(super().env["INTERLOCK_CONFIG"])
        content = yaml.safe_load(path.read_text("utf-8"))
        for stage in content["pipelines"][0]["stages"]:
            stage["capacity"] = CAPACITIES.get(stage["name"], stage["capacity"])
        if self._keep:
            services = content["pipelines"][0]["services"]
            content["pipelines"][0]["services"] = [each for each in services if each["name"] in SERVED]
        content["keep"] = self._keep
        content["polling"] = {"builds": "5s", "heads": "30s", "clock": "1s"}
        path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
        return self

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of Interlock's processes."""
        more = {"INTERLOCK_WEB_WORKERS": str(WEB_WORKERS), "INTERLOCK_WORKERS": str(WORKERS)}
        more["INTERLOCK_LOG_LEVEL"] = "WARNING"
        return super().env | more | self._leak


class Soak:
    """A soak: steady work for some seconds, or for some days of `A_DAY` merges."""

    def __init__(
        self, folder: Path, rate: float, seed: int = 1, say: Callable[[str], None] = print, leak: int = 0
    ) -> None:
        """Prepare a soak. `leak`: the KiB that each worker leaks per second, to prove that the soak finds it."""
        self._folder, self._rate, self._seed, self._say, self._leak = folder, rate, seed, say, leak
        self._watch = Watch()
        self._families = store.KeyFamilies()
        self._days = 0
        #: The time at which everything was full, in seconds since the start.
        self._full: float | None = None
        #: The web processes seen so far: more than `WEB_WORKERS` means that one has ended.
        self._served: set[int] = set()

    def run(self, seconds: float, days: int | None = None) -> Outcome:
        """Start everything, work, stop everything. With `days`, keep the default past and make that many days of
        merges, in at most `seconds` seconds."""
        keep: dict[str, Any] = LITTLE if days is None else {}
        services = SERVED if days is None else SERVICES
        with ExitStack() as running:
            world = running.enter_context(SoakWorld(self._folder, self._seed, keep, self._leak))
            stack = running.enter_context(Stack(ROOT, data_dir=self._folder, env=world.env))
            redis = connect(stack.url)
            running.callback(redis.close)
            copy = BoardReplica(Scripts(redis), Keys(PIPELINE))
            self._until_ready(copy, len(services))
            developers, background = Developers(world, self._seed, services), Background()
            running.callback(background.stop)
            self._populate(stack.web_url, world.token, developers, background)
            began = time.monotonic()
            self._work(began, seconds, days, developers, stack, redis, copy)
            return self._outcome(time.monotonic() - began, developers, background, stack, redis, days)

    def samples(self) -> dict[str, list[Sample]]:
        """Return the samples by process and figure."""
        return {f"{where}: {what}": rows for (where, what), rows in self._watch.samples.items()}

    # -- during the soak ----------------------------------------------------------------------------------------

    def _until_ready(self, copy: BoardReplica, services: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(copy.board.services) < services:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the heads of main are not known after {PATIENCE:g} s")
            time.sleep(0.1)
            copy.refresh()

    @staticmethod
    def _populate(web_url: str, token: str, developers: Developers, background: Background) -> None:
        readers, operator = Readers(web_url, lambda: developers.last or "S1.1", background), Operator(web_url, token)
        for number in range(READERS):
            background.start(f"reader {number + 1}", READS_EVERY, readers.look)
        for number in range(WATCHERS):
            background.start(f"watcher {number + 1}", 0.1, readers.watch)
        background.start("operator", LOCKS_EVERY, operator.lock_and_unlock)

    def _work(
        self,
        began: float,
        seconds: float,
        days: int | None,
        developers: Developers,
        stack: Stack,
        redis: Redis,
        copy: BoardReplica,
    ) -> None:
        """Merge at the rate, fix broken stages, sample, and let the days pass."""
        every = min(max(seconds / SAMPLES, EVERY[0]), EVERY[1])
        sampled = 0
        due = began
        while (now := time.monotonic()) - began < seconds and (days is None or self._days < days):
            copy.refresh()
            developers.mend(copy.board)
            if now >= due and len(copy.board.runs) < MOST_LIVE:
                developers.merge()
                due = max(due + 1 / self._rate, now - 1.0)  # merges that were late are not made up for
            if self._full is None and developers.merged >= PLATEAU and now - began >= WARM_UP * seconds:
                self._full = now - began
                self._say(f"{self._full:.0f} s: everything is full after {developers.merged} merges; judging begins")
            if developers.merged // (SHORT_DAY if days is None else A_DAY) > self._days:
                self._days += 1
                gone = store.let_a_day_pass(redis, self._families)
                if days is not None:
                    memory = store.memory(redis) / (1 << 20)
                    self._say(f"day {self._days}: {gone:,} keys of Redis expired, it holds {memory:.1f} MiB")
            if now - began >= sampled * every:
                self._sample(now - began, stack)
                if seconds < SHORT or sampled % SELDOM == 0:
                    self._look(now - began, redis)
                    live = len(copy.board.runs)
                    self._say(f"{now - began:.0f} s: {developers.merged} merges, {live} runs on their way")
                sampled += 1
            time.sleep(0.02)

    def _sample(self, at: float, stack: Stack) -> None:
        for name, usage in processes.usages({name: stack.supervisor.pid(name) for name in PROCESSES}).items():
            self._watch.note(name, at, asdict(usage))
        self._served |= processes.below(stack.supervisor.pid("web"))

    def _look(self, at: float, redis: Redis) -> None:
        found = store.look(redis, self._families)
        lasting = {family.key for family in self._families.all if family.lasts}
        figures = {
            "memory": float(found.memory),
            "keys": float(sum(found.keys.values())),
            "keys that last": float(sum(n for name, n in found.keys.items() if name in lasting)),
            "bytes that last": float(sum(found.bytes.values())),
            "clients": float(found.clients),
        }
        self._watch.note("store", at, figures)
        self._watch.note("bytes", at, {name: float(size) for name, size in found.bytes.items()})
        waits = read_backlog(Scripts(redis), Keys(PIPELINE))
        late = time.time() - waits.oldest_at if waits.oldest_at is not None else 0.0
        figures = {"undecided": waits.undecided, "the oldest waits for seconds": late}
        figures |= {"effects": waits.effects, "due": waits.due, "dead letters": waits.dead_letters}
        self._watch.note("backlog", at, figures)

    # -- at the end ----------------------------------------------------------------------------------------------

    def _outcome(
        self,
        seconds: float,
        developers: Developers,
        background: Background,
        stack: Stack,
        redis: Redis,
        days: int | None,
    ) -> Outcome:
        keys = Keys(PIPELINE)
        growths = {} if days is not None else self._watch.judged(seconds, self._full)
        return Outcome(
            seconds,
            developers.merged,
            developers.fixes,
            self._days,
            self._full,
            growths,
            store.look(redis, self._families, everything=True),
            dict(background.done),
            {
                "bounds not reached": self._not_full(seconds, developers.merged) if days is None else [],
                "nothing broke": [f"{developers.broken} merges should have"] if nothing_broke(developers) else [],
                "restarts": self._restarts(stack),
                "keys without a bound": store.faults(redis, self._families),
                "dead letters": [f"{each.slot}: {each.error}" for each in Outbox(redis, keys).dead_letters()],
                "parked deliveries": [f"{each.source} {each.name}: {each.error}" for each in parked(redis, keys)],
                "tracebacks": _tracebacks(self._folder),
                "requests that failed": background.faults(),
            },
        )

    def _restarts(self, stack: Stack) -> list[str]:
        """Return the restarted processes with their counts: restarts by the supervisor and by gunicorn."""
        found = [f"{name}: {n}" for name in PROCESSES if (n := stack.supervisor.restarts(name))]
        more = len(self._served) - WEB_WORKERS
        return [*found, f"below web: {more}"] if more > 0 else found

    def _not_full(self, seconds: float, merged: int) -> list[str]:
        """Return a fault if a soak that is long enough for strict judgement never filled the bounds."""
        if self._full is not None or seconds < SHORT:
            return []
        return [
            f"{merged} merges: what grew may be a bound that fills up, which takes {PLATEAU}; work longer or faster"
        ]


def nothing_broke(developers: Developers) -> bool:
    """Return whether no lock followed from the breaking merges: then their runs had unexpected numbers."""
    return developers.broken > FEWEST and not developers.fixes


def _tracebacks(folder: Path) -> list[str]:
    """Return the lines of the logs that begin a traceback."""
    found: list[str] = []
    for path in sorted((folder / "log").glob("*.log*")):
        lines = path.read_text("utf-8", "replace").splitlines()
        found += [f"{path.name}: {line[:200]}" for line in lines if "Traceback (most recent" in line]
    return found
