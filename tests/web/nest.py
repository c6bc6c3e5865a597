"""Where the served sites of tests come from: a program that forks one gunicorn for each that it is asked for.

It has imported what the application needs, which takes more than a second of the processor. Each gunicorn begins from
there: with an environment, a configuration, processes and threads of its own, and none of those of another test. That
`gunicorn` itself starts is for the tests of `launch` and `tests/end_to_end`.

Each line on standard input is the JSON of an order; each line on standard output says what came of it.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: How long a gunicorn may take to stop before it is killed, in seconds.
STOPS_WITHIN = 30.0
#: What a gunicorn must import by itself: prometheus-client reads the environment when it is imported.
NOT_BEFORE = ("prometheus_client", "bot.metrics", "bot.web.metrics", "bot.web.app", "bot.web.gunicorn_conf")


class Nest:
    """The program that forks; one for each process that runs tests."""

    def __init__(self) -> None:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.web.nest"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, env: Mapping[str, str], log: Path) -> Site:
        """Start a gunicorn with this environment; what it says is added to `log`."""
        return Site(self, self.order({"do": "start", "env": dict(env), "log": str(log)})["pid"])

    def order(self, what: Mapping[str, Any]) -> dict[str, Any]:
        """Have something done, and wait until it is."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(what) + "\n")
        self._program.stdin.flush()
        said: dict[str, Any] = json.loads(self._program.stdout.readline())
        return said

    def close(self) -> None:
        """End the program, and with it all that it has started."""
        for stream in (self._program.stdin, self._program.stdout):
            if stream is not None:
                stream.close()
        self._program.wait(60)


class Site:
    """A gunicorn that the nest has started."""

    def __init__(self, nest: Nest, pid: int) -> None:
        self._nest, self.pid = nest, pid

    def has_ended(self) -> bool:
        """Whether it has ended, by itself or otherwise."""
        return bool(self._nest.order({"do": "look", "pid": self.pid})["ended"])

    def end(self) -> None:
        """Stop it as the supervisor does; kill it if it does not stop."""
        self._nest.order({"do": "end", "pid": self.pid})


@cache
def nest() -> Nest:
    """The nest of this process."""
    made = Nest()
    atexit.register(made.close)
    return made


# -- the program -------------------------------------------------------------------------------------------------------


def import_all() -> None:
    """All that the application imports, but what may not be imported before a gunicorn has begun."""
    import_module("gunicorn.app.wsgiapp")
    for file in sorted((ROOT / "bot" / "web").glob("*.py")):
        if (name := f"bot.web.{file.stem}") not in NOT_BEFORE:
            import_module(name)
    early = [name for name in NOT_BEFORE if name in sys.modules]
    assert not early, f"imported too early, so that each site would share them: {early}"


def start(env: Mapping[str, str], log: str) -> int:
    """Fork a gunicorn; its pid."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    nothing, said = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for handle, instead in ((nothing, 0), (nothing, 1), (said, 2)):
        os.dup2(handle, instead)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["gunicorn", "--config", "bot/web/gunicorn_conf.py", "bot.web.app:serve()"]
    from gunicorn.app.wsgiapp import run

    try:
        run()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def has_ended(running: set[int], pid: int, within: float = 0.0) -> bool:
    """Whether a gunicorn ends within so many seconds."""
    deadline = time.monotonic() + within
    while pid in running and os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    running.discard(pid)
    return True


def end(running: set[int], pid: int) -> None:
    """Stop a gunicorn, and kill what is left of it."""
    if not has_ended(running, pid):
        os.kill(pid, signal.SIGTERM)
    if not has_ended(running, pid, STOPS_WITHIN):
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        running.discard(pid)


def main() -> None:
    """Do what each line asks for, one after the other; at the end of the input all that runs is killed."""
    import_all()
    gc.collect()
    gc.freeze()
    running: set[int] = set()
    try:
        for line in sys.stdin:
            said = obeyed(running, json.loads(line))
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
    finally:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)


def obeyed(running: set[int], order: Mapping[str, Any]) -> dict[str, Any]:
    """Do what an order says; what came of it."""
    match order["do"]:
        case "start":
            pid = start(order["env"], order["log"])
            running.add(pid)
            return {"pid": pid}
        case "look":
            return {"ended": has_ended(running, order["pid"])}
        case _:
            end(running, order["pid"])
            return {}


if __name__ == "__main__":
    main()
