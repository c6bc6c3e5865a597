"""Real processes with each missing part: the page, /readyz, `status`, `why` and a mail report it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from bot.health.watch import AlertRecord
from bot.store.inbox import Inbox
from demo.town import PIPELINE
from tests.end_to_end.world import World, until, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
LIMITS = {"heartbeat": "5s", "undecided": "5s", "silence": "5s", "tell_after": "1s", "calm": "1s"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("town"), LIMITS) as made:
        yield made


@pytest.fixture
def well(running: World) -> Iterator[World]:
    """An Interlock that is well, and that nobody has had a message from lately."""
    until("Interlock is well", lambda: running.ready()[1]["status"] == "ok")
    assert running.ready()[0] == 200
    until("the last message is out", lambda: not running.redis.get(told(running)) or not known(running))
    running.redis.delete(told(running))  # so that this hour's messages do not count
    running.town.mailbox.subjects.clear()
    yield running


def told(running: World) -> str:
    return AlertRecord(running.redis, Path("unused"))._key


def known(running: World) -> list[str]:
    return list(json.loads(running.redis.get(told(running)) or b'{"causes": []}')["causes"])


def is_told(running: World, cause: str, words: str, status: str) -> None:
    """Check that /readyz, page, status and the mail show the same health."""
    until(f"/readyz tells of {cause}", lambda: running.causes().get(cause) == status)
    code, ready = running.ready()
    assert (code, ready["status"]) == ((503, "down") if status == "down" else (200, "degraded"))
    (finding,) = (each for each in ready["findings"] if each["cause"] == cause)
    assert words in finding["what"]
    assert finding["mend"]
    code, page = running.get(f"/p/{PIPELINE}")
    assert code == 200
    assert f"Interlock is {status}" in page
    assert words.casefold() in page.casefold()
    shown = running.typed("status")
    assert f"Interlock is {status}" in shown
    assert words.casefold() in shown.casefold()
    assert json.loads(running.typed("status", "--json"))["health"]["status"] == status
    until("a mail tells it", lambda: running.mails(f"Interlock is {status}"))


def is_over(running: World, cause: str) -> None:
    until(f"{cause} is over", lambda: cause not in running.causes())
    until("a mail tells that it is over", lambda: running.mails("Interlock works again"))


def test_a_worker_that_hangs_with_a_merge_waiting(well: World) -> None:
    """The web process finds it by itself, and meanwhile no page or command says that there is nothing to do."""
    well.town.jenkins["cdp"].control.hold(well.town.job("acceptance"))
    held = well.push("S1", title="one that is on its way")
    acceptance = "acceptance"
    until("it is there", lambda: (run := well.run_of(held)) and run.step.stage == acceptance and run.attempt.build)
    assert "Nothing to do" in well.typed("why", "S1")
    with well.stopped("worker"):
        well.push("S2", title="one that nobody decides")
        is_told(well, "worker", "no worker is running", "down")
        why = well.typed("why", "S1")
        assert "Interlock is down" in why
        assert "Nothing to do" not in why
        assert (well.get("/healthz")) == (200, '{"status": "ok"}')
    is_over(well, "worker")
    well.town.jenkins["cdp"].control.unhold(well.town.job("acceptance"))
    for row in well.town.jenkins["cdp"].control.builds(running=True):
        well.town.jenkins["cdp"].control.release(row["job"], number=row["number"])


def test_a_beat_that_hangs(well: World) -> None:
    with well.stopped("beat"):
        is_told(well, "beat", "beat is not running", "degraded")
    is_over(well, "beat")


def test_a_web_process_that_hangs_is_told_by_the_worker(well: World) -> None:
    with well.stopped("web"):
        until("the worker tells it", lambda: well.mails("no web process is running"))
    is_over(well, "web")


def test_a_controller_that_refuses_us(well: World) -> None:
    control = well.town.jenkins["cdp"].control
    control.fault("status", status=401)
    try:
        is_told(well, "jenkins/cdp", "Jenkins cdp gives no good answer", "degraded")
    finally:
        control.clear_faults()
    is_over(well, "jenkins/cdp")
    log = (well.town.folder / "log" / "worker.log").read_text()
    polls = [line for line in log.splitlines() if '"reconcile-later"' in line and '"controller": "cdp"' in line]
    assert len(polls) == 1, polls


def test_a_store_that_is_full(well: World) -> None:
    """maxmemory is reached: Interlock stores nothing, the ingress refuses deliveries, and polling finds them later."""
    well.redis.config_set("maxmemory", "1")
    try:
        is_told(well, "store", "OOM", "down")
        missed = well.push("S3", title="one that the door cannot keep")
        until(
            "GitHub is refused", lambda: any(row["status_code"] == 503 for row in well.town.github.control.deliveries())
        )
    finally:
        well.redis.config_set("maxmemory", "0")
    is_over(well, "store")
    until("the merge is found by polling", lambda: well.builds("build", missed) == 1)


def test_a_store_whose_disk_is_full(well: World) -> None:
    """The append-only file goes on to a device on which no space is left (ENOSPC): the server refuses all writes."""
    folder = Path(well.redis.config_get("dir")["dir"]) / "appendonlydir"
    (live,) = folder.glob("*.incr.aof")
    prefix, number = str(live).removesuffix(".incr.aof").rsplit(".", 1)
    following = Path(f"{prefix}.{int(number) + 1}.incr.aof")
    following.symlink_to("/dev/full")
    well.redis.bgrewriteaof()
    try:
        is_told(well, "store", "MISCONF", "down")
    finally:
        well.redis.config_set("appendonly", "no")
        following.unlink()
        well.redis.config_set("appendonly", "yes")
    is_over(well, "store")


def test_a_dead_letter(well: World) -> None:
    github = well.town.github.control
    github.fault("status", route="POST .*/statuses", count=1, status=422, body='{"message": "Validation Failed"}')
    well.push("S1", title="one whose status GitHub does not take")
    is_told(well, "dead-letters", "Interlock gave up 1 action of epages", "degraded")
    assert "done:" in well.typed("dead-letters", "retry", "--all")
    is_over(well, "dead-letters")


def test_a_delivery_that_cannot_be_digested(well: World) -> None:
    Inbox(well.redis, well.keys).accept("event", "nonsense", "nonsense-1", b'{"kind": "nonsense"}')
    is_told(well, "parked", "Interlock has parked 1 delivery of epages that it could not decide", "degraded")
    assert "done:" in well.typed("parked", "drop", "--all")
    is_over(well, "parked")


def test_a_store_that_dies_is_told_and_nothing_is_lost(well: World) -> None:
    """While it is away /readyz says so within its time-outs; the supervisor starts it again."""
    with well.stopped("server"):
        until("/readyz says so", lambda: well.ready()[0] == 503)
        _, ready = well.ready()
        assert ready["findings"][0]["what"].startswith("the store (Redis) cannot be reached")
        until("a mail tells it", lambda: well.mails("Interlock is down: the store (Redis) cannot be reached"))
    is_over(well, "store")
    well.send("server", signal.SIGKILL)

    def answers() -> bool:
        try:
            return bool(well.redis.ping())
        except RedisError:
            return False

    until("it is back", answers)
    merged = well.push("S2", title="one after it")
    until("its build runs", lambda: well.builds("build", merged) == 1)
