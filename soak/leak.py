"""Plants a leak in the workers, to prove that the soak finds one: `make soak ARGS="--leak 20"`.

Python imports a module `sitecustomize` at its start, if there is one (docs.python.org, module `site`). So the code of
the watched processes does not change.
"""

from __future__ import annotations

from pathlib import Path

#: It leaks only in a Celery worker, ten times a second, and touches each page of the leaked memory.
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
    """Write the module into the folder; return the environment of processes that leak `kib` KiB a second."""
    place = folder / "leak"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(PROGRAM.format(size=kib * 1024 // 10), "utf-8")
    return {"PYTHONPATH": str(place)}
