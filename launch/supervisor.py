"""Runs groups of processes: starts them in order, restarts those that die, stops them in reverse order."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TextIO

from launch.guard import Guard
from launch.process import Child, LaunchError, LineLog, Process, await_ready, ending

_TICK = 0.05


@dataclass(frozen=True)
class BackOff:
    """The wait before a dead process is started again, in seconds.

    The wait doubles from `first` to `longest`; a process that has lived for `steady` starts over at `first`.
    """

    first: float = 0.5
    longest: float = 30.0
    steady: float = 10.0

    def wait(self, deaths: int) -> float:
        """Return the wait after so many deaths in a row, counted from 1."""
        return min(self.longest, self.first * 2.0 ** min(deaths - 1, 32))


class _Slot:
    """One supervised process, across its restarts."""

    def __init__(self, process: Process, log: LineLog) -> None:
        self.process = process
        self.log = log
        self.child: Child | None = None
        self.kept_up = False  # it has been ready once: from then on it is restarted when it dies
        self.deaths = 0  # in a row
        self.restarts = 0
        self.due = 0.0


class Supervisor:
    """A supervisor of `groups` of processes. A group starts when every process of the group before it is ready.

    `env` is the whole environment of the processes; `log_dir` receives `<name>.log` for each and `launch.log`; `echo`
    is a terminal to copy all lines to. As a context manager it starts on entry and stops on exit.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Process]],
        *,
        env: Mapping[str, str] = os.environ,
        log_dir: Path,
        echo: TextIO | None = None,
        cwd: Path | None = None,
        back_off: BackOff | None = None,
    ) -> None:
        self._log = LineLog(log_dir, "launch", echo)
        self._groups = [[_Slot(p, LineLog(log_dir, p.name, echo)) for p in group] for group in groups]
        self._slots = {slot.process.name: slot for group in self._groups for slot in group}
        if len(self._slots) != sum(map(len, groups)):
            raise LaunchError("Two processes have the same name.")
        self._env = _with_our_commands(env)
        self._cwd = cwd
        self._back_off = back_off or BackOff()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._guard: Guard | None = None
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start every group; return when the last is ready. On StartError everything has been stopped."""
        self._guard = Guard()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()
        try:
            for group in self._groups:
                self._start_group(group)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every process, the last group first and the first group last. Safe to call twice."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()  # after this nothing is started again
        for group in reversed(self._groups):
            self._stop_group(group)
        if self._guard is not None:
            self._guard.close()
            self._guard = None
            self._say("everything has stopped")
            for log in (self._log, *(slot.log for slot in self._slots.values())):
                log.close()

    def run(self) -> None:
        """Start, wait for SIGINT or SIGTERM, and stop. A second signal kills instead of waiting.

        SIGHUP stops as well, if our terminal has gone or no process takes it. Call it in the main thread. Raises
        StartError.
        """
        self._terminal = _has_terminal()
        before = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        try:
            self.start()
            self._stopping.wait()
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def pid(self, name: str) -> int | None:
        """Return the process id of a running process, or None while it is down."""
        child = self._slots[name].child
        return child.pid if child is not None and child.code is None else None

    def restarts(self, name: str) -> int:
        """Return how many times a process has been started again."""
        return self._slots[name].restarts

    def await_ready(self, name: str, within: float = 60.0) -> int:
        """Wait until a process, possibly a restarted one, is ready; return its pid. Raises LaunchError."""
        slot, deadline = self._slots[name], time.monotonic() + within
        while time.monotonic() < deadline and not self._stopping.is_set():
            child = slot.child
            ready = slot.process.ready
            if child is not None and child.code is None and (ready is None or ready(child)):
                return child.pid
            time.sleep(_TICK)
        raise LaunchError(f"{name} was not ready within {within:g} s.")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_group(self, group: Sequence[_Slot]) -> None:
        for slot in group:
            if not self._stopping.is_set():
                self._spawn(slot)
        for slot in group:
            if slot.child is not None:
                await_ready(slot.child, self._stopping.is_set)
                slot.kept_up = True
                self._say(f"{slot.process.name} is ready (process {slot.child.pid})")

    def _spawn(self, slot: _Slot) -> None:
        if self._guard is None:
            raise LaunchError("The supervisor has stopped; make a new one.")
        slot.child = Child(slot.process, env=self._env, log=slot.log, guard=self._guard, cwd=self._cwd)

    def _stop_group(self, slots: Sequence[_Slot]) -> None:
        children = [slot.child for slot in slots if slot.child is not None]
        for child in children:
            child.terminate()
        asked = time.monotonic()
        for child in children:
            while child.code is None and not self._hurry.is_set():
                if time.monotonic() > asked + child.process.stop_within:
                    break
                time.sleep(_TICK)
            self._say(f"{child.process.name} has stopped ({ending(child.finish(0.0))})")
        for slot in slots:
            slot.child = None

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK):
            for slot in self._slots.values():
                if slot.kept_up and not self._stopping.is_set():
                    self._keep_up(slot)

    def _keep_up(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.child is not None:
            code = slot.child.code
            if code is None:
                return
            slot.child.finish(0.0)
            lived = now - slot.child.started
            slot.deaths = 1 if lived >= self._back_off.steady else slot.deaths + 1
            wait = self._back_off.wait(slot.deaths)
            slot.child, slot.due = None, now + wait
            self._say(f"{slot.process.name} ended ({ending(code)}); it is started again in {wait:g} s")
        elif now >= slot.due:
            slot.restarts += 1
            try:
                self._spawn(slot)
            except LaunchError as problem:
                slot.deaths += 1
                slot.due = now + self._back_off.wait(slot.deaths)
                self._say(str(problem))

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and self._terminal == _has_terminal():
            taking = [slot for slot in self._slots.values() if slot.process.takes_hangup]
            for slot in taking:
                if slot.child is not None:
                    slot.child.hang_up()
            if taking:
                return
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    def _say(self, line: str) -> None:
        self._log.write(line)


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal that still exists."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _with_our_commands(env: Mapping[str, str]) -> dict[str, str]:
    """Put this Python's commands (celery, gunicorn) first on PATH, and turn off the buffering of output."""
    ours = str(Path(sys.executable).parent)
    return {"PYTHONUNBUFFERED": "1", **env, "PATH": os.pathsep.join([ours, env.get("PATH", os.defpath)])}
