"""The Procfile runs whole on one machine, and every one of its processes may be killed."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from launch import BackOff, FolderInUseError, LaunchError, Stack, free_port, running_url
from launch.stack import worker_names

pytestmark = pytest.mark.slow  # real processes

ROOT = Path(__file__).parents[2]
WORKERS = """
import os
import redis
from celery import Celery
from celery.signals import worker_ready
app = Celery("throwaway", broker=os.environ["INTERLOCK_REDIS_URL"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True,
                beat_schedule={"tick": {"task": "tick", "schedule": 0.2}})
line = redis.Redis.from_url(os.environ["INTERLOCK_REDIS_URL"])
@app.task(name="tick")
def tick():
    line.incr("ticks")
@worker_ready.connect
def say(**_):
    print("ready")
"""
WEB = """
import os
import redis
def serve():
    line = redis.Redis.from_url(os.environ["INTERLOCK_REDIS_URL"])
    def answer(environ, start_response):
        line.ping()
        start_response("200 OK" if environ["PATH_INFO"] == "/healthz" else "404 Not Found", [])
        return []
    return answer
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A project with our own Procfile and gunicorn settings, and with throwaway applications."""
    for folder in ("workers", "bot/web"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "workers" / "app.py").write_text(WORKERS)
    (tmp_path / "bot" / "web" / "app.py").write_text(WEB)
    shutil.copy(ROOT / "Procfile", tmp_path)
    for name in ("gunicorn_conf.py", "buffering_worker.py", "request_buffer.py"):
        shutil.copy(ROOT / "bot/web" / name, tmp_path / "bot/web")
    for package in ("workers", "bot", "bot/web"):  # or Python would find the real ones first
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def environment(house: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    bind = f"127.0.0.1:{free_port()}"
    return {**kept, "INTERLOCK_BIND": bind, "INTERLOCK_WEB_WORKERS": "1", "PYTHONPATH": str(house), **more}


@pytest.mark.slow
def test_the_procfile_runs_and_survives_the_death_of_each_process(house: Path) -> None:
    with Stack(house, env=environment(house), back_off=BackOff(first=0.1)) as stack:
        supervisor = stack.supervisor
        assert running_url(house / ".interlock") == stack.url
        with redis.Redis.from_url(stack.url, decode_responses=True) as line:
            assert grows(lambda: int(line.get("ticks") or 0), within=60)
            before = int(line.get("ticks") or 0)
            pids = {name: supervisor.pid(name) for name in ("server", "worker", "beat", "web")}
            for pid in pids.values():
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            for name, pid in pids.items():
                assert wait_for_restart(stack, name) != pid
            assert grows(lambda: int(line.get("ticks") or 0), within=60)
            assert int(line.get("ticks") or 0) > before
    log = (house / ".interlock" / "log" / "launch.log").read_text()
    ended = [text.split()[2] for text in log.splitlines() if "has stopped" in text]
    assert ended[:1] + ended[-2:] == ["web", "server", "everything"]
    assert running_url(house / ".interlock") is None


def test_a_second_copy_on_the_same_data_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("beat: sleep 60\n")
    with Stack(tmp_path, env=environment(tmp_path)) as first, pytest.raises(FolderInUseError, match=str(os.getpid())):
        second = Stack(tmp_path, env=environment(tmp_path))
        second.run()
    assert first.supervisor.restarts("beat") == 0


def test_a_given_server_is_used_and_none_is_started(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("beat: sh -c 'echo url is $INTERLOCK_REDIS_URL; sleep 60'\n")
    with Stack(tmp_path, env=environment(tmp_path, INTERLOCK_REDIS_URL="redis://elsewhere")) as stack:
        assert stack.url == "redis://elsewhere"
        with pytest.raises(KeyError):
            stack.supervisor.pid("server")
        said = tmp_path / ".interlock" / "log" / "beat.log"
        assert eventually(lambda: "url is redis://elsewhere" in said.read_text())


def test_the_folder_is_given_back_when_a_process_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: sh -c 'echo no such stage; exit 2'\n")
    with pytest.raises(LaunchError, match=r"exit code 2(?s:.)*no such stage"):
        Stack(tmp_path, env=environment(tmp_path)).run()
    assert running_url(tmp_path / ".interlock") is None


def wait_for_restart(stack: Stack, name: str) -> int | None:
    assert eventually(lambda: stack.supervisor.restarts(name) > 0)
    return stack.supervisor.await_ready(name, within=60)


def grows(read: Callable[[], int], within: float) -> bool:
    start = 0
    with suppress(redis.ConnectionError):
        start = read()
    return eventually(lambda: read() > start, within)


def eventually(claim: Callable[[], bool], within: float = 60.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if claim():
                return True
        except (redis.ConnectionError, FileNotFoundError):
            pass  # not back yet
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("said", "cores", "names"),
    [
        ("", 8, ["worker", "worker-2"]),
        ("", 1, ["worker"]),
        ("", None, ["worker"]),
        ("1", 8, ["worker"]),
        ("3", 1, ["worker", "worker-2", "worker-3"]),
    ],
)
def test_two_workers_run_where_there_are_two_cores_and_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch, said: str, cores: int | None, names: list[str]
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert worker_names({"INTERLOCK_WORKERS": said} if said else {}) == names


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5"])
def test_a_number_of_workers_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(LaunchError, match=r"INTERLOCK_WORKERS is '.*'; expected the number of worker processes"):
        worker_names({"INTERLOCK_WORKERS": said})
