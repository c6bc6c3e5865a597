"""How gunicorn serves the web application; values that differ between machines come from the environment."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

bind = os.environ.get("INTERLOCK_BIND") or "127.0.0.1:8080"
workers = int(os.environ.get("INTERLOCK_WEB_WORKERS") or 2)

# A live page holds a thread for as long as it is open: threads must exceed the cap on live pages by a margin,
# or deliveries would wait behind pages (with 16 threads and 40 pages open, every delivery timed out).
worker_class = "bot.web.buffering_worker.BufferingWorker"  # a slow client costs no thread: docs/design.md
threads = 64
worker_connections = 4096  # a connection without a thread costs a few KiB; with too many, the slowest goes

timeout = 30
graceful_timeout = 3  # an open live page would otherwise hold up every stop
keepalive = 30

limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

accesslog = None  # the application logs what it accepts and refuses, with the run and without secrets
errorlog = "-"
loglevel = "warning"
control_socket_disable = True  # its default path is one per user, shared by every copy on the machine


def on_starting(_server: Any) -> None:
    """The processes share what they measure: whichever Prometheus asks answers for all (bot/metrics/process.py).

    The folder is of this start; it is named before a process imports prometheus-client. One that a server at the same
    address has left, because it was killed, goes.
    """
    name = f"interlock-metrics-{re.sub('[^0-9A-Za-z.]+', '-', bind)}-"
    for left in Path(tempfile.gettempdir()).glob(f"{name}*"):
        shutil.rmtree(left, ignore_errors=True)  # another user's stays
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=name)


def on_reload(_server: Any) -> None:
    """SIGHUP to the master puts the pipeline file in force, or says why not, and starts the processes anew."""
    subprocess.Popen([sys.executable, "-c", "from bot.cli.main import cli; cli()", "reload"])


def child_exit(_server: Any, worker: Any) -> None:
    """What a process that has ended measured as its present state counts no more."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """The folder goes with the master."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker: Any) -> None:
    """Each web process says that it lives, watches how the rest is, and follows the configuration in force."""
    start_watch = getattr(worker.wsgi, "start_watch", None)
    if start_watch is not None:  # else another application with our settings: the bare view of the benchmark
        start_watch()
