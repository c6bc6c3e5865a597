"""What the commands that act make a real board do, what they say of it, and how they end."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.model.events import LockAsked
from bot.core.model.pipeline import Mode, Outcome
from bot.core.model.run import Run, Status
from bot.store.codec import dump_event
from bot.store.inbox import InboxEntry, park
from bot.store.outbox import Outbox
from bot.web import request_inbox
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.cli.conftest import Interlock, serving, typed
from tests.texts import text_of
from tests.web.conftest import TOKEN, Story

R = ("--reason", "the database moves")


def test_a_lock_is_made_and_told(interlock: Interlock, story: Story) -> None:
    story.start()
    done = interlock("lock", "production", *R, "--until", "2h")
    assert (done.exit_code, done.stdout) == (0, "done: production is locked: the database moves (by alex)\n")
    (lock,) = story.board.locks_of("production")
    assert (lock.by, lock.let_fixes_in) == ("alex", False)
    assert lock.until == pytest.approx(time.time() + 7200, abs=30)


def test_a_time_without_a_zone_is_meant_on_this_clock(interlock: Interlock, story: Story) -> None:
    story.start()
    until = datetime.fromtimestamp(time.time() + 86_400, UTC).astimezone().replace(microsecond=0)
    given = until.replace(tzinfo=None).isoformat()
    assert interlock("lock", "production", *R, "--until", given, "--let-fixes-in").exit_code == 0
    (lock,) = story.board.locks_of("production")
    assert (lock.until, lock.let_fixes_in) == (until.timestamp(), True)


def test_one_lock_of_several_is_opened_by_its_key(interlock: Interlock, story: Story) -> None:
    story.start()
    for reason in ("first", "second"):
        interlock("lock", "production", "-r", reason)
    done = interlock("unlock", "production", *R, "--lock", "production/2")
    assert done.stdout.startswith("done: unlocked by alex: the database moves; production stays locked by 1 more lock")
    assert [text_of(lock.reason) for lock in story.board.locks_of("production")] == ["first"]
    assert "done: production is open: unlocked by alex" in interlock("unlock", "production", *R).stdout


def test_several_locks_are_named_until_one_is_chosen_or_all(interlock: Interlock, story: Story) -> None:
    story.start()
    for reason in ("first", "second"):
        interlock("lock", "production", "-r", reason)
    asked = interlock("unlock", "production", *R)
    assert asked.exit_code == 1
    first, *rows = asked.stderr.splitlines()
    assert first == "refused: production has 2 locks; open one of them with --lock KEY, or all with --all:"
    assert [re.sub(r"\d\d:\d\d", "TIME", row) for row in rows] == [
        "  production/1: first (by alex, since TIME)",
        "  production/2: second (by alex, since TIME)",
    ]
    assert interlock("unlock", "production", *R, "--all", "--lock", "production/1").exit_code != 0
    assert "done: " in interlock("unlock", "production", *R, "--all").stdout
    assert story.board.locks_of("production") == []


@pytest.mark.parametrize(("choice", "left"), [("2", ["first"]), ("all", []), ("\x04", ["first", "second"])])
def test_at_a_terminal_it_asks_which_lock(
    interlock: Interlock, address: str, story: Story, choice: str, left: list[str]
) -> None:
    story.start()
    for reason in ("first", "second"):
        interlock("lock", "production", "-r", reason)
    story.redis.delete(story.keys.wake_up)
    shown = at_a_terminal(address, choice, "unlock", "production", *R)
    assert "production has 2 locks:" in shown
    assert re.search(r"  2  production/2: second \(by alex, since \d\d:\d\d\)", shown)
    assert "Which one is to be opened? (1, 2, all): " in shown
    assert [text_of(lock.reason) for lock in story.board.locks_of("production")] == left


def at_a_terminal(address: str, answer: str, *words: str) -> str:
    """What a command shows at a real terminal, where somebody types `answer` when it asks."""
    ours, its = pty.openpty()
    env = {"PATH": os.environ["PATH"], "INTERLOCK_URL": address, "INTERLOCK_TOKEN": TOKEN, "TERM": "xterm"}
    command = [sys.executable, "-c", "from bot.cli.main import cli; cli()", *words]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=env, cwd=root, start_new_session=True
    ) as done:
        os.close(its)
        shown, deadline = "", time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 1.0)[0]:
                    shown += os.read(ours, 4_096).decode()
                    if answer and "opened? " in shown:
                        os.write(ours, f"{answer}\n".encode())
                        answer = ""
        except OSError:  # EIO: the command has ended and closed its side (Linux: pty(7))
            pass
        finally:
            done.kill()
            os.close(ours)
    return shown


def test_a_dry_run_says_what_would_happen_and_does_nothing(interlock: Interlock, story: Story, broken: Run) -> None:
    version = story.store.copy.version
    said = {
        ("lock", "production", "--until", "2099-01-01T00:00Z"): None,
        ("lock", "production"): "locks production",
        ("unlock", "pre-production"): (
            "opens the lock of pre-production; S2.1 enters pre-production; S1.1 ends as failed"
        ),
        ("retry", "S1"): "S1.1 enters pre-production",
        ("cancel", "S2"): "S2.1 ends as cancelled",
        ("move", "S2"): None,
        ("fast-lane", "S2", "--stage", "pre-production"): (
            "S2.1 changes to the fast lane; S2.1 may enter pre-production past any lock; "
            "S2.1 enters fast pre-production"
        ),
        ("pause",): "the pipeline is paused: nothing is triggered",
        ("observe",): "the pipeline only observes: nothing is sent outside",
        ("resume",): "nothing changes",
    }
    for words, sentence in said.items():
        done = interlock(*words, *R, "--dry-run")
        if sentence is None:
            assert (done.exit_code, done.stdout, done.stderr[:9]) == (1, "", "refused: ")
        else:
            assert (done.exit_code, done.stdout) == (0, f"dry run: {sentence}\n")
    story.turns()
    assert story.store.copy.version == version


def test_a_run_is_moved_to_the_front(interlock: Interlock, story: Story, broken: Run) -> None:
    story.build(story.board.runs["S3.1"], Outcome.SUCCESS)
    done = interlock("move", "S3", "-r", "the fair")
    assert done.stdout == ("done: alex moved S3 7b72891 to the front of the queue for pre-production: the fair\n")
    assert "alex moved it to the front: the fair" in interlock("why", "S3").stdout
    assert interlock("move", "S3", *R).stderr == (
        "refused: S3 7b72891 is at the front of the queue for pre-production already\n"
    )
    assert interlock("move", "S1", *R).stderr.startswith("refused: S1 has no run to move:")


def test_a_time_of_day_is_meant_on_this_clock(interlock: Interlock, story: Story) -> None:
    story.start()
    soon = datetime.fromtimestamp(time.time() + 3_600, UTC).astimezone()
    assert interlock("lock", "production", *R, "--until", soon.strftime("%H:%M")).exit_code == 0
    (lock,) = story.board.locks_of("production")
    assert lock.until == soon.replace(second=0, microsecond=0).timestamp()


def test_unlock_tells_who_enters_at_once(interlock: Interlock, broken: Run) -> None:
    said = interlock("unlock", "pre-production", *R).stdout.splitlines()
    assert said[0].startswith("done: pre-production is open: unlocked by alex")
    assert "      S2 80fe969 enters pre-production" in said


@pytest.mark.parametrize("name", ["S1", "S1.1", "b22c32c", "s1.1"])
def test_retry_repeats_the_one_failed_run_that_is_meant(
    interlock: Interlock, story: Story, broken: Run, name: str
) -> None:
    done = interlock("retry", name, *R)
    assert (done.exit_code, done.stdout.splitlines()[1]) == (0, "      S1 b22c32c enters pre-production")
    assert story.board.runs[broken.key].status is Status.STARTING


def test_cancel_takes_a_run_out(interlock: Interlock, story: Story, broken: Run) -> None:
    done = interlock("cancel", "S2", *R)
    assert (done.exit_code, done.stdout) == (0, "done: S2 80fe969: cancelled by alex: the database moves\n")
    assert "S2.1" not in story.board.runs


def test_several_runs_are_listed_and_the_key_is_asked_for(interlock: Interlock, story: Story, broken: Run) -> None:
    story.merge("S2", "b")
    asked = interlock("cancel", "S2", *R)
    assert asked.exit_code == 2
    first, *rest = asked.stderr.splitlines()
    assert first == "error: S2 matches several runs; give the key of the one to cancel:"
    assert [line.split()[0] for line in rest] == ["S2.1", "S2.2"]
    assert interlock("cancel", "S2.2", *R).exit_code == 0
    assert "S2.1" in story.board.runs


def test_a_service_without_a_failed_run_is_not_retried(interlock: Interlock, broken: Run) -> None:
    no = interlock("retry", "S2", *R)
    assert (no.exit_code, no.stdout) == (1, "")
    assert no.stderr.startswith("refused: S2 has no run to retry:\n  S2.1 (S2 80fe969) waits for pre-production")


def test_a_run_that_has_ended_is_told_with_its_end(interlock: Interlock, story: Story) -> None:
    story.start()
    story.build(story.merge("S1", "a"), Outcome.FAILURE)
    no = interlock("retry", "S1", *R)
    assert no.exit_code == 1
    assert "the last ones ended: S1.1 (failed: S1 b22c32c failed in build)" in no.stderr


def test_the_head_of_main_is_sent_on_the_fast_lane(interlock: Interlock, story: Story, broken: Run) -> None:
    done = interlock("fast-lane", "S3", *R, "--stage", "pre-production")
    assert (done.exit_code, done.stdout.startswith("done: S3 7b72891 ")) == (0, True)
    (run,) = story.board.of_service("S3")
    assert (str(run.lane), run.permits) == ("fast", ("pre-production",))


def test_a_refusal_of_the_rules_is_told_and_fails(interlock: Interlock, broken: Run) -> None:
    no = interlock("fast-lane", "S1", *R)
    assert (no.exit_code, no.stdout) == (1, "")
    assert no.stderr == "refused: b22c32c, the head of S1, has failed already: merge a fix, or retry it\n"


@pytest.mark.parametrize("command,mode", [("pause", Mode.PAUSE), ("resume", Mode.RUN), ("observe", Mode.OBSERVE)])
def test_the_mode_is_changed(interlock: Interlock, story: Story, command: str, mode: Mode) -> None:
    story.start()
    done = interlock(command, *R)
    assert (done.exit_code, done.stdout.endswith(f"to {mode}: the database moves\n")) == (0, True)
    assert story.board.header.mode is mode


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lock", "prodution"), "there is no stage 'prodution'; did you mean production? (valid: acceptance, build,"),
        (("unlock", "production"), "production is not locked"),
        (("retry", "S1.1", "-p", "elsewhere"), "there is no pipeline 'elsewhere'"),
        (("fast-lane", "S7"), "there is no service 'S7' (valid: S1, S2, S3)"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    interlock: Interlock, broken: Run, words: tuple[str, ...], sentence: str
) -> None:
    no = interlock(*words, *R)
    assert (no.exit_code, no.stdout) == (1, "")
    assert sentence in no.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("lock", "production"),
        ("lock", "production", "--reason", " "),
        ("lock", "production", *R, "--until", "soon"),
        ("lock", "production", *R, "--until", "-2h"),
        ("lock", *R),
        ("unlok", "production", *R),
        ("status", "--json", "--watch"),
        ("dead-letters", "retry"),
        ("dead-letters", "retry", "x", "--all"),
        ("dead-letters", "--all"),
        ("dead-letters", "bury"),
        ("parked", "drop"),
        ("parked", "--all"),
        ("log", "-n", "0"),
        ("up", "--bnd", "x"),
    ],
)
def test_wrong_usage_ends_with_2_and_asks_nobody(words: tuple[str, ...]) -> None:
    no = typed(*words, INTERLOCK_URL="http://127.0.0.1:1", INTERLOCK_TOKEN=TOKEN)
    assert (no.exit_code, no.stdout) == (2, "")
    assert no.stderr


def test_a_time_in_the_past_is_refused_by_the_server(interlock: Interlock, story: Story) -> None:
    story.start()
    no = interlock("lock", "production", *R, "--until", "2020-01-01T00:00:00Z")
    assert (no.exit_code, "within the year to come" in no.stderr) == (1, True)


def test_without_a_worker_the_request_is_kept_and_the_command_says_that_it_is_not_decided(
    settings: Settings, configuration: Configuration, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.start()
    monkeypatch.setattr(request_inbox, "_wait", lambda *_: False)
    with serving(create_app(settings, configuration, lambda _: None)) as url:
        kept = typed("lock", "production", *R, "--wait", "0", INTERLOCK_URL=url, INTERLOCK_TOKEN=TOKEN)
    assert (kept.exit_code, kept.stdout.startswith("done")) == (1, False)
    assert "not decided yet: no worker has decided request " in kept.stderr
    story.turns()
    assert len(story.board.locks_of("production")) == 1


def test_a_slow_worker_is_waited_for(
    settings: Settings, configuration: Configuration, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.start()
    story.redis.delete(story.keys.wake_up)
    asked = 0

    def wait(*_: object) -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            story.turns()
        return asked == 3

    monkeypatch.setattr(request_inbox, "_wait", wait)
    with serving(create_app(settings, configuration, lambda _: None)) as url:
        done = typed("lock", "production", *R, INTERLOCK_URL=url, INTERLOCK_TOKEN=TOKEN)
    assert (done.exit_code, asked) == (0, 3)
    assert "done: production is locked" in done.stdout


def bury(story: Story) -> str:
    """Give up one effect for GitHub; its slot."""
    outbox = Outbox(story.redis, story.keys)
    claim, _ = outbox.claim("github", limit=1)
    assert claim is not None
    outbox.give_up(claim, "401 Bad credentials \x1b[31m", time.time())
    return claim.effect.slot


def test_dead_letters_are_listed_and_given_another_try(interlock: Interlock, story: Story, broken: Run) -> None:
    slots = {bury(story), bury(story)}
    listed = interlock("dead-letters").output.splitlines()
    assert set(listed[0::3]) == slots
    assert listed[2] == "  401 Bad credentials �[31m"
    one = slots.pop()
    assert interlock("dead-letters", "retry", one).stdout == f"done: {one} will be retried\n"
    rest = interlock("dead-letters", "retry", "--all")
    assert (rest.exit_code, rest.stdout) == (0, f"done: {slots.pop()} will be retried\n")
    assert Outbox(story.redis, story.keys).dead_letters() == []


def test_one_dead_letter_that_is_gone_does_not_keep_the_others_back(
    interlock: Interlock, story: Story, broken: Run
) -> None:
    slot = bury(story)
    mixed = interlock("dead-letters", "retry", "nothing", slot)
    assert mixed.exit_code == 1
    assert mixed.stdout == f"done: {slot} will be retried\n"
    assert mixed.stderr.splitlines()[1] == "error: 1 of 2 were refused"


def test_a_dead_letter_that_nobody_needs_is_dropped(interlock: Interlock, story: Story, broken: Run) -> None:
    slot = bury(story)
    assert interlock("dead-letters", "drop", slot).stdout == f"done: {slot} is dropped\n"
    outbox = Outbox(story.redis, story.keys)
    assert outbox.dead_letters() == []
    assert not outbox.has(slot)
    (fact,) = map(json.loads, interlock("log", "--json", "--kind", "dead-letter-taken-out").stdout.splitlines())
    assert (fact["by"], slot in fact["why"]) == ("alex", True)


def test_parked_deliveries_are_listed_decided_once_more_or_dropped(interlock: Interlock, story: Story) -> None:
    """One is a request that is good by now, the other one stays what it is."""
    story.start()
    good = LockAsked("production", "alex", "trade fair")
    park(
        story.redis, story.keys, InboxEntry("1700000000000-0", "event", good.kind, "a", dump_event(good)), KeyError("x")
    )
    park(
        story.redis,
        story.keys,
        InboxEntry("1700000000000-1", "event", "nonsense", "b", b"{}"),
        ValueError("no\x1b[31m"),
    )
    listed = interlock("parked").output.splitlines()
    assert [line.split()[0] for line in listed[0::2]] == ["1700000000000-1", "1700000000000-0"]
    assert listed[1] == "  ValueError: no�[31m"
    assert interlock("parked", "retry", "1700000000000-0").stdout == "done: 1700000000000-0 will be retried\n"
    assert [text_of(lock.reason) for lock in story.board.locks_of("production")] == ["trade fair"]
    assert interlock("parked", "drop", "--all").stdout == "done: 1700000000000-1 is dropped\n"
    assert interlock("parked").stdout.startswith("There are no parked deliveries")
    assert interlock("parked", "retry", "--all").stdout == "done: there are no parked deliveries\n"
