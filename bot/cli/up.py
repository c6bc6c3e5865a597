"""The command `up`: starts all processes on this machine, once pipeline file and environment have no mistakes."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from bot.cli.common import FAILED, CommandFailed, say, warn
from bot.cli.files import check_environment, checked_file, config_option, config_path

#: Variables that hold a path, besides those whose name ends with _FILE.
PATH_VARIABLES = ("INTERLOCK_CONFIG", "INTERLOCK_DATA_DIR", "INTERLOCK_REDIS_BINARY")

#: The project's Procfile, which a wheel does not contain; a test keeps the two equal. gunicorn's settings are given as
#: a module, because an installed package is not a folder below the working directory.
PROCFILE = """\
web: gunicorn --config python:bot.web.gunicorn_conf "bot.web.app:serve()"
worker: celery --quiet -A workers.app worker --pool threads --concurrency ${INTERLOCK_WORKER_THREADS:-24} \
--without-gossip --without-mingle --without-heartbeat -O fair --loglevel WARNING
beat: celery --quiet -A workers.app beat --schedule ${INTERLOCK_DATA_DIR:-.interlock}/beat-schedule --loglevel WARNING
"""

#: The folder of this code: a checkout, or the packages of a Python.
HERE = Path(__file__).resolve().parents[2]


@click.command(short_help="Run all of Interlock on this machine.")
@config_option
@click.option("--bind", metavar="HOST:PORT", help="Where the web process listens, instead of INTERLOCK_BIND.")
def up(file: Path | None, bind: str | None) -> None:
    """Run all of Interlock here: a Redis of its own unless INTERLOCK_REDIS_URL is set, worker, beat and web.

    It checks the pipeline file and the environment first, and starts nothing if there is a mistake.
    """
    given = {"INTERLOCK_CONFIG": str(file) if file else None, "INTERLOCK_BIND": bind}
    with _variables({name: value for name, value in given.items() if value is not None}):
        configuration = checked_file(config_path(None))
        found = check_environment(configuration)
        for sentence in found.everything:
            warn(sentence)
        if found.mistaken or found.missing:
            warn("Nothing was started: the environment is incomplete (see docs/configuration.md).")
            raise click.exceptions.Exit(FAILED)
        _run(process_environment(os.environ, Path.cwd()))


def _run(env: Mapping[str, str]) -> None:
    """Start everything, and wait for a signal."""
    from launch import LaunchError, Stack

    data = Path(env["INTERLOCK_DATA_DIR"])
    try:
        folder = procfile_folder(data)
    except OSError as error:
        raise CommandFailed(f"the data folder {data} cannot be used: {error.strerror}") from None
    try:
        stack = Stack(folder, data_dir=data, env=env, echo=sys.stdout)
        _check_free(stack.web_url)
        say(f"Starting; it will answer at {stack.web_url} (Ctrl-C stops everything; logs are in {data / 'log'})")
        stack.run()
    except LaunchError as error:
        raise CommandFailed(str(error)) from None


def _check_free(address: str) -> None:
    """Raise CommandFailed if another program listens there already, because its answers would be taken for ours."""
    host, port = address.rpartition("//")[2].rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise CommandFailed(f"{host}:{port} cannot be used ({error.strerror}): choose another --bind") from None


def process_environment(env: Mapping[str, str], here: Path) -> dict[str, str]:
    """Return the environment of the processes, with absolute paths, because they run in another folder than `here`.

    Variables that only this command reads, above all a person's own token, are left out.
    """
    from config.settings import PERSONAL, PREFIX

    personal = {PREFIX + name for name in PERSONAL}
    found = {name: value for name, value in env.items() if name not in personal}
    found.setdefault("INTERLOCK_CONFIG", "interlock.yaml")
    found.setdefault("INTERLOCK_DATA_DIR", ".interlock")
    for name, value in found.items():
        is_path = name in PATH_VARIABLES or (name.startswith("INTERLOCK_") and name.endswith("_FILE"))
        if is_path and value:
            found[name] = str(here / Path(value).expanduser())
    return found


@contextmanager
def _variables(given: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block, because the settings are read from nowhere else."""
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


def procfile_folder(data: Path, installed: Path | None = None) -> Path:
    """Return the folder to start the processes in: the one with their Procfile.

    In a checkout this is the checkout, wherever the command is called. For an installed package it is the data folder,
    into which the Procfile is written. Raises OSError if that fails.
    """
    installed = installed or HERE
    if (installed / "Procfile").is_file() and (installed / "pyproject.toml").is_file():
        return installed
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / "Procfile").write_text(PROCFILE, encoding="utf-8")
    return data
