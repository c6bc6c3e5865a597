"""The data folder: its files, and the lock that keeps two servers from using one folder."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from launch.process import LaunchError

_PATIENCE = 0.5  # seconds: a server may just be ending, or another process may be checking (`is_held`)


class FolderInUseError(LaunchError):
    """Raised when another process holds the data folder, so its append-only file must not be opened again."""


class DataFolder:
    """A folder of this installation, readable by its owner only, used by one server at a time.

    The lock is a `flock` on the file `lock`. The server inherits the open file, so the folder stays taken as long as
    the launcher or its server lives, and is free as soon as both have ended, in whatever way.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        self.logs = self.path / "log"
        self.url_file = self.path / "server.url"
        self.config_file = self.path / "server.conf"
        self.pid_file = self.path / "server.pid"
        self._lock_file = self.path / "lock"
        self._lock: int | None = None

    @property
    def lock_fd(self) -> int:
        """Return the open file that holds the lock, for the server to inherit."""
        if self._lock is None:
            raise LaunchError(f"The data folder {self.path} is not held by this process.")
        return self._lock

    def take(self) -> Self:
        """Create the folder if necessary and hold it.

        Raises FolderInUseError, which names the process that holds it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise LaunchError(f"The data folder {self.path} cannot be used: {problem}") from problem
        if not _locked(handle, _PATIENCE):
            os.close(handle)
            raise FolderInUseError(self._who_holds_it())
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._lock = handle
        return self

    def release(self) -> None:
        """Release the folder. It is free once the server has ended as well."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_held(self) -> bool:
        """Return whether a process, this one or another, holds the folder now."""
        if not self._lock_file.exists():
            return False
        with self._lock_file.open() as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write_private(self, path: Path, text: str) -> None:
        """Replace a file of the folder atomically; only its owner may read it (it may hold a password)."""
        fresh = path.with_suffix(path.suffix + ".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        fresh.replace(path)

    def _who_holds_it(self) -> str:
        launcher, server = _pid_in(self._lock_file), _pid_in(self.pid_file)
        if launcher is not None and _alive(launcher):
            return (
                f"The data folder {self.path} is in use by process {launcher}. "
                "Stop it first, or choose another data folder."
            )
        if server is not None and _alive(server):
            return (
                f"The data folder {self.path} is in use by process {server}, a server without its launcher. "
                f"Stop it with `kill {server}`, or choose another data folder."
            )
        return f"The data folder {self.path} is in use by another process. Try again, or choose another one."


def _locked(handle: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None  # not written yet


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is alive, under another user
    return True
