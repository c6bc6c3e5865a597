"""What the commands that look show of a real board, in words."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot.cli import read, sentences
from bot.cli.act import CANCELLABLE, RETRYABLE
from bot.cli.client import ApiClient
from bot.cli.common import ServerUnreachable
from bot.core.model.events import BuildSeen, Configured, FreezesPlanned, PullClosed, PullMoved, TriggerRefused
from bot.core.model.facts import Why
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Outcome
from bot.core.model.run import End, Run, Status
from bot.store.records import Repairs
from tests.cli.conftest import Interlock
from tests.web.conftest import Story

HOSTILE = "[bold red]x[/] [/nothing] :boom: \x1b[31m\x07\u202egnp.exe\u200b\x9b2J"


def lines(text: str) -> list[str]:
    """The lines of a picture without frames."""
    return [" ".join(line.strip("╭╮╰╯│─→ ").split()) for line in text.splitlines()]


def test_the_stages_stand_side_by_side_where_they_fit(interlock: Interlock, broken: Run) -> None:
    frame = interlock("status").output.splitlines()[1]
    names = ("build", "acceptance", "pre-production LOCKED", "production")
    assert [name in frame for name in names] == [True] * 4
    assert [frame.index(name) for name in names] == sorted(frame.index(name) for name in names)


@pytest.mark.parametrize("columns", ["80", "130"])
def test_what_had_to_be_found_by_asking_stands_below(
    interlock: Interlock, story: Story, broken: Run, columns: str
) -> None:
    assert "found by polling" not in interlock("status", COLUMNS=columns).output
    Repairs(story.redis, story.keys).count("push")
    last = lines(interlock("status", COLUMNS=columns).output)[-1]
    assert re.fullmatch(r"found by polling: 1 push to main, last [0-9]{2}:[0-9]{2}", last)


def test_the_stages_stand_below_each_other_where_they_do_not_fit(interlock: Interlock, broken: Run) -> None:
    shown = interlock("status", COLUMNS="80").output
    tops = [line for line in lines(shown) if line in ("build", "acceptance", "pre-production LOCKED", "production")]
    assert tops == ["build", "acceptance", "pre-production LOCKED", "production"]
    assert max(len(line) for line in shown.splitlines()) == 80


def test_a_freeze_is_told_with_its_end_by_its_own_clocks(interlock: Interlock, story: Story) -> None:
    story.start()
    window = FreezeWindow(time.time() - 60, 1_953_532_800.0)
    story.tell(FreezesPlanned((Freeze("fair", ("production",), (window,), "Europe/Berlin"),)))
    shown = lines(interlock("status", COLUMNS="100").output)
    at = shown.index("production FROZEN")
    assert shown[at + 1] == "FROZEN frozen until Thu 2031-11-27 09:00 CET (freeze fair)"
    assert re.fullmatch(r"by Interlock since [0-9:]+ \([^)]*\)", shown[at + 2])


def test_a_lock_is_told_with_reason_holder_time_and_what_to_do(interlock: Interlock, broken: Run) -> None:
    shown = lines(interlock("status", COLUMNS="100").output)
    at = shown.index("pre-production LOCKED")
    assert shown[at + 1] == "LOCKED S1 b22c32c failed in pre-production (CheckoutTest)"
    assert shown[at + 2].startswith("by S1.1 since ")
    assert shown[at + 3] == "nothing on the way: merge the fix to S1, or retry S1.1"
    assert shown[at + 5 : at + 7] == ["queue 1", "1 S2 80fe969 Change a of S2 #40 0 s"]


def test_the_fix_is_shown_on_its_way_and_on_the_fast_lane(interlock: Interlock, story: Story, broken: Run) -> None:
    fix = story.merge("S1", "b")
    story.pass_stages(fix)
    story.build(fix, None)
    shown = lines(interlock("status", COLUMNS="100").output)
    short = fix.position.sha[:7]
    assert f"on the way: S1 {short} runs in fast acceptance" in shown
    assert shown[shown.index("fast lane") + 1 : shown.index("fast lane") + 3] == ["queue 0", "running 1 of 1"]
    assert any(line.startswith(f"» S1 {short} Change b of S1 #41, fast lane") for line in shown)


def test_a_lock_of_a_person_says_how_it_opens(interlock: Interlock, broken: Run) -> None:
    assert interlock("lock", "production", "-r", "trade fair", "--until", "2h", "--let-fixes-in").exit_code == 0
    shown = lines(interlock("status", COLUMNS="100").output)
    at = shown.index("LOCKED trade fair")
    assert ", until " in shown[at + 1]
    assert shown[at + 2] == "fixes may enter; opens with: interlock unlock production --lock production/1"


def test_runs_left_in_a_stage_that_was_removed_are_listed(interlock: Interlock, story: Story, broken: Run) -> None:
    stages = tuple(stage for stage in story.shape.stages if stage.name != "acceptance")
    story.tell(Configured(replace(story.shape, stages=stages)))
    shown = lines(interlock("status", COLUMNS="100").output)
    at = shown.index("acceptance is no longer configured, 1 run left in it")
    assert shown[at + 1].startswith("• S3 7b72891 Change a of S3")


def test_a_long_queue_is_cut_and_counted(interlock: Interlock, story: Story, broken: Run) -> None:
    for number in range(13):
        story.pass_stages(story.merge("S2", f"q{number}"), 2)
    shown = lines(interlock("status").output)
    assert any("queue 14" in line for line in shown)
    assert any("and 4 more" in line for line in shown)


def test_a_pause_is_shown_with_who_and_why(interlock: Interlock, broken: Run) -> None:
    interlock("pause", "--reason", "Jenkins upgrade")
    assert "  PAUSED by alex: Jenkins upgrade  3 runs" in interlock("status").output.splitlines()[0]


def test_json_is_the_view_of_the_api(interlock: Interlock, broken: Run) -> None:
    view = json.loads(interlock("status", "--json").output)
    assert [stage["name"] for stage in view["stages"]][2] == "pre-production"
    assert view["stages"][2]["locks"][0]["run"] == broken.key


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("why",), ("log",)])
def test_a_hostile_title_or_name_cannot_reach_the_terminal(
    interlock: Interlock, story: Story, broken: Run, command: tuple[str, ...]
) -> None:
    story.merge("S3", "h", title=HOSTILE)
    interlock("pause", "--reason", "[red]now[/] [/]")
    for columns in ("80", "200"):
        shown = interlock(*command, COLUMNS=columns)
        assert shown.exit_code == 0
        assert [c for c in shown.output if not c.isprintable() and c != "\n"] == []
        assert command != ("status",) or "[red]now[/] [/]" in shown.output
    stacked = interlock("status", COLUMNS="100").output
    assert "[bold red]x[/] [/nothing] :boom: �[31m��gnp.exe��2J" in stacked


def test_watching_draws_again_and_ends_with_ctrl_c(
    interlock: Interlock, story: Story, broken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def between(_: float) -> None:
        if "S2.2" in story.board.runs:
            raise KeyboardInterrupt
        story.merge("S2", "b")

    monkeypatch.setattr(read, "time", SimpleNamespace(sleep=between))
    shown = interlock("status", "--watch")
    assert shown.exit_code == 0
    assert story.board.service("S2").number == 2
    assert "4 runs" in shown.output


def test_watching_outlasts_a_server_that_is_away(
    interlock: Interlock, broken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def away(_: ApiClient, **__: object) -> None:
        raise ServerUnreachable("gone")

    def between(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyboardInterrupt
        monkeypatch.setattr(ApiClient, "get", away)

    monkeypatch.setattr(read, "time", SimpleNamespace(sleep=between))
    shown = interlock("status", "--watch")
    assert (shown.exit_code, looks) == (0, 2)
    assert "Interlock does not answer: this is its last answer; trying again" in shown.output
    assert "3 runs" in shown.output


def test_what_else_holds_a_stage_up_is_shown(interlock: Interlock, story: Story, broken: Run) -> None:
    story.tell(BuildSeen("cdp", "shop/production", 900, None))
    run = story.merge("S3", "b")
    story.tell(TriggerRefused(run.key, 1, "the job is disabled"))
    shown = lines(interlock("status", COLUMNS="100").output)
    assert shown[shown.index("production") + 2 :][:2] == ["running 1 of 1", "build #900, started by hand"]
    assert "Jenkins did not start the build: the job is disabled; Interlock tries again" in shown


def test_why_tells_every_run_in_one_sentence_with_what_to_do(interlock: Interlock, broken: Run) -> None:
    said = re.sub(r"\d\d:\d\d", "SOON", interlock("why").output).replace(" (SOON to SOON)", "")
    assert said.splitlines() == [
        "S3.1 (S3 7b72891): build #107 runs in acceptance. It passes acceptance about SOON. Nothing to do.",
        "S2.1 (S2 80fe969) waits for pre-production, place 1: pre-production is locked: S1 b22c32c failed in "
        "pre-production (CheckoutTest) (locked by S1.1); merge the fix to S1. It keeps its "
        "place until the lock opens, or a fix that contains it passes.",
        "S1.1: S1 b22c32c failed in pre-production (CheckoutTest); it holds the lock until the fix has passed, a retry "
        "succeeds or a person opens it. Merge the fix to main of S1; if the environment was at fault: "
        "`interlock retry S1.1 --reason ...`.",
    ]


@pytest.mark.parametrize("query", ["S2", "s2.1", "80fe969", "80FE"])
def test_why_finds_a_run_by_whatever_names_it(interlock: Interlock, broken: Run, query: str) -> None:
    assert interlock("why", query).output.startswith("S2.1 (S2 80fe969) waits for pre-production")


def test_why_finds_runs_by_their_pull_request(interlock: Interlock, broken: Run) -> None:
    assert len(interlock("why", "#40").output.splitlines()) == 3


def test_why_tells_what_became_of_the_build_of_a_pull_request(interlock: Interlock, story: Story, broken: Run) -> None:
    story.tell(PullMoved("S1", 12, "a" * 40, at=1.0), PullClosed("S1", 12, "a" * 40, at=2.0))
    said = interlock("why", "#12").output
    assert said.startswith("S1.pr12-1 (S1 #12 aaaaaaa): ")
    assert "closed" in said


def test_why_tells_what_became_of_a_run_that_has_ended(interlock: Interlock, story: Story) -> None:
    story.start()
    run = story.merge("S1", "a")
    story.build(run, Outcome.FAILURE)
    said = interlock("why", "S1").output
    assert said.startswith("S1.1 (S1 b22c32c) failed ")
    assert " ago in build: S1 b22c32c failed in build. Merge a fix: it starts a new run.\nAttempts:\n" in said
    assert "  failed      S1.1 (S1 b22c32c) in build: S1 b22c32c failed in build" in interlock("history").output


def test_an_empty_board_says_so(interlock: Interlock, story: Story) -> None:
    story.start()
    assert interlock("why").output == "There is no run on the board.\n"
    assert interlock("history").output == "No run has ended yet.\n"
    assert interlock("dead-letters").output.startswith("There are no dead letters")


def test_a_pipeline_that_no_worker_has_begun_is_shown(interlock: Interlock) -> None:
    shown = interlock("status")
    assert (shown.exit_code, "no stages yet" in shown.output) == (0, True)


def test_an_unknown_run_is_said_to_be_unknown(interlock: Interlock, broken: Run) -> None:
    shown = interlock("why", "S9\x1b[2J")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.startswith("error: no run is known by ")
    assert "\x1b" not in shown.stderr


def test_the_log_ends_with_the_newest(interlock: Interlock, broken: Run) -> None:
    shown = interlock("log", "-n", "2").output.splitlines()
    assert [line.split("  ", 1)[1] for line in shown] == [
        "run-admitted        S3 7b72891 enters acceptance",
        "build-started       build #107 of S3 7b72891 runs in acceptance",
    ]


def test_the_log_is_read_over_several_pages(interlock: Interlock, broken: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interlock("log", "-n", "1000", "--json").output.splitlines()
    monkeypatch.setattr(read, "PAGE", 4)
    assert interlock("log", "-n", "1000", "--json").output.splitlines() == whole
    assert len(interlock("log", "-n", "10", "--json").output.splitlines()) == 10
    ids = [json.loads(line)["id"] for line in whole]
    assert (len(ids) > 20, ids == sorted(set(ids))) == (True, True)


def test_following_tells_every_new_fact_once(
    interlock: Interlock, story: Story, broken: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def between(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            raise KeyboardInterrupt
        if looks == 2:
            story.merge("S2", "b")

    monkeypatch.setattr(read, "time", SimpleNamespace(sleep=between, time=time.time))
    shown = interlock("log", "-n", "1", "--follow")
    assert shown.exit_code == 0
    kinds = [line.split()[2] for line in shown.output.splitlines()]
    assert kinds == ["build-started", "merge-accepted", "run-queued", "run-admitted"]


def test_every_reason_and_every_end_has_its_next_step() -> None:
    assert set(sentences.NEXT_STEPS) == {str(why) for why in Why}
    assert set(sentences.NEXT_STEPS_AFTER_END) == {str(end) for end in End}
    assert {str(status) for status in Status} - {"ending"} == CANCELLABLE | RETRYABLE


def test_pull_requests_that_are_verified_are_counted(interlock: Interlock, story: Story, broken: Run) -> None:
    assert "pull request" not in interlock("status", COLUMNS="100").output
    story.tell(PullMoved("S1", 12, "a" * 40, at=1.0))
    story.tell(PullMoved("S1", 13, "b" * 40, at=1.0, fork=True))
    assert ", 2 pull requests (1 of a fork, unasked), version" in interlock("status", COLUMNS="100").output


def test_the_numbers_are_readable_where_the_terminal_is_narrow(interlock: Interlock, broken: Run) -> None:
    wide, narrow = (interlock("stats", COLUMNS=columns).output for columns in ("130", "80"))
    heads = [line.split() for line in wide.splitlines() if line.startswith(("week", "service"))]
    assert [head[:4] for head in heads] == [["week", "delivered", "lead", "capacity"]] + [
        ["service", "delivered", "lead", "capacity"]
    ] * (len(heads) - 1)
    assert "week      delivered  lead  failed  restored  locked       cost" in narrow
    assert "week, waited for  capacity  lock  freeze  jenkins  person  proof" in narrow
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 80
    assert "…" not in narrow


def test_an_unknown_kind_of_fact_is_refused_with_the_nearest_one(interlock: Interlock, story: Story) -> None:
    story.start()
    refused = interlock("log", "--kind", "stage-lock")
    assert refused.exit_code == 1
    assert "`kind` cannot be 'stage-lock'; did you mean `stage-locked`?" in refused.output
    assert "did you mean `waiting`?" in interlock("runs", "--state", "waitin").output


def test_a_running_build_is_named_as_a_build_and_not_as_a_pull_request(interlock: Interlock, broken: Run) -> None:
    shown = interlock("status", COLUMNS="80").output
    assert re.search(r"S3 +7b72891 .*#\d+ .*build #\d+, \d+ s", shown)
    assert not re.search(r"#\d+ \d+ s", shown)


def test_the_report_of_a_week_is_printed_as_people_get_it(interlock: Interlock, story: Story, broken: Run) -> None:
    shown = interlock("stats", "--week", "last")
    assert shown.exit_code == 0
    first, _, *rest = lines(shown.output)
    assert re.fullmatch(rf"{story.shape.name}: week \d{{4}}-W\d\d: 0 delivered, 0 locks", first)
    assert rest[-1] == "Nobody gets this report: the pipeline has no `notify: weekly`."
    assert interlock("stats", "S1", "--week", "last").exit_code == 2
