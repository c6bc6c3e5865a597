"""Reads JSON that anybody may send: bytes into an object, and fields out of it that may have any type."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import accumulate
from typing import Any

#: The deepest nesting of a payload. GitHub's published examples have fewer than ten levels.
DEEPEST = 64
#: The most objects and lists in a payload. A push of 2,048 commits, the most that GitHub sends, has about 12,000. Each
#: costs the parser some hundred bytes, whatever it holds.
MOST_PARTS = 200_000


class Unreadable(ValueError):
    """Raised when a body is not a JSON object; the message says why."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body` (UTF-8).

    Raises Unreadable if there is none, and also for JSON that would upset the parser or could not be stored.
    """
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


#: Half a surrogate pair, as JSON may write one (RFC 8259, section 8.2). UTF-8 cannot encode it, so it could not be
#: stored.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _without_surrogates(value: Any) -> Any:
    """Return the value with U+FFFD for each lone surrogate; pairs are decoded to characters already."""
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
    """Return an upper bound of the nesting.

    This is fast, but counts brackets in strings too. Real payloads never have enough of them to matter.
    """
    # An opening bracket becomes a step of +1, a closing one of -1 (as a signed byte); all other bytes are dropped.
    steps = memoryview(body.translate(_STEPS, _NO_BRACKETS)).cast("b")
    return max(accumulate(steps))


_NO_BRACKETS = bytes(b for b in range(256) if b not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def text(value: Any, *path: str) -> str:
    """Return the text at `path`, or an empty text if anything on the way is missing or has another type."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def line(raw: str, most: int) -> str:
    """Return a text of unknown origin as one line of at most `most` printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in raw[: 4 * most]).split())[:most].strip()


def number(value: Any, *path: str) -> int | None:
    """Return the whole number at `path`, or None."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: Any, *path: str) -> bool:
    """Return whether the value at `path` is `true`."""
    return at(value, *path) is True


def moment(written: str) -> float | None:
    """Return an ISO 8601 time with a time zone (GitHub's format) in seconds since the epoch; None for other texts."""
    try:
        found = datetime.fromisoformat(written)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


_SHA = re.compile(r"[0-9a-f]{40}\Z")
#: Stands for a missing commit, when a branch was created or deleted (GitHub docs: `push`).
_NO_COMMIT = "0" * 40


def is_sha(value: str) -> bool:
    """Return whether `value` is the full sha of a commit."""
    return _SHA.match(value) is not None and value != _NO_COMMIT


def at(value: Any, *path: str) -> Any:
    """Return the value at `path` in nested objects, or None."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
