"""Imports point one way, the core stays pure, and every module says what it is for."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "workers", "config", "launch", "standins", "demo", "chaos")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CORE = [path for path in MODULES if path.is_relative_to(ROOT / "bot" / "core")]
IMPURE = {"time", "random", "secrets", "uuid", "os", "logging", "socket", "subprocess", "threading", "asyncio"}
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval"}
#: The one module that writes functions, as the standard library's `dataclasses` does.
WRITES_FUNCTIONS = "replaced.py"
CLOCK = {"now", "utcnow", "today"}


def impurities(source: str) -> Iterator[str]:
    """Yield each thing in the source of a core module that a pure module must not have."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from _bad_imports(node, [name.name for name in names])
            case ast.ImportFrom(module=module, level=0):
                yield from _bad_imports(node, [module or ""])
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: calls {name}()"
            case ast.ImportFrom(level=level) if level > 1:
                yield f"line {node.lineno}: imports from outside by a relative path"
            case ast.Attribute(attr=name, value=ast.Name(id=owner) | ast.Attribute(attr=owner)) if (
                name in CLOCK and owner in {"datetime", "date"}
            ):
                yield f"line {node.lineno}: asks for the time with {owner}.{name}"


def _bad_imports(node: ast.stmt, modules: list[str]) -> Iterator[str]:
    for module in modules:
        top = module.partition(".")[0]
        ours = module == "bot.core" or module.startswith("bot.core.")
        if top in IMPURE or not (ours or top in sys.stdlib_module_names):
            yield f"line {node.lineno}: imports {module}"


def test_imports_point_the_way_they_should() -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 16 kept, 0 broken." in done.stdout


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_is_pure(path: Path) -> None:
    found = list(impurities(path.read_text()))
    if path.name == WRITES_FUNCTIONS:
        assert [each.partition(": ")[2] for each in found] == ["calls exec()"]
    else:
        assert found == []


def test_the_core_is_where_we_look_for_it() -> None:
    assert ROOT / "bot" / "core" / "__init__.py" in CORE


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import choice",
        "import os.path",
        "import redis.client",
        "from bot.store import inbox",
        "from bot import state",
        "import bot.corelike",
        "def f():\n    import logging",
        "datetime.now(tz=UTC)",
        "from datetime import datetime\nnow = datetime.utcnow",
        "import datetime as dt\ndt.date.today()",
        "from ..state import inbox",
        "open('x')",
    ],
)
def test_the_search_for_impurities_finds(source: str) -> None:
    assert list(impurities(source))


def test_the_search_for_impurities_lets_pure_code_pass() -> None:
    assert not list(
        impurities("from datetime import datetime\nfrom bot.core.model.pipeline import Stage\nimport enum\nself.now")
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()), clean=False)
    assert docstring, "no docstring"
    assert docstring.splitlines()[0].strip(), "the first line of the docstring is empty"


#: The public names of a NamedTuple that begin with an underscore (Python docs: `collections.namedtuple`).
NAMEDTUPLE = {"_fields", "_replace", "_asdict", "_make"}


def private_names(source: str) -> Iterator[str]:
    """Yield each underscore name that is taken from something else than the object or class itself."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if name.startswith("_") and not name.endswith("__"):
                if name not in NAMEDTUPLE:
                    yield f"line {node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.parts[len(ROOT.parts) :][:2] in (("bot", "github"), ("bot", "jenkins"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_python_jenkins_and_pygithub_are_used_through_their_public_names(path: Path) -> None:
    assert list(private_names(path.read_text())) == []


@pytest.mark.parametrize("source", ["server._session.send(x)", "self.server._maybe_add_auth()", "jenkins._x"])
def test_the_search_for_private_names_finds(source: str) -> None:
    assert list(private_names(source))


def test_only_the_composition_root_connects_to_the_store() -> None:
    """A second place would have time limits and an idea of the configuration of its own."""
    connects = {
        str(path.relative_to(ROOT))
        for path in MODULES
        if path.is_relative_to(ROOT / "bot") or path.is_relative_to(ROOT / "workers")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("connect", "Store")
    }
    assert connects == {"bot/runtime.py"}


#: Each of these would read the body of the present request, each with a limit of its own or none.
READS_THE_BODY = {"data", "files", "form", "get_data", "get_json", "json", "stream", "values"}


@pytest.mark.parametrize("path", sorted((ROOT / "bot" / "web").rglob("*.py")), ids=lambda path: path.stem)
def test_only_one_place_reads_the_bodies_of_requests(path: Path) -> None:
    source = path.read_text("utf-8")
    found = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "request"
    } & READS_THE_BODY
    assert found == set()
    assert ('"wsgi.input"' in source) is (path.name == "bodies.py")
