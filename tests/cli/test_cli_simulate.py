"""`interlock simulate`: what it prints of a scenario and of a sweep, and what it refuses."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bot.cli.simulate import parse_sweep, scenario_of
from bot.core.model.pipeline import Step, Track
from config.scenario import load_scenario
from tests.cli.conftest import typed
from tests.example_file import EXAMPLE

SCENARIO = """\
services: 2
days: 1
merges: {a_day: 2}
stages:
  build: {takes: 6m, capacity: 4}
  acceptance: {takes: 15m, fast: {takes: 9m, capacity: 2}}
  pre-production: {takes: 11m, fails: 10%}
  production: {takes: 5m}
people: {fix: 45m}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "scenario.yaml"
    found.write_text(SCENARIO, "utf-8")
    return found


def test_a_scenario_is_printed_as_a_table_and_as_json_with_the_same_numbers(file: Path) -> None:
    printed = typed("simulate", str(file), "--repeat", "2", COLUMNS="120")
    assert printed.exit_code == 0, printed.output
    assert f"{file}: epages, 2 services, 4 merges a day, 1 day; seeds 1 to 2" in printed.output
    found = json.loads(typed("simulate", str(file), "--repeat", "2", "--json").output)
    assert found["seeds"] == [1, 2]
    figures = {(each["group"], each["name"]): each for each in found["figures"]}
    lead = figures["lead time", "p50"]
    assert lead["unit"] == "seconds" and len(lead["values"]) == 2
    assert lead["low"] <= lead["middle"] <= lead["high"]
    assert f"{lead['middle'] / 60:.0f} min" in printed.output
    assert figures["builds", "build"]["unit"] == "builds"


@pytest.mark.slow
def test_the_figures_of_the_worked_example_are_those_that_the_command_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    printed = typed("simulate", "demo/simulation.yaml", COLUMNS="120")
    assert printed.exit_code == 0, printed.output
    lines = "\n".join(line.rstrip() for line in printed.output.splitlines())
    assert lines in (root / "docs" / "simulate.md").read_text("utf-8")


def test_a_seed_repeats_what_it_gave(file: Path) -> None:
    first, again, other = (
        typed("simulate", str(file), "--repeat", "1", "--json", "--seed", seed).output for seed in ("5", "5", "6")
    )
    assert first == again != other


def test_a_sweep_has_a_row_for_each_value_and_a_picture(file: Path, tmp_path: Path) -> None:
    picture = tmp_path / "sweep.svg"
    words = ("--repeat", "1", "--sweep", "stage.acceptance.capacity=1..2", "--svg", str(picture))
    printed = typed("simulate", str(file), *words, COLUMNS="120").output.splitlines()
    assert [line.split()[0] for line in printed[1:4]] == ["capacity", "1", "2"]
    assert printed[-1] == f"done: {picture}"
    root = ElementTree.parse(picture).getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title", "").startswith("Lead time by stages.acceptance.capacity")
    swept = json.loads(typed("simulate", str(file), *words, "--json").output)
    assert (swept["key"], [each["value"] for each in swept["values"]]) == ("stages.acceptance.capacity", ["1", "2"])


@pytest.mark.parametrize(
    ("words", "code", "wanted"),
    [
        (("--svg", "a.svg"), 2, "--svg draws a sweep: give --sweep as well"),
        (("--sweep", "people.fix"), 2, "--sweep is KEY=VALUES"),
        (("--sweep", "people.fix="), 2, "--sweep takes 1 to 50 values"),
        (("--sweep", "services=1..51"), 2, "--sweep takes 1 to 50 values"),
        (("--sweep", "stages.acceptance.capacity=1,0"), 1, "With stages.acceptance.capacity = 0:"),
        (("--sweep", "services=1", "--repeat", "1", "--svg", "/nowhere/a.svg"), 1, "/nowhere/a.svg cannot be written"),
    ],
)
def test_what_cannot_be_used_is_refused(file: Path, words: tuple[str, ...], code: int, wanted: str) -> None:
    found = typed("simulate", str(file), *words)
    assert found.exit_code == code
    assert wanted in found.output


def test_a_scenario_with_mistakes_is_refused_with_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "none.yaml"
    found = typed("simulate", str(file))
    assert found.exit_code == 1
    assert f"To begin with an example: interlock example --scenario > {file}" in found.output
    file.write_text(SCENARIO.replace("6m", "6").replace("10%", "10"), "utf-8")
    found = typed("simulate", str(file))
    assert "The scenario has 2 mistakes:" in found.output


def test_the_scenario_changes_capacities_and_services_of_the_pipeline(file: Path) -> None:
    scenario = scenario_of(load_scenario(file))
    capacities = [(stage.name, stage.capacity, stage.fast_capacity) for stage in scenario.pipeline.stages]
    assert capacities == [("build", 4, 1), ("acceptance", 3, 2), ("pre-production", 1, 1), ("production", 1, 1)]
    assert list(scenario.merges) == [service.name for service in scenario.pipeline.services] == ["S1", "S2"]
    assert scenario.builds[Step("acceptance", Track.FAST)].seconds == 540.0
    assert scenario.builds[Step("pre-production", Track.FAST)].seconds == 660.0


def test_the_freezes_of_the_pipeline_file_count(tmp_path: Path) -> None:
    """The example closes production from Friday 16:00 until Monday."""
    (tmp_path / "interlock.yaml").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    file = tmp_path / "scenario.yaml"
    late = SCENARIO.replace("services: 2", "config: interlock.yaml\nbegins: 2026-01-09").replace("a_day: 2", "a_day: 5")
    file.write_text(late.replace("fails: 10%", "fails: 0%"), "utf-8")
    found = json.loads(typed("simulate", str(file), "--repeat", "1", "--json").output)["figures"]
    figures = {(each["group"], each["name"]): each["middle"] for each in found}
    assert figures["waiting of a run", "freeze"] > 3600


def test_a_sweep_is_read_as_key_and_values() -> None:
    assert parse_sweep("stage.acceptance.capacity=1..3") == (("stages", "acceptance", "capacity"), ["1", "2", "3"])
    assert parse_sweep("people.fix = 15m, 2h") == (("people", "fix"), ["15m", "2h"])
    assert parse_sweep("merges.of.S1=7") == (("merges", "of", "S1"), ["7"])
