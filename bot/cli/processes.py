"""Where the processes of an installation are listed: the Procfile of a checkout, or its copy for a wheel."""

from __future__ import annotations

from pathlib import Path

#: The project's Procfile, which a wheel does not contain; a test holds the two together. gunicorn's settings are
#: named as a module, because an installed package is no folder below the working directory.
PROCFILE = """\
web: gunicorn --config python:bot.web.gunicorn_conf "bot.web.app:create_app()"
worker: celery --quiet -A workers.app worker --pool threads --concurrency ${INTERLOCK_WORKER_THREADS:-24} \
--without-gossip --without-mingle --without-heartbeat -O fair --loglevel WARNING
beat: celery --quiet -A workers.app beat --schedule ${INTERLOCK_DATA_DIR:-.interlock}/beat-schedule --loglevel WARNING
"""

#: Where this code lies: a checkout, or the packages of a Python.
HERE = Path(__file__).resolve().parents[2]


def root(data: Path, installed: Path | None = None) -> Path:
    """The folder to start the processes in: the one with their Procfile.

    That is the checkout whose code runs, from wherever it is called. An installed package has none: there it is the
    data folder, and the Procfile is written into it. Raises OSError if that fails.
    """
    installed = installed or HERE
    if (installed / "Procfile").is_file() and (installed / "pyproject.toml").is_file():
        return installed
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / "Procfile").write_text(PROCFILE, encoding="utf-8")
    return data
