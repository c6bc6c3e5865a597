"""SECURITY.md names a test for what it says that holds, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = [
    (file, name)
    for file, names in re.findall(r"`(tests/[\w/]+\.py)`:\s+((?:`test_\w+`(?:, )?)+)", PAGE)
    for name in re.findall(r"`(test_\w+)`", names)
]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_holds_is_tested(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text("utf-8"), re.M)


def test_no_name_of_a_test_is_overlooked() -> None:
    assert len(NAMED) == len(re.findall(r"`test_\w+`", PAGE)) > 30


def test_each_line_says_what_holds_or_that_nothing_does() -> None:
    places = PAGE[PAGE.index("## Who can do what") : PAGE.index("### What it is made of")]
    rows = [row for row in re.findall(r"^\| (?!they)(?!---).*$", places, re.M) if not row.startswith("|---")]
    assert len(rows) > 20
    assert [row for row in rows if "**nothing**" not in row and "`test_" not in row and "the same" not in row] == []
