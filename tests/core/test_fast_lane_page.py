"""docs/fast-lane.md and bot/core/rules/fast_lane.py say the same, rule by rule: title and first sentence."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from bot.core.rules import fast_lane

PAGE = Path(__file__).parents[2] / "docs" / "fast-lane.md"
RULES = [f"F{number}" for number in range(1, 13)]
#: `F3 Same stages. A fast run passes what everyone passes: ... .`
RULE = re.compile(r"(F\d+) ([^.]+)\. ([^.]+\.)(?:\s|$)")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def on_the_page() -> dict[str, tuple[str, str]]:
    """Title and first sentence of each rule on the page."""
    items = re.findall(r"^- (\*\*F.*?)(?=^- |^#|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    found = (RULE.match(_one_line(item.replace("**", ""))) for item in items)
    return {match[1]: (match[2], match[3]) for match in found if match}


def in_the_code() -> dict[str, list[tuple[str, str]]]:
    """Titles and first sentences of the functions of each rule, in the order of the module."""
    rules: dict[str, list[tuple[str, str]]] = defaultdict(list)
    tree = ast.parse(Path(fast_lane.__file__).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (match := RULE.match(_one_line(ast.get_docstring(node) or ""))):
            rules[match[1]].append((match[2], match[3]))
    return rules


def test_both_have_all_rules_in_order() -> None:
    assert list(on_the_page()) == RULES
    assert set(in_the_code()) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_one_title(rule: str) -> None:
    assert {title for title, _ in in_the_code()[rule]} == {on_the_page()[rule][0]}


@pytest.mark.parametrize("rule", RULES)
def test_the_first_sentence_is_the_same(rule: str) -> None:
    assert on_the_page()[rule][1] in [sentence for _, sentence in in_the_code()[rule]]


def test_the_page_is_read_in_five_minutes() -> None:
    assert len(PAGE.read_text().split()) < 1_300
