"""The pages for owners name files, folders and functions that exist, and no line of a page is wider than a screen."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from demo import screenshots

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ARCHITECTURE = (DOCS / "architecture.md").read_text("utf-8")
#: The folders of the project, with which a path on a page begins.
TOP = ("bot", "workers", "config", "launch", "standins", "demo", "bench", "chaos", "mutants", "tests", "docs")
PATH = re.compile(rf"`((?:{'|'.join(TOP)})(?:/[\w.-]+)+/?|(?:{'|'.join(TOP)})/?)`")
#: A file and what it defines: `bot/reporting/explain.py`: `why`, `other`.
NAMED = re.compile(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)")
#: Each question, and what is said of it until the next question or heading.
ANSWERS = re.findall(r"^- \*\*(.+?\?)\*\*(.*?)(?=^- \*\*|^#|\Z)", ARCHITECTURE, re.MULTILINE | re.DOTALL)
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.glob("*.md")),
]
WIDEST = 120


@cache
def defined(path: str) -> frozenset[str]:
    """The functions, methods and classes of a file, at any depth, and the constants of the file itself."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(names)


def missing(text: str) -> list[str]:
    """The files, folders and functions that a page names and that are not there."""
    text = " ".join(text.split())  # a name may stand on the next line
    gone = [path for path in dict.fromkeys(PATH.findall(text)) if not (ROOT / path).exists()]
    for path, names in NAMED.findall(text):
        if (ROOT / path).is_file():
            gone += [f"{path}: {name}" for name in re.findall(r"`(\w+)`", names) if name not in defined(path)]
    return gone


def test_each_question_has_an_answer_with_a_file() -> None:
    assert len(ANSWERS) > 100
    assert [question for question, answer in ANSWERS if not PATH.search(answer)] == []


def test_a_page_that_names_what_is_gone_is_found() -> None:
    text = (
        "`bot/reporting/explain.py`: `why`,\n`wherefore` and `bot/core/ancestry.py` in `tests/core/`; `workers/nowhere`"
    )
    assert missing(text) == ["bot/core/ancestry.py", "workers/nowhere", "bot/reporting/explain.py: wherefore"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_function_that_a_page_names_is_there(page: Path) -> None:
    assert missing(page.read_text("utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text("utf-8")):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            broken.append(link)
    assert broken == []


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def too_wide(text: str) -> list[str]:
    """The lines wider than a screen; a table or a block of code cannot be wrapped."""
    found, in_code = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif len(line) > WIDEST and not in_code and not line.lstrip().startswith("|"):
            found.append(f"line {number}: {len(line)} columns")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_a_page_is_wider_than_120_columns(page: Path) -> None:
    assert too_wide(page.read_text("utf-8")) == []


def test_a_line_that_is_too_wide_is_found_unless_it_cannot_be_wrapped() -> None:
    wide = "x" * (WIDEST + 1)
    assert too_wide(f"{wide}\n| {wide} |\n```\n{wide}\n```\n{wide}") == ["line 1: 121 columns", "line 6: 121 columns"]


def test_the_pictures_are_those_that_a_page_shows_and_small() -> None:
    """`make screenshots` takes them, light and dark."""
    taken = {file.name for file in screenshots.FOLDER.iterdir()}
    shown = {name for page in PAGES for name in re.findall(r'"[\w/]*pictures/([\w-]+\.webp)"', page.read_text("utf-8"))}
    assert taken == shown
    names = {name.rpartition("-")[0] for name in taken}
    assert taken == {f"{name}-{scheme}.webp" for name in names for scheme in screenshots.SCHEMES}
    assert sum(file.stat().st_size for file in screenshots.FOLDER.iterdir()) <= screenshots.BUDGET


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_picture_that_a_page_shows_is_there(page: Path) -> None:
    shown = re.findall(r'(?:src|srcset)="([^"]+)"', page.read_text("utf-8"))
    assert [name for name in shown if not (page.parent / name).is_file()] == []
