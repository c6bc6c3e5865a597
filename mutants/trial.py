"""The trial of a mutant: a fork in which its function has the changed code runs the tests that reach its line.

pytest is started once and collects once; each trial is a fork of that process. Code that runs while modules and tests
are imported has already run: for a mutant there, the fork imports everything again, and collects again.

Why not mutmut (tried: 3.8.1, on `leaving.py`): of its 70 mutants there, 62 leave out an argument or make it None, which
the type checker refuses anyhow; it skips properties, and so half of the questions to a run (`Run.holds_slot`); its
names are numbers that move with the code, so that no list can name the equivalent ones; and it tests a copy of the
tree whose functions go through a trampoline that imports mutmut, which bot/core must not.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

from mutants.operators import Mutant

ROOT = Path(__file__).absolute().parent.parent
CORE = ROOT / "bot" / "core"
#: The tests against a mutant: first those that reach its line, the quickest first; then, if all of them pass, the
#: search for a state in which an invariant is broken.
TESTS = ("tests/core", "tests/scenarios")
SEARCH = "tests/core/test_invariants.py"
#: Not run: it counts operations, which tests the cost.
LEFT_OUT = ("tests/core/test_cost.py",)
#: Seconds of CPU after which a mutant counts as noticed, because it does not end. This is the limit of a process that
#: imports everything again; in a fork it is `SHORTEST`, plus half of the time of its tests while their lines were
#: recorded, which makes them several times slower.
LONGEST, SHORTEST = 60, 4
#: Bytes of memory that a trial may use: some mutants never stop to allocate.
LARGEST = 4 << 30


def modules() -> list[str]:
    """Return each module of bot/core by its name below that (`rules.builds`), in order, without packages."""
    return sorted(module_of(path) for path in CORE.rglob("*.py") if path.name != "__init__.py")


def module_of(path: Path) -> str:
    """Return the name of the module in this file."""
    return ".".join(path.relative_to(CORE).with_suffix("").parts)


def path_of(module: str) -> Path:
    """Return the file of a module."""
    return CORE.joinpath(*module.split(".")).with_suffix(".py")


class _Changed(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """An importer that gives one module other code."""

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
    """A recorder of the reached lines of bot/core, by module."""

    def __init__(self) -> None:
        self._reached: dict[str, set[int]] = {}

    def __enter__(self) -> _Recorder:
        sys.settrace(self._calls)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def lines(self) -> dict[str, list[int]]:
        return {module_of(Path(name)): sorted(found) for name, found in self._reached.items()}

    def _calls(self, frame: FrameType, _event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(str(CORE)):
            return None
        reached = self._reached.setdefault(name, set())
        reached.add(frame.f_lineno)

        def local(frame: FrameType, _event: str, _: Any) -> Any:
            reached.add(frame.f_lineno)
            return local

        return local


class _Reach:
    """A plugin of pytest: records the lines that each test reaches, and its seconds of CPU."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[str, list[int]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        began = time.process_time()
        recorder = _Recorder()
        with recorder:
            result = yield
        self.seconds[item.nodeid] = time.process_time() - began
        self.lines[item.nodeid] = recorder.lines()
        return result

    def tests_of(self, module: str, line: int) -> list[str]:
        """Return the tests that reach a line, the quickest first."""
        found = [test for test, lines in self.lines.items() if line in lines.get(module, ())]
        return sorted(found, key=self.seconds.__getitem__)

    def tests_with(self, module: str) -> list[str]:
        """Return the tests that reach any line of a module, the quickest first."""
        return sorted((test for test, lines in self.lines.items() if module in lines), key=self.seconds.__getitem__)


class _Server:
    """A plugin of pytest: forks for each mutant after the collection; the answers go into a pipe, one per line."""

    def __init__(self, mutants: Sequence[Mutant], importing: _Recorder, answers: int, *, search: bool) -> None:
        self._mutants, self._importing, self._search = mutants, importing, search
        self._answers = answers

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        self._importing.__exit__()
        reach = _Reach()
        read, write = os.pipe()
        if not (pid := _fork(seconds=10 * LONGEST)):
            session.config.pluginmanager.register(reach)
            try:
                yield
            finally:
                with os.fdopen(write, "w") as pipe:
                    json.dump([reach.seconds, reach.lines], pipe)
                os._exit(bool(session.testsfailed))
        os.close(write)
        with os.fdopen(read) as pipe:
            text = pipe.read()
        self._answer("failed" if _ended(pid) else "ready")
        reach.seconds, reach.lines = json.loads(text)
        items = {item.nodeid: item for item in session.items}
        imported = self._importing.lines()
        for mutant in self._mutants:
            tests, code = reach.tests_of(mutant.module, mutant.line), code_of(mutant)
            if mutant.line in imported.get(mutant.module, ()):
                tests = tests or reach.tests_with(mutant.module)  # a line that only runs at import
                self._answer("noticed" if noticed(mutant.module, code, tests, search=self._search) else "survives")
                continue
            if not (pid := _fork(seconds=SHORTEST + int(sum(map(reach.seconds.__getitem__, tests)) / 2))):
                session.items[:] = [items[test] for test in tests]
                failed = True
                try:
                    _replace(code)
                    yield
                    failed = bool(session.testsfailed)
                finally:
                    os._exit(failed)
            found = _ended(pid) != 0 or (self._search and noticed(mutant.module, code, [], search=True))
            self._answer("noticed" if found else "survives")
        session.items.clear()
        return (yield)

    def _answer(self, word: str) -> None:
        os.write(self._answers, f"{word}\n".encode())


def code_of(mutant: Mutant) -> CodeType:
    """Compile the whole module of a mutant."""
    code: CodeType = compile(mutant.tree(), str(path_of(mutant.module)), "exec")
    return code


def _replace(code: CodeType) -> None:
    """Give each function of an imported module its code in this one; imports of it elsewhere stay valid."""
    new: dict[tuple[str, int], CodeType] = {}
    todo = [code]
    while todo:
        each = todo.pop()
        new[each.co_qualname, each.co_firstlineno] = each
        todo += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
    gc.unfreeze()  # objects of the collection are frozen (tests/conftest.py): the garbage collector does not list them
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename == code.co_filename:
            function.__code__ = new[function.__code__.co_qualname, function.__code__.co_firstlineno]


def trials(mutants: Sequence[Mutant], *, search: bool, tests: Sequence[str] = TESTS) -> Generator[bool, None, None]:
    """Yield for each mutant whether a test, or the search, fails with it. The first value is True: they pass without.

    Raise RuntimeError if they do not pass without a mutant.
    """
    read, write = os.pipe()
    if not (pid := _fork(seconds=None)):
        os.setpgid(0, 0)
        with _quiet(), _Recorder() as importing:
            _pytest([*tests, *_ignoring(SEARCH, *LEFT_OUT)], _Server(mutants, importing, write, search=search))
        os._exit(0)
    os.close(write)
    try:
        with os.fdopen(read) as answers:
            if answers.readline() != "ready\n":
                raise RuntimeError("the tests fail without a mutant: run tests/core and tests/scenarios")
            yield True
            for line in answers:
                yield line == "noticed\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        _ended(pid)


def noticed(module: str, code: CodeType, tests: list[str], *, search: bool) -> bool:
    """Return whether one of these tests, or the search, fails when `bot.core.<module>` is imported as `code`."""
    if pid := _fork(seconds=LONGEST):
        return _ended(pid) != 0
    failed = True
    with _quiet():
        _forget_imports()
        sys.meta_path.insert(0, _Changed(f"bot.core.{module}", code))
        files = sorted({test.partition("::")[0] for test in tests})
        failed = bool(files and _pytest([*files, *_ignoring(*LEFT_OUT)], _Chosen(tests)))
        failed = failed or bool(search and _pytest([SEARCH]))
    os._exit(failed)


def _forget_imports() -> None:
    """Forget the imports of the tests, so that they are imported again; the modules of mutants stay."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        if file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] not in ("mutants", ".venv"):
            del sys.modules[name]


def _ignoring(*files: str) -> list[str]:
    return [f"--ignore={file}" for file in files]


def _pytest(arguments: list[str], *plugins: object) -> int:
    quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=0"]
    return int(pytest.main([*quiet, *arguments], plugins=list(plugins)))


def _fork(*, seconds: int | None) -> int:
    """Fork; return 0 in the new process, which may use `seconds` seconds of CPU."""
    pid = os.fork()
    if not pid and seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST, LARGEST))
        sys.setrecursionlimit(1_000)
    return pid


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Show no output of the block, and end this process if the block raises an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        with contextlib.suppress(SystemExit):
            yield
    except BaseException:
        os._exit(1)


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
