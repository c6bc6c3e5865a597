"""How gunicorn serves the web application; values that differ between machines come from the environment."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
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


#: What the folders of the measurements are called, in the temporary folder.
_FOLDERS = "interlock-metrics-"
_locks: list[int] = []


def on_starting(_server: Any) -> None:
    """The processes share what they measure: whichever Prometheus asks answers for all (bot/metrics.py).

    The folder is of this start; it is named before a process imports prometheus-client. The server holds a lock in it
    for as long as one of its processes lives. Folders of servers that were killed go.
    """
    for lock in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*/lock"):
        if _is_left(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=_FOLDERS)
    _locks.append(os.open(Path(folder, "lock"), os.O_CREAT | os.O_RDWR))
    fcntl.flock(_locks[-1], fcntl.LOCK_EX)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def _is_left(lock: Path) -> bool:
    """Whether no process of the server that made this file lives any more; not if it is another user's."""
    try:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def when_ready(server: Any) -> None:
    """Import the application once, before the processes are forked: each is up at once, and all share that memory.

    Only its modules: each process makes its own application, with connections and threads of its own. This comes after
    `on_starting`, for prometheus-client reads the folder when it is imported.
    """
    import_module(str(server.app.app_uri).partition(":")[0])


def on_reload(_server: Any) -> None:
    """SIGHUP to the master puts the pipeline file in force, or says why not, and starts the processes anew."""
    subprocess.Popen([sys.executable, "-c", "from bot.cli.main import cli; cli()", "reload"])


def child_exit(_server: Any, worker: Any) -> None:
    """What a process that has ended measured as its present state counts no more."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """The folder goes with the master."""
    while _locks:
        os.close(_locks.pop())
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker: Any) -> None:
    """Each web process says that it lives, watches how the rest is, and follows the configuration in force."""
    start_watch = getattr(worker.wsgi, "start_watch", None)
    if start_watch is not None:  # else another application with our settings: the bare view of the benchmark
        start_watch()
