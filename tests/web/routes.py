"""Compile the builder of each route's address once in a process, not once for each application.

Werkzeug writes a function for each route that makes its address from arguments, and compiles it. That took half of the
time in which an application starts, and hundreds of tests start one of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]


def remember_builders() -> None:
    """Let routes that are alike share their builders: a builder takes the route that it works for as an argument."""
    compiled = Rule._compile_builder
    known: dict[tuple[object, ...], Builder] = {}

    def builder(self: Rule, append_unknown: bool = True) -> Builder:
        like = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if like not in known:
            known[like] = compiled(self, append_unknown)
        return known[like]

    Rule._compile_builder = builder  # type: ignore[method-assign]
