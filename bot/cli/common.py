"""The parts that all commands share: options, output, errors and exit codes.

Nothing slow is imported here: `interlock --help` loads this file and the commands, and no library but click.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import IO, Any

import click
from click.core import ParameterSource

Command = Callable[..., None]

DEFAULT_URL = "http://127.0.0.1:8080"
#: Exit codes, besides 0 for done; scripts depend on them.
FAILED, USAGE, UNREACHABLE = 1, 2, 3
#: The longest text from outside that is printed, in characters.
LONGEST = 2_000
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


# -- errors and exit codes ---------------------------------------------------------------------------------------


class CommandError(click.ClickException):
    """An error that ends the command with a sentence on standard error; `prefix` is the word before it."""

    prefix = "error"
    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, cleaned, so that text from the server cannot control the terminal."""
        for number, line in enumerate(self.message.splitlines() or [""]):
            click.echo(clean(line) if number else f"{self.prefix}: {clean(line)}", file=file, err=file is None)


class CommandFailed(CommandError):
    """Raised when the command was tried and failed, or its subject does not exist."""


class RequestRefused(CommandError):
    """Raised when Interlock refused the request; `problem` is the server's answer, if it was the server."""

    prefix = "refused"

    def __init__(self, message: str, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problem = problem or {}


class CommandPending(CommandError):
    """Raised when the request is stored, and no worker has decided it yet."""

    prefix = "not decided yet"


class ServerUnreachable(CommandError):
    """Raised when no Interlock answers at the address."""

    exit_code = UNREACHABLE


class WrongUsage(CommandError):
    """Raised when an argument, an option or an environment variable of the command cannot be used."""

    exit_code = USAGE


# -- options -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """The address and the pipeline named before the command; those named after it take precedence."""

    url: str | None = None
    pipeline: str | None = None


def calls_api(command: Command) -> Command:
    """Give a command `--url` and `--pipeline`, and pass it an ApiClient as its first argument."""

    @click.option("--url", envvar="INTERLOCK_URL", default=DEFAULT_URL, show_default=True, help="Where Interlock is.")
    @click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline; not needed if there is only one.")
    @wraps(command)
    def wrapped(url: str, pipeline: str | None, **rest: Any) -> None:
        from bot.cli.client import ApiClient  # requests loads slowly

        context = click.get_current_context()
        before = context.find_object(Target) or Target()
        is_given = context.get_parameter_source("url") is ParameterSource.COMMANDLINE
        api = ApiClient(url if is_given else before.url or url, pipeline or before.pipeline)
        try:
            command(api, **rest)
        finally:
            api.close()

    return wrapped


def _parse_reason(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("give a reason: everybody who waits reads it.")
    return value


reason = click.option(
    "-r", "--reason", required=True, metavar="TEXT", callback=_parse_reason, help="The reason; everybody can read it."
)

wait = click.option(
    "--wait",
    "wait",
    type=click.IntRange(0, 600),
    default=15,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the decision.",
)

dry_run = click.option(
    "--dry-run", "dry_run", is_flag=True, help="Print the consequences and change nothing. It needs the same role."
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API returns, for programs.")


def limit(default: int) -> Callable[[Command], Command]:
    """Return the option `--limit` with the given default."""
    return click.option(
        "-n", "--limit", type=click.IntRange(1, 10_000), default=default, show_default=True, help="How many at most."
    )


def parse_until(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the value of `--until` in the server's form: `2h`, `16:00+01:00`, or a date of ISO 8601 with its zone.

    A time without a zone is read in this terminal's zone.
    """
    from bot.core.end_time import is_duration, is_time_of_day

    if value is None or is_duration(value):
        return value
    if is_time_of_day(value):
        has_zone = value[-1] in "Zz" or "+" in value or "-" in value
        return value if has_zone else value + _local(time.time()).isoformat()[-6:]
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.astimezone()).isoformat()
    except (ValueError, OverflowError):
        raise click.BadParameter("expected a duration (90m, 2h, 3d) or a time (16:00, 2026-12-01T18:00).") from None


# -- output ------------------------------------------------------------------------------------------------------


def say(text: str, **style: Any) -> None:
    """Print one line, cleaned; `style` are the options of click.style."""
    click.secho(clean(text), **style)


def warn(text: str) -> None:
    """Print one line on standard error, cleaned."""
    click.echo(clean(text), err=True)


def print_json(data: Any, *, lines: bool = False) -> None:
    """Print JSON, in ASCII so that it holds no control character; with `lines` on a single line."""
    click.echo(json.dumps(data, indent=None if lines else 2))


def clean(text: object) -> str:
    """Return text from outside on one line, without control, direction or other invisible characters.

    The result is not rich markup.
    """
    plain = str(text)
    cut = plain if len(plain) <= LONGEST else plain[:LONGEST] + "…"
    return "".join(c if c.isprintable() else "�" for c in cut)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 run`, `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float, units: int = 2) -> str:
    """Return a duration in its largest units, without seconds after minutes: `40 s`, `12 min`, `2 h 10 min`, `3 d`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
        if parts and (len(parts) >= units or unit == "min" or not left):
            break
    return " ".join(parts) or "0 s"


def date_and_time(at: float) -> str:
    """Return a time, given in seconds since the epoch, in this terminal's zone: `2026-11-23 14:05:12`."""
    return _local(at).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: float, now: float) -> str:
    """Return a time in short: `14:05` if it is on the day of `now`, else with the date."""
    here, today = _local(at), _local(now)
    return here.strftime("%H:%M" if here.date() == today.date() else "%Y-%m-%d %H:%M")


def _local(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, tz=UTC).astimezone()
    except (OverflowError, OSError, ValueError):  # out of the range of dates
        return datetime.fromtimestamp(0, tz=UTC)
