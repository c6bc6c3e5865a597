"""How a command ends when it cannot do what was asked: a sentence on standard error and an exit code."""

from __future__ import annotations

from typing import IO, Any

import click

from bot.cli.texts import clean

#: Exit codes, beside 0 for done: scripts depend on them.
FAILED, USAGE, UNREACHABLE = 1, 2, 3


class Ended(click.ClickException):
    """The command ends with a sentence; `prefix` says in a word how."""

    prefix = "error"
    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence; whatever the server put into it cannot reach the terminal's controls."""
        for number, line in enumerate(self.message.splitlines() or [""]):
            click.echo(clean(line) if number else f"{self.prefix}: {clean(line)}", file=file, err=file is None)


class Failed(Ended):
    """It was tried and did not work, or what was asked about is not there."""


class Refused(Ended):
    """Interlock says no, with the reason."""

    prefix = "refused"


class Unknown(Ended):
    """It was asked for, and what became of it is not known yet."""

    prefix = "not decided yet"


class Unreachable(Ended):
    """No Interlock answers at the address."""

    exit_code = UNREACHABLE


class Misused(Ended):
    """What was typed, or the environment of the command, cannot be used."""

    exit_code = USAGE
