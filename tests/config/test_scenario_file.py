"""The scenario of a simulation: what its file may say, and what it says about what is wrong in it."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from jsonschema import Draft202012Validator

from config.errors import ConfigurationError
from config.model import PipelineFile
from config.pipeline_file import MOST_BYTES
from config.scenario import SCHEMA_FILE, ScenarioFile, json_schema, load_scenario, service_names
from config.sections import read_section, schema_text
from config.values import FileSection, fields_of
from tests.example_file import EXAMPLE

ROOT = Path(__file__).parents[2]
COMMENTED = ROOT / "config" / "scenario.yaml"
SMALLEST = """\
merges:
  a_day: 2.5
stages:
  build: {takes: 6m}
  acceptance: {takes: 15m}
  pre-production: {takes: 11m}
  production: {takes: 5m}
people:
  fix: 45m
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "scenario.yaml"
    file.write_text(text, "utf-8")
    return file


def mistakes(folder: Path, *changes: tuple[str, str], text: str = SMALLEST) -> list[str]:
    """What is wrong with the smallest scenario, changed so; without the name of the file."""
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    with pytest.raises(ConfigurationError) as caught:
        load_scenario(write(folder, text))
    head, *lines = str(caught.value).splitlines()
    assert re.fullmatch(r"The scenario has \d+ mistakes?:", head)
    return [line.partition("scenario.yaml:")[2] for line in lines]


def test_the_smallest_scenario_is_of_the_four_pictures_and_has_the_defaults(tmp_path: Path) -> None:
    read = load_scenario(write(tmp_path, SMALLEST))
    assert [stage.name for stage in read.pipeline.stages] == ["build", "acceptance", "pre-production", "production"]
    assert [stage.locks for stage in read.pipeline.stages] == [False, False, True, True]
    assert service_names(read) == ("S1", "S2", "S3")
    assert (read.file.merges.a_day, read.file.days, read.file.begins) == (2.5, 5, 1_767_571_200.0)
    hours = [(each.from_, each.until) for each in read.file.merges.hours]
    assert hours == [(8 * 3600.0, 18 * 3600.0)]


def test_the_commented_scenario_has_every_key_and_no_mistake() -> None:
    read = load_scenario(COMMENTED)
    assert service_names(read) == ("S1", "S2", "S3")
    text = COMMENTED.read_text("utf-8")

    def keys(section: type[FileSection]) -> set[str]:
        found = set(fields_of(section))
        for kind in FileSection.__subclasses__():
            if kind.__module__ == "config.scenario" and kind is not section:
                found |= set(fields_of(kind))
        return found

    for key in keys(ScenarioFile):
        assert re.search(rf"^[ #-]*{key}:", text, re.MULTILINE), key


def test_the_scenario_of_the_documentation_has_no_mistake() -> None:
    assert len(service_names(load_scenario(ROOT / "demo" / "simulation.yaml"))) == 20


def test_the_pipeline_comes_from_a_pipeline_file_beside_it_which_may_be_a_draft(tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text(EXAMPLE.read_text("utf-8"), "utf-8")  # with the addresses of the example
    read = load_scenario(write(tmp_path, "config: interlock.yaml\npipeline: epages\n" + SMALLEST))
    assert read.pipeline.name == "epages"
    assert read.configuration is not None and read.configuration.freezes["epages"]


def test_a_mistake_in_the_pipeline_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text("controllers: 3\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"interlock\.yaml:1:"):
        load_scenario(write(tmp_path, "config: interlock.yaml\n" + SMALLEST))
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml:1:1: the file cannot be read"):
        load_scenario(write(tmp_path, "config: nothing.yaml\n" + SMALLEST))


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("2.5", "often", "2:10: `often` is not a number; expected a number from 0 to 9999, as in `4` or `2.5`"),
        ("a_day: 2.5", "a_dy: 3", "2:3: unknown key `a_dy`; expected one of `a_day`, `of`, `hours`, `while_locked`;"),
        ("6m", "6", "4:18: `6` has no unit; expected a number and a unit (s, m, h or d)"),
        ("{takes: 6m}", "{takes: 6m, fails: 5}", "4:29: `5` is not a percentage; expected a number from 0% to 100%"),
        ("{takes: 6m}", "{takes: 6m, flakes: 101%}", "4:30: `101%` is not a percentage"),
        ("{takes: 6m}", "{spread: 5%}", "4:10: key `takes` is missing; expected the median duration of a build"),
        ("acceptance", "acceptanse", "5:3: there is no stage `acceptanse`; expected one of `build`, `acceptance`"),
        ("  production: {takes: 5m}\n", "", "3:1: stage `production` is missing; expected an entry for each stage"),
        ("{takes: 5m}", "{takes: 5m, fast: {takes: 1m}}", "7:27: stage `production` has no job of the fast lane"),
        ("fix: 45m", "fix: 45m\n  on_call: maybe", "10:12: `maybe` does not belong here; expected `true` or `false`"),
        ("2.5", "2.5\n  of: {S4: 3}", "3:8: there is no service `S4`; expected one of `S1`, `S2`, `S3`"),
        ("2.5", "9999", "1:1: the scenario has some 149,985 merges; expected at most 20,000: fewer days, say"),
        ("merges:", "days: 91\nmerges:", "1:7: `91` is out of range; expected a whole number from 1 to 90"),
        ("merges:", "begins: 2026-02-30\nmerges:", "1:9: there is no day `2026-02-30`; expected a day"),
        ("merges:", "pipeline: shop\nmerges:", "1:11: no pipeline file is named; expected `config` to be set as well"),
        ("2.5", "2.5\n  hours: [{from: 09:00, until: 25:00}]", "3:32: `25:00` is not a time of day; expected hours"),
        ("2.5", "2.5\n  hours: [{from: 09:00, until: 08:00}]", "3:11: these hours end before they begin, or overlap"),
        ("2.5", "2.5\n  while_locked: hold", "3:17: `hold` is not known here; expected one of `hold-back`, `merge`"),
        ("people:\n  fix: 45m\n", "", "1:1: key `people` is missing; expected the reactions of people to failures"),
    ],
)
def test_each_mistake_says_what_and_where_and_what_would_be_right(
    tmp_path: Path, before: str, after: str, wanted: str
) -> None:
    found = mistakes(tmp_path, (before, after))
    assert any(line.startswith(wanted) for line in found), found


def test_the_nearest_name_is_proposed(tmp_path: Path) -> None:
    assert "did you mean `acceptance`?" in mistakes(tmp_path, ("acceptance", "acceptanse"))[-1]


def test_a_file_that_is_too_large_or_too_deep_or_not_yaml_is_refused(tmp_path: Path) -> None:
    assert "the file is too large" in mistakes(tmp_path, text="#" * (MOST_BYTES + 1))[0]
    assert "nested too deeply" in mistakes(tmp_path, text="[" * 40 + "]" * 40)[0]
    assert "a bracket is not closed" in mistakes(tmp_path, text="stages: [1")[0]


def test_a_pipeline_file_that_is_no_draft_still_refuses_the_addresses_of_the_example(tmp_path: Path) -> None:
    from config.pipeline_file import load

    file = tmp_path / "interlock.yaml"
    file.write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigurationError, match="is a placeholder of the example"):
        load(file)
    assert load(file, draft=True).pipelines[0].name == "epages"


def test_one_key_may_be_changed_as_if_the_file_had_it_so(tmp_path: Path) -> None:
    file = write(tmp_path, SMALLEST)
    changed = load_scenario(file, (("stages", "acceptance", "capacity"), "unlimited")).file.stages["acceptance"]
    assert "capacity" in changed.model_fields_set and changed.capacity is None
    assert load_scenario(file, (("merges", "of", "S1"), "7")).file.merges.of == {"S1": 7.0}
    assert load_scenario(file, (("services",), "9")).file.services == 9


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("stages.acceptanse.capacity", "2", "there is no `acceptanse` to change; expected one of `build`"),
        ("stages.acceptance.capacity", "0", "`0` is not a capacity; expected a whole number from 1 to 1000"),
        ("stages.acceptance.capasity", "2", "did you mean `capacity`?"),
        ("people.fix", "[", "not YAML"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(tmp_path: Path, key: str, value: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_scenario(write(tmp_path, SMALLEST), (tuple(key.split(".")), value))
    assert wanted in str(caught.value)


def test_the_pipeline_file_has_other_keys_than_the_scenario() -> None:
    """They are read by the same code, each by its own model."""
    assert not set(fields_of(PipelineFile)) & set(fields_of(ScenarioFile))


# -- the schema, by which editors complete the file --------------------------------------------------------------


class EditorsYaml(yaml.SafeLoader):
    """YAML as editors read it (1.2, core schema): `08:30` and `2026-01-05` are text, `0.5` is a number."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


EditorsYaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))
EditorsYaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?[0-9]+$"), list("-0123456789"))
EditorsYaml.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"-?[0-9]+\.[0-9]+$"), list("-0123456789"))

#: What may stand at a key, rightly or wrongly.
WRITTEN = (
    *(0, 1, -1, 90, 91, 1000, 1001, 2.5, 9999, 10000, "4", True, "true", None, [], [1], {}, {"S1": 2}, {"wrong": 2}),
    *("0s", "10m", "25", "off", "unlimited", "5%", "0.25%", "100%", "101%", "08:30", "24:00", "25:00"),
    *("2026-01-05", "2026-1-5", "hold-back", "merge", "S1", "interlock.yaml", "", "x" * 300, "a b"),
)


def places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in a scenario."""
    if path:
        yield path
    if isinstance(node, dict | list):
        for name, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(child, (*path, name))


def test_the_committed_schema_is_the_generated_one() -> None:
    wanted = "run: interlock schema --scenario -o config/scenario.schema.json"
    assert SCHEMA_FILE.read_text("utf-8") == schema_text(json_schema()), wanted
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", [COMMENTED, ROOT / "demo" / "simulation.yaml"])
def test_the_scenarios_lead_editors_to_the_schema_and_fit_it(file: Path) -> None:
    text = file.read_text("utf-8")
    leads = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert leads is not None and (file.parent / leads[1]).resolve() == SCHEMA_FILE
    Draft202012Validator(json_schema()).validate(yaml.load(text, EditorsYaml))


def test_editors_mark_what_the_loader_refuses_and_nothing_else() -> None:
    schema = Draft202012Validator(json_schema())
    scenario = yaml.load(COMMENTED.read_text("utf-8"), EditorsYaml) | {"config": "interlock.yaml", "pipeline": "shop"}
    scenario["stages"] = {"acceptance": scenario["stages"]["acceptance"]}  # which has every key
    del scenario["merges"]["hours"][1]
    found = list(places(scenario))
    assert len(found) > 25
    for path, value in itertools.product(found, WRITTEN):
        if (path, value) == (("config",), 2.5):
            continue  # the name of a file for us, a number for an editor
        changed = copy.deepcopy(scenario)
        *above, key = path
        reduce(getitem, above, changed)[key] = value
        read, mistakes = read_section(ScenarioFile, json.loads(json.dumps(changed), parse_float=str))  # as our YAML
        assert schema.is_valid(changed) is (read is not None and not mistakes), (path, value, mistakes)


def test_every_key_has_a_title_and_a_description_and_a_default_that_fits() -> None:
    schema = json_schema()
    keys = [
        (name, key) for each in (schema, *schema["$defs"].values()) for name, key in each.get("properties", {}).items()
    ]
    assert [name for name, key in keys if not key.get("title") or not key.get("description")] == []
    defaults = [(name, key) for name, key in keys if "default" in key]
    assert len(defaults) > 8
    for name, key in defaults:
        assert Draft202012Validator({**key, "$defs": schema["$defs"]}).is_valid(key["default"]), name
