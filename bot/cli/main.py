"""The command `interlock`: its subcommands, put together. What is slow to load is loaded by the one that needs it."""

from __future__ import annotations

import io
import sys

import click

from bot.cli.acting import cancel, fast_lane, lock, observe, pause, resume, retry, unlock
from bot.cli.connecting import doctor, jenkins_jobs
from bot.cli.files import check, example, schema
from bot.cli.letters import dead_letters, parked
from bot.cli.looking import history, log, status, why
from bot.cli.up import up


class InOrder(click.Group):
    """A group that lists its commands as they were added: first those that one needs first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order they were added."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="interlock")
def cli() -> None:
    """Interlock locks the stage that broke and carries the fix past everyone.

    Commands that ask a running Interlock find it with --url or INTERLOCK_URL; to act they need your token, in
    INTERLOCK_TOKEN or in the file that INTERLOCK_TOKEN_FILE names.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title may hold what this terminal cannot show


for command in (status, why, log, history):
    cli.add_command(command)
for command in (lock, unlock, retry, cancel, fast_lane, pause, resume, observe, dead_letters, parked):
    cli.add_command(command)
for command in (example, check, schema, jenkins_jobs, doctor, up):
    cli.add_command(command)
