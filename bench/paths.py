"""Lists the files that two paths execute: `python -P bench/paths.py`, in the checkout that `PYTHONPATH` names.

It plays the demo with its stand-ins in one process: the web application in threads of a server, all Celery tasks in
one other thread. The first path ends when the function that posts the trigger returns. It prints JSON: the files of
each path; and, for the largest decision of the second path, which opens the lock, its files and the number of calls
from one file into another.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(os.environ["PYTHONPATH"]).absolute()
PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("bot", "workers", "config"))
TRIGGER, UNLOCK = "push webhook to Jenkins trigger", "callback to unlock and next trigger, all effects"
#: The longest wait for anything, in seconds.
PATIENCE = 60.0


class Recorder:
    """A recorder of our executed files while it is on, in each thread that starts after its creation."""

    def __init__(self) -> None:
        self._on = False
        self._last: tuple[str, str] | None = None
        self._files: set[str] = set()
        self.decisions: list[tuple[set[str], int]] = []
        threading.setprofile(self._Thread(self))

    class _Thread:
        """One thread: its current file, and whether it is inside a decision."""

        def __init__(self, recorder: Recorder) -> None:
            self._recorder = recorder
            self._local = threading.local()

        def __call__(self, frame: FrameType, what: str, _: Any) -> None:
            recorder, name = self._recorder, frame.f_code.co_filename
            if not recorder._on or what not in ("call", "return") or not name.startswith(PACKAGES):
                return
            recorder._files.add(name)
            if what == "return" and recorder._last is not None and frame.f_code.co_name == recorder._last[1]:
                recorder._on = not name.endswith(recorder._last[0])
            inside: tuple[set[str], list[int]] | None = getattr(self._local, "decision", None)
            if frame.f_code.co_name == "decide" and name.endswith("decide.py"):
                if what == "call":
                    self._local.decision = ({name}, [0])
                elif inside is not None:
                    recorder.decisions.append((inside[0], inside[1][0]))
                    self._local.decision = None
            elif inside is not None and what == "call":
                caller = frame.f_back.f_code.co_filename if frame.f_back is not None else ""
                inside[0].add(name)
                inside[1][0] += name != caller and caller.startswith(PACKAGES)

    @contextmanager
    def recording(self, last: tuple[str, str] | None = None) -> Iterator[set[str]]:
        """Record the files that are executed inside the block, or until the function `last` of a file returns."""
        self._last = last
        self._files, self._on = set(), True
        yield self._files
        self._on = False


class Work:
    """Runs Celery tasks in one thread, as a worker would: requested tasks first, the clock tick in between."""

    def __init__(self) -> None:
        self._asked: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self.clock = True

    def ask(self, pipeline: str, *_: object) -> None:
        """Request a turn, as the web application does."""
        from workers import tasks

        self._asked.put((tasks.turn, (pipeline,)))

    def __enter__(self) -> Work:
        from workers.app import app

        def later(task: Any, args: tuple[Any, ...] = (), *_: object, **__: object) -> None:
            self._asked.put((task, args))

        app.set_default()
        app.Task.apply_async = later
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        from workers import tasks

        while True:
            try:
                asked = self._asked.get(timeout=0.2)
            except queue.Empty:
                if self.clock:
                    tasks.tick()
                continue
            if asked is None:
                return
            task, arguments = asked
            task(*arguments)


def play(folder: Path, recorder: Recorder) -> dict[str, Any]:
    """Play the demo up to the fix in pre-production, and record its first merge and the end of the fix's build."""
    from bot.store.connection import connect
    from demo.pictures import first_picture, fourth_picture, second_picture, stands, third_picture
    from demo.processes import ProcessWorld
    from demo.town import Town
    from launch import Embedded

    found: dict[str, Any] = {}
    with ExitStack() as stack:
        server = stack.enter_context(Embedded(folder / "data"))
        town = stack.enter_context(Town(folder))
        os.environ.update(town.env | {"INTERLOCK_REDIS_URL": server.url, "INTERLOCK_LOG_LEVEL": "ERROR"})
        redis = connect(server.url)
        stack.callback(redis.close)
        world = ProcessWorld(town, redis)
        work = stack.enter_context(_running(town))
        world.start()
        work.clock = False
        time.sleep(2.0)  # the requests of the start are done by then
        with recorder.recording(last=("triggers.py", "trigger")) as files:
            world.push("S3", "z")
            _until(lambda: bool(town.jenkins["build"].control.builds()))
        found[TRIGGER] = {"files": _ours(files)}
        work.clock = True
        world.wait_until("it has a run", world.live)
        while world.live():
            world.pass_build("S3z")
        first_picture(world)
        second_picture(world)
        third_picture(world)
        world.pass_build("S1e")
        world.pass_build("S1e")
        work.clock = False
        recorder.decisions.clear()
        with recorder.recording() as files:
            fourth_picture(world)
            stands(world, 4)
            time.sleep(2.0)
        found[UNLOCK] = {"files": _ours(files)}
        decided, switches = max(recorder.decisions, key=lambda one: one[1])
        found["decide"] = {"files": _ours(decided), "calls": switches}
        work.clock = True
        world.let_go()
    return found


@contextmanager
def _running(town: Any) -> Iterator[Work]:
    """Run the web application on its address, and a worker thread."""
    from werkzeug.serving import make_server

    from bot.web.app import create_app

    work = Work()
    host, _, port = town.bind.partition(":")
    server = make_server(host, int(port), create_app(None, None, work.ask), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with work:
        from workers import tasks

        tasks.reconcile_heads()
        yield work
    server.shutdown()
    thread.join()
    server.server_close()


def _ours(files: set[str]) -> list[str]:
    return sorted(str(Path(name).relative_to(ROOT)) for name in files if not name.endswith("__init__.py"))


def _until(so: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not so():
        if time.monotonic() > deadline:
            raise TimeoutError("the demo does not go on")
        time.sleep(0.02)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(play(Path(folder), Recorder())))
    sys.stdout.flush()
    os._exit(0)
