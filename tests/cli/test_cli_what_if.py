"""`interlock what-if`: the recorded past under another pipeline file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from bot.cli.what_if import report
from bot.simulation.comparison import ComparedFigure, ComparedRun, Comparison, Range
from bot.store import recording_file
from bot.store.pseudonyms import Pseudonyms, pipelines_in
from bot.store.recording_file import RecordingHead
from demo.past import lines, past
from tests.cli.conftest import typed
from tests.example_file import write_example
from tests.web.conftest import Story

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the shop, and the pipeline file that it could have had, with more room in acceptance."""
    folder = tmp_path_factory.mktemp("what-if")
    write(folder / "shop.recording", lines(past()))
    write_file(folder / "new.yaml", "shop")
    return folder


def write(file: Path, text: Iterable[str], name: str = "shop", *, pseudonyms: bool = False) -> None:
    recording_file.write(file, RecordingHead(name, "0.1.0", 0.0, pseudonyms), text)


def write_file(file: Path, name: str) -> None:
    write_example(file)
    content = yaml.safe_load(file.read_text("utf-8"))
    (pipeline,) = content["pipelines"]
    pipeline["name"] = name
    pipeline["stages"][1]["capacity"] = 8
    pipeline.pop("freezes", None)
    file.write_text(yaml.safe_dump(content), "utf-8")


def asked(folder: Path, *more: str, recording: str = "shop.recording", config: str = "new.yaml") -> Result:
    words = ("--config", str(folder / config), "--recording", str(folder / recording), "--repeat", "1", *more)
    return typed("what-if", *words)


def test_the_figures_stand_side_by_side_with_the_error_of_the_method(folder: Path) -> None:
    done = asked(folder)
    assert done.exit_code == 0
    text = done.stdout.splitlines()
    assert text[0].startswith("shop, 2026-11-23 ")
    assert text[0].endswith(" runs, 1 draw under each configuration.")
    assert "With the very durations that were recorded, no figure is off by more than 0.0%." in text
    head = next(line for line in text if "recorded  " in line)
    assert head.split("  ")[-1] == "change"
    assert "with new.yaml" in head
    rows = [line.split("  ")[0] for line in text]
    for name in ("lead time, half of the merges", "waiting for lock, a run", "runs superseded", "builds of acceptance"):
        assert name in rows
    assert "The lead times that change most:" in text


def test_programs_get_the_same_as_json(folder: Path) -> None:
    done = asked(folder, "--json", "--since", "2d")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["pipeline"], found["draws"], found["notes"]) == ("shop", 1, [])
    assert found["until"] - found["since"] == pytest.approx(2 * 86_400)
    names = {figure["name"]: figure for figure in found["figures"]}
    lead = names["lead time, half of the merges"]
    assert set(lead) == {"name", "unit", "recorded", "exact", "same", "other", "change", "error", "exact_error"}
    assert lead["change"]["middle"] < 0


def test_a_recording_under_pseudonyms_is_played_under_the_one_pipeline_of_the_file(folder: Path) -> None:
    text = list(lines(past()))
    pseudonyms = Pseudonyms(b"secret", (each for line in text for each in pipelines_in(line)))
    write(folder / "nobody.recording", map(pseudonyms.line, text), pseudonyms.within("shop"), pseudonyms=True)
    write_file(folder / "other.yaml", "elsewhere")
    named, unnamed = (
        json.loads(asked(folder, "--json", recording=recording, config=config).stdout)
        for recording, config in (("shop.recording", "new.yaml"), ("nobody.recording", "other.yaml"))
    )
    exact = [
        [(figure["name"], figure["recorded"], figure["exact"]) for figure in f["figures"]] for f in (named, unnamed)
    ]
    assert exact[0] == exact[1]
    assert unnamed["pipeline"].startswith("pipeline-")


def test_what_cannot_be_played_is_refused_with_the_reason(folder: Path, tmp_path: Path) -> None:
    missing = asked(folder, recording="nothing.recording")
    assert missing.exit_code == 1
    assert missing.stderr.endswith("nothing.recording cannot be read: No such file or directory\n")
    (folder / "text.recording").write_text("no recording")
    none = asked(folder, recording="text.recording")
    assert (none.exit_code, none.stderr.partition(":")[0]) == (1, "refused")
    if not (folder / "gap.recording").exists():
        write(folder / "gap.recording", [*list(lines(past()))[300:]])
    gap = asked(folder, recording="gap.recording")
    assert gap.exit_code == 1
    assert gap.stderr.startswith("refused: the recording says nothing that can be used: it has no turns, or no config")


def test_a_pipeline_that_the_file_does_not_have_is_named_with_those_that_it_has(folder: Path) -> None:
    done = asked(folder, "--pipeline", "shop-2")
    assert done.exit_code == 2
    assert done.stderr.endswith("new.yaml has no pipeline shop-2; name one with --pipeline: shop\n")


def test_a_stage_of_which_nothing_is_recorded_is_named(folder: Path) -> None:
    content = yaml.safe_load((folder / "new.yaml").read_text("utf-8"))
    content["pipelines"][0]["stages"][0]["name"] = "compile"
    (folder / "stages.yaml").write_text(yaml.safe_dump(content), "utf-8")
    done = asked(folder, config="stages.yaml")
    assert done.exit_code == 1
    assert done.stderr.startswith("refused: the recording has no build of the stage compile, so nobody knows ")


def test_a_time_that_is_none_is_refused(folder: Path) -> None:
    assert asked(folder, "--since", "yesterday").exit_code == 2


def test_what_the_store_has_recorded_is_played(story: Story, folder: Path, redis_url: str) -> None:
    """Some seconds of the tests' own pipeline: real turns, in a real store."""
    story.start()
    for service in ("S1", "S2", "S3"):
        story.pass_stages(story.merge(service, "a"), 4)
    write_file(folder / "ours.yaml", story.keys.pipeline)
    words = ("what-if", "--config", str(folder / "ours.yaml"), "--since", "30d", "--repeat", "1", "--json")
    done = typed(*words, "--pipeline", story.keys.pipeline, INTERLOCK_REDIS_URL=redis_url)
    assert done.exit_code == 0, done.output
    found = {figure["name"]: figure for figure in json.loads(done.stdout)["figures"]}
    assert found["builds of build"]["recorded"] == 3
    assert typed(*words, "--pipeline", "nobody", INTERLOCK_REDIS_URL=redis_url).exit_code == 2


def test_check_names_the_command(folder: Path) -> None:
    done = typed("check", str(folder / "new.yaml"))
    assert f"What it would have changed: interlock what-if --config {folder / 'new.yaml'} --since 30d" in done.stdout


def test_numbers_are_told_with_their_sign_and_their_range() -> None:
    figures = (
        ComparedFigure("wait", "s", 600.0, 600.0, Range(660, 640, 720), Range(300, 290, 310), Range(-360, -400, -300)),
        ComparedFigure("builds", "", 10.0, 10.0, Range(10, 10, 10), Range(12, 12, 12), Range(2, 2, 2)),
        ComparedFigure("nothing", "", 0.0, 0.0, Range(0, 0, 0), Range(0, 0, 0), Range(0, 0, 0)),
        ComparedFigure("new", "s", None, None, None, Range(60, 60, 60), None),
    )
    runs = (ComparedRun("S1", "a" * 40, 1, 600.0, 660.0, 300.0), ComparedRun("S1", "b" * 40, 2, None, 60.0, 120.0))
    text = list(report("shop", "dir/new.yaml", Comparison(0.0, 86_400.0, 5, 3, figures, runs)))
    assert [
        " ".join(line.split()) for line in text if line.startswith(("wait", "builds", "nothing", "new", "  S1"))
    ] == [
        "wait 10m 11m (10m..12m) +10.0% 5m (4m..5m) -6m (-6m..-5m)",
        "builds 10 10 +0.0% 12 +2",
        "new - - 1m -",
        "S1 aaaaaaa: 10m recorded, 5m (-6m)",
        "S1 bbbbbbb, run 2 of it: - recorded, 2m (+1m)",
    ]


def test_the_report_on_a_storm_is_the_one_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rule was changed on purpose: copy what the command prints."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        told = (ROOT / "docs" / "what-if.md").read_text("utf-8").split("### A storm")[1].split("```")[1]
        command, report = told.removeprefix("text\n$ interlock ").split("\n", 1)
        monkeypatch.chdir(ROOT)
        assert typed(*command.split()).stdout == report
    finally:
        monkeypatch.undo()
        time.tzset()
