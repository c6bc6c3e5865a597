"""The JSON Schema of the pipeline file, for editors: completion, checks while typing, a word about every key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config import values as v
from config.model import PipelineFile

#: The committed copy that `# yaml-language-server: $schema=` lines point to.
FILE = Path(__file__).with_name("pipeline.schema.json")


def schema() -> dict[str, Any]:
    """The schema as JSON-able data, JSON Schema 2020-12."""
    made = _written_as_in_the_file(PipelineFile.model_json_schema())
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **made, "title": "Interlock pipeline file"}


def text() -> str:
    """The schema as the committed file holds it. `python -m config.schema` writes it there."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _written_as_in_the_file(node: Any) -> Any:
    """Defaults in the file's own terms (`10s`, not 10.0); nothing about null, which the file may not hold."""
    if isinstance(node, list):
        return [_written_as_in_the_file(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _written_as_in_the_file(value) for key, value in node.items()}
    choices = made.get("anyOf", ())
    if {"type": "null"} in choices:
        del made["anyOf"]
        made = {**choices[0], **made}
    if "patternProperties" in made:  # a mapping with free names: other names are wrong
        made["additionalProperties"] = False
        made.pop("propertyNames", None)
    if "default" in made:
        made["default"] = _default(made)
        if made["default"] is None or isinstance(made["default"], dict):  # a section says its own defaults
            del made["default"]
    for name, key in made.get("properties", {}).items():  # pydantic leaves out what the section repeats
        key.setdefault("title", name.replace("_", " ").capitalize())
    return made


def _default(key: dict[str, Any]) -> Any:
    value = key["default"]
    if key.get("pattern") in (v.DURATION, v.SPACING) and value is not None:
        return v.written(value)
    return "unlimited" if {"const": "unlimited"} in key.get("anyOf", ()) else value


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
