"""docs/locks.md and the functions of L1 to L6 say the same, rule by rule: title, first sentence, and where each is."""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "locks.md"
RULES = [f"L{number}" for number in range(1, 7)]
#: `L3 Keeping out. No main-lane run enters a locked stage.`
RULE = re.compile(r"(L\d+) ([^.]+)\. ([^.]+\.)(?:\s|$)")
#: `bot/core/rules/requests.py`: `lock`, `unlock`
NAMED = re.compile(r"`(bot/core/rules/\w+\.py)`: ((?:`\w+`(?:, )?)+)")


class Function(NamedTuple):
    """A function whose docstring begins with a rule: its name and what it says."""

    title: str
    sentence: str
    name: str


def _one_line(text: str) -> str:
    return " ".join(text.split())


def on_the_page() -> dict[str, tuple[str, str]]:
    """Title and first sentence of each rule on the page."""
    items = re.findall(r"^- (\*\*L.*?)(?=^- |^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = (RULE.match(_one_line(item.replace("**", ""))) for item in items)
    return {match[1]: (match[2], match[3]) for match in found if match}


def in_the_code() -> dict[str, list[Function]]:
    """The functions of each rule."""
    rules: dict[str, list[Function]] = defaultdict(list)
    for path in sorted((ROOT / "bot" / "core" / "rules").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and (match := RULE.match(_one_line(ast.get_docstring(node) or ""))):
                name = f"{path.relative_to(ROOT)}: {node.name}"
                rules[match[1]].append(Function(match[2], match[3], name))
    return rules


def in_the_table() -> dict[str, set[str]]:
    """The functions that the page names for each rule."""
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| L\d+ \|", line)]
    return {
        row.split("|")[1].strip(): {
            f"{path}: {name}" for path, names in NAMED.findall(row) for name in re.findall(r"`(\w+)`", names)
        }
        for row in rows
    }


def test_both_have_all_rules_in_order() -> None:
    assert list(on_the_page()) == RULES
    assert set(in_the_code()) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_one_title(rule: str) -> None:
    assert {function.title for function in in_the_code()[rule]} == {on_the_page()[rule][0]}


@pytest.mark.parametrize("rule", RULES)
def test_the_first_sentence_is_the_same(rule: str) -> None:
    assert on_the_page()[rule][1] in [function.sentence for function in in_the_code()[rule]]


@pytest.mark.parametrize("rule", RULES)
def test_the_table_names_the_functions_of_the_rule(rule: str) -> None:
    assert in_the_table()[rule] == {function.name for function in in_the_code()[rule]}


def test_every_rule_gives_a_reason() -> None:
    items = re.findall(r"^- \*\*L.*?(?=^- |^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert [item for item in items if "*because*" not in item.casefold()] == []


def test_the_page_is_read_in_five_minutes() -> None:
    assert len(PAGE.read_text().split()) < 1_300
