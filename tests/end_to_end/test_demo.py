"""The demo command as a user types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(270)
def test_the_demo_ends_in_picture_4() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    command = [sys.executable, "-m", "demo", "--pace", "0"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = done.stdout.splitlines()
    shown = [line.strip("╭─╮ ") for line in told if line.startswith("╭")]
    assert [title[0] for title in shown] == ["1", "2", "3", "4"]
    last = max(number for number, line in enumerate(told) if line.startswith("╭"))
    picture = " ".join(line.strip("│ ") for line in told[last + 1 : last + 4])
    assert "[queue 1: ] -> (acceptance: S3a S2b)" in picture
    assert "[queue 2: ] -> (pre-production: S2a)" in picture
    assert "(production: S1e)" in picture
    assert "/p/epages/locks/pre-production/S1." in done.stdout
    assert "cause: S1a failed in pre-production (CheckoutTest.paysWithCard" in done.stdout
    assert "fix: S1e has passed pre-production" in done.stdout
    assert "2 runs waited for it: S1b, S2a" in done.stdout or "2 runs waited for it: S2a, S1b" in done.stdout
    assert "It ended in picture 4, as it must" in done.stdout
