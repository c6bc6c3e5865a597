"""The measured processes: Interlock's own from the Procfile, the bare ones, the sink and the Redis server."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from celery import Celery
from redis import Redis

from bench import boards, bodies
from bot.store.connection import connect
from bot.store.keys import FAMILIES, Keys
from config import broker, pipeline_file
from demo.pipeline import ROWS
from launch import Embedded, Process, Supervisor, answers, free_port, read_procfile, says
from launch.stack import worker_names

ROOT = Path(__file__).absolute().parent.parent
PIPELINE = "bench"
PROC = Path("/proc")
#: The longest that the worker may take for its work, in seconds.
PATIENCE = 90.0
#: The number of idle answers in a row, a tenth of a second apart, until a worker counts as idle.
IDLE = 3


class House:
    """A temporary folder, a Redis server with its append-only file there, and some processes. A context manager."""

    def __init__(
        self,
        *names: str,
        live: int | None = None,
        services: int = bodies.SERVICES,
        pipelines: int = 1,
        workers: str = "",
        web_workers: str = "",
    ) -> None:
        """Take the names of the processes to start: web, worker, beat, bare-web, bare-worker, sink, jenkins.

        `live`: the number of runs on the board before they start; None: a new board. `services` are divided among
        the `pipelines`. `workers`, `web_workers`: the number of processes; empty: from the environment, or the default.
        """
        self._names = names
        self._live = live
        self._services = services
        self.pipelines = [PIPELINE, *(f"{PIPELINE}-{number}" for number in range(2, pipelines + 1))]
        self._workers, self._web_workers = workers, web_workers
        self._folder = Path(tempfile.mkdtemp(prefix="interlock-bench-"))
        self.web, self.bare, self.sink, self.jenkins = (free_port() for _ in range(4))
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        self._embedded = Embedded(self._folder, env=_inherited())
        try:
            server = self._embedded.start()
            self._server = server.pid
            self.env = self._environment(server.url)
            self.redis: Redis = connect(server.url)
            self._broker = Celery("bench", set_as_current=False)
            self._broker.conf.update(**broker.settings(server.url), task_ignore_result=True)
            self._write_configuration()
            if self._live is not None:
                shape = pipeline_file.load(self.file).pipelines[0]
                boards.fill(self.redis, Keys(PIPELINE), shape, self._live)
            self._supervisor = Supervisor(self._groups(), env=self.env, log_dir=self._folder / "log", cwd=ROOT)
            self._supervisor.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._supervisor is not None:
                self._supervisor.stop()
        finally:
            self._leave()

    def pid(self, name: str) -> int:
        """Return the process id of a part of the house. Raise RuntimeError if it is down."""
        if name == "server":
            return self._server
        found = self._supervisor.pid(name) if self._supervisor is not None else None
        if found is None:
            raise RuntimeError(f"{name} is not running")
        return found

    def pids(self, name: str) -> list[int]:
        """Return the process ids of a part: there may be several workers. Raise RuntimeError if one is down."""
        return [self.pid(each) for each in (worker_names(self.env) if name == "worker" else [name])]

    def cpu(self, name: str) -> float:
        """Return the CPU seconds of a part and its processes so far; 0 without /proc (proc(5), stat)."""
        return sum(_cpu(pid) for one in self.pids(name) for pid in family(one)) if PROC.exists() else 0.0

    @property
    def file(self) -> Path:
        """Return the pipeline file."""
        return self._folder / "interlock.yaml"

    def ask_sink(self, path: str) -> Any:
        """Return the notes of the sink: `/arrivals` (each only once) or `/writes`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sink}{path}", timeout=10) as answer:
            return json.load(answer)

    def work_off(self) -> None:
        """Wait until the worker has decided and done all its work, and stays idle.

        Effects for later become due now, so that they do not run during another measurement.
        Raise RuntimeError if it takes too long.
        """
        keys, deadline = Keys(PIPELINE), time.monotonic() + PATIENCE
        idle = 0
        while time.monotonic() < deadline:
            accepted, taken = self.redis.hmget(keys.meta, ["accepted", "taken"])
            waits = self.redis.hlen(keys.outbox)
            # An effect that is just done may report an event between the two questions, so ask several times.
            idle = idle + 1 if accepted == taken and not waits else 0
            if idle == IDLE:
                return
            if accepted == taken and waits:
                self._hurry(keys)
            time.sleep(0.1)
        raise RuntimeError(f"the worker had not worked off everything after {PATIENCE:g} seconds")

    def _hurry(self, keys: Keys) -> None:
        """Make effects for later due and perform them, except those that have already failed."""
        tried = set(self.redis.hkeys(keys.tries))
        for family in FAMILIES:
            slots: Any = self.redis.zrange(keys.due(family), 0, -1)
            resting: dict[Any, Any] = {slot: 0 for slot in slots if slot not in tried}
            if resting:
                self.redis.zadd(keys.due(family), resting, xx=True)
                self._broker.send_task(
                    "interlock.perform", (PIPELINE, family), queue=broker.EFFECTS[family], expires=60
                )

    def _leave(self) -> None:
        self._embedded.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _groups(self) -> list[list[Process]]:
        ready = {
            "worker": says(r"\bready\b"),
            "web": answers(f"http://127.0.0.1:{self.web}/healthz"),
            "sink": says("sink ready"),
            "jenkins": says('"url"'),
            "bare-web": answers(f"http://127.0.0.1:{self.bare}/healthz"),
            "bare-worker": says("ready"),
        }
        commands = {**read_procfile(ROOT / "Procfile", self.env), **self._other_commands()}
        workers = dict.fromkeys(worker_names(self.env), commands["worker"])
        groups = (("sink", "jenkins"), ("worker", "beat", "bare-worker", "web", "bare-web"))
        chosen = [[name for name in group if name in self._names] for group in groups]
        return [
            [
                Process(each, command, ready=ready.get(name))
                for name in group
                for each, command in (workers if name == "worker" else {name: commands[name]}).items()
            ]
            for group in chosen
            if group
        ]

    def _other_commands(self) -> dict[str, tuple[str, ...]]:
        """Return the commands of sink, Jenkins stand-in and bare processes, with our servers and settings."""
        threads = self.env["INTERLOCK_WORKER_THREADS"]
        worker = f"celery -A bench.bare:celery worker --pool threads --concurrency {threads} --without-gossip"
        return {
            "sink": ("python", "-m", "bench.sink", str(self.sink)),
            "jenkins": ("python", "-m", "standins.jenkins", "--port", str(self.jenkins)),
            "bare-web": tuple(
                f"gunicorn --config bot/web/gunicorn_conf.py --bind 127.0.0.1:{self.bare} bench.bare:app".split()
            ),
            "bare-worker": tuple(f"{worker} --without-mingle --without-heartbeat -O fair --loglevel INFO".split()),
        }

    def _environment(self, url: str) -> dict[str, str]:
        return _inherited() | {
            "INTERLOCK_REDIS_URL": url,
            "INTERLOCK_CONFIG": str(self.file),
            "INTERLOCK_DATA_DIR": str(self._folder),
            "INTERLOCK_BIND": f"127.0.0.1:{self.web}",
            "INTERLOCK_WEB_WORKERS": self._web_workers or os.environ.get("INTERLOCK_WEB_WORKERS", "2"),
            "INTERLOCK_WORKERS": self._workers or os.environ.get("INTERLOCK_WORKERS", ""),
            "INTERLOCK_WORKER_THREADS": os.environ.get("INTERLOCK_WORKER_THREADS", "24"),
            "INTERLOCK_GITHUB_TOKEN": "token",
            "INTERLOCK_GITHUB_WEBHOOK_SECRETS": bodies.SECRET,
            "INTERLOCK_JENKINS_WEBHOOK_SECRET": bodies.SECRET,
            "INTERLOCK_JENKINS_TOKEN_CI": "token",
            "INTERLOCK_API_TOKENS": "bench:" + bodies.SECRET.replace(" ", "-"),
            "INTERLOCK_LOG_LEVEL": "WARNING",
            "BENCH_REDIS_URL": url,
            "BENCH_JENKINS_URL": f"http://127.0.0.1:{self.sink}",
        }

    def _write_configuration(self) -> None:
        self.file.write_text(yaml.safe_dump(self.configuration()), "utf-8")

    def configuration(self) -> dict[str, Any]:
        """Return the pipeline file."""
        sink = f"http://127.0.0.1:{self.sink}"
        services = [{"name": f"S{n}", "repository": bodies.repository(n)} for n in range(self._services)]
        step = len(self.pipelines)
        return {
            "controllers": {"ci": {"url": sink, "user": "bench"}},
            "pipelines": [
                {"name": name, "stages": _stages(name), "services": services[number::step]}
                for number, name in enumerate(self.pipelines)
            ],
            "github": {"api_url": sink, "write_spacing": "0s"},
            # The sink keeps no builds by job, so Interlock must not poll it during a measurement. The clock is
            # the default of an installation.
            "polling": {"builds": "1h", "heads": "1h"},
        }


def _stages(pipeline: str) -> list[dict[str, Any]]:
    """Return the stages of the pictures, each with a job of its own in each pipeline."""
    kept = ("capacity", "on_failure")
    prefix = "" if pipeline == PIPELINE else f"{pipeline}-"
    return [
        {"name": row["name"], "job": f"ci: {prefix}{row['name']}"} | {key: row[key] for key in kept} for row in ROWS
    ]


def family(pid: int) -> list[int]:
    """Return a process and all its descendants (Linux: proc(5), children)."""
    children = [int(child) for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()]
    return [pid, *(deeper for child in children for deeper in family(child))]


def _cpu(pid: int) -> float:
    fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "BENCH_"))}
