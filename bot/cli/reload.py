"""The command reload: puts the pipeline file in force while Interlock runs, or says what stands against it."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import CommandFailed, RequestRefused, count, date_and_time, say, warn
from bot.cli.files import checked_file, config_option, config_path

if TYPE_CHECKING:
    from redis import Redis

    from bot.core.model.pipeline import Revision
    from bot.reload import ReloadProposal

#: How long the command waits for those that run to take the configuration up, in seconds, and how often it looks.
PATIENCE, LOOK = 30.0, 0.2
#: How many changes are printed.
CHANGES_SHOWN = 100


@click.command(short_help="Put the pipeline file in force without a restart.")
@config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def reload(file: Path | None, dry_run: bool) -> None:
    """Put the pipeline file in force in all processes that run, without a restart.

    It checks the file, shows what differs from the configuration in force, and what that does to live runs. Then all of
    it is put in force, or nothing if there is a mistake. Run it where Interlock runs, with the same environment.
    """
    from bot.reload import ReloadOvertaken, apply, propose

    path = config_path(file)
    configuration = checked_file(path)
    with _store() as redis:
        proposal = propose(redis, configuration, path)
        if proposal.is_in_force:
            say(f"{path} is in force already: nothing differs.")
            return
        _show(proposal, path)
        if proposal.refusals:
            for sentence in proposal.refusals:
                warn(f"refused: {sentence}")
            raise RequestRefused("nothing was changed")
        if dry_run:
            say("Nothing was changed.")
            return
        try:
            revision = apply(redis, proposal, _who())
        except ReloadOvertaken:
            raise CommandFailed("another configuration was put in force at this moment: look again") from None
        _await(redis, proposal, revision)


def _show(proposal: ReloadProposal, path: Path) -> None:
    """What differs, and what that does."""
    from bot.reporting.consequences import clauses
    from bot.reporting.stage_messages import DIGEST_SHOWN, changed

    before, changes = proposal.before, proposal.changes
    if before is None:
        say(f"{path} becomes the first configuration in force.")
        return
    if not changes:
        say(f"{path} takes the place of a configuration that another version wrote, and this one cannot read.")
        return
    known = f"{before.revision.digest[:DIGEST_SHOWN]}, in force since {date_and_time(before.revision.since)}"
    say(f"{count(len(changes), 'change')} of configuration {known} by {before.by}:")
    for change in changes[:CHANGES_SHOWN]:
        say(f"  {changed(change)}")
    if len(changes) > CHANGES_SHOWN:
        say(f"  and {len(changes) - CHANGES_SHOWN} more")
    say("What happens to live runs:")
    for pipeline, consequences in proposal.consequences.items():
        say(f"  {pipeline}: {'; '.join(clauses(consequences))}")


def _await(redis: Redis, proposal: ReloadProposal, revision: Revision) -> None:
    """Until everybody uses it. Raises CommandFailed if somebody does not in time: it is in force all the same."""
    from bot.reload import behind, running
    from bot.reporting.stage_messages import DIGEST_SHOWN

    until = time.monotonic() + PATIENCE
    processes = running(redis)
    while processes and (late := list(behind(redis, proposal.configuration, revision))):
        if time.monotonic() > until:
            for sentence in late:
                warn(sentence)
            raise CommandFailed("it is in force, but not everybody uses it yet; `interlock status` goes on telling who")
        time.sleep(LOOK)
        processes = running(redis)
    which = f"done: configuration {revision.digest[:DIGEST_SHOWN]} is in force"
    use = f"{len(processes)} {'process uses' if len(processes) == 1 else 'processes use'} it"
    say(f"{which}; {use if processes else 'whoever starts will use it'}")


def _who() -> str:
    """The person at this machine, for the log."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = f"user {os.getuid()}"
    return f"{name} at {socket.gethostname()}"


@contextmanager
def _store() -> Iterator[Redis]:
    """The store of the environment, or the embedded one that runs. Raises CommandFailed."""
    from pydantic import SecretStr
    from redis.exceptions import RedisError

    from bot.runtime import WATCH_LIMITS, connect_store
    from bot.store.scripts import OtherSchema
    from config import settings
    from config.errors import SettingsError
    from launch import running_url

    try:
        found = settings.load()
        url = found.redis_url.get_secret_value() if found.redis_url else running_url(found.data_dir)
        if url is None:
            raise CommandFailed("Interlock does not run here: a start puts the pipeline file in force")
        redis = connect_store(found.model_copy(update={"redis_url": SecretStr(url)}), WATCH_LIMITS)
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    try:
        yield redis
    except RedisError as error:
        raise CommandFailed(f"the store does not answer, or refuses: {type(error).__name__}") from None
    except OtherSchema as error:
        raise CommandFailed(str(error)) from None
    finally:
        redis.close()
