"""The wheel holds Interlock and nothing that only a checkout needs; the command works from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.example_file import OURS, PLACEHOLDER

ROOT = Path(__file__).parents[1]
SOURCES = ("bot", "workers", "config", "launch", "standins", "demo", "bench", "chaos", "tests", "mutants")
PACKAGES = sysconfig.get_path("purelib")
#: 2026-01-01, in seconds since 1970.
EPOCH = "1767225600"
BUILD = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("source"))


def built(copy: Path) -> Path:
    """The wheel, built from a copy: building writes beside the sources."""
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "data", ".*")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=copy, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = (copy / "dist").glob("*.whl")
    return made


def test_built_again_from_other_copies_of_the_files_it_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """The time of its files is what SOURCE_DATE_EPOCH says (reproducible-builds.org)."""
    again = built(tmp_path)
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_it_holds_what_runs_and_nothing_that_plays_jenkins_or_github(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    folders = {name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")}
    assert folders == {"bot", "workers", "config", "launch"}
    missing = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".example") and "__pycache__" not in path.parts
    } - {str(name) for name in names}
    assert missing == set()
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    shown = {f"bot/web/docs/{name}" for name in re.findall(r'"(pictures/[\w-]+\.webp)"', pages)}
    assert shown == {str(name) for name in names if name.suffix == ".webp"}


def test_the_command_works_where_only_the_wheel_is(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of these tests; whatever is ours must come from the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    paths = f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); sys.path.append({PACKAGES!r}); "

    def python(code: str, *words: str) -> str:
        command = [sys.executable, "-S", "-c", paths + code, *words]  # -S: nothing leads to the checkout
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command = "from bot.cli.main import cli; cli()"
    (tmp_path / "interlock.yaml").write_text(python(command, "example").replace(PLACEHOLDER, OURS))
    assert "no mistakes" in python(command, "check", "interlock.yaml")
    python("import bot.web.app, bot.doctor, launch, workers.turn")
    rules = python("from bot.web import rule_pages; print(rule_pages.rendered('fast-lane'))")  # what a rule says
    assert '<li id="F8">' in rules
