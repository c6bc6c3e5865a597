"""The order of the test files: what waits begins early, nothing long stands behind it, and no file is left out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.schedule import FEWEST, MOST, WAITING, choose, in_one_order, number_of_workers, parts, rotated

ROOT = Path(__file__).parents[1]
SHORT = [f"tests/short/test_{n}.py" for n in range(100)]
LEFT = [*SHORT[:50], *WAITING, *SHORT[50:]]


def played(workers: int, waiting: list[str], short: list[str]) -> list[list[str]]:
    """What each worker gets if they ask in turn: each holds one file more than it works on."""
    left, given = [*waiting, *short], [[] for _ in range(workers)]
    number = 0
    while left:
        mine = given[number % workers]
        file = choose(left, mine[-1] if mine else None, waits=number % workers % 2 == 0, workers=workers)
        left.remove(file)
        mine.append(file)
        number += 1
    return given


def test_every_file_that_is_said_to_wait_is_there() -> None:
    assert [file for file in WAITING if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("workers", [1, 2, 4, 5, 10])
def test_every_file_is_taken_once(workers: int) -> None:
    given = played(workers, [*WAITING], SHORT)
    assert sorted(file for mine in given for file in mine) == sorted(LEFT)


@pytest.mark.parametrize("workers", [1, 2, 4, 5, 10])
def test_no_file_that_waits_stands_behind_another_one(workers: int) -> None:
    for mine in played(workers, [*WAITING], SHORT):
        assert not [pair for pair in pairwise(mine) if set(pair) <= WAITING.keys()]


def test_of_two_workers_one_begins_with_what_takes_longest_and_the_other_computes() -> None:
    longest = max(WAITING, key=lambda file: WAITING[file])
    assert choose(LEFT, None, waits=True, workers=4) == longest
    assert choose(LEFT, None, waits=False, workers=4) == SHORT[0]


def test_behind_a_file_that_waits_comes_the_shortest() -> None:
    assert choose(LEFT, next(iter(WAITING)), waits=True, workers=4) == SHORT[-1]


def test_who_computes_helps_while_there_are_short_files_to_follow() -> None:
    left = [*WAITING, *SHORT[: len(WAITING)]]
    assert choose(left, None, waits=False, workers=4) in WAITING


@pytest.mark.parametrize(("left", "chosen"), [(["a", "b"], "a"), ([*WAITING], next(iter(WAITING)))])
def test_whatever_is_left_is_taken(left: list[str], chosen: str) -> None:
    assert choose(left, next(iter(WAITING)), waits=False, workers=4) == chosen


@pytest.mark.parametrize(("cores", "workers"), [(1, FEWEST), (2, 5), (4, 10), (64, MOST)])
def test_there_are_five_workers_for_two_cores(monkeypatch: pytest.MonkeyPatch, cores: int, workers: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert number_of_workers() == workers


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_wherever_a_worker_begins_to_collect_its_tests_are_in_the_same_order(tmp_path: Path, first: int) -> None:
    files = [tmp_path / name for name in ("test_z.py", "a/test_b.py", "a/test_a.py", "b/test_a.py", "b/test_c.py")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (tmp_path / "data").mkdir()
    here = parts(tmp_path)
    assert here == [tmp_path / "test_z.py", tmp_path / "a", tmp_path / "b"]
    begun = rotated(here, first)
    items: list[Any] = [SimpleNamespace(path=file) for part in begun for file in files if part in (file, file.parent)]
    in_one_order(items, tmp_path)
    assert [item.path for item in items] == files
