"""The mutants are what they say, and those called equivalent are still there."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from mutants import trial
from mutants.__main__ import TEXTS, equivalent
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
    paths = [path for path in trial.CORE.glob("*.py") if path.stem not in TEXTS]
    names = {mutant.name for path in paths for mutant in mutants_of(path.stem, path.read_text("utf-8"))}
    assert [name for name, why in equivalent().items() if name not in names or not why] == []


TRIAL = """
import ast
from mutants import trial
from mutants.operators import Mutant
file = trial.CORE / "queueing.py"
text = file.read_text("utf-8")
line = 1 + text[: text.index("else 2")].count(chr(10))
def ranked(rank):
    return Mutant("queueing", "", line, lambda: ast.parse(text.replace("else 2", f"else {rank}", 1)))
ranks = [ranked(3), ranked(0)]
tests = "tests/scenarios/test_four_pictures.py"
one = f"{tests}::test_picture_1_seven_runs_on_their_way"
print(*trial.trials(ranks, search=False, tests=[tests]))
print(*(trial.noticed("queueing", trial.code_of(rank), [one], search=False) for rank in ranks))
print(trial.noticed("queueing", compile("import nowhere", str(file), "exec"), [one], search=False))
"""


@pytest.mark.slow
def test_a_change_that_matters_is_noticed_and_none_is_not() -> None:
    command = [sys.executable, "-c", TRIAL]
    done = subprocess.run(command, cwd=trial.ROOT, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines() == [
        "True False True",  # in a fork of the process that has collected the tests: they pass, and notice one of two
        "False False",  # in one that imports anew: this one test looks at no rank
        "True",
    ]
