"""The lock's banner in a job's description: set before the owner's text, taken away to the letter."""

from __future__ import annotations

import re

_BEGIN = "=== Interlock: this stage is locked ==="
_END = "=== end of Interlock's notice ==="
_BLOCK = re.compile(re.escape(_BEGIN) + r".*?" + re.escape(_END) + r"\r?\n?", re.DOTALL)


def without_banner(description: str) -> str:
    """What the owner of the job wrote."""
    return _BLOCK.sub("", description)


def with_banner(description: str, text: str | None) -> str:
    """The description with `text` as its banner, in place of any other; without one if `text` is None."""
    own = without_banner(description)
    if text is None:
        return own
    return f"{_BEGIN}\n{text.replace(_END, '')}\n{_END}\n{own}"
