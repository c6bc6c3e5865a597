"""What a command prints: lines of clean text, and JSON that a terminal may show as well."""

from __future__ import annotations

import json
from typing import Any

import click

from bot.cli.texts import clean


def say(text: str, **style: Any) -> None:
    """One line, with whatever foreign text it holds made harmless; `style` as click.style takes it."""
    click.secho(clean(text), **style)


def warn(text: str) -> None:
    """One line on standard error."""
    click.echo(clean(text), err=True)


def dump(data: Any, *, lines: bool = False) -> None:
    """JSON in ASCII, so that no control character gets through; with `lines` on a single line."""
    click.echo(json.dumps(data, indent=None if lines else 2))
