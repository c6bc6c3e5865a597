"""Measures the limits of one machine: large boards, several workers on one and on many pipelines, many open pages.

These sections take minutes, and their tables are in docs/scale.md: `make bench ARGS="--only scale"`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack

from bench import bodies
from bench.backlog import arrivals
from bench.growth import Sized
from bench.house import PROC, House, family
from bench.readers import Readers
from bench.report import SMALL, Section, p50, p99, rounds
from bot.core.model.events import Event, LockAsked, UnlockAsked
from bot.runtime import pipeline_context
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.web.shared import WakeUpSender
from config import pipeline_file
from workers.turn import take_turns

#: The number of services.
SERVICES = 1_000
#: The live runs of the boards.
SIZES = (1_000, 10_000, 100_000)
EVENTS = {"merge": 60, "build": 60}
#: The numbers of workers and pipelines, and of the merges for them.
WORKERS, PIPELINES, MERGES = (1, 2, 4), (1, 20), 3_000
#: The open pages, and the web processes that serve them; `FACTS` facts are decided meanwhile.
PAGES, WEB, FACTS = 200, (2, 5), 21
#: The longest wait for a page, in seconds.
PATIENCE = 30.0
#: Seconds between two facts: more than the page's pause between two frames (bot/web/live.py).
BETWEEN = 0.5


def board_size(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure one pipeline with more and more live runs: its loading, deciding and memory."""
    sizes, services = (SIZES, SERVICES) if scale >= SMALL else ((100, 200), 20)
    section = Section(
        "board-size", "One pipeline with many live runs", ["", *(f"{size:,} live runs" for size in sizes)]
    )
    took: dict[int, dict[str, list[float]]] = {}
    with House("sink") as house, ExitStack() as stack:
        found = {}
        for size in sizes:
            say(f"the scale: a board of {size:,} live runs")
            child = Sized(size, house, services)
            stack.callback(child.stop)
            loaded = child.ready()
            stored = house.redis.memory_usage(Keys(f"live-{size}").board, samples=0) or 0
            found[size] = {"loaded": loaded, "stored": stored, "memory": _resident(child.pid)}
            took[size] = {what: _timed(child, what, count, scale) for what, count in EVENTS.items()}
            child.stop()
    empty, full = sizes[0], sizes[-1]
    per_run = (found[full]["stored"] - found[empty]["stored"]) / (full - empty)
    section.rows = [
        ["a process loads the board, seconds", *(f"{found[size]['loaded']:.2f}" for size in sizes)],
        ["a merge is decided, ms: p50 (p99)", *(_words(took[size]["merge"]) for size in sizes)],
        ["a build ends, the next run enters, ms: p50 (p99)", *(_words(took[size]["build"]) for size in sizes)],
        ["merges a second, one after the other", *(f"{1000 / p50(took[size]['merge']):,.0f}" for size in sizes)],
        ["the board in Redis, MiB", *(f"{found[size]['stored'] / 2**20:.1f}" for size in sizes)],
        ["the process that decides, RSS in MiB", *(f"{found[size]['memory']:.0f}" for size in sizes)],
    ]
    section.remarks = [
        f"{services:,} services, each with a full history. A live run takes {per_run:,.0f} bytes of Redis.",
    ]
    section.figures = {"per run": per_run, "found": {str(k): v for k, v in found.items()}, "took": took}
    return section


def _timed(child: Sized, what: str, count: int, scale: float) -> list[float]:
    """Return the milliseconds of each event after some warm-up events."""
    return [child.do(what) for _ in range(max(4, int(count * scale)) + 3)][3:]


def _words(milliseconds: list[float]) -> str:
    return f"{p50(milliseconds):.2f} ({p99(milliseconds):.1f})"


def _resident(pid: int) -> float:
    """Return the MiB of the process; 0 without /proc (proc(5), status)."""
    if not PROC.exists():
        return 0.0
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


# -- workers ---------------------------------------------------------------------------------------------------


def workers(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure how more and more workers work off waiting merges of one pipeline and of many."""
    counts, pipelines, services = (WORKERS, PIPELINES, SERVICES) if scale >= SMALL else ((1,), (2,), 20)
    merges = max(len(counts) * 20, int(MERGES * scale))
    section = Section("workers", "Workers and pipelines", ["", *(_workers(count) for count in counts)])
    starts: list[float] = []
    for each in pipelines:
        rates, turns, starts = [], [], []
        for count in counts:
            say(f"the scale: {_workers(count)} on {each} pipelines")
            began = time.monotonic()
            with House("sink", "worker", services=services, pipelines=each, workers=str(count)) as house:
                starts.append(time.monotonic() - began)
                seconds, taken = _drain(house, merges, services, rounds(2, scale) + 1)
            rates.append(merges / seconds)
            turns.append(taken / seconds)
        what = "one pipeline" if each == 1 else f"{each} pipelines"
        section.rows.append([f"{what}: merges to triggers, a second", *(f"{rate:,.0f}" for rate in rates)])
        section.rows.append([f"{what}: turns a second", *(f"{rate:,.0f}" for rate in turns)])
        section.figures[what] = {"rates": rates, "turns": turns, "starts": starts}
    section.rows.append(["server and workers are ready after, seconds", *(f"{seconds:.1f}" for seconds in starts)])
    section.remarks = [
        f"{merges:,} merges of {services:,} services wait; from the wake-up until the last trigger has arrived at "
        "Jenkins. The Jenkins stand-in, the server and all workers share the cores.",
    ]
    return section


def _workers(count: int) -> str:
    return f"{count} worker{'s'[: count - 1]}"


def _drain(house: House, merges: int, services: int, times: int) -> tuple[float, float]:
    """Work off the merges several times; return seconds and turns of the median, without the first time."""
    wake_up = WakeUpSender(house.env["INTERLOCK_REDIS_URL"])
    found = []
    for number in range(times):
        for index in range(number * merges, (number + 1) * merges):
            repository, before, after = bodies.push(index, services)
            keys = Keys(house.pipelines[index % services % len(house.pipelines)])
            body = bodies.body("push", repository, before, after)
            Inbox(house.redis, keys).accept("github", "push", uuid.uuid4().hex, body)
        versions, began = _versions(house), time.monotonic()
        for pipeline in house.pipelines:
            wake_up(pipeline)
        found.append((max(arrivals(house, merges)) - began, _versions(house) - versions))
    seconds = sorted(found[1:] or found)[len(found[1:]) // 2]
    return seconds[0], float(seconds[1])


def _versions(house: House) -> int:
    """Count the committed turns of all pipelines."""
    return sum(int(house.redis.hget(Keys(name).meta, "version") or 0) for name in house.pipelines)


# -- pages -----------------------------------------------------------------------------------------------------


def open_pages(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Measure many live pages of one board of 1,000 live runs: the time until all show a decision, and its cost."""
    pages, live = (PAGES, SIZES[0]) if scale >= SMALL else (10, 20)
    processes = WEB if scale >= SMALL else WEB[:1]
    columns = ["", f"1 page, {processes[0]} web processes", *(f"{pages} pages, {each}" for each in processes)]
    section = Section("open-pages", "Open pages", columns)
    found = []
    for count, each in ((1, processes[0]), *((pages, each) for each in processes)):
        say(f"the scale: {count} open pages, {each} web processes")
        with House("web", live=live, web_workers=str(each)) as house, Readers(house.web, count) as readers:
            found.append(_read(house, readers, rounds(FACTS, scale)))
    section.rows = [
        ["pages that are live; the others are late by up to 10 s", *(f"{each[0]:.0f}" for each in found)],
        ["from the fact to the first page, ms in the median", *(f"{each[1]:.0f}" for each in found)],
        ["to the last live page, ms in the median", *(f"{each[2]:.0f}" for each in found)],
        ["CPU of the web for each fact, ms", *(f"{each[3]:.0f}" for each in found)],
        ["web processes, RSS in MiB", *(f"{each[4]:.0f}" for each in found)],
    ]
    section.remarks = [
        f"A board of {live:,} live runs. Pages from addresses of their own; a process keeps 48 live, and sends the "
        "others the latest board each time that they come back, every 10 s.",
    ]
    section.figures = {"found": found}
    return section


def _read(house: House, readers: Readers, facts: int) -> tuple[float, float, float, float, float]:
    """Return the live pages; milliseconds to the first and the last; CPU ms of the web per fact; its MiB."""
    configuration = pipeline_file.load(house.file)
    context = pipeline_context(house.redis, configuration.pipelines[0], configuration)
    stage = context.pipeline.stages[-1].name
    firsts, lasts, cpu = [], [], []
    for number in range(facts + 1):
        event: Event = (UnlockAsked if number % 2 else LockAsked)(stage, "bench", "a fact")
        time.sleep(BETWEEN)
        before = house.cpu("web")
        context.inbox.add(event, uuid.uuid4().hex)
        began = time.monotonic()
        take_turns(context)
        shown = readers.shown(context.store.copy.version, PATIENCE)
        if number:  # the first one loads the board in this process
            firsts.append((min(shown) - began) * 1000)
            lasts.append((max(shown) - began) * 1000)
            cpu.append((house.cpu("web") - before) * 1000)
    memory = sum(_resident(pid) for one in house.pids("web") for pid in family(one)) if PROC.exists() else 0.0
    return float(readers.live), p50(firsts), p50(lasts), sum(cpu) / len(cpu), memory
