"""All of Interlock on one machine, from the Procfile: the embedded server, then worker and beat, then web."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from launch.data_folder import DataFolder
from launch.embedded import DEFAULT_FOLDER, Embedded
from launch.process import LaunchError, Process, answers, says
from launch.supervisor import BackOff, Supervisor

REDIS_URL = "INTERLOCK_REDIS_URL"
DATA_DIR = "INTERLOCK_DATA_DIR"
BIND = "INTERLOCK_BIND"
WORKERS = "INTERLOCK_WORKERS"
_BIND_DEFAULT = "127.0.0.1:8080"
_WORKER = "worker"
_AFTER_SERVER = (_WORKER, "beat")
#: The default number of workers on a machine with as many cores, because one process uses one core.
_WORKERS_DEFAULT = 2
_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)$")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")


class Stack:
    """The processes that `interlock up` runs, from the Procfile in `root`.

    With INTERLOCK_REDIS_URL in `env` the stack uses that server. Otherwise it starts the embedded one on the data
    folder, and passes its address to the processes in that variable. The Procfile's `worker` runs as often as
    INTERLOCK_WORKERS says: `worker`, `worker-2` and so on. `first` are further processes to start after the server and
    before the worker. Nothing is touched before `run()` or `with`. `web_url` is the address of the web process for a
    person or a probe on this machine.
    """

    def __init__(
        self,
        root: Path | str = ".",
        *,
        data_dir: Path | str | None = None,
        env: Mapping[str, str] = os.environ,
        first: Sequence[Process] = (),
        echo: TextIO | None = None,
        back_off: BackOff | None = None,
    ) -> None:
        self._root = Path(root).absolute()
        folder = Path(data_dir or env.get(DATA_DIR) or self._root / DEFAULT_FOLDER)
        self._folder = DataFolder(folder)
        self._env = {**env, DATA_DIR: str(self._folder.path)}
        self._first = list(first)
        self._echo = echo
        self._back_off = back_off
        self._embedded: Embedded | None = None
        self._supervisor: Supervisor | None = None
        self.web_url = local_address(self._env.get(BIND) or _BIND_DEFAULT)

    @property
    def url(self) -> str:
        """The server's address; a secret, because it may hold a password. Set once everything has started."""
        return self._env[REDIS_URL]

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the processes, named `server`, `worker`, `beat` and `web`."""
        if self._supervisor is None:
            raise LaunchError("The stack has not been started.")
        return self._supervisor

    def run(self) -> None:
        """Start everything, wait for a signal, and stop everything in reverse order. Raises LaunchError."""
        try:
            self._assemble().run()
        finally:
            self._release()

    def __enter__(self) -> Self:
        try:
            self._assemble().start()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.supervisor.stop()
        finally:
            self._release()

    def _assemble(self) -> Supervisor:
        groups = self._groups(read_procfile(self._root / "Procfile", self._env))
        if self._env.get(REDIS_URL):
            self._folder.take()  # one beat and one set of logs on a folder, also with an external server
        else:
            self._embedded = Embedded(self._folder.path, env=self._env)
            groups.insert(0, [self._embedded.prepare()])
            self._env[REDIS_URL] = self._embedded.url
        self._supervisor = Supervisor(
            groups,
            env=self._env,
            log_dir=self._folder.logs,
            echo=self._echo,
            cwd=self._root,
            back_off=self._back_off,
        )
        return self._supervisor

    def _release(self) -> None:
        if self._embedded is not None:
            self._embedded.release()
        self._folder.release()

    def _groups(self, commands: Mapping[str, tuple[str, ...]]) -> list[list[Process]]:
        early = [
            self._process(each, commands[name])
            for name in _AFTER_SERVER
            if name in commands
            for each in (worker_names(self._env) if name == _WORKER else [name])
        ]
        late = [self._process(name, command) for name, command in commands.items() if name not in _AFTER_SERVER]
        return [group for group in (self._first, early, late) if group]

    def _process(self, name: str, command: tuple[str, ...]) -> Process:
        if name.partition("-")[0] == _WORKER:
            # A worker may finish the tasks it has begun; a task cut off by SIGKILL is delivered again. Only the first
            # worker takes SIGHUP: it puts the pipeline file in force for all of them.
            first = name == _WORKER
            return Process(name, command, ready=says(r"\bready\b"), stop_within=30.0, takes_hangup=first)
        if name == "web":
            return Process(name, command, ready=answers(self.web_url + "/healthz"))
        return Process(name, command)


def worker_names(env: Mapping[str, str]) -> list[str]:
    """Return the names of the workers: as many as INTERLOCK_WORKERS says, else two, or one on a single core.

    Raises LaunchError if the variable is not a number of at least 1.
    """
    said = env.get(WORKERS) or str(min(_WORKERS_DEFAULT, os.cpu_count() or 1))
    if not said.isdecimal() or int(said) < 1:
        raise LaunchError(f"{WORKERS} is {said!r}; expected the number of worker processes, for example 2.")
    return [_WORKER, *(f"{_WORKER}-{number}" for number in range(2, int(said) + 1))]


def local_address(bind: str) -> str:
    """Return the address at which this machine reaches gunicorn's `host:port`."""
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdigit() or bind.startswith("unix:"):
        raise LaunchError(f"{BIND} is {bind!r}; expected host:port, for example {_BIND_DEFAULT}.")
    here = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read, not bound
    return f"http://{here.get(host, host)}:{port}"


# -- the Procfile ---------------------------------------------------------------------------------------------------


def read_procfile(path: Path, env: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the command of every process, in the order of the file.

    No shell is involved: a value from the environment stays one word, whatever it contains. Raises LaunchError with the
    file and line of the first mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise LaunchError(f"The Procfile cannot be read: {problem}") from problem
    commands: dict[str, tuple[str, ...]] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise LaunchError(f"{path}:{number}: expected `name: command`, found {line!r}.")
        if found["name"] in commands:
            raise LaunchError(f"{path}:{number}: {found['name']!r} is in this file twice.")
        try:
            commands[found["name"]] = expand(found["command"], env)
        except (LaunchError, ValueError) as problem:
            raise LaunchError(f"{path}:{number}: {problem}") from problem
    return commands


def expand(command: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """Split a command as a shell would and fill in `$NAME`, `${NAME}` and `${NAME:-default}`.

    Raises LaunchError if a variable is not set and has no default.
    """

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        given = env.get(name)
        if given or (given is not None and found["default"] is None):
            return given
        if found["default"] is not None:
            return found["default"]
        raise LaunchError(f"the variable {name} is not set.")

    return tuple(_VARIABLE.sub(value, word) for word in shlex.split(command))
