"""The templates of the pages, compiled once in a process: whichever application comes next finds them compiled.

When another configuration is put in force, the process makes another application (bot/web/app.py). To compile all
templates takes about 0.3 seconds of the processor, which would be missing just when every live page connects again.
"""

from __future__ import annotations

from types import CodeType

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache


class CompiledTemplates(BytecodeCache):
    """What was compiled, by the name of the template and a checksum of its text."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template what was compiled of the same text."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was just compiled."""
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = CompiledTemplates()


def install(app: Flask) -> None:
    """Have `app` compile its templates as all applications of this process do, and share what is compiled."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.bytecode_cache = _COMPILED
