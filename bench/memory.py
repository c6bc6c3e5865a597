"""The memory of each process, with 10 and with 10,000 live runs, from /proc (Linux: proc(5), smaps_rollup)."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

from bench.house import PIPELINE, PROC, House, family
from bench.report import SMALL, Section
from bench.traffic import Load, send

SIZES = (10, 10_000)
#: The number of merges before the measurement, and in a trial run.
MERGES, FEW_MERGES = 200, 20
PARTS = ("web", "worker", "beat", "server")


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Start all processes on a full board, let them work and serve pages, and measure their memory."""
    sizes = SIZES if scale >= SMALL else SIZES[:1]
    columns = ["MiB", *(f"{kind}, {size:,} live" for kind in ("PSS", "RSS") for size in sizes)]
    section = Section("memory", "The memory", columns)
    if not (PROC / "self" / "smaps_rollup").exists():
        section.remarks = ["Not measured: this system has no /proc/PID/smaps_rollup."]
        return section
    weighed, workers = [], 1
    for size in sizes:
        say(f"the memory with {size:,} live runs")
        with House("sink", "worker", "beat", "web", live=size) as house:
            _work(house, MERGES if scale >= SMALL else FEW_MERGES)
            weighed.append({part: _weigh(house.pids(part)) for part in PARTS})
            workers = len(house.pids("worker"))
    for part in PARTS:
        kilobytes = [each[part][kind] for kind in ("Pss", "Rss") for each in weighed]
        section.rows.append([_words(part, workers), *(f"{value / 1024:.0f}" for value in kilobytes)])
    totals = [sum(each[part][kind] for part in PARTS) for kind in ("Pss", "Rss") for each in weighed]
    section.rows.append(["in all", *(f"{value / 1024:.0f}" for value in totals)])
    section.remarks = [
        f"After {MERGES} merges, with the board loaded by the worker and by both web processes. "
        "PSS: memory that processes share is divided among them; RSS counts it in each.",
    ]
    section.figures = {str(size): each for size, each in zip(sizes, weighed, strict=True)}
    return section


def _words(part: str, workers: int) -> str:
    words = {"web": "web (gunicorn and 2 processes)", "worker": f"{workers} worker{'s'[: workers - 1]}"}
    return {**words, "server": "server (valkey)"}.get(part, part)


def _work(house: House, merges: int) -> None:
    send(Load(house.web, "/webhooks/github", "push", 0, merges))
    for _ in range(30):  # new connections, so that each web process loads the board
        with urllib.request.urlopen(f"http://127.0.0.1:{house.web}/api/v1/pipelines/{PIPELINE}", timeout=10) as answer:
            answer.read()
    house.work_off()


def _weigh(pids: list[int]) -> dict[str, int]:
    """Return the kilobytes of processes and all their descendants."""
    total = {"Pss": 0, "Rss": 0}
    for each in (below for pid in pids for below in family(pid)):
        for line in (PROC / str(each) / "smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in total:
                total[name] += int(value.split()[0])
    return total
