"""One play: starts everything, plays the planned merges and faults, waits for the end, and collects the records."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from chaos.api import Answer, Api, Unanswered, patiently
from chaos.checker import Violation, check, unfinished
from chaos.faults import Faults
from chaos.people import People
from chaos.plan import KINDS, PROCESSES, Fault, Merge, Plan
from chaos.records import Records, collect
from chaos.sentinels import Replicated
from chaos.start import FOLDER, clock_file, faketime, release_link
from chaos.world import ROOT, SERVICES, World
from launch import BackOff, Stack

#: The longest wait until Interlock knows the heads of main, in seconds.
START = 90.0
#: After the last fault and the last merge: the longest time without a change while something is left, and the
#: longest time until everything has ended; in seconds. The claim of a dead worker delays a trigger by half a minute.
STILL, PATIENCE = 120.0, 600.0
#: The file with the results of a play, in its folder.
KEPT_AS = "played.json"
#: The seconds of rest at the end: late callbacks and late triggers may still come.
CALM = 4.0
#: The seconds after which a person merges again for a forgotten change.
FORGOTTEN = 30.0
#: The intervals at which people look during the faults, and people and the checker after them; in seconds.
LOOKS, LOOKS_AFTER = 0.3, 1.0


@dataclass
class Played:
    """The results of a play; it is kept as `played.json` in its folder."""

    seed: int
    store: str
    merges: int
    builds: int
    #: The number of runs by ending.
    ends: dict[str, int]
    violations: list[Violation]
    #: The number of faults by kind; the kinds that were not possible here.
    times: dict[str, int]
    skipped: list[str]
    #: The duration in all, and from the last fault to the end; in seconds.
    seconds: float
    calm_after: float
    #: Lines of the processes' logs that begin a traceback.
    tracebacks: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> Played:
        """Read kept results."""
        found = json.loads(file.read_text("utf-8"))
        return cls(violations=[Violation(**each) for each in found.pop("violations")], **found)


def play(plan: Plan, folder: Path, beside: Path | None = None, say: Callable[[str], object] = lambda _: None) -> Played:
    """Play a plan in a folder. `beside`: a checkout of another release, with which the processes begin.

    Raise an exception if a fault could not be made: then the play proves nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(plan.to_json(), "utf-8")
    skipped = {"clock moved"} if faketime() is None else set()
    faults = [fault for fault in plan.faults if fault.kind not in skipped]
    began = time.monotonic()
    with _running(plan, folder, beside) as (world, stack, store):
        api = Api(world.url, world.token)
        _until_known(api)
        people = People(world)
        made = Faults(world, stack, store, folder, [ROOT, beside or ROOT])
        say(f"seed {plan.seed}: {len(plan.merges)} merges, {len(faults)} faults, {plan.store} store")
        timeline = _Timeline(made, faults)
        start = timeline.start()
        _go_through(plan, people, api, start)
        timeline.join()
        quiet = time.monotonic()
        look = partial(collect, world, people, api, made.emptied, made.forgot)
        calm, records = _until_over(look, people, api, folder / "left.txt")
        records.save(folder / "records.json")
        api.close()
    played = Played(
        plan.seed,
        plan.store,
        len(records.merged),
        len(records.builds),
        dict(Counter(str(run.get("end") or "live") for run in records.runs)),
        check(records),
        dict(timeline.times),
        sorted(skipped & {fault.kind for fault in plan.faults}),
        time.monotonic() - began,
        calm - quiet,
        _tracebacks(folder),
    )
    (folder / KEPT_AS).write_text(json.dumps(asdict(played), indent=1), "utf-8")
    return played


@contextmanager
def _running(plan: Plan, folder: Path, beside: Path | None) -> Iterator[tuple[World, Stack, Replicated | None]]:
    """Run Jenkins, GitHub, the store, and the processes of Interlock."""
    with ExitStack() as running:
        world = running.enter_context(World(folder, plan.seed))
        env = {**world.env, FOLDER: str(folder), "INTERLOCK_WORKERS": "1"}
        store = None
        if plan.store == "replicated":
            store = running.enter_context(Replicated(folder / "store"))
            env["INTERLOCK_REDIS_URL"] = store.url
        moves = any(fault.kind == "clock moved" for fault in plan.faults)
        for name in PROCESSES:
            link, clock = release_link(folder, name), clock_file(folder, name)
            for parent in (link.parent, clock.parent):
                parent.mkdir(exist_ok=True)
            link.symlink_to(beside or ROOT)
            if moves:
                clock.write_text("+0")
        lines = (f"{name}: {sys.executable} -m chaos.start {name}\n" for name in PROCESSES)
        (folder / "Procfile").write_text("".join(lines), "utf-8")
        env["PYTHONPATH"] = str(ROOT)
        stack = Stack(folder, data_dir=folder, env=env, back_off=BackOff(first=0.1, longest=2.0))
        yield world, running.enter_context(stack), store


def _until_known(api: Api) -> None:
    """Wait until Interlock knows the head of main of every service."""
    deadline = time.monotonic() + START
    while True:
        board: Answer = patiently(api, START, "board")
        if sum(1 for each in api.facts() if each["kind"] == "baseline-taken") >= len(SERVICES):
            return
        assert time.monotonic() < deadline, f"the heads of main are not known after {START:g} s: {board['health']}"
        time.sleep(0.2)


def _go_through(plan: Plan, people: People, api: Api, start: float) -> None:
    """Make each merge at its time, and fix broken stages as soon as they are seen."""
    for merge in (*plan.merges, Merge(plan.seconds, "")):
        while (left := start + merge.at - time.monotonic()) > 0:
            people.mend(api)
            time.sleep(max(0.0, min(LOOKS, left)))
        if merge.service:
            people.merge(merge)


class _Timeline:
    """The faults, each at its time; one thread per group, so that the faults of a group do not overlap."""

    def __init__(self, made: Faults, faults: list[Fault]) -> None:
        self._made, self._faults = made, faults
        self.times: Counter[str] = Counter()
        self._failed: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> float:
        """Begin; return the time of the begin."""
        began = time.monotonic()
        for group in dict.fromkeys(KINDS[fault.kind].group for fault in self._faults):
            mine = [fault for fault in self._faults if KINDS[fault.kind].group == group]
            self._threads.append(threading.Thread(target=self._play_group, args=(mine, began), name=group, daemon=True))
        for thread in self._threads:
            thread.start()
        return began

    def join(self) -> None:
        """Wait until the last fault is over. Raise the error of a fault that could not be made."""
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _play_group(self, faults: list[Fault], began: float) -> None:
        try:
            for fault in faults:
                time.sleep(max(0.0, began + fault.at - time.monotonic()))
                end = self._made.begin(fault)
                self.times[fault.kind] += 1
                time.sleep(fault.seconds)
                end()
        except BaseException as error:
            self._failed.append(error)


def _until_over(look: Callable[[], Records], people: People, api: Api, log: Path) -> tuple[float, Records]:
    """Wait until nothing is left to do for a while, or a limit is reached; return the time of the end, and the last
    records.

    These are the ones in which nothing was left: a trigger that Jenkins took late may begin a build after that.
    `log`: the file for the list of open things over time. A change that was lost when the store was emptied comes with
    the next merge of its service (docs/runbook.md): the people make that merge.
    """
    began = calm = changed = time.monotonic()
    before: list[str] = []
    records: Records | None = None
    with log.open("w", encoding="utf-8") as file:
        while time.monotonic() < min(began + PATIENCE, changed + STILL, calm + CALM):
            people.mend(api)
            records, left = _left(look)
            if left:
                calm = time.monotonic()
            if len(left) != len(before):
                changed = time.monotonic()
            if left != before:
                few = "; ".join(each[:200] for each in left[:3])
                file.write(f"after {time.monotonic() - began:.1f} s: {len(left)} left: {few}\n")
                before = left
            if records and records.emptied and time.monotonic() - began > FORGOTTEN:
                people.merge_forgotten(api, max(records.emptied), records.untold)
            time.sleep(LOOKS_AFTER)
    return calm, records or look()


def _left(look: Callable[[], Records]) -> tuple[Records | None, list[str]]:
    """Return the records and the things that still have to end; None while the API does not answer."""
    try:
        records = look()
    except Unanswered as error:
        return None, [str(error)]
    return records, unfinished(records)


def _tracebacks(folder: Path) -> list[str]:
    found: list[str] = []
    for path in sorted((folder / "log").glob("*.log")):
        lines = path.read_text("utf-8", "replace").splitlines()
        found += [f"{path.name}: {line[:200]}" for line in lines if "Traceback (most recent" in line]
    return found
