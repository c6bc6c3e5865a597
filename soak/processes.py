"""Reads the memory, open handles and threads of a process from /proc (Linux: proc(5))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.house import PROC, family

#: The judged figures of a process, each with its allowed growth in the judged time. Memory: the reserves of the
#: allocators vary by some MiB. Handles: each of 24 threads may open connections of its own to Redis, Jenkins and
#: GitHub, which are closed after some idle time.
TOLERANCES = {"memory": 6.0 * (1 << 20), "handles": 24.0, "threads": 4.0}


@dataclass(frozen=True, slots=True)
class Usage:
    """The use of one process: memory in bytes (resident), open file descriptors, threads."""

    memory: float
    handles: float
    threads: float


def usage(pid: int) -> Usage:
    """Return the current use of a process. Raise OSError if it has ended."""
    folder = PROC / str(pid)
    fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
    memory = int(fields["VmRSS"].split()[0]) * 1024 if "VmRSS" in fields else 0
    return Usage(memory, len(list((folder / "fd").iterdir())), int(fields["Threads"]))


def usages(pids: Mapping[str, int | None]) -> dict[str, Usage]:
    """Return the use of these processes and their descendants (`web 1`, `web 2`), without those that are down."""
    found: dict[str, Usage] = {}
    for name, pid in pids.items():
        if pid is None:
            continue
        try:
            for number, each in enumerate(family(pid)):
                found[f"{name} {number}" if number else name] = usage(each)
        except OSError:
            continue  # it has just ended; whoever counts restarts sees that
    return found


def below(pid: int | None) -> set[int]:
    """Return the descendants of a process; none if it is down."""
    try:
        return set(family(pid)[1:]) if pid is not None else set()
    except OSError:
        return set()  # it has just ended; the count of restarts shows it
