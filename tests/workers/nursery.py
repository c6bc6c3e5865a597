"""Starts the program that forks a mortal worker for each requested life."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.workers.mortal import Life, asked

ROOT = Path(__file__).resolve().parents[2]


class Nursery:
    """The program that forks workers."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.workers.mortal"]
        self._program = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def live(self, life: Life) -> dict[str, Any]:
        """Let one worker live; return how it ended."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(asked(life))
        self._program.stdin.flush()
        said: dict[str, Any] = json.loads(self._program.stdout.readline())
        return said

    def close(self) -> None:
        for stream in (self._program.stdin, self._program.stdout):
            if stream is not None:
                stream.close()
        self._program.wait(60)
