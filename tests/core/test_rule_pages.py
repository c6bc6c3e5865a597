"""The pages of the rules and the code say the same: docs/fast-lane.md, docs/locks.md, docs/freezes.md, docs/history.md.

Title and first sentence of each rule stand on its page and in the docstrings of its functions. What always holds
(docs/design.md) has its checks.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from bot.core.model import history
from bot.core.rules import containment, merges

ROOT = Path(__file__).parents[2]
#: `F3 Same stages. A fast run passes what everyone passes: ... .`
RULE = re.compile(r"([FLW]\d+) ([^.]+)\. ([^.]+\.)(?:\s|$)")
#: `bot/core/rules/requests.py`: `lock`, `unlock`
NAMED = re.compile(r"`(bot/core/rules/\w+\.py)`: ((?:`\w+`(?:, )?)+)")


class RulePage(NamedTuple):
    """A page of rules, how many there are, and in which files of `bot/core/rules` their functions are."""

    name: str
    letter: str
    count: int
    files: str

    @property
    def text(self) -> str:
        return (ROOT / "docs" / self.name).read_text("utf-8")

    @property
    def rules(self) -> list[str]:
        return [f"{self.letter}{number}" for number in range(1, self.count + 1)]

    @property
    def items(self) -> list[str]:
        """Each rule as it is written on the page."""
        return re.findall(rf"^- \*\*{self.letter}\d.*?(?=^- |^#|\Z)", self.text, re.MULTILINE | re.DOTALL)


class Function(NamedTuple):
    """A function whose docstring begins with a rule: its name and what it says."""

    title: str
    sentence: str
    name: str


FAST_LANE = RulePage("fast-lane.md", "F", 12, "fast_lane.py")
LOCKS = RulePage("locks.md", "L", 7, "*.py")
FREEZES = RulePage("freezes.md", "W", 3, "*.py")
PAGES = [pytest.param(page, id=page.name) for page in (FAST_LANE, LOCKS, FREEZES)]
EACH_RULE = [pytest.param(page, rule, id=rule) for page in (FAST_LANE, LOCKS, FREEZES) for rule in page.rules]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def on_the_page(page: RulePage) -> dict[str, tuple[str, str]]:
    """Title and first sentence of each rule on the page."""
    found = (RULE.match(_one_line(item.removeprefix("- ").replace("**", ""))) for item in page.items)
    return {match[1]: (match[2], match[3]) for match in found if match}


def in_the_code(page: RulePage) -> dict[str, list[Function]]:
    """The functions of each rule."""
    rules: dict[str, list[Function]] = defaultdict(list)
    for path in sorted((ROOT / "bot" / "core" / "rules").glob(page.files)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match = RULE.match(_one_line(ast.get_docstring(node) or "")) if isinstance(node, ast.FunctionDef) else None
            if match and match[1].startswith(page.letter):
                rules[match[1]].append(Function(match[2], match[3], f"{path.relative_to(ROOT)}: {node.name}"))
    return rules


def in_the_table(page: RulePage) -> dict[str, set[str]]:
    """The functions that the page names for each rule."""
    rows = [line for line in page.text.splitlines() if re.match(rf"\| {page.letter}\d+ \|", line)]
    return {
        row.split("|")[1].strip(): {
            f"{path}: {name}" for path, names in NAMED.findall(row) for name in re.findall(r"`(\w+)`", names)
        }
        for row in rows
    }


@pytest.mark.parametrize("page", PAGES)
def test_both_have_all_rules_in_order(page: RulePage) -> None:
    assert list(on_the_page(page)) == page.rules
    assert set(in_the_code(page)) == set(page.rules)


@pytest.mark.parametrize(("page", "rule"), EACH_RULE)
def test_a_rule_has_one_title(page: RulePage, rule: str) -> None:
    assert {function.title for function in in_the_code(page)[rule]} == {on_the_page(page)[rule][0]}


@pytest.mark.parametrize(("page", "rule"), EACH_RULE)
def test_the_first_sentence_is_the_same(page: RulePage, rule: str) -> None:
    assert on_the_page(page)[rule][1] in [function.sentence for function in in_the_code(page)[rule]]


@pytest.mark.parametrize(("page", "rule"), [each for each in EACH_RULE if each.values[0] is not FAST_LANE])
def test_the_table_names_the_functions_of_the_rule(page: RulePage, rule: str) -> None:
    assert in_the_table(page)[rule] == {function.name for function in in_the_code(page)[rule]}


@pytest.mark.parametrize("page", [LOCKS, FREEZES], ids=lambda page: page.name)
def test_every_rule_of_a_lock_gives_a_reason(page: RulePage) -> None:
    assert [item for item in page.items if "*because*" not in item.casefold()] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_read_in_five_minutes(page: RulePage) -> None:
    assert len(page.text.split()) < 1_300


# -- the history of commits --------------------------------------------------------------------------------------------

HISTORY = (ROOT / "docs" / "history.md").read_text("utf-8")


def test_the_drawing_in_the_code_is_the_first_on_the_page() -> None:
    assert HISTORY.split("```\n")[1] in (history.__doc__ or "")


def test_the_page_gives_the_bounds_of_the_code() -> None:
    plain = " ".join(HISTORY.split())
    assert f"Of one service {containment.QUESTIONS} questions may be open at once" in plain
    assert f"remembers {history.REMEMBERED} positions, links, denials and roots each" in plain
    assert f"and {merges.FORCED_HEADS} forced heads" in plain


# -- what always holds -------------------------------------------------------------------------------------------------

#: A docstring of what checks it: `Invariant 3: a main lane stands in the order of arrival`.
INVARIANT = re.compile(r"Invariant (\d+)[:,] ")
#: What the machine runs, and the functions from which it runs it: each decision, and the end of a life.
MACHINE, RUNS = ("checks.py", "checked_town.py", "machine.py"), {"send", "teardown"}


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]


def checks_of(paths: Iterable[Path]) -> dict[int, list[str]]:
    """By the number of what always holds: the functions in these files that check it."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        if "Invariant " in path.read_text("utf-8"):
            for function in functions(path):
                match = INVARIANT.match(ast.get_docstring(function) or "")
                if match:
                    found[int(match[1])].append(function.name)
    return found


def run_by_the_machine() -> set[str]:
    """The functions that are called, by others, whenever the machine decides something or a life ends."""
    calls: dict[str, set[str]] = defaultdict(set)
    for function in [each for name in MACHINE for each in functions(Path(__file__).with_name(name))]:
        called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
        calls[function.name] |= {each.id for each in called if isinstance(each, ast.Name)}
        calls[function.name] |= {each.attr for each in called if isinstance(each, ast.Attribute)}
    found, todo = set[str](), set(RUNS)
    while todo:
        found |= todo
        todo = {name for each in todo for name in calls[each] if name in calls} - found
    return found


def test_all_that_always_holds_has_a_check_and_the_machine_runs_what_is_about_decisions() -> None:
    page = (ROOT / "docs" / "design.md").read_text("utf-8").split("## What always holds")[1].split("\n## ")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert set(checks_of((ROOT / "tests").rglob("*.py"))) == set(numbers)
    ours = checks_of(Path(__file__).with_name(name) for name in MACHINE)
    assert [name for names in ours.values() for name in names if name not in run_by_the_machine()] == []
    beside = {number for number in numbers if number not in ours}
    assert beside == {7, 8}, "they are about the store, and about what comes in: the tests of those hold them"
    assert "searches for a state that violates one of 1 to 6 or 9 to 11" in page
