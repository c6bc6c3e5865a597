"""Files that nobody writes by accident: each is refused quickly, with a sentence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from config.errors import MOST_SHOWN, ConfigurationError
from config.pipeline_file import MOST_BYTES, load

pytestmark = pytest.mark.slow  # large files

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
CHAIN = "- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 400))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 400))
TOO_DEEP = "values are nested too deeply; expected at most 32 levels"
ROOT = "does not belong here; expected a mapping (`key: value` lines)"

HOSTILE = {
    "deep lists": ("a: " + "[" * 100_000, f"1:35: {TOO_DEEP}"),
    "deep mappings": ("{a: " * 100_000, f"1:129: {TOO_DEEP}"),
    "mappings as keys": ("{" * 100_000, "1:2: a key is not text; expected a name; put it in quotes if it is meant"),
    "deep blocks": ("".join(" " * n + "a:\n" for n in range(1000)), f"33:33: {TOO_DEEP}"),
    "alias bomb": (BOMB, "6:10: the file has too many values; expected at most 100000 values, aliases spelt out"),
    "deep by aliases": (CHAIN, f"31:9: {TOO_DEEP}"),
    "deep by merges": (MERGES, f"31:16: {TOO_DEEP}"),
    "alias of itself": ("a: &a [*a]", "1:8: alias `*a` has no finished anchor above it"),
    "too many values": (
        "[" + "1," * 100_001 + "]",
        "1:200002: the file has too many values; expected at most 100000 values, aliases spelt out",
    ),
    "too large": (
        "#" * (MOST_BYTES + 1),
        "1:1: the file is too large; expected at most 1 MiB",
    ),
    "long number": ("9" * 10_000, f"1:1: `{'9' * 57}...` {ROOT}"),
    "empty": ("", "1:1: the file is empty; expected a mapping with `controllers` and `pipelines`"),
    "only a list": ("- 1", f"1:1: a list {ROOT}"),
    "only nothing": ("~", f"1:1: nothing {ROOT}"),
    "not UTF-8": ("ok: 1\nname: \udcff", "2:7: the text is not UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_quickly(tmp_path: Path, name: str) -> None:
    text, message = HOSTILE[name]
    path = tmp_path / "interlock.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    began = time.process_time()
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert time.process_time() - began < 5, "seconds of CPU, so that a busy machine makes no difference"
    assert [str(problem) for problem in caught.value.mistakes] == [f"{path}:{message}"]


def test_thousands_of_mistakes_give_a_bounded_answer(tmp_path: Path) -> None:
    path = tmp_path / "interlock.yaml"
    names = "".join(f"  - name: Pipeline_{n}\n    stages: []\n    wrong: 1\n" for n in range(5000))
    path.write_text(f"controllers: {{}}\npipelines:\n{names}")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert len(str(caught.value).splitlines()) <= MOST_SHOWN + 2


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "interlock.yaml"
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value.mistakes[0]) == (
        f"{path}:1:1: the file cannot be read: No such file or directory; "
        "expected a pipeline file (see config/example.yaml)"
    )


def test_control_characters_do_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / "interlock.yaml"
    path.write_text('"a\\e[31m\\nb": 1')
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert "unknown key `a�[31m�b`" in str(caught.value)
