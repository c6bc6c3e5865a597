"""A reload in single steps: proposals, refusals, the configuration in force, and its uptake by a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from redis import Redis

from bot.core.model.pipeline import Revision
from bot.health.contacts import Heartbeats
from bot.jenkins import client
from bot.reload import ReloadOvertaken, apply, behind, equipment, propose
from bot.reporting.consequences import clauses
from bot.runtime import Runtime, build
from bot.start import NEW, REPLACED, FirstConfiguration, at_start
from bot.store.configuration import ConfigurationStore, ProcessConfiguration, StoredConfiguration
from bot.store.connection import connect
from bot.uptake import ConfigurationUptake, ProcessRuntime, tell_boards
from config import pipeline_file
from config.errors import ConfigurationError
from config.settings import Settings
from tests.workers.workshop import settings
from workers.turn import take_turns

FILE = """\
controllers:
  cdp: {{url: https://c.shop.test, user: bot}}
pipelines:
  - name: {name}
    stages:
      - {{name: build, job: "cdp: {name}/build"}}
      - {{name: production, job: "cdp: {name}/production", on_failure: lock, capacity: {capacity}}}
    services:
      - {{name: S1, repository: shop/s1}}
"""


@dataclass
class House:
    """A store, a pipeline file, and a process that uses what is in force."""

    redis: Redis
    file: Path
    settings: Settings
    used: list[Runtime] = field(default_factory=list)

    def write(self, capacity: int = 1, name: str = "reloaded", more: str = "") -> Path:
        self.file.write_text(FILE.format(name=name, capacity=capacity) + more)
        return self.file

    def starts(self, *, puts_in_force: bool = True) -> FirstConfiguration:
        return at_start(self.redis, self.file, "this test", puts_in_force=puts_in_force)

    def reloads(self, by: str = "alex") -> None:
        apply(self.redis, propose(self.redis, pipeline_file.load(self.file), self.file), by)

    def process(self, kind: str = "worker") -> ConfigurationUptake:
        begins = self.starts()
        self.used = [build(self.settings, begins.configuration, stored=begins.stored, problem=begins.problem)]
        return ConfigurationUptake(kind, ProcessRuntime(lambda: self.used[-1], self.used.append), self.redis)

    @property
    def capacity(self) -> int | None:
        """What the process uses."""
        return self.used[-1].configuration.pipelines[0].stages[1].capacity

    def in_force(self) -> int | None:
        stored = ConfigurationStore(self.redis).read()
        assert stored is not None
        return pipeline_file.parse(stored.text, self.file).pipelines[0].stages[1].capacity


@pytest.fixture
def house(redis_url: str, tmp_path: Path) -> Iterator[House]:
    redis = connect(redis_url)
    for key in redis.scan_iter("interlock:*"):
        redis.delete(key)
    file = tmp_path / "interlock.yaml"
    made = House(redis, file, settings(redis_url).model_copy(update={"config": file}))
    made.write()
    yield made
    for runtime in made.used[:1]:
        runtime.redis.close()
    redis.close()


# -- a proposal --------------------------------------------------------------------------------------------------------


def test_a_file_of_the_same_meaning_is_in_force_already(house: House) -> None:
    house.starts()
    house.file.write_text("# a comment\n" + house.file.read_text())
    assert propose(house.redis, pipeline_file.load(house.file), house.file).is_in_force


def test_what_is_proposed_says_what_differs_and_what_it_does(house: House) -> None:
    house.process()
    tell_boards(house.used[-1])
    take_turns(house.used[-1].pipeline("reloaded"))
    house.write(2)
    proposal = propose(house.redis, pipeline_file.load(house.file), house.file)
    (change,) = proposal.changes
    assert (change.key, change.before, change.after) == ("pipelines.reloaded.stages.production.capacity", "1", "2")
    assert {name: clauses(each) for name, each in proposal.consequences.items()} == {"reloaded": ["nothing changes"]}
    assert house.in_force() == 1


def test_whoever_was_overtaken_changes_nothing(house: House) -> None:
    house.starts()
    house.write(2)
    late = propose(house.redis, pipeline_file.load(house.file), house.file)
    house.write(3)
    house.reloads()
    with pytest.raises(ReloadOvertaken):
        apply(house.redis, late, "kim")
    assert house.in_force() == 3


def test_what_a_running_process_was_started_without_is_refused_by_name(house: House) -> None:
    uptake = house.process()
    uptake.look()
    Heartbeats(house.redis).beat("worker")
    text = (
        house.write().read_text().replace("pipelines:", "  eu: {url: https://eu.shop.test, user: bot}\npipelines:", 1)
    )
    house.file.write_text(text)
    (sentence,) = propose(house.redis, pipeline_file.load(house.file), house.file).refusals
    assert "INTERLOCK_JENKINS_TOKEN_EU" in sentence and "restart" in sentence and "worker " in sentence


def test_what_only_processes_that_have_ended_lack_is_not_refused(house: House) -> None:
    house.starts()
    ConfigurationStore(house.redis).note("worker gone/1", ProcessConfiguration(0.0, 1.0))
    text = (
        house.write().read_text().replace("pipelines:", "  eu: {url: https://eu.shop.test, user: bot}\npipelines:", 1)
    )
    house.file.write_text(text)
    assert propose(house.redis, pipeline_file.load(house.file), house.file).refusals == ()


def test_the_names_of_an_environment_hold_no_secret(house: House) -> None:
    assert equipment(house.settings) == ("jenkins_tokens CDP",)


# -- the start of a process --------------------------------------------------------------------------------------------


def test_the_first_start_puts_its_file_in_force_and_a_new_file_replaces_it(house: House) -> None:
    first = house.starts()
    assert first.stored is not None and first.problem == ""
    house.write(2)
    second = house.starts()
    assert (house.in_force(), second.problem) == (2, "")
    assert second.stored is not None and second.stored.by == "the start of this test"


def test_a_file_that_was_replaced_does_not_come_back_with_a_process_that_has_it(house: House) -> None:
    house.starts()
    house.write(2)
    house.starts()
    house.write(1)
    stale = house.starts()
    assert (stale.configuration.pipelines[0].stages[1].capacity, stale.problem) == (2, REPLACED)
    assert house.in_force() == 2
    house.reloads()  # on purpose
    assert house.in_force() == 1 and house.starts().problem == ""


def test_a_web_process_puts_a_new_file_not_in_force_by_its_start(house: House) -> None:
    assert house.starts(puts_in_force=False).problem == ""  # the very first one
    house.write(2)
    assert house.starts(puts_in_force=False).problem == NEW
    assert house.in_force() == 1


def test_a_process_with_mistakes_in_its_file_uses_what_is_in_force_or_does_not_start(house: House) -> None:
    good = house.file.read_text()
    house.file.write_text("pipelines: 1\n")
    with pytest.raises(ConfigurationError, match="mistake"):
        house.starts()
    house.file.write_text(good)
    house.starts()
    house.file.write_text("pipelines: 1\n")
    begins = house.starts()
    assert begins.stored is not None and "has mistakes" in begins.problem


def test_a_configuration_that_this_version_cannot_read_is_replaced_by_a_file_that_it_can(house: House) -> None:
    unread = StoredConfiguration(Revision("of another version"), "stations: []\n", "alex")
    ConfigurationStore(house.redis).replace(None, unread)
    assert house.starts(puts_in_force=False).stored is None
    proposal = propose(house.redis, pipeline_file.load(house.file), house.file)
    assert (proposal.is_in_force, proposal.changes) == (False, ())
    assert house.starts().problem == "" and house.in_force() == 1


# -- a process that runs -----------------------------------------------------------------------------------------------


def test_a_process_takes_up_what_is_in_force_and_tells_the_boards_first(house: House) -> None:
    uptake = house.process()
    before = house.used[-1]
    house.write(2)
    house.reloads()
    uptake.look()
    assert house.capacity == 2
    context = house.used[-1].pipeline("reloaded")
    take_turns(context)
    with context.look() as copy:
        assert copy.board.header.revision == house.used[-1].revision
    assert list(behind(house.redis, house.used[-1].configuration, house.used[-1].revision)) == []
    assert context.turn is before.pipeline("reloaded").turn  # whoever takes the turn just now does so alone
    uptake.look()
    assert len(house.used) == 2


def test_who_is_late_is_named(house: House) -> None:
    house.process().look()
    Heartbeats(house.redis).beat("worker")
    house.write(2)
    house.reloads()
    stored = ConfigurationStore(house.redis).read()
    assert stored is not None
    late = list(behind(house.redis, pipeline_file.load(house.file), stored.revision))
    assert len(late) == 2 and late[0].startswith("worker ") and "pipeline reloaded" in late[1]


def test_a_process_with_an_earlier_configuration_does_not_put_it_back_on_the_board(house: House) -> None:
    house.process()
    old = house.used[-1]
    house.write(2)
    house.reloads()
    new = house.process()
    new.look()
    tell_boards(house.used[-1])
    take_turns(house.used[-1].pipeline("reloaded"))
    assert tell_boards(old) == []
    old.pipeline("reloaded").inbox.add(old.pipeline("reloaded").configured(replace(_header(old))), "late")
    take_turns(old.pipeline("reloaded"))
    assert _header(old).pipeline.stages[1].capacity == 2


def _header(runtime: Runtime) -> object:
    with runtime.pipeline("reloaded").look() as copy:
        return copy.board.header


def test_sighup_puts_the_file_of_the_process_in_force_or_says_why_not(house: House) -> None:
    uptake = house.process()
    house.write(2)
    uptake.reload()
    assert house.capacity == house.in_force() == 2
    house.file.write_text("pipelines: 1\n")
    uptake.reload()
    assert house.capacity == house.in_force() == 2
    (noted,) = ConfigurationStore(house.redis).processes().values()
    assert "was not put in force: The configuration has" in noted.problem
    house.write(3)
    uptake.reload()
    (noted,) = ConfigurationStore(house.redis).processes().values()
    assert (house.capacity, noted.problem) == (3, "")


def test_a_store_that_was_emptied_gets_the_latest_configuration_back(house: House) -> None:
    uptake = house.process()
    house.write(2)
    house.reloads()
    uptake.look()
    since = house.used[-1].revision.since
    for key in house.redis.scan_iter("interlock:*"):
        house.redis.delete(key)
    uptake.look()
    assert (house.in_force(), ConfigurationStore(house.redis).since()) == (2, since)


def test_a_process_that_began_without_the_store_takes_up_what_is_in_force(house: House) -> None:
    house.starts()
    house.write(2)
    house.starts()
    house.write(1)
    self_made = pipeline_file.load(house.file)
    house.used = [build(house.settings, self_made)]
    uptake = ConfigurationUptake("worker", ProcessRuntime(lambda: house.used[-1], house.used.append), house.redis)
    uptake.look()
    assert house.capacity == 2


def test_another_address_of_a_controller_is_used_at_once(house: House) -> None:
    uptake = house.process()
    job = house.used[-1].configuration.pipelines[0].stages[0].job
    before = client.client_for(house.used[-1], job)
    text = house.file.read_text().replace("c.shop.test", "new.shop.test")
    house.file.write_text(text)
    house.reloads()
    uptake.look()
    assert client.client_for(house.used[-1], job) is not before
