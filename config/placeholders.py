"""The addresses that stand in examples for real ones: whoever left one in the file or the environment is told so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from config.errors import Path

#: Names that nobody can have (RFC 2606): `example.com` and the like, and all of `.example` and `.invalid`.
_NOBODY = re.compile(
    r"(?:^|[@/.])(?:example\.(?:com|net|org)|[a-z0-9-]+\.(?:example|invalid))(?=[:/?]|$)", re.IGNORECASE
)
#: What examples have in place of an id, a token or a password: `slack://TOKEN_A/...`, and as Slack's own documentation
#: has it, `hooks.slack.com/services/T000/B000/XXXX`.
_NO_TOKEN = re.compile(
    r"\.\.\.|[<>]|\bTOKEN(_[A-Z])?\b|[/=:][TBU]0{3,}(?=[/?@]|$)|[/=:]X{4,}(?=[/?@]|$)|//HOST\b|:password@"
)


def is_address(text: str) -> bool:
    """Whether an address, or the name of a host, is that of nobody."""
    return bool(_NOBODY.search(text))


def is_secret_address(text: str) -> bool:
    """Whether an address that holds secrets is that of nobody, or has an example's words in place of a secret."""
    return is_address(text) or bool(_NO_TOKEN.search(text))


def in_file(data: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every placeholder in a file as it was read, with its path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from in_file(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from in_file(value, (*path, index))
    elif isinstance(data, str) and is_address(data):
        yield path, data
