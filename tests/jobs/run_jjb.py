"""Runs Jenkins Job Builder's own command. Version 6.5.0 still asks for pkg_resources, which setuptools 81 dropped.

So the two names that it uses are given to it here, over importlib.metadata; the parser itself is untouched.
"""

import importlib
import importlib.metadata
import sys
import types
from collections.abc import Iterator
from typing import Any


class EntryPoint:
    """As pkg_resources had it: a module, and perhaps a name in it."""

    def __init__(self, name: str, module_name: str, attrs: tuple[str, ...] = (), dist: Any = None) -> None:
        self.name, self.module_name, self.attrs, self.dist = name, module_name, attrs, dist

    def load(self) -> Any:
        found: Any = importlib.import_module(self.module_name)
        for attribute in self.attrs:
            found = getattr(found, attribute)
        return found


def iter_entry_points(group: str, name: str | None = None) -> Iterator[EntryPoint]:
    for entry in importlib.metadata.entry_points(group=group):
        if name in (None, entry.name):
            yield EntryPoint(entry.name, entry.module, tuple(entry.attr.split(".")) if entry.attr else ())


stand_in = types.ModuleType("pkg_resources")
stand_in.EntryPoint = EntryPoint  # type: ignore[attr-defined]
stand_in.iter_entry_points = iter_entry_points  # type: ignore[attr-defined]
sys.modules["pkg_resources"] = stand_in

if __name__ == "__main__":
    from jenkins_jobs.cli.entry import main

    main()
