"""`python -m bench.structure`: measures how much code a reader must know to follow one path through it.

Static figures come from the text (nothing is imported), those of the paths from `bench/paths.py`. `--against` names
another checkout to compare with.
"""

from __future__ import annotations

import ast
import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

OURS = Path(__file__).absolute().parents[1]
#: The packages that are installed and run in production.
PRODUCTION = ("bot", "workers", "config", "launch")
#: The folders that may define a pipeline of the four pictures, as values or as rows of a pipeline file.
PIPELINES = ("config", "tests", "bench", "demo")
_PICTURED = re.compile(
    r"""Stage\(\s*["']pre-production["']"""
    r"""|["']name["']:\s*["']pre-production["'],\s*["']job["']"""
    r"""|- name:\s+pre-production"""
)
#: The highest value of each figure, by the name of its row.
TARGETS = {
    "files: push webhook -> Jenkins trigger": 30,
    "files: callback -> unlock, next trigger, all effects": 42,
    "files: that decision": 12,
    "calls between files: that decision": 200,
    "production files": 130,
    "import cycles between files": 0,
    "import cycles between packages": 0,
    "fields of Run": 20,
    "isinstance(x, Run or Verification) in bot/core": 0,
    "class names used twice": 0,
    "places that define the pictures' pipeline": 1,
    "files of over 400 lines": 0,
}


class Source:
    """The production code of a checkout, as text and as trees."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = [path for name in PRODUCTION for path in sorted((root / name).rglob("*.py"))]
        self.trees = {path: ast.parse(path.read_text("utf-8")) for path in self.files}
        self.modules = {self._module(path): path for path in self.files}

    def lines(self) -> dict[Path, int]:
        """Count the lines of each file; an `__init__.py` with only a docstring has one."""
        return {path: len(path.read_text("utf-8").splitlines()) for path in self.files}

    def classes(self) -> Counter[str]:
        """Count the public classes of each name."""
        nodes = (node for tree in self.trees.values() for node in tree.body)
        return Counter(node.name for node in nodes if isinstance(node, ast.ClassDef) and node.name[0] != "_")

    def imports(self) -> dict[str, set[str]]:
        """Return our modules that each module imports, also for type checking, but not inside of functions."""
        found: dict[str, set[str]] = {}
        for module, path in self.modules.items():
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            found[module] = {name for name in _imported(self.trees[path]) if name != package} - {module}
            found[module] = {self._known(name) for name in found[module]} - {"", module}
        return found

    def fields_of(self, name: str) -> int:
        """Count the fields of a class."""
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return sum(isinstance(each, ast.AnnAssign) for each in node.body)
        return 0

    def kinds_asked(self) -> int:
        """Count the isinstance checks for Run or Verification in bot/core."""
        core = [tree for path, tree in self.trees.items() if path.is_relative_to(self.root / "bot" / "core")]
        calls = [node for tree in core for node in ast.walk(tree) if isinstance(node, ast.Call)]
        asked = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "isinstance"]
        return sum(bool({"Run", "Verification"} & set(_names(call.args[1]))) for call in asked)

    def _known(self, name: str) -> str:
        while name and name not in self.modules:
            name = name.rpartition(".")[0]
        return name

    def _module(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")


def _names(node: ast.expr) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules (or names in modules) that the import of the module, or type checking, imports."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.If | ast.Try):
            waiting += [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            waiting += [each for handler in getattr(node, "handlers", ()) for each in handler.body]


def cycles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a cycle (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in imports.get(module, ()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = [stack.pop()]
            while group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for module in imports:
        if module not in index:
            visit(module)
    return sorted(found)


def of_packages(imports: dict[str, set[str]], source: Source) -> dict[str, set[str]]:
    """Return the imports between the packages of the modules; a module right below the top counts by itself."""

    def package(module: str) -> str:
        apart = source.modules[module].name == "__init__.py" or module.count(".") < 2
        return module if apart else module.rpartition(".")[0]

    found: dict[str, set[str]] = {}
    for module, others in imports.items():
        found.setdefault(package(module), set()).update(package(other) for other in others)
    return {name: others - {name} for name, others in found.items()}


def figures(root: Path, *, paths: bool) -> dict[str, float]:
    """Return all figures of a checkout, by the name of their row; without `paths` only the static ones."""
    source = Source(root)
    lines = [count for count in source.lines().values() if count > 1]
    imports = source.imports()
    found: dict[str, float] = {}
    if paths:
        done = subprocess.run(
            [sys.executable, "-P", str(OURS / "bench" / "paths.py")],
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
        played: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        found["files: push webhook -> Jenkins trigger"] = len(played["push webhook to Jenkins trigger"]["files"])
        unlock = played["callback to unlock and next trigger, all effects"]
        found["files: callback -> unlock, next trigger, all effects"] = len(unlock["files"])
        found["files: that decision"] = len(played["decide"]["files"])
        found["calls between files: that decision"] = played["decide"]["calls"]
    texts = [path for name in PIPELINES for end in ("py", "yaml") for path in sorted((root / name).rglob(f"*.{end}"))]
    found |= {
        "production files": len(lines),
        "lines": sum(lines),
        "lines of the median file": statistics.median(lines),
        "files of over 400 lines": sum(count > 400 for count in lines),
        "files of under 80 lines": sum(count < 80 for count in lines),
        "import cycles between files": len(cycles(imports)),
        "import cycles between packages": len(cycles(of_packages(imports, source))),
        "fields of Run": source.fields_of("Run"),
        "isinstance(x, Run or Verification) in bot/core": source.kinds_asked(),
        "class names used twice": sum(count > 1 for count in source.classes().values()),
        "places that define the pictures' pipeline": sum(
            bool(_PICTURED.search(path.read_text("utf-8"))) for path in texts
        ),
    }
    return found


@click.command()
@click.option("--against", type=click.Path(exists=True, path_type=Path), help="Another checkout, shown beside ours.")
@click.option("--static", is_flag=True, help="Only what is read from the text: play nothing.")
@click.option("--details", is_flag=True, help="Name the cycles, the doubled names and the long files.")
def structure(against: Path | None, *, static: bool, details: bool) -> None:
    """Print the figures of our structure."""
    console = Console(width=max(120, Console().width))
    checkouts = [OURS] if against is None else [against.absolute(), OURS]
    found = [figures(root, paths=not static) for root in checkouts]
    table = Table("structure", *(["before"] if against is not None else []), "now", "target")
    for name in found[-1]:
        target = f"<= {TARGETS[name]}" if name in TARGETS else ""
        table.add_row(name, *(f"{each[name]:g}" for each in found), target)
    console.print(table)
    if details:
        _show_details(console, Source(OURS))


def _show_details(console: Console, source: Source) -> None:
    imports = source.imports()
    for title, groups in (("files", cycles(imports)), ("packages", cycles(of_packages(imports, source)))):
        for group in groups:
            console.print(f"cycle of {title}: {', '.join(group)}")
    doubled = sorted(name for name, count in source.classes().items() if count > 1)
    console.print(f"class names used twice: {', '.join(doubled) or 'none'}")
    for path, count in sorted(source.lines().items(), key=lambda each: -each[1]):
        if count > 400:
            console.print(f"{count} lines: {path.relative_to(source.root)}")


if __name__ == "__main__":
    structure()
