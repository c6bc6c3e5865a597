"""The benchmark works, whole: every section runs, as small as it can be, and has its place in the documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import MACHINE, SCALE, SECTIONS
from bench.report import Section, Target, places, written_into

ROOT = Path(__file__).absolute().parents[2]
DOCS = ROOT / "docs"
PAGES = {DOCS / "performance.md": SECTIONS, DOCS / "scale.md": SCALE}
PLACE = re.compile(r"<!-- bench (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("source", PAGES)
def test_every_section_runs_and_writes_its_table(source: Path, tmp_path: Path) -> None:
    """All sections of a page in one process: to start one takes longer than most sections do at this size."""
    page = tmp_path / source.name
    page.write_text(PLACE.sub(r"<!-- bench \1 -->\n<!-- end -->", source.read_text("utf-8")), "utf-8")
    chosen = [word for name in PAGES[source] for word in ("--only", name)]
    command = [sys.executable, "-m", "bench", *chosen, "--scale", "0.02", "--into", str(page)]
    wide = {**os.environ, "COLUMNS": "140", "INTERLOCK_WORKERS": "1", "INTERLOCK_WEB_WORKERS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=wide, capture_output=True, text=True, timeout=880, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = dict(PLACE.findall(page.read_text("utf-8")))
    for name in PAGES[source]:
        rows = [line for line in tables[name].splitlines() if line.startswith("|")]
        assert len(rows) > 2, f"{name}: a table with a head and at least one row"
        assert len({row.count("|") for row in rows}) == 1, name


@pytest.mark.parametrize("page", PAGES)
def test_every_section_has_its_place_in_the_documentation(page: Path) -> None:
    assert places(page.read_text("utf-8")) == {*PAGES[page], MACHINE}


def test_a_table_takes_the_place_of_the_one_before_and_the_rest_of_the_text_stays() -> None:
    section = Section("door", "The door", ["side", "per second"], [["ours", "9"]], targets=[Target("t", 9, 8, True)])
    text = "before\n<!-- bench door -->\n\n| old |\n\n<!-- end -->\nafter\n"
    once = written_into(text, {"door": section.markdown()})
    table = "| side | per second |\n| --- | ---: |\n| ours | 9 |"
    assert once == (f"before\n<!-- bench door -->\n\n{table}\n\n- target met: t 9.00 (>= 8)\n\n<!-- end -->\nafter\n")
    assert written_into(once, {"door": section.markdown()}) == once


def test_a_table_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 0 places for door in the text, expected one"):
        written_into("no places here", {"door": "| a |"})
