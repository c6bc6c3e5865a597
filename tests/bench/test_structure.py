"""The figures of the structure: what they count, and those that must hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.structure import OURS, TARGETS, Source, cycles, figures, of_packages

SMALL = {
    "bot/__init__.py": "",
    "bot/a.py": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    from bot.b import Run\n\n\nclass Answer:\n    pass\n",
    "bot/b.py": "import bot.a\n\n\nclass Run:\n    key: str\n    lane: str = ''\n\n\nclass Answer:\n    pass\n",
    "bot/core/rules.py": "def ask(x):\n    return isinstance(x, Run | str)\n",
    # The names are filled in, else the two would count here.
    "tests/town.py": "{}('pre-production', 1)\n".format("Stage"),
    "config/example.yaml": "stages:\n  - {}: pre-production\n".format("name"),
}


@pytest.fixture(scope="module")
def ours() -> dict[str, float]:
    """The static figures of this checkout."""
    return figures(OURS, paths=False)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name, text in SMALL.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_what_is_counted(small: Path) -> None:
    found = figures(small, paths=False)
    assert found["import cycles between files"] == 1, "an import for type checking counts as well"
    assert (found["fields of Run"], found["class names used twice"]) == (2, 1)
    assert found["isinstance(x, Run or Verification) in bot/core"] == 1
    assert found["places that define the pictures' pipeline"] == 2, "as values, and in a pipeline file"
    assert found["production files"] == 3


def test_modules_that_import_each_other_in_a_circle_are_one_group() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert cycles({"a": {"b"}, "b": set()}) == []


def test_every_figure_with_a_target_is_there(ours: dict[str, float]) -> None:
    played = {name for name in TARGETS if name.endswith(("that decision", "trigger", "all effects"))}
    assert set(TARGETS) - played <= set(ours)


def test_packages_are_those_of_the_modules(small: Path) -> None:
    source = Source(small)
    assert of_packages({"bot.a": {"bot.core.rules"}}, source) == {"bot.a": {"bot.core"}}


def test_the_pictures_pipeline_is_defined_in_one_place(ours: dict[str, float]) -> None:
    """In `config/example.yaml`; everything else reads it there (`demo/pipeline.py`)."""
    assert ours["places that define the pictures' pipeline"] == 1


def test_no_two_of_our_files_import_each_other_in_a_circle(ours: dict[str, float]) -> None:
    assert ours["import cycles between files"] == 0, cycles(Source(OURS).imports())


@pytest.mark.slow
def test_the_paths_are_played_and_their_files_named() -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(OURS / "bench" / "paths.py")],
        env={**os.environ, "PYTHONPATH": str(OURS)},
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    played = json.loads(done.stdout.splitlines()[-1])
    assert set(played) == {
        "push webhook to Jenkins trigger",
        "callback to unlock and next trigger, all effects",
        "decide",
    }
    assert "bot/core/rules/decide.py" in played["decide"]["files"]
    assert played["decide"]["calls"] > 0
    assert all((OURS / name).exists() for path in played.values() for name in path["files"])
    page = (OURS / "docs" / "life-of-a-merge.md").read_text("utf-8")
    told = page.partition("## Every file from the push to the trigger\n")[2].partition("\n## ")[0]
    through = played["push webhook to Jenkins trigger"]["files"]
    assert [name for name in through if not name.startswith("bot/core/") and f"`{name}`" not in told] == []
