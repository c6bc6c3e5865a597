"""The JSON Schema is the committed one, says a word about every key, and agrees with the loader."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.core.model import effects
from bot.health import watch
from config import model
from config.notices import Notice, RoutedNotice
from config.sections import schema_text

EXAMPLE = Path(__file__).parents[2] / "config" / "example.yaml"


def keys(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of the file with its schema."""
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from keys(child)


def test_the_committed_schema_is_the_generated_one() -> None:
    wanted = "run: interlock schema -o config/pipeline.schema.json"
    assert model.SCHEMA_FILE.read_text() == schema_text(model.json_schema()), wanted


def test_the_schema_is_one_and_the_example_fits_it() -> None:
    made = model.json_schema()
    Draft202012Validator.check_schema(made)
    Draft202012Validator(made).validate(yaml.safe_load(EXAMPLE.read_text()))


def test_every_key_has_a_title_and_a_description() -> None:
    found = list(keys(model.json_schema()))
    assert len(found) > 40
    assert [name for name, key in found if not key.get("title") or not key.get("description")] == []


def test_defaults_are_valid_by_their_own_schema() -> None:
    made = model.json_schema()
    with_default = [(name, key) for name, key in keys(made) if "default" in key]
    assert len(with_default) > 15
    for name, key in with_default:
        whole = {**key, "$defs": made["$defs"]}
        assert Draft202012Validator(whole).is_valid(key["default"]), name


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("wrong",), 1),
        (("polling", "builds"), 30),
        (("polling", "builds"), "30"),
        (("polling", "builds"), None),
        (("controllers", "Build"), {"url": "https://x.shop.test", "user": "bot"}),
        (("pipelines", 0, "mode"), "stop"),
        (("pipelines", 0, "stages"), []),
        (("pipelines", 0, "stages", 0, "job"), "shop/build"),
        (("pipelines", 0, "stages", 0, "job"), {"controller": "build"}),
        (("pipelines", 0, "stages", 0, "capacity"), 0),
        (("pipelines", 0, "stages", 0, "on_failure"), "pass"),
        (("pipelines", 0, "stages", 0, "outcomes"), {"SUCCESS": "pass"}),
        (("pipelines", 0, "services", 0, "repository"), "s1"),
        (("notify", "channels", "team-chat"), ["everything"]),
    ],
)
def test_editors_mark_what_the_loader_refuses(path: tuple[str | int, ...], value: object) -> None:
    data = copy.deepcopy(yaml.safe_load(EXAMPLE.read_text()))
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not Draft202012Validator(model.json_schema()).is_valid(data)


def test_people_can_be_told_exactly_what_the_rules_tell_and_how_interlock_is() -> None:
    told = {*get_args(get_type_hints(effects.Notify)["topic"])} - {
        "escalation",
        "reminder",
        "week",
    }  # they have keys of their own
    assert told == {str(notice) for notice in RoutedNotice}
    assert told | {watch.TOPIC, watch.DEAD_LETTERS} == {str(notice) for notice in Notice}
