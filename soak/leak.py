"""A leak that is planted in the workers, to see that the soak finds one: `make soak ARGS="--leak 20"`.

Python imports a module `sitecustomize` at its start, if there is one (docs.python.org, module `site`). So the processes
that are looked at stay as they are.
"""

from __future__ import annotations

from pathlib import Path

#: It leaks in a Celery worker alone; ten times a second, in pieces of which each page of memory is touched.
PROGRAM = """
import sys
import threading
import time

def leak():
    kept = []
    while True:
        kept.append(b"x" * {size})
        time.sleep(0.1)

if "worker" in sys.orig_argv:
    threading.Thread(target=leak, name="leak", daemon=True).start()
"""


def plant(folder: Path, kib: int) -> dict[str, str]:
    """The environment of processes in which so many KiB leak a second; the module is written into the folder."""
    place = folder / "leak"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(PROGRAM.format(size=kib * 1024 // 10), "utf-8")
    return {"PYTHONPATH": str(place)}
