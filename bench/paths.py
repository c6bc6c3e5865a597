"""Which files of ours two paths execute: `python -P bench/paths.py`, of the checkout that `PYTHONPATH` names.

The demo is played in one process, with its stand-ins: the web application in threads of a server, every Celery task in
one other thread. Prints JSON: for each path its files, and of the largest decision of the second
path, which opens the lock, the files and how often something in one file calls something in another.
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
#: The longest that anything may take, in seconds.
PATIENCE = 60.0


class Recorder:
    """Notes the files of ours that are executed while it is on, in every thread that began after it was made."""

    def __init__(self) -> None:
        self._on = False
        self._files: set[str] = set()
        self.decisions: list[tuple[set[str], int]] = []
        threading.setprofile(self._Thread(self))

    class _Thread:
        """One thread: where it is, and whether it is inside a decision."""

        def __init__(self, recorder: Recorder) -> None:
            self._recorder = recorder
            self._local = threading.local()

        def __call__(self, frame: FrameType, what: str, _: Any) -> None:
            recorder, name = self._recorder, frame.f_code.co_filename
            if not recorder._on or what not in ("call", "return") or not name.startswith(PACKAGES):
                return
            recorder._files.add(name)
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
    def recording(self) -> Iterator[set[str]]:
        """The files that are executed meanwhile."""
        self._files, self._on = set(), True
        yield self._files
        self._on = False


class Work:
    """What a worker would do, task by task in one thread: those that are asked for, and the clock in between."""

    def __init__(self) -> None:
        self._asked: queue.Queue[Any] = queue.Queue()
        self._thread = threading.Thread(target=self._run)
        self.clock = True

    def ask(self, pipeline: str, *_: object) -> None:
        """Have a turn taken, as the web application asks for it."""
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
    """The demo up to the fix in pre-production; recorded are its first merge and the end of the fix's build."""
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
        time.sleep(2.0)  # what was asked at the beginning is done by then
        with recorder.recording() as files:
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
    """The web application on its address, and a worker's thread."""
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
