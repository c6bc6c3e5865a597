"""The commands that act: lock, unlock, retry, cancel, fast-lane, pause, resume, observe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.options import asks_server, patience, reason

if TYPE_CHECKING:
    from bot.cli.server import Server


def _until(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    from bot.cli.texts import until

    try:
        return None if value is None else until(value)
    except ValueError:
        raise click.BadParameter("expected a duration (90m, 2h, 3d) or a time (2026-12-01T18:00).") from None


@click.command(short_help="Close a stage to the main lane.")
@click.argument("stage")
@reason
@click.option("--let-fixes-in", is_flag=True, help="Let the fast lane's runs pass.")
@click.option("--until", metavar="TIME", callback=_until, help="When it opens by itself: 2h, or 2026-12-01T18:00.")
@patience
@asks_server
def lock(server: Server, stage: str, reason: str, let_fixes_in: bool, until: str | None, patience: int) -> None:
    """Close STAGE to the main lane, beside whatever else closes it."""
    from bot.cli.outcome import ask

    ask(
        server,
        "stages",
        stage,
        "lock",
        patience=patience,
        reason=reason,
        let_fixes_in=let_fixes_in or None,
        until=until,
    )


@click.command(short_help="Open the lock of a stage, or one of several, or all.")
@click.argument("stage")
@reason
@click.option("--lock", "key", metavar="KEY", help="Open this one of several; `interlock status` names them.")
@click.option("--all", "every", is_flag=True, help="Open all of several.")
@patience
@asks_server
def unlock(server: Server, stage: str, reason: str, key: str | None, every: bool, patience: int) -> None:
    """Open the lock of STAGE; a failed run that held it ends as a reported failure.

    If there are several, they are named, and one must be chosen, or all.
    """
    from bot.cli.outcome import ask

    ask(server, "stages", stage, "unlock", patience=patience, reason=reason, lock=key, all=every or None)


@click.command(short_help="Repeat a failed build, without a new commit.")
@click.argument("run", metavar="RUN|SERVICE")
@reason
@patience
@asks_server
def retry(server: Server, run: str, reason: str, patience: int) -> None:
    """Repeat the build of a failed run, without a new commit.

    Instead of the run's key give its service, the beginning of its sha or its pull request, if one failed run fits.
    """
    from bot.cli.choosing import RETRIED, the_run
    from bot.cli.outcome import ask

    key = the_run(server, run, RETRIED, "retry")
    ask(server, "runs", key, "retry", patience=patience, reason=reason)


@click.command()
@click.argument("run", metavar="RUN|SERVICE")
@reason
@patience
@asks_server
def cancel(server: Server, run: str, reason: str, patience: int) -> None:
    """Take a run out.

    A running build is aborted; in a stage that locks on failure that may lock it, for nobody knows what state the
    environment is in.
    """
    from bot.cli.choosing import CANCELLED, the_run
    from bot.cli.outcome import ask

    key = the_run(server, run, CANCELLED, "cancel")
    ask(server, "runs", key, "cancel", patience=patience, reason=reason)


@click.command(name="fast-lane", short_help="Send the head of main on the fast lane, once.")
@click.argument("service")
@reason
@click.option(
    "--stage", metavar="STAGE", help="Open this stage for it, even if it is locked; needed unless SERVICE holds a lock."
)
@patience
@asks_server
def fast_lane(server: Server, service: str, reason: str, stage: str | None, patience: int) -> None:
    """Send the head of SERVICE's main branch on the fast lane, once."""
    from bot.cli.outcome import ask

    ask(server, "services", service, "fast-lane", patience=patience, reason=reason, stage=stage)


@click.command()
@reason
@patience
@asks_server
def pause(server: Server, reason: str, patience: int) -> None:
    """Take everything in, trigger nothing."""
    _mode(server, "pause", reason, patience)


@click.command()
@reason
@patience
@asks_server
def resume(server: Server, reason: str, patience: int) -> None:
    """Let the pipeline run again."""
    _mode(server, "run", reason, patience)


@click.command()
@reason
@patience
@asks_server
def observe(server: Server, reason: str, patience: int) -> None:
    """Decide and show, send nothing outside."""
    _mode(server, "observe", reason, patience)


def _mode(server: Server, mode: str, reason: str, patience: int) -> None:
    from bot.cli.outcome import ask

    ask(server, "mode", patience=patience, reason=reason, mode=mode)
