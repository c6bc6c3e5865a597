"""Recognizes the placeholder addresses of examples, so that one left in the file or the environment is reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from config.errors import Path

#: Reserved host names (RFC 2606): `example.com` and the like, and everything below `.example` and `.invalid`.
_NOBODY = re.compile(
    r"(?:^|[@/.])(?:example\.(?:com|net|org)|[a-z0-9-]+\.(?:example|invalid))(?=[:/?]|$)", re.IGNORECASE
)
#: Placeholders for an id, a token or a password in examples: `slack://TOKEN_A/...`, and as in Slack's own
#: documentation, `hooks.slack.com/services/T000/B000/XXXX`.
_NO_TOKEN = re.compile(
    r"\.\.\.|[<>]|\bTOKEN(_[A-Z])?\b|[/=:][TBU]0{3,}(?=[/?@]|$)|[/=:]X{4,}(?=[/?@]|$)|//HOST\b|:password@"
)


def is_address(text: str) -> bool:
    """Return whether an address, or the name of a host, is reserved for examples."""
    return bool(_NOBODY.search(text))


def is_secret_address(text: str) -> bool:
    """Return whether a secret address is reserved for examples, or has a placeholder in place of its secret."""
    return is_address(text) or bool(_NO_TOKEN.search(text))


def in_file(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every placeholder in the data of a file, with its path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from in_file(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from in_file(value, (*path, index))
    elif isinstance(data, str) and is_address(data):
        yield path, data
