"""A backup of working processes, restored over later state: all work continues, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.town import PIPELINE, SERVICES, Town
from tests.cli.conftest import typed
from tests.end_to_end.world import builds, interlock, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path) as made:
        file = tmp_path / "interlock.yaml"
        data = yaml.safe_load(file.read_text())
        data["polling"] = {"builds": "2s", "heads": "10s", "clock": "1s"}
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        yield made


def here(folder: Path, *words: str) -> Any:
    """A command as typed on the machine of Interlock, whose server is the embedded one."""
    return typed(*words, INTERLOCK_DATA_DIR=str(folder), INTERLOCK_REDIS_URL=None)


def test_what_was_restored_goes_on_and_nothing_is_lost_or_built_twice(town: Town, tmp_path: Path) -> None:
    """At the time of the backup one build runs, one run holds a lock, another waits in front of it.

    The store holds what came after the backup: it is refused by its name, and replaced after a question. A new disk
    takes the backup without one.
    """
    cdp, file = town.jenkins["cdp"].control, tmp_path / "interlock.backup"
    with interlock(town, tmp_path) as before:
        cdp.rule("shop/pre-production", result="FAILURE", count=1)
        broken = before.push("S1", title="breaks it")
        until("the lock", lambda: before.board_now().locks)
        waits = before.push("S2", title="waits")
        until("it waits", lambda: (run := before.run_of(waits)) and run.step and run.step.stage == "pre-production")
        cdp.rule("shop/acceptance", duration=6.0, count=1)
        runs = before.push("S3", title="is being built")
        until("its build runs", lambda: before.builds("acceptance", runs))

        done = here(tmp_path, "backup", str(file))
        assert done.exit_code == 0, done.output
        assert f"1 pipeline ({PIPELINE} with 3 live runs)" in done.output
        assert before.town.token not in file.read_bytes().decode("latin-1")

        refused = here(tmp_path, "restore", str(file), "--replace", "--yes")
        assert refused.exit_code == 1
        assert "Interlock runs (" in refused.output

        fix = before.push("S1", title="mends it")
        until("what came after the backup is delivered", lambda: before.builds("production", fix))
        until("and so is the rest", lambda: all(before.builds("production", sha) for sha in (waits, runs)))
        later = before.push("S2", title="merged after the backup")
        until("it is on its way", lambda: before.builds("acceptance", later))
    refused = here(tmp_path, "restore", str(file))
    assert refused.exit_code == 1
    assert "the store is not empty: it holds" in refused.output
    assert PIPELINE in refused.output
    asked = here(tmp_path, "restore", str(file), "--replace")
    assert asked.exit_code == 1
    assert "Replace what the store holds" in asked.output
    while_down = str(town.github.control.merge(SERVICES["S3"], title="merged meanwhile", author="dana"))
    replaced = here(tmp_path, "restore", str(file), "--replace", "--yes")
    assert replaced.exit_code == 0, replaced.output

    with interlock(town, tmp_path) as after:
        newest = after.push("S1", title="merged after the restoration")
        for sha in (later, while_down, newest):
            until(f"{sha[:7]} is delivered", lambda sha=sha: after.builds("production", sha))
        until("nothing is on its way", lambda: not after.board_now().runs)
        log = after.typed("log", "--limit", "200")
        assert log.count("restored from the backup of") == 1
        assert "state was lost" not in log
        assert after.board_now().header.lost is None
        assert after.typed("dead-letters").startswith("There are no dead letters")
    twice = {place: number for place, number in builds(town).items() if number > 1}
    assert twice == {}
    assert builds(town)["production", broken] == 0

    new = tmp_path / "a new disk"
    new.mkdir()
    restored = here(new, "restore", str(file))
    assert restored.exit_code == 0, restored.output
    again = here(new, "backup", str(tmp_path / "again.backup"))
    assert f"1 pipeline ({PIPELINE} with 3 live runs)" in again.output
