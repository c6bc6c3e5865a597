"""The command `up`: everything on this machine, after all mistakes of file and environment have been told."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from bot.cli.errors import FAILED, Failed
from bot.cli.files import OURS, checked_file, environment
from bot.cli.out import say, warn
from bot.cli.processes import root

#: Variables that hold a path, beside those whose name ends with _FILE.
PATHS = ("INTERLOCK_CONFIG", "INTERLOCK_DATA_DIR", "INTERLOCK_REDIS_BINARY")


@click.command(short_help="Run Interlock here, all of it.")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="The pipeline file, instead of INTERLOCK_CONFIG."
)
@click.option("--bind", metavar="HOST:PORT", help="Where the web process listens, instead of INTERLOCK_BIND.")
def up(file: Path | None, bind: str | None) -> None:
    """Run Interlock here: a Redis of its own unless INTERLOCK_REDIS_URL is set, web, worker and beat.

    First the pipeline file and the environment are checked; with a mistake nothing is started.
    """
    given = {"INTERLOCK_CONFIG": str(file) if file else None, "INTERLOCK_BIND": bind}
    with _variables({name: value for name, value in given.items() if value is not None}):
        path = Path(os.environ.get("INTERLOCK_CONFIG") or "interlock.yaml")
        configuration = checked_file(path)
        wrong, doubtful = environment(configuration)
        for sentence in (*wrong, *doubtful):
            warn(sentence)
        if wrong:
            warn("Nothing was started: the environment is incomplete (see docs/configuration.md).")
            raise click.exceptions.Exit(FAILED)
        _run(settled(os.environ, Path.cwd()))


def _run(env: Mapping[str, str]) -> None:
    """Start everything, and stay until a signal."""
    from launch import LaunchError, Stack

    data = Path(env["INTERLOCK_DATA_DIR"])
    try:
        folder = root(data)
    except OSError as error:
        raise Failed(f"the data folder {data} cannot be used: {error.strerror}") from None
    try:
        stack = Stack(folder, data_dir=data, env=env, echo=sys.stdout)
        _free(stack.web_url)
        say(f"Starting; it will answer at {stack.web_url} (Ctrl-C stops everything; logs are in {data / 'log'})")
        stack.run()
    except LaunchError as error:
        raise Failed(str(error)) from None


def _free(address: str) -> None:
    """Refuse to start where somebody else answers already; they would be taken for us."""
    host, port = address.rpartition("//")[2].rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise Failed(f"{host}:{port} cannot be listened on ({error.strerror}): choose another --bind") from None


def settled(env: Mapping[str, str], here: Path) -> dict[str, str]:
    """The environment of the processes: every path made absolute, for they run in another folder than `here`.

    What only this command reads, a person's own token above all, is left out.
    """
    found = {name: value for name, value in env.items() if name not in OURS}
    found.setdefault("INTERLOCK_CONFIG", "interlock.yaml")
    found.setdefault("INTERLOCK_DATA_DIR", ".interlock")
    for name, value in found.items():
        is_path = name in PATHS or (name.startswith("INTERLOCK_") and name.endswith("_FILE"))
        if is_path and value:
            found[name] = str(here / Path(value).expanduser())
    return found


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process for a while: the settings are read from nowhere else."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
