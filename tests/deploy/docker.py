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

from demo.processes import ProcessWorld

Found = TypeVar("Found")

ROOT = Path(__file__).resolve().parents[2]
#: The longest that anything may take, in seconds.
PATIENCE = 60.0


def run(*words: str, check: bool = True, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output. Raises ClickException with all that it printed if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=1_800, check=False, env=env)
    if check and done.returncode:
        raise click.ClickException(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def inspect(container: str) -> dict[str, Any]:
    """Return the description of a container (`docker inspect`)."""
    found: dict[str, Any] = json.loads(run("docker", "inspect", container))[0]
    return found


def source_in(folder: Path) -> Path:
    """Copy the tracked files of this checkout, because the trial writes an administrator's files into them."""
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


def wait_until_delivered(world: ProcessWorld, name: str) -> None:
    """Wait until the run of a commit, such as S2x, is delivered."""
    world.wait_until(f"{name} is delivered", lambda: (world.left(name) or ("",))[0] == "delivered")
