"""The command `interlock`: the group of its subcommands. A subcommand imports slow modules when it runs."""

from __future__ import annotations

import io
import sys

import click

from bot.cli import act, backup, files, find, history, operate, read, simulate, token, up, what_if
from bot.cli.common import Target


class OrderedGroup(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were added."""
        return list(self.commands)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="interlock")
@click.option("--url", metavar="URL", help="Where Interlock is; also after the command.")
@click.option("-p", "--pipeline", metavar="NAME", help="Which pipeline; also after the command.")
@click.pass_context
def cli(context: click.Context, url: str | None, pipeline: str | None) -> None:
    """Interlock locks the stage that broke and sends the fix past the queue.

    Commands that call a running Interlock find it with --url or INTERLOCK_URL. Those that act need your token, in
    INTERLOCK_TOKEN or in the file that INTERLOCK_TOKEN_FILE names.

    Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached.
    """
    context.obj = Target(url, pipeline)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a title may hold characters that this terminal cannot show


_READ = (
    read.status,
    find.where,
    find.runs,
    read.why,
    find.watch,
    read.log,
    history.history,
    history.replay,
    what_if.what_if,
    simulate.simulate,
    find.lock_report,
    read.stats,
    read.freezes,
)
_ACT = (
    act.lock,
    act.unlock,
    act.retry,
    act.cancel,
    act.move,
    act.watch_lock,
    act.let_through,
    act.fast_lane,
    act.pause,
    act.resume,
    act.observe,
)
_OPERATE = (operate.dead_letters, operate.parked)
_SET_UP = (
    files.example,
    files.check,
    files.schema,
    files.jenkins_jobs,
    operate.notify,
    operate.doctor,
    token.tokens,
    backup.backup,
    backup.restore,
    up.up,
    files.reload,
)

for command in (*_READ, *_ACT, *_OPERATE, *_SET_UP):
    cli.add_command(command)
