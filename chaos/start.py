"""`python -m chaos.start NAME`: becomes one process of Interlock, of the release and with the clock that chaos chose.

Which release that is, a link says, and how far its clock is moved, a file: both may change while the play goes on. A
new release comes with the next start of the process, a new clock at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from launch import read_procfile

#: Tells this command the folder of the play.
FOLDER = "CHAOS_FOLDER"
#: Where Debian's package `faketime` has the library, by architecture; `$LIB` is the loader's own word.
LIBRARIES = ("/usr/lib", "/usr/local/lib")
LIBRARY = "faketime/libfaketimeMT.so.1"


def release_link(folder: Path, name: str) -> Path:
    """What leads to the checkout that a process is started from."""
    return folder / "releases" / name


def clock_file(folder: Path, name: str) -> Path:
    """What says by how many seconds the clock of a process is moved."""
    return folder / "clocks" / name


def faketime() -> Path | None:
    """The library that moves clocks, if it is here."""
    found = (path for root in LIBRARIES for path in sorted(Path(root).glob(f"**/{LIBRARY}")))
    return next(found, None)


def start(name: str, folder: Path) -> None:
    """Become the process; does not return."""
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
