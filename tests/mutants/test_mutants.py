"""The mutants are what they say, and those called equivalent are still there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mutants import __main__ as command
from mutants import trial
from mutants.__main__ import chosen_modules, equivalent, mutants, stale
from mutants.operators import mutants_of

FUNCTION = """
LIMIT = 3

def late(run, now, kept):
    if run.since < now and not run.held:
        tell(run)
    return [each for each in kept if each]
"""


def test_each_place_of_a_function_is_changed_once_and_nothing_outside() -> None:
    assert [mutant.name for mutant in mutants_of("m", FUNCTION)] == [
        "m.late: run.since < now and (not run.held) -> run.since < now or not run.held",
        "m.late: run.since < now -> run.since <= now",
        "m.late: not run.held -> run.held",
        "m.late: tell(run) -> pass",
        "m.late: for each in kept if each -> for each in kept",
    ]


def test_a_mutant_differs_from_its_module_in_one_place_only() -> None:
    whole = ast.unparse(ast.parse(FUNCTION)).splitlines()
    for mutant in mutants_of("m", FUNCTION):
        changed = ast.unparse(mutant.tree()).splitlines()
        assert sum(before != after for before, after in zip(whole, changed, strict=True)) == 1, mutant.name


def test_two_changes_that_read_alike_have_names_of_their_own() -> None:
    names = [mutant.name for mutant in mutants_of("m", "def f(a):\n    g(a)\n    g(a)\n")]
    assert names == ["m.f: g(a) -> pass", "m.f: g(a) -> pass (2)"]


def test_every_mutant_called_equivalent_is_one_that_is_there_and_has_a_reason() -> None:
    assert stale(equivalent()) == []
    assert [name for name, why in equivalent().items() if not why] == []


# -- modules and names that change ------------------------------------------------------------------------------

GIVEN = """
def late(run):
    return run.since < 7
"""


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bot/core with packages in it, two modules of which have the same name."""
    for name in (
        "model/__init__.py",
        "model/lanes.py",
        "rules/__init__.py",
        "rules/lanes.py",
        "rules/locks.py",
        "view.py",
    ):
        file = tmp_path / "bot" / "core" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if name.endswith("__init__.py") else GIVEN, "utf-8")
    monkeypatch.setattr(trial, "CORE", tmp_path / "bot" / "core")
    return tmp_path


@pytest.mark.usefixtures("core")
def test_modules_in_packages_are_found_and_those_that_are_named() -> None:
    assert chosen_modules([]) == ["model.lanes", "rules.lanes", "rules.locks", "view"]
    assert chosen_modules(["view", "locks"]) == ["view", "rules.locks"]
    assert [mutant.name for mutant in command.mutants_in(["rules.lanes"])] == [
        "rules.lanes.late: run.since < 7 -> run.since <= 7",
        "rules.lanes.late: 7 -> 8",
    ]


@pytest.mark.usefixtures("core")
def test_of_two_modules_with_one_name_the_package_must_be_named() -> None:
    with pytest.raises(click.BadParameter, match=r"several are called lanes: there are model\.lanes, rules\.lanes"):
        chosen_modules(["lanes"])
    assert chosen_modules(["rules.lanes"]) == ["rules.lanes"]
    with pytest.raises(click.BadParameter, match="no module is called ranes"):
        chosen_modules(["ranes"])


def test_a_name_that_fits_no_mutant_any_more_is_told_with_the_one_that_it_has_become(
    core: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a rename: the module has moved, the mutant with it."""
    file = core / "equivalent.txt"
    file.write_text("lanes.late: 7 -> 8\n    Nobody waits so long.\n", "utf-8")
    monkeypatch.setattr(command, "EQUIVALENT", file)
    monkeypatch.setattr(trial, "trials", lambda *_, **__: (noticed for noticed in [True] * 3))
    monkeypatch.setattr(trial, "ROOT", core)
    monkeypatch.chdir(core)
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "")
    monkeypatch.setenv("MACHINE_STEPS", "")
    done = CliRunner().invoke(mutants, ["--module", "rules.lanes"])
    assert done.exit_code == 1
    assert "stale     lanes.late: 7 -> 8\n  most like " in done.output
    assert "1 names in equivalent.txt fit no mutant any more" in done.output


TRIAL = r'''
import ast
from mutants import trial
from mutants.operators import Mutant
file = trial.path_of("model.run")
text = file.read_text("utf-8")
line = 1 + text[: text.index("else 2")].count(chr(10))
def ranked(rank):
    return Mutant("model.run", "", line, lambda: ast.parse(text.replace("else 2", f"else {rank}", 1)))
ranks = [ranked(3), ranked(0)]
made = trial.path_of("model.replaced")
becomes = """"__become(self, __draft)", """
before = made.read_text("utf-8")
where = 1 + before[: before.index(becomes)].count(chr(10))
at_import = before.replace(becomes, "", 1)
ranks.append(Mutant("model.replaced", "", where, lambda: ast.parse(at_import)))
tests = "tests/scenarios/test_four_pictures.py"
one = f"{tests}::test_picture_1_seven_runs_on_their_way"
print(*trial.trials(ranks, search=False, tests=[tests]))
print(*(trial.noticed("model.run", trial.code_of(rank), [one], search=False) for rank in ranks[:2]))
print(trial.noticed("model.run", compile("import nowhere", str(file), "exec"), [one], search=False))
'''


@pytest.mark.slow
def test_a_change_that_matters_is_noticed_and_none_is_not() -> None:
    command = [sys.executable, "-c", TRIAL]
    done = subprocess.run(command, cwd=trial.ROOT, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines() == [
        # in a fork of the process that has collected the tests: they pass, notice one of two, and what breaks imports
        "True False True True",
        "False False",  # in one that imports anew: this one test looks at no rank
        "True",
    ]
