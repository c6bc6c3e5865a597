"""The trial of a mutant: a forked process in which its module is the changed one, and the tests that reach its line.

Why not mutmut: it rewrites every function into a trampoline that imports mutmut, which our own tests of bot/core refuse
(it imports nothing but itself and the standard library), and works on a copy of the tree, to which the tests that read
the documentation beside the code would have to be led.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).absolute().parent.parent
CORE = ROOT / "bot" / "core"
#: What is run against a mutant: first the tests that reach its line, the quickest first; then, where all of them pass,
#: the search for a state in which an invariant is broken.
TESTS = ("tests/core", "tests/scenarios")
SEARCH = "tests/core/test_invariants.py"
#: Not run: it counts operations, which is about cost.
LEFT_OUT = ("tests/core/test_cost.py",)
#: Seconds of CPU after which a mutant counts as noticed: it does not come to an end.
LONGEST = 60


@dataclass(frozen=True)
class Reach:
    """What each test reaches: its seconds, and lines of bot/core by module."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[int]]]

    def tests_of(self, module: str, line: int) -> list[str]:
        """The tests that reach a line, the quickest first."""
        found = [test for test, lines in self.lines.items() if line in lines.get(module, ())]
        return sorted(found, key=self.seconds.__getitem__)


class _Changed(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Gives one module other code."""

    def __init__(self, name: str, code: CodeType) -> None:
        self._name, self._code = name, code

    def find_spec(self, name: str, _path: object, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


class _Chosen:
    """A plugin of pytest: runs only these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {test: index for index, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._place), key=self._order)

    def _order(self, item: pytest.Item) -> int:
        return self._place[item.nodeid]


class _Recorder:
    """A plugin of pytest: notes what each test reaches."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[str, list[int]]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        reached: dict[str, set[int]] = {}

        def local(frame: FrameType, event: str, _: Any) -> Any:
            reached[frame.f_code.co_filename].add(frame.f_lineno)
            return local

        def calls(frame: FrameType, _event: str, _: Any) -> Any:
            name = frame.f_code.co_filename
            if not name.startswith(str(CORE)):
                return None
            reached.setdefault(name, set()).add(frame.f_lineno)
            return local

        began = time.process_time()
        sys.settrace(calls)
        try:
            yield
        finally:
            sys.settrace(None)
            self.seconds[item.nodeid] = time.process_time() - began
            self.lines[item.nodeid] = {Path(name).stem: sorted(found) for name, found in reached.items()}


def reach() -> Reach:
    """Run every test once, unchanged. Raises RuntimeError if one fails."""
    read, write = os.pipe()

    def record() -> int:
        recorder = _Recorder()
        code = _pytest([*TESTS, *_ignoring(SEARCH, *LEFT_OUT)], recorder)
        with os.fdopen(write, "w") as pipe:
            json.dump([recorder.seconds, recorder.lines], pipe)
        return code

    pid = _fork(record, seconds=10 * LONGEST)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    if _ended(pid) != 0:
        raise RuntimeError("the tests fail without a mutant: run tests/core and tests/scenarios")
    return Reach(*json.loads(text))


def noticed(module: str, code: CodeType, tests: list[str], *, search: bool) -> bool:
    """Whether one of these tests, or the search, fails when `bot.core.<module>` is `code`."""

    def run() -> int:
        sys.meta_path.insert(0, _Changed(f"bot.core.{module}", code))
        files = sorted({test.partition("::")[0] for test in tests})
        if files and (failed := _pytest([*files, *_ignoring(*LEFT_OUT)], _Chosen(tests))):
            return failed
        return _pytest([SEARCH]) if search else 0

    return _ended(_fork(run, seconds=LONGEST)) != 0


def _ignoring(*files: str) -> list[str]:
    return [f"--ignore={file}" for file in files]


def _pytest(arguments: list[str], *plugins: object) -> int:
    quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=0"]
    return int(pytest.main([*quiet, *arguments], plugins=list(plugins)))


def _fork(run: Callable[[], int], *, seconds: int) -> int:
    """Do something in a process of its own, which has imported nothing of bot/core yet; it exits with the result."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        sys.setrecursionlimit(1_000)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with contextlib.suppress(SystemExit):
            code = run()
    finally:
        os._exit(code)


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
