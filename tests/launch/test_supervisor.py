"""The supervisor starts in order, brings back what dies, stops in reverse order and leaves nothing behind."""

import io
import os
import pty
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import BackOff, LaunchError, Process, StartError, Supervisor, process, says

pytestmark = pytest.mark.slow  # real processes

QUICK = BackOff(first=0.05, longest=0.2)
LIVES = "import time; print('ready'); time.sleep(60)"
NOTES = """
import pathlib, signal, sys, time
def note(word):
    with pathlib.Path(sys.argv[1]).open("a") as file:
        file.write(f"{sys.argv[2]} {word}\\n")
def leave(*_):
    note("stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
time.sleep(0.1)
note("ready")
print("ready")
time.sleep(60)
"""


def python(name: str, program: str, *arguments: str, stop_within: float = 5.0) -> Process:
    command = (sys.executable, "-c", program, *arguments)
    return Process(name, command, ready=says("ready"), ready_within=60, stop_within=stop_within)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"  # nobody has reaped it yet


def eventually(claim: Callable[[], bool], within: float = 60.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("knows", [True, False])
def test_who_has_no_use_for_the_settings_does_not_get_them(tmp_path: Path, knows: bool) -> None:
    tells = (
        "import os; print(sorted(n for n in os.environ if n.startswith('INTERLOCK_')), 'HOME' in os.environ, 'ready')"
    )
    process = Process("one", (sys.executable, "-c", f"{tells}\n{LIVES}"), ready=says("ready"), knows_settings=knows)
    env = {**os.environ, "HOME": "/", "INTERLOCK_GITHUB_TOKEN": "a secret"}
    with Supervisor([[process]], env=env, log_dir=tmp_path):
        pass
    told = (tmp_path / "one.log").read_text()
    assert ("INTERLOCK_GITHUB_TOKEN" in told, "True ready" in told) == (knows, True)


def test_it_starts_in_order_and_stops_in_reverse_order(tmp_path: Path) -> None:
    story = tmp_path / "story"
    groups = [[python(name, NOTES, str(story), name)] for name in ("server", "worker", "web")]
    with Supervisor(groups, log_dir=tmp_path):
        assert story.read_text().splitlines() == ["server ready", "worker ready", "web ready"]
    assert story.read_text().splitlines()[3:] == ["web stopped", "worker stopped", "server stopped"]


def test_a_killed_process_comes_back(tmp_path: Path) -> None:
    with Supervisor([[python("worker", LIVES)]], log_dir=tmp_path, back_off=QUICK) as supervisor:
        first = supervisor.pid("worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: supervisor.pid("worker") not in (None, first))
        assert supervisor.await_ready("worker", within=60) != first
        assert supervisor.restarts("worker") == 1
    assert "killed by signal 9" in (tmp_path / "launch.log").read_text()


def test_a_process_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    once = tmp_path / "once"
    dies = f"import pathlib, sys, time; p = pathlib.Path({str(once)!r})\nif p.exists(): sys.exit(3)\n"
    dies += "p.touch(); print('ready'); time.sleep(0.2); sys.exit(3)"
    slow = BackOff(first=0.05, longest=60)
    with Supervisor([[python("worker", dies)]], log_dir=tmp_path, back_off=slow) as supervisor:
        assert eventually(lambda: supervisor.restarts("worker") == 3)
    waits = [line for line in (tmp_path / "launch.log").read_text().splitlines() if "again in" in line]
    assert [line.rpartition("again in ")[2] for line in waits][:3] == ["0.05 s", "0.1 s", "0.2 s"]


def test_the_wait_is_bounded() -> None:
    assert BackOff(first=0.5, longest=30).wait(deaths=1) == 0.5
    assert BackOff(first=0.5, longest=30).wait(deaths=10_000) == 30


def test_a_process_that_dies_at_start_is_shown_with_its_last_words_and_the_rest_is_stopped(tmp_path: Path) -> None:
    bad = python("web", "raise SystemExit('pipeline.yaml:14: unknown stage')")
    supervisor = Supervisor([[python("server", LIVES)], [bad]], log_dir=tmp_path)
    with pytest.raises(StartError, match=r"web ended \(exit code 1\)(?s:.)*pipeline.yaml:14: unknown stage"):
        supervisor.start()
    assert supervisor.pid("server") is None


def test_a_command_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="web cannot be started"):
        Supervisor([[Process("web", ("no-such-command-here",))]], log_dir=tmp_path).start()


def test_a_process_that_stays_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    silent = Process("web", (sys.executable, "-c", "import time; time.sleep(60)"), ready=says("up"), ready_within=0.3)
    with pytest.raises(StartError, match=r"web was not ready within 0\.3 s\. It printed nothing"):
        Supervisor([[silent]], log_dir=tmp_path).start()


def test_one_that_ignores_the_polite_signal_is_killed_with_all_its_children(tmp_path: Path) -> None:
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid); print('ready');"
        "time.sleep(60)"
    )
    with Supervisor([[python("worker", stubborn, stop_within=0.2)]], log_dir=tmp_path) as supervisor:
        parent = supervisor.pid("worker")
        child = int((tmp_path / "worker.log").read_text().splitlines()[0].rpartition(" ")[2])
        assert parent is not None
        assert not gone(child)
    assert gone(parent)
    assert eventually(lambda: gone(child))


def test_children_of_a_killed_process_do_not_outlive_it(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time;"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid); print('ready');"
        "time.sleep(60)"
    )
    with Supervisor([[python("worker", parent)]], log_dir=tmp_path, back_off=QUICK) as supervisor:
        orphan = int((tmp_path / "worker.log").read_text().splitlines()[0].rpartition(" ")[2])
        os.kill(supervisor.pid("worker") or 0, signal.SIGKILL)
        assert eventually(lambda: gone(orphan))


def test_lines_are_kept_with_their_name_and_shown_if_asked(tmp_path: Path) -> None:
    terminal = io.StringIO()
    with Supervisor([[python("beat", LIVES)]], log_dir=tmp_path, echo=terminal):
        pass
    assert "beat   | ready\n" in (tmp_path / "beat.log").read_text()
    assert "beat   | ready\n" in terminal.getvalue()
    assert "launch | everything has stopped\n" in terminal.getvalue()


def test_what_processes_write_and_print_is_for_their_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "beat.log").touch(0o644)  # of an older version
    script = f"open({str(tmp_path / 'schedule')!r}, 'w').close()\n{LIVES}"
    with Supervisor([[python("beat", script)]], log_dir=tmp_path):
        pass
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        "beat.log": 0o600,
        "launch.log": 0o600,
        "schedule": 0o600,
    }


def test_two_processes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="same name"):
        Supervisor([[python("web", LIVES)], [python("web", LIVES)]], log_dir=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_with_exit_code_0(tmp_path: Path, number: signal.Signals) -> None:
    with launcher(tmp_path, stop_within=5, child=LIVES) as process:
        child = first_pid(process)
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
    assert gone(child)


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"
    with launcher(tmp_path, stop_within=60, child=stubborn) as process:
        child = first_pid(process)
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=5) == 0
    assert gone(child)


def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
    with launcher(tmp_path, stop_within=5, child=LIVES) as process:
        child = first_pid(process)
        process.kill()
        process.wait(timeout=5)
        assert eventually(lambda: gone(child))


TOLD = """
import signal, time
signal.signal(signal.SIGHUP, lambda *_: print("told", flush=True))
print("ready", flush=True)
time.sleep(600)
"""


def supervising(tmp_path: Path, *, stop_within: float, child: str, takes_hangup: bool = False) -> str:
    """The program of a supervisor of one process."""
    return f"""
import pathlib, sys
from launch import Process, Supervisor, says
process = Process("one", (sys.executable, "-c", {child!r}), ready=says("ready"), stop_within={stop_within},
                  takes_hangup={takes_hangup})
Supervisor([[process]], log_dir=pathlib.Path({str(tmp_path)!r}), echo=sys.stdout).run()
"""


def launcher(tmp_path: Path, *, stop_within: float, child: str, takes_hangup: bool = False) -> "subprocess.Popen[str]":
    """Run a supervisor of one process as a program of its own; its terminal is our pipe."""
    program = supervising(tmp_path, stop_within=stop_within, child=child, takes_hangup=takes_hangup)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def test_a_hangup_is_for_the_process_that_takes_it_and_stops_nothing(tmp_path: Path) -> None:
    with launcher(tmp_path, stop_within=5, child=TOLD, takes_hangup=True) as process:
        child = first_pid(process)
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "told" in (tmp_path / "one.log").read_text())
        assert process.poll() is None and not gone(child)
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_hangup_stops_everything_if_no_process_takes_it(tmp_path: Path) -> None:
    with launcher(tmp_path, stop_within=5, child=LIVES) as process:
        first_pid(process)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=30) == 0


def test_a_terminal_that_is_closed_stops_everything(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        program = supervising(tmp_path, stop_within=5, child=TOLD, takes_hangup=True)
        os.execv(sys.executable, [sys.executable, "-c", program])
    log = tmp_path / "launch.log"
    assert eventually(lambda: log.exists() and "one is ready" in log.read_text())
    os.close(terminal)
    assert eventually(lambda: "everything has stopped" in log.read_text())
    os.waitpid(pid, 0)


def first_pid(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if "is ready (process" in line:
            return int(line.rpartition(" ")[2].rstrip(")\n"))
    raise AssertionError("it never became ready")


def test_a_log_is_rotated_and_only_so_many_older_files_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LARGEST", 1_000)
    log = process.LineLog(tmp_path, "web")
    for number in range(400):
        log.write(f"line {number}")
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["web.log", *(f"web.log.{n}" for n in range(1, process.KEPT + 1))]
    assert all(file.stat().st_size <= 1_000 for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert files[0].read_text().splitlines()[-1] == "web    | line 399"
