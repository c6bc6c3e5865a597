"""The table "What if a process is killed?" of docs/life-of-a-merge.md, row by row: each test does what its row says.

A test's docstring is the first cell of its row. Processes are real, and die by SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from bot.core.model.run import Status
from bot.store.outbox import CLAIM_MS
from bot.store.store import LEASE_MS
from config.broker import TURNS, settings
from demo.town import SERVICES
from tests.end_to_end.world import ROOT, World, until, world
from workers.performer import LIMITS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
POST = "POST .*buildWithParameters"
PAGE = ROOT / "docs" / "life-of-a-merge.md"
#: Rows whose tests are elsewhere.
ELSEWHERE = {
    "beat, while a webhook answers it": (
        "test_outbound.py",
        "test_nothing_is_lost_and_doubles_have_one_id_when_beat_is_killed",
    ),
    "everything that Redis held": (
        "test_emptied_redis.py",
        "test_a_redis_that_is_emptied_under_living_processes_is_noticed_at_once",
    ),
    "the master of a replicated Redis": (
        "../failover/test_failovers.py",
        "test_no_merge_is_lost_doubled_or_stuck_by_failovers",
    ),
    "RabbitMQ, or the pipeline's server in a Redis Cluster": (
        "../failover/test_failovers.py",
        "test_nor_on_a_cluster_with_rabbitmq_and_two_beats",
    ),
    "one of several beats": (
        "../workers/test_two_beats.py",
        "test_two_beats_send_what_one_would_and_if_one_is_killed_the_other_goes_on",
    ),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture
def calm(running: World) -> World:
    """All processes run, and nothing is left to do."""
    until("all processes run", lambda: all(running.stack.supervisor.pid(name) for name in ("worker", "beat", "web")))
    until("Interlock is well", lambda: running.ready()[1]["status"] == "ok")
    # Not the outbox: what GitHub is told may rest for a minute.
    until("no run is on its way", lambda: not running.board_now().runs and not trigger_slots(running))
    return running


def is_built_once(running: World, sha: str) -> None:
    """The merge is on its way: one build in the first stage, of its first attempt, that moved its run on."""
    until("it has been built", lambda: running.builds("build", sha) >= 1)
    until("its run went on to the end", lambda: running.builds("production", sha) >= 1)
    until("it left the board", lambda: running.run_of(sha) is None)
    stages = ("build", "acceptance", "pre-production", "production")
    assert {stage: running.builds(stage, sha) for stage in stages} == dict.fromkeys(stages, 1)


def kill_family(running: World, name: str) -> None:
    """A process and its children (gunicorn's workers) at once."""
    for pid in running._family(name):
        os.kill(pid, signal.SIGKILL)


def is_restarted(running: World, name: str, before: int) -> None:
    until(f"the supervisor has started {name} again", lambda: running.stack.supervisor.restarts(name) > before)


def delivered(running: World) -> list[int | None]:
    """How the pushes sent so far were answered."""
    return [row["status_code"] for row in running.town.github.control.deliveries("push")]


def test_web_before_the_script(calm: World) -> None:
    """web, before the script has run"""
    restarts, before = calm.stack.supervisor.restarts("web"), len(delivered(calm))
    with calm.stopped("web"):
        sha = calm.push("S1")  # the kernel takes the connection, and nobody reads it
        kill_family(calm, "web")
    until("GitHub has its answer", lambda: len(delivered(calm)) > before)
    assert 202 not in delivered(calm)[before:]
    is_restarted(calm, "web", restarts)
    is_built_once(calm, sha)
    text = "found by polling"
    until("it is told how it was found", lambda: text in calm.typed("log", "--limit", "200"))


def test_web_after_it(calm: World) -> None:
    """web, after it"""
    restarts, before = calm.stack.supervisor.restarts("web"), len(delivered(calm))
    with calm.stopped("worker", "beat"):
        sha = calm.push("S2")
        until("GitHub has its answer", lambda: 202 in delivered(calm)[before:])
        kill_family(calm, "web")
        # It died before the wake-up went out: there is none.
        prefix = settings(calm.stack.url)["broker_transport_options"]["global_keyprefix"]
        calm.redis.delete(f"{prefix}{TURNS}")
        began = time.monotonic()
    until("it is decided", lambda: calm.run_of(sha) or calm.builds("build", sha))
    assert time.monotonic() - began < 20
    is_restarted(calm, "web", restarts)
    is_built_once(calm, sha)


def test_worker_before_the_commit(calm: World) -> None:
    """worker, before the commit"""
    restarts = calm.stack.supervisor.restarts("worker")
    for _ in range(5):
        shas, caught = caught_in_a_turn(calm)
        if caught:
            break
        for sha in shas:
            is_gone(calm, sha)
    else:
        pytest.fail("five times it was faster than we are")
    version = calm.redis.hget(calm.keys.meta, "version")
    left = int(calm.redis.pttl(calm.keys.lease))
    assert 0 < left <= LEASE_MS
    calm.send("worker", signal.SIGKILL)
    assert calm.redis.hget(calm.keys.meta, "version") == version, "nothing was changed"
    began = time.monotonic()
    is_restarted(calm, "worker", restarts)
    until("another worker has taken the turn", lambda: calm.redis.hget(calm.keys.meta, "version") != version)
    assert time.monotonic() - began >= (left - 100) / 1000, "not before the lease has ended"
    for sha in shas:
        is_gone(calm, sha)


def caught_in_a_turn(running: World) -> tuple[list[str], bool]:
    """Several merges come in at once, and the worker is stopped in the middle of the turn that decides them."""
    worker, redis, keys = running.pid("worker"), running.redis, running.keys
    os.kill(worker, signal.SIGSTOP)
    shas = [running.push(service, title=f"{number} of many") for number in range(6) for service in SERVICES]
    until("they are kept", lambda: waiting(running) >= len(shas))
    version = redis.hget(keys.meta, "version")
    os.kill(worker, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while not redis.exists(keys.lease) and time.monotonic() < deadline:
        pass  # a turn lasts some ten milliseconds: no time to rest
    os.kill(worker, signal.SIGSTOP)
    caught = bool(redis.exists(keys.lease)) and redis.hget(keys.meta, "version") == version
    if not caught:
        os.kill(worker, signal.SIGCONT)
    return shas, caught


def waiting(running: World) -> int:
    accepted, taken = running.redis.hmget(running.keys.meta, ["accepted", "taken"])
    return int(accepted or 0) - int(taken or 0)


def is_gone(running: World, sha: str) -> None:
    """It was built, once at most in each stage, and has left the board: delivered, or contained in a newer one."""
    until("it has been built or left behind", lambda: running.run_of(sha) is None and waiting(running) == 0)
    for stage in ("build", "acceptance", "pre-production", "production"):
        assert running.builds(stage, sha) <= 1


def test_worker_after_the_commit(calm: World) -> None:
    """worker, after the commit"""
    restarts, held = calm.stack.supervisor.restarts("worker"), calm.keys.claimed("jenkins")
    others = {f"somebody-else-{n}": (time.time() + 3_600) * 1000 for n in range(LIMITS["jenkins"])}
    calm.redis.zadd(held, others)  # as if all that may be under way at Jenkins were: so it waits in the outbox
    sha = calm.push("S3")
    run = until("it is decided", lambda: calm.run_of(sha))
    assert run.status is Status.STARTING
    assert calm.redis.hexists(calm.keys.outbox, f"trigger/{run.key}/{run.attempt.number}") or trigger_slots(calm)
    calm.send("worker", signal.SIGKILL)
    is_restarted(calm, "worker", restarts)
    assert calm.builds("build", sha) == 0
    calm.redis.zrem(held, *others)
    is_built_once(calm, sha)


def trigger_slots(running: World) -> list[bytes]:
    return [slot for slot in running.redis.hkeys(running.keys.outbox) if b"trigger" in slot]


def test_worker_in_the_middle_of_a_trigger(calm: World) -> None:
    """worker, in the middle of a trigger"""
    restarts = calm.stack.supervisor.restarts("worker")
    control = calm.town.jenkins["build"].control
    control.fault("delay", route=POST, count=1, seconds=3.0)
    sha = calm.push("S1")
    run = until("its trigger goes out", lambda: posted(calm, sha))
    calm.send("worker", signal.SIGKILL)
    (slot,) = trigger_slots(calm)
    left = calm.redis.zscore(calm.keys.claimed("jenkins"), slot) / 1000 - calm.redis.time()[0]
    assert 0 < left <= CLAIM_MS / 1000 + 1  # seconds of Redis' clock, cut off
    is_restarted(calm, "worker", restarts)
    until("the build has been found by asking", lambda: (now := calm.run_of(sha)) is None or now.attempt.build)
    assert run.attempt.number == 1
    is_built_once(calm, sha)
    until("another worker has looked for it, and is done", lambda: slot not in trigger_slots(calm))
    assert calm.builds("build", sha) == 1


def posted(running: World, sha: str) -> object:
    """The run of a commit once the intent to start its build has been noted, and the request is under way."""
    run = running.run_of(sha)
    return run if run is not None and running.redis.exists(running.keys.posted(run.key, 1)) else None


def test_beat(calm: World) -> None:
    """beat"""
    restarts = calm.stack.supervisor.restarts("beat")
    calm.send("beat", signal.SIGKILL)
    sha = calm.push("S2")
    is_built_once(calm, sha)
    is_restarted(calm, "beat", restarts)
    until("the clock ticks again", lambda: "beat" not in calm.causes())


def test_redis(calm: World) -> None:
    """Redis"""
    sha = calm.push("S3")
    run = until("it is decided", lambda: calm.run_of(sha))
    killed(calm, lambda: None)
    until("it is as it was", lambda: answered(calm, lambda: calm.run_of(sha) or calm.builds("build", sha)))
    assert run.service == "S3"
    is_built_once(calm, sha)


def test_redis_after_a_power_failure(calm: World) -> None:
    """the machine of Redis, by a power failure"""
    folder = Path(calm.redis.config_get("dir")["dir"]) / "appendonlydir"
    (file,) = folder.glob("*.incr.aof")
    before = len(delivered(calm))
    with calm.stopped("worker", "beat"):
        size = file.stat().st_size
        sha = calm.push("S1")
        until("GitHub has its answer", lambda: 202 in delivered(calm)[before:])
        killed(calm, lambda: os.truncate(file, size))  # the disk never saw what came after
    is_built_once(calm, sha)


def killed(running: World, meanwhile: Callable[[], None]) -> None:
    """The server stops dead, `meanwhile` happens, and it is gone; returns when its successor answers."""
    restarts = running.stack.supervisor.restarts("server")
    running.send("server", signal.SIGSTOP)
    meanwhile()
    running.send("server", signal.SIGKILL)
    is_restarted(running, "server", restarts)
    until("it answers again", lambda: answered(running, running.redis.ping))


def answered(_: World, ask: Callable[[], object]) -> object:
    try:
        return ask()
    except RedisError:
        return None


def test_the_table_has_a_row_for_each_of_these_tests_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("## What if a process is killed?")[2].partition("\n## ")[0]
    rows = [cell.strip() for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)][1:]
    tests = [
        test_web_before_the_script,
        test_web_after_it,
        test_worker_before_the_commit,
        test_worker_after_the_commit,
        test_worker_in_the_middle_of_a_trigger,
        test_beat,
        test_redis,
        test_redis_after_a_power_failure,
    ]
    assert rows == [*(str(test.__doc__) for test in tests), *ELSEWHERE]
    for file, name in ELSEWHERE.values():
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")
