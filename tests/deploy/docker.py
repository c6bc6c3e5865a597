"""Docker's command line, as the trials of the compose file and of the units use it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Found = TypeVar("Found")

ROOT = Path(__file__).resolve().parents[2]
#: The longest that anything may take, in seconds.
PATIENCE = 60.0


def run(*words: str, check: bool = True, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=1_800, check=False, env=env)
    if check and done.returncode:
        raise click.ClickException(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def inspect(container: str) -> dict[str, Any]:
    """What Docker says of a container."""
    found: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]
    return found


def source_in(folder: Path) -> Path:
    """A copy of what git has of this checkout, so that the two files of an administrator are not left in it."""
    source = folder / "source"
    for name in run("git", "-C", str(ROOT), "ls-files").splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    return source


def ready(what: str, so: Callable[[], Found]) -> Found:
    """Wait until something is so. Raises ClickException if it is not within `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not (found := so()):
        if time.monotonic() > deadline:
            raise click.ClickException(f"after {PATIENCE:.0f} s it is still not so that {what}")
        time.sleep(0.5)
    return found
