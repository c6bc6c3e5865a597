"""`interlock backup` and `restore` say what is wrong, and touch neither file nor store then."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from bot.store.scripts import SCHEMA
from tests.cli.conftest import typed


def stored(redis: Redis) -> None:
    redis.hset("interlock:{backed-up}:meta", "schema", SCHEMA)


def test_a_file_that_is_there_is_not_overwritten(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_text("mine")
    done = typed("backup", str(file), INTERLOCK_REDIS_URL=redis_url)
    assert (done.exit_code, done.stderr) == (1, f"error: {file} is there already: name a new file\n")
    assert file.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    done = typed("backup", str(tmp_path / "no" / "b"), INTERLOCK_REDIS_URL=redis_url)
    assert done.exit_code == 1
    assert "cannot be written: No such file or directory" in done.stderr


def test_a_damaged_file_is_refused_before_the_store_is_asked(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    stored(redis)
    file = tmp_path / "b"
    assert typed("backup", str(file), INTERLOCK_REDIS_URL=redis_url).exit_code == 0
    file.write_bytes(file.read_bytes()[:-20])
    done = typed("restore", str(file), INTERLOCK_REDIS_URL="redis://127.0.0.1:1/0")
    assert done.exit_code == 1
    assert done.stderr.startswith("refused: ")
    assert "is damaged or incomplete" in done.stderr


def test_a_store_that_does_not_answer_is_said_without_its_password(redis_url: str, tmp_path: Path) -> None:
    done = typed("backup", str(tmp_path / "b"), INTERLOCK_REDIS_URL="redis://u:geheim@127.0.0.1:1/0")
    assert done.exit_code == 1
    assert "the store does not answer" in done.stderr
    assert "geheim" not in done.output
    assert not list(tmp_path.iterdir())
