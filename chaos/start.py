"""`python -m chaos.start NAME`: becomes one process of Interlock, with the release and the clock that chaos chose.

A link points to the release, and a file has the move of the clock: both may change during the play. A
new release comes with the next start of the process, a new clock at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from launch import read_procfile

#: The environment variable with the folder of the play.
FOLDER = "CHAOS_FOLDER"
#: The folders of the library of Debian's package `faketime`, by architecture.
LIBRARIES = ("/usr/lib", "/usr/local/lib")
LIBRARY = "faketime/libfaketimeMT.so.1"


def release_link(folder: Path, name: str) -> Path:
    """Return the link to the checkout that a process is started from."""
    return folder / "releases" / name


def clock_file(folder: Path, name: str) -> Path:
    """Return the file with the seconds by which the clock of a process is moved."""
    return folder / "clocks" / name


def faketime() -> Path | None:
    """Return the library that moves clocks; None if it is not installed."""
    found = (path for root in LIBRARIES for path in sorted(Path(root).glob(f"**/{LIBRARY}")))
    return next(found, None)


def start(name: str, folder: Path) -> None:
    """Become the process; this does not return."""
    root = release_link(folder, name).resolve()
    env, paths = dict(os.environ), [str(root)]
    library, clock = faketime(), clock_file(folder, name)
    if library is not None and clock.exists():
        paths.append(str(Path(__file__).parent / "preload"))
        env |= {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    command = read_procfile(root / "Procfile", env)[name.partition("-")[0]]
    os.chdir(root)
    os.execvpe(command[0], command, {**env, "PYTHONPATH": os.pathsep.join(paths)})


if __name__ == "__main__":
    start(sys.argv[1], Path(os.environ[FOLDER]))
