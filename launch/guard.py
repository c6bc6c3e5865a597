"""A small second process that ends the launcher's processes if the launcher itself is killed.

SIGKILL leaves a launcher no time to stop anything. The guard holds the other end of a pipe: when the launcher has
ended, for whatever reason, the pipe closes and the guard stops the processes, newest first.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

_PATIENCE = 10.0  # seconds for all processes to end after SIGTERM


class Guard:
    """The launcher's side of the guard: tells it which process groups are alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen = subprocess.Popen(  # noqa: S603 - this very file, with this very Python
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def watch(self, pid: int) -> None:
        """End the process group `pid` if the launcher disappears."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """Stop guarding the process group `pid`, because it has ended."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Tell the guard that no process is left, and wait for it to end."""
        with self._lock:
            if self._popen.stdin is not None:
                with suppress(BrokenPipeError):
                    self._popen.stdin.close()
            self._popen.wait(_PATIENCE + 5)

    def _tell(self, line: str) -> None:
        with self._lock:
            stdin = self._popen.stdin
            if stdin is None or stdin.closed:
                return
            with suppress(BrokenPipeError):  # the guard was killed: the launcher still does its own work
                stdin.write(line.encode())
                stdin.flush()


def _keep_guard() -> None:
    groups: list[int] = []
    for line in sys.stdin:
        sign, pid = line[0], int(line[1:])
        if sign == "+":
            groups.append(pid)
        elif pid in groups:
            groups.remove(pid)
    deadline = time.monotonic() + _PATIENCE
    for group in reversed(groups):
        _signal(group, signal.SIGTERM, leader_only=True)
        while _lives(group) and time.monotonic() < deadline:
            time.sleep(0.05)
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: signal.Signals, *, leader_only: bool = False) -> None:
    with suppress(ProcessLookupError):  # it ended in the meantime
        if leader_only:
            os.kill(group, number)
        else:
            os.killpg(group, number)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its launcher does, not before
    _keep_guard()
