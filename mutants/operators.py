"""The small changes: each replaces one place of a module by a typical mistake."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

_SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
#: Calls whose keywords are the changed fields of a record; a missing one is a common mistake.
_CHANGING = ("update", "replace", "waits")
#: A change of a copy of a node; returns the node to put in its place.
Change = Callable[[ast.AST], ast.AST]


@dataclass(frozen=True)
class Mutant:
    """One changed module. `name` gives the place and the change, and stays the same when lines move."""

    #: Below bot.core, its packages included: `rules.stage_locks`.
    module: str
    name: str
    line: int
    #: The whole module, changed.
    tree: Callable[[], ast.Module]


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return all mutants of a module, in the order of its text."""
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    found = []
    for path, node, function in _nodes(tree, (), ""):
        for change in _changes(node, statement=bool(path) and isinstance(path[-1][1], int)):
            words = f"{module}.{function}: {_text(node)} -> {_text(change(copy.deepcopy(node)))}"
            seen[words] += 1
            name = words if seen[words] == 1 else f"{words} ({seen[words]})"
            found.append(Mutant(module, name, _line(node), partial(_changed, tree, path, change)))
    return found


def _line(node: ast.AST) -> int:
    return node.ifs[0].lineno if isinstance(node, ast.comprehension) else int(getattr(node, "lineno", 0))


#: A path in the tree: the field of each node, and the index in a list.
Path = tuple[tuple[str, int | None], ...]


def _nodes(node: ast.AST, path: Path, function: str, owner: str = "") -> Iterator[tuple[Path, ast.AST, str]]:
    """Yield each node inside a function with its path and the function's name; no annotations, no decorators."""
    if isinstance(node, ast.ClassDef):
        owner = f"{node.name}."
    elif isinstance(node, ast.FunctionDef):
        function = f"{function}.{node.name}" if function else f"{owner}{node.name}"
    elif function:
        yield path, node, function
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):  # texts are not rules
                step = (name, index if isinstance(value, list) else None)
                yield from _nodes(child, (*path, step), function, owner)


def _changed(whole: ast.Module, path: Path, change: Change) -> ast.Module:
    """Return a copy of the module with the node at `path` changed."""
    tree = copy.deepcopy(whole)
    parent: ast.AST = tree
    for name, index in path[:-1]:
        value = getattr(parent, name)
        parent = value if index is None else value[index]
    name, index = path[-1]
    value = getattr(parent, name)
    new = change(value if index is None else value[index])
    if index is None:
        setattr(parent, name, new)
    else:
        value[index] = new
    return ast.fix_missing_locations(tree)


def _changes(node: ast.AST, *, statement: bool) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _SWAPS:
            yield _swap
        case ast.BoolOp():
            yield _other_connective
        case ast.UnaryOp(op=ast.Not()):
            yield lambda found: found.operand  # type: ignore[attr-defined]
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if isinstance(
            test, (ast.Name, ast.Call, ast.Attribute)
        ):
            yield _negated
        case ast.comprehension(ifs=[_, *_]):
            yield _unfiltered
        case ast.Constant(value=bool() | int()):
            yield _other_value
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            yield _other_sign
        case _:
            yield from _left_out(node, statement=statement)


def _left_out(node: ast.AST, *, statement: bool) -> Iterator[Change]:
    match node:
        case ast.Expr(value=ast.Call()) | ast.AugAssign() if statement:
            yield lambda _: ast.Pass()
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=keywords) if name in _CHANGING:
            for index in range(len(keywords)):
                yield _without(index)


def _other_value(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Constant)
    return ast.Constant(not node.value if isinstance(node.value, bool) else int(str(node.value)) + 1)


def _swap(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Compare)
    node.ops = [_SWAPS[type(node.ops[0])]()]
    return node


def _other_connective(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _negated(node: ast.AST) -> ast.AST:
    assert isinstance(node, (ast.If, ast.IfExp, ast.While))
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _unfiltered(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.comprehension)
    node.ifs = []
    return node


def _other_sign(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BinOp)
    node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    return node


def _without(index: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Call)
        del node.keywords[index]
        return node

    return change


def _text(node: ast.AST) -> str:
    """Return a node in one line; of a compound statement only its condition."""
    if isinstance(node, (ast.If, ast.While)):
        return f"if {ast.unparse(node.test)}"
    return " ".join(ast.unparse(node).split())
