"""The options that several commands share, each described once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

Command = Callable[..., None]

DEFAULT_URL = "http://127.0.0.1:8080"


def asks_server(command: Command) -> Command:
    """Give a command `--url` and `--pipeline`, and hand it the server as its first argument."""

    @click.option("--url", envvar="INTERLOCK_URL", default=DEFAULT_URL, show_default=True, help="Where Interlock is.")
    @click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline; not needed if there is only one.")
    @wraps(command)
    def wrapped(url: str, pipeline: str | None, **rest: Any) -> None:
        from bot.cli.server import Server  # requests takes a while to load

        server = Server(url, pipeline)
        try:
            command(server, **rest)
        finally:
            server.close()

    return wrapped


def _reason(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why: it is shown to everybody who waits.")
    return value


reason = click.option(
    "-r", "--reason", required=True, metavar="TEXT", callback=_reason, help="Why; shown to everybody and kept."
)

patience = click.option(
    "--wait",
    "patience",
    type=click.IntRange(0, 600),
    default=15,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for what comes of it.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API says, for programs.")


def limit(default: int) -> Callable[[Command], Command]:
    """`--limit`, with its own default."""
    return click.option(
        "-n", "--limit", type=click.IntRange(1, 10_000), default=default, show_default=True, help="How many at most."
    )
