"""A test that fails while processes run is reported with what they printed last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import logs
from tests.logs import LINES, last_lines, shown_on_failure

ROOT = Path(__file__).parents[1]
#: A test that fails while a process runs that has printed something, in a folder of the project.
FAILING = """
from tests.logs import shown_on_failure

def test_it(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "worker.log").write_text("nothing to build\\n")
    with shown_on_failure(tmp_path):
        raise TimeoutError("no build of acceptance")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with the logs of two processes."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "web.log").write_text("ready\n")
    (tmp_path / "log" / "worker.log").write_text("".join(f"line {number}\n" for number in range(100)))
    return tmp_path


def shown_of(folder: Path) -> list[tuple[str, str]]:
    """What is shown of this folder; other tests of this process may run processes as well."""
    return [(title, text) for title, text in last_lines() if str(folder) in title]


def test_while_they_run_the_last_lines_of_each_are_shown(folder: Path) -> None:
    with shown_on_failure(folder):
        web, worker = shown_of(folder)
    assert web == (f"last lines of {folder}/log/web.log", "ready")
    assert worker[1].splitlines() == [f"line {number}" for number in range(100 - LINES, 100)]
    assert shown_of(folder) == []


def test_those_that_a_failure_has_stopped_are_shown_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_FAILED", [])
    with pytest.raises(TimeoutError), shown_on_failure(folder):
        raise TimeoutError
    assert len(shown_of(folder)) == 2
    assert shown_of(folder) == []


def test_the_report_of_a_test_that_fails_has_them(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(FAILING)
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c"]
    ended = subprocess.run(
        [*command, "/dev/null", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 1
    assert "worker.log" in ended.stdout and "nothing to build" in ended.stdout, ended.stdout + ended.stderr
