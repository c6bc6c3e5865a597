"""gunicorn's configuration for the web application; values that differ between machines come from the environment."""

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

# A live page holds a thread as long as it is open. So there must be clearly more threads than the limit of live pages,
# or deliveries would wait behind pages (with 16 threads and 40 pages open, every delivery timed out).
worker_class = "bot.web.buffering_worker.BufferingWorker"  # a slow client costs no thread: docs/design.md
threads = 64
worker_connections = 4096  # a connection without a thread costs a few KiB; with too many, the slowest is dropped

timeout = 30
graceful_timeout = 3  # an open live page would otherwise delay every stop
keepalive = 30

limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

accesslog = None  # the application logs what it accepts and refuses, with the run and without secrets
errorlog = "-"
loglevel = "warning"
control_socket_disable = True  # its default path is one per user, shared by every copy on the machine


#: The prefix of the folders for measurements, in the temporary folder.
_FOLDERS = "interlock-metrics-"
_locks: list[int] = []


def on_starting(_server: Any) -> None:
    """Make the folder in which the processes share their measurements, so that each answers for all (bot/metrics.py).

    The folder belongs to this start of the server; its name is set before a process imports prometheus-client. The
    server holds a lock in it as long as one of its processes lives. Folders of killed servers are deleted.
    """
    for lock in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*/lock"):
        if _is_left(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=_FOLDERS)
    _locks.append(os.open(Path(folder, "lock"), os.O_CREAT | os.O_RDWR))
    fcntl.flock(_locks[-1], fcntl.LOCK_EX)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def _is_left(lock: Path) -> bool:
    """Return whether no process of the server that made this file lives any more; false if it is another user's."""
    try:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def when_ready(server: Any) -> None:
    """Import the application once, before the processes are forked, so that each starts quickly and shares that memory.

    Only its modules are imported: each process makes its own application, with its own connections and threads. This
    comes after `on_starting`, because prometheus-client reads the folder when it is imported.
    """
    import_module(str(server.app.app_uri).partition(":")[0])


def on_reload(_server: Any) -> None:
    """Put the pipeline file in force on SIGHUP to the master, or print why not; gunicorn restarts the processes."""
    subprocess.Popen([sys.executable, "-c", "from bot.cli.main import cli; cli()", "reload"])


def child_exit(_server: Any, worker: Any) -> None:
    """Remove the present values of an ended process from the measurements."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Delete the folder with the master."""
    while _locks:
        os.close(_locks.pop())
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def post_worker_init(worker: Any) -> None:
    """Start the heartbeats and the watch in each web process, and follow the configuration in force."""
    start_watch = getattr(worker.wsgi, "start_watch", None)
    if start_watch is not None:  # missing in another application with our settings: the bare view of the benchmark
        start_watch()
