"""The checklist of 80 facts about Jenkins' HTTP behaviour is complete: every one has a test that carries its number."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ITEMS = range(1, 81)
SECTIONS = {
    "auth": range(1, 13),
    "api": range(13, 19),
    "trigger": range(19, 35),
    "queue": range(35, 42),
    "builds": range(42, 51),
    "description": range(51, 55),
    "restart": range(55, 59),
    "notification": range(59, 66),
    "seen": range(66, 81),
}


def numbered(module: Path) -> set[int]:
    """The items that the tests of a module say they are about."""
    names = [node.name for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef)]
    return {int(found[1]) for name in names if (found := re.match(r"test_(\d\d)[a-z]?_", name))}


def test_every_item_has_a_test_and_no_test_has_a_number_that_is_none():
    modules = Path(__file__).parent.glob("test_jenkins_*.py")
    assert set().union(*map(numbered, modules)) == set(ITEMS)


def test_each_section_has_its_items_in_one_file():
    """The other files add to them; these can be read as the list."""
    folder = Path(__file__).parent
    missing = {name: set(items) - numbered(folder / f"test_jenkins_{name}.py") for name, items in SECTIONS.items()}
    assert missing == {name: set() for name in SECTIONS}
    assert sorted(item for items in SECTIONS.values() for item in items) == list(ITEMS)
