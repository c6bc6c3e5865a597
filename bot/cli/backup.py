"""The commands backup and restore: copy everything of Interlock in the store to a file, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import CommandFailed, RequestRefused, count, date_and_time, say

if TYPE_CHECKING:
    from redis import Redis

    from bot.store.backup_file import BackupReport
    from config.settings import Settings

#: The time limit of one command to Redis, in seconds, because one command copies a whole pipeline. Commands are not
#: retried.
TIMEOUT = 60.0
#: How long to listen for heartbeats, in seconds; processes send one every three (`BEAT` in `bot/health/watch.py`).
LISTEN = 4.5


@click.command(short_help="Write a backup of the store to a file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Write everything that Interlock must not lose to the new FILE, while it runs.

    Run it where Interlock runs, with the same environment. The file is readable by you alone: it holds titles, authors,
    deliveries, the hashes of tokens and the pipeline file as it is in force. It holds no secret of the environment.
    """
    from bot.store.backup import back_up
    from bot.store.backup_file import check
    from bot.store.scripts import OtherSchema

    began = time.monotonic()
    try:
        with open_store() as redis:
            back_up(redis, file)
        summary = check(file)
    except FileExistsError:
        raise CommandFailed(f"{file} is there already: name a new file") from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from None
    except OtherSchema as error:
        raise CommandFailed(str(error)) from None
    say(f"done: {file} holds {_what(summary)}, {_size(summary.size)}, after {time.monotonic() - began:.1f} s")


@click.command(short_help="Put a backup back into the store.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Replace what the store holds, after a question.")
@click.option("-y", "--yes", is_flag=True, help="With --replace: ask nothing.")
def restore(file: Path, replace: bool, yes: bool) -> None:
    """Put the backup FILE back into an empty store, or in place of what it holds.

    Stop web, worker and beat before, and start them afterwards. What happened since the backup was made counts as an
    outage: Interlock asks GitHub and Jenkins for it, and looks at Jenkins before it starts a build.
    """
    from bot.store import restore as restoring
    from bot.store.backup_file import BackupError, check

    try:
        summary = check(file)
        say(f"{file} holds {_what(summary)}, of {date_and_time(summary.head.at)}")
        with open_store() as redis:
            _refuse_while_running(redis)
            held = restoring.what_lasts(redis)
            if held and not replace:
                raise RequestRefused(f"the store is not empty: it holds {', '.join(held)}; --replace replaces that")
            if held and not yes:
                click.confirm(f"Replace what the store holds ({', '.join(held)})?", abort=True)
            restoring.restore(redis, file, summary.head, replace=replace)
    except BackupError as error:
        raise RequestRefused(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be read: {error.strerror}") from None
    say("done: restored. Start web, worker and beat: they ask GitHub and Jenkins for what happened since.")


def _what(summary: BackupReport) -> str:
    runs = ", ".join(f"{name} with {count(number, 'live run')}" for name, number in summary.live_runs.items())
    head = summary.head
    pipelines = f"{count(len(summary.live_runs), 'pipeline')} ({runs})" if runs else "no pipeline"
    return f"{pipelines}, {count(summary.values, 'value')} of schema {head.schema}, made by version {head.version}"


def _size(size: int) -> str:
    return f"{size / 1_048_576:.1f} MiB" if size >= 1_048_576 else f"{max(1, size // 1024)} KiB"


def _refuse_while_running(redis: Redis) -> None:
    """Raise RequestRefused if a process sends a heartbeat while we listen."""
    from bot.health.contacts import Heartbeats

    def last_heard() -> dict[str, float]:
        heard = Heartbeats(redis).heard()
        return {f"{kind} {name}": at for kind, rows in heard.items() for name, at in rows}

    before, until = last_heard(), time.monotonic() + LISTEN
    while time.monotonic() < until:
        time.sleep(0.25)
        alive = [process for process, at in last_heard().items() if at > before.get(process, 0.0)]
        if alive:
            raise RequestRefused(f"Interlock runs ({', '.join(alive)}): stop web, worker and beat before")


@contextmanager
def open_store() -> Iterator[Redis]:
    """Yield the store of the environment, or the embedded one, which is started for the block if it does not run.

    Raises CommandFailed if it cannot be reached, or fails.
    """
    from redis.exceptions import RedisError

    from bot.runtime import RedisLimits, connect_store

    with _settings() as settings:
        redis = connect_store(settings, RedisLimits(TIMEOUT, 0))
        try:
            yield redis
        except RedisError as error:
            raise CommandFailed(f"the store does not answer, or refuses: {type(error).__name__}: {error}") from None
        finally:
            redis.close()


@contextmanager
def _settings() -> Iterator[Settings]:
    from pydantic import SecretStr

    from config import settings
    from config.errors import SettingsError
    from launch import Embedded, LaunchError, running_url

    try:
        found = settings.load()
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    url = found.redis_url.get_secret_value() if found.redis_url else running_url(found.data_dir)
    if url is not None:
        yield found.model_copy(update={"redis_url": SecretStr(url)})
        return
    try:
        with Embedded(found.data_dir) as server:
            yield found.model_copy(update={"redis_url": SecretStr(server.url)})
    except LaunchError as error:
        raise CommandFailed(str(error)) from None
