"""Reading what anybody may send: bytes into a JSON object, and fields out of it that may be anything at all."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import accumulate
from typing import Any

#: How deep a payload may nest. GitHub's published examples stay below ten.
DEEPEST = 64
#: How many objects and lists it may hold: a push of 2,048 commits, the most that GitHub sends, has about 12,000. Each
#: costs the parser some hundred bytes, whatever it holds.
MOST_PARTS = 200_000


class Unreadable(ValueError):
    """The body is not a JSON object; the message says what is wrong with it."""


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body` (UTF-8). Raises Unreadable, also for what would upset the parser or us later."""
    parts = body.count(b"[") + body.count(b"{")
    if parts > MOST_PARTS:
        raise Unreadable(
            f"the JSON holds more than {MOST_PARTS:,} objects and lists, or is nested deeper than sensible"
        )
    if parts > DEEPEST and _depth(body) > DEEPEST:
        raise Unreadable(f"the JSON is nested deeper than {DEEPEST} levels")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreadable(f"expected a JSON object, found {type(value).__name__}")
    return _without_surrogates(value) if _SURROGATE.search(body) else value


#: Half a character, as JSON may write one (RFC 8259, section 8.2). No UTF-8 can, so it could not be stored.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _without_surrogates(value: Any) -> Any:
    """The same with U+FFFD for each half of a character that stands alone; whole pairs are characters already."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(each) for name, each in value.items()}
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _depth(body: bytes) -> int:
    """An upper bound of the nesting, fast: brackets in strings count too, which real payloads never have so many of."""
    # An opening bracket becomes a step of +1, a closing one of -1 (as a signed byte); the rest is dropped.
    steps = memoryview(body.translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps))


_NO_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def text(value: Any, *path: str) -> str:
    """The text at `path`, or an empty one if anything on the way is missing or of another kind."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def line(raw: str, most: int) -> str:
    """A text as one line of printable characters, at most so many: anybody may have written it."""
    return " ".join("".join(c if c.isprintable() else " " for c in raw[: 4 * most]).split())[:most].strip()


def number(value: Any, *path: str) -> int | None:
    """The whole number at `path`, or None."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: Any, *path: str) -> bool:
    """Whether there is a `true` at `path`."""
    return at(value, *path) is True


def moment(written: str) -> float | None:
    """A time as GitHub writes it (ISO 8601, with a time zone), in seconds since the epoch; None if it is none."""
    try:
        found = datetime.fromisoformat(written)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


_SHA = re.compile(r"[0-9a-f]{40}\Z")
#: In place of a commit where there is none: of a branch that was made or deleted (GitHub docs: `push`).
_NO_COMMIT = "0" * 40


def is_sha(value: str) -> bool:
    """Whether this is the whole sha of a commit."""
    return _SHA.match(value) is not None and value != _NO_COMMIT


def at(value: Any, *path: str) -> Any:
    """What is at `path` in nested objects, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
