"""The table of chaos adds up plays, also those that other processes have played and kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from chaos.__main__ import chaos
from chaos.checker import Violation
from chaos.play import KEPT_AS, Played
from chaos.report import into_page, summary, table

GOOD = Played(1, "one", 16, 60, {"delivered": 15}, [], {"Redis killed": 2, "Redis full": 1}, [], 60.0, 20.0)
BAD = Played(
    2,
    "one",
    10,
    40,
    {"live": 1},
    [Violation("capacity", "two at once")],
    {"Redis killed": 1},
    ["clock moved"],
    9.0,
    31.0,
)


def test_faults_plays_and_violations_are_added_up() -> None:
    rows = table([GOOD, BAD]).splitlines()
    assert "| Redis killed | 3 | 2 | 1 |" in rows
    assert "| Redis full | 1 | 1 | 0 |" in rows
    assert "| clock moved | skipped: libfaketime is not here | | |" in rows
    assert "| **all** | **4** | **2** | **1** |" in rows
    assert rows[-1] == "26 merges, 100 builds. All had ended 31 s after the last fault at the latest."


def test_a_violation_is_said_with_its_promise() -> None:
    assert "VIOLATION of 'capacity': two at once" in summary(BAD)


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places"):
        into_page("# Chaos", [GOOD])


def test_kept_plays_are_added_up_without_playing(tmp_path: Path) -> None:
    for each in (GOOD, BAD):
        folder = tmp_path / f"seed-{each.seed}"
        folder.mkdir()
        (folder / KEPT_AS).write_text(json.dumps(asdict(each)))
    page = tmp_path / "page.md"
    page.write_text("<!-- chaos -->\n<!-- end -->\n")
    done = CliRunner().invoke(chaos, ["--kept", str(tmp_path), "--into", str(page)], catch_exceptions=False)
    assert done.output == table([GOOD, BAD]) + "\n"
    assert table([GOOD, BAD]) in page.read_text()
