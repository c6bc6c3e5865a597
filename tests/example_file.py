"""The example as somebody has it who has written their own addresses into it: so that it passes `interlock check`."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "config" / "example.yaml"
#: What stands in the example, and a name that exists in tests alone.
PLACEHOLDER, OURS = "example.com", "shop.test"


def example_text() -> str:
    """The text of the file."""
    return EXAMPLE.read_text("utf-8").replace(PLACEHOLDER, OURS)


def write_example(file: Path) -> Path:
    """Write it; returns where it is."""
    file.write_text(example_text(), "utf-8")
    return file
