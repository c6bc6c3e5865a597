"""Who may ask GitHub, and when: one line for all processes, limits that nobody forgets, a reserve for what matters."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis

from bot.store.github import Allowance, Pace

PACE = Pace(900, 1.0, 3.0, 80, 500)
WRITER = """
import sys, time
from bot.store.github import Allowance, Pace
from bot.store.connection import connect
redis = connect(sys.argv[1])
allowance, name = Allowance(redis, sys.argv[2]), sys.argv[3]
for number in range(4):
    ticket = f"{name}-{number}"
    while (wait := allowance.ask_to_write(ticket, 0.0, Pace(900, 0.2, 0.6, 80, 500))).seconds > 0:
        time.sleep(wait.seconds)
    seconds, micros = redis.time()
    redis.rpush(f"{sys.argv[2]}:sent", seconds * 1000 + micros // 1000)
redis.close()
"""


@pytest.fixture
def allowance(redis: Redis) -> Allowance:
    return Allowance(redis, uuid.uuid4().hex)


def test_writes_are_given_one_turn_after_the_other(allowance: Allowance) -> None:
    began = time.monotonic()
    waits = [allowance.ask_to_write(f"t{number}", 0.0, PACE).seconds for number in range(5)]
    assert waits == [pytest.approx(at, abs=0.05 + time.monotonic() - began) for at in range(5)]


def test_who_asks_again_keeps_the_turn_and_pushes_nobody_back(allowance: Allowance) -> None:
    allowance.ask_to_write("first", 0.0, PACE)
    for _ in range(9):
        assert allowance.ask_to_write("second", 0.0, PACE).seconds <= 1.0
    assert allowance.ask_to_write("third", 0.0, PACE).seconds <= 2.0


def test_who_comes_late_does_not_go_in_one_moment_with_the_next(allowance: Allowance) -> None:
    close = Pace(900, 0.1, 0.3, 80, 500)
    for number in range(3):
        allowance.ask_to_write(f"t{number}", 0.0, close)
    time.sleep(0.25)
    began = time.monotonic()
    assert allowance.ask_to_write("t1", 0.0, close).seconds == 0
    wait = allowance.ask_to_write("t2", 0.0, close).seconds
    assert 0.09 - (time.monotonic() - began) < wait <= 0.1


def test_without_spacing_nothing_is_counted(allowance: Allowance) -> None:
    free = Pace(0, 0.0, 0.0, 1, 1)
    assert [allowance.ask_to_write(f"t{n}", 0.0, free, creates=True).seconds for n in range(9)] == [0.0] * 9
    assert [allowance.ask(0.0, free).seconds for _ in range(9)] == [0.0] * 9


def test_reading_waits_for_no_turn(allowance: Allowance) -> None:
    for number in range(5):
        allowance.ask_to_write(f"t{number}", 0.0, PACE)
    assert allowance.ask(0.0, PACE).seconds == 0


def test_a_hold_stops_reading_and_writing_and_is_never_shortened(allowance: Allowance) -> None:
    allowance.pause(30, "GitHub said so")
    allowance.pause(2, "GitHub said less")
    wait = allowance.ask(0.0, PACE)
    assert (wait.why, 29 < wait.seconds <= 30) == ("GitHub said so", True)
    assert 29 < allowance.ask_to_write("t", 0.0, PACE).seconds <= 30
    assert 29 < allowance.standing().paused_for <= 30


def test_turns_that_a_hold_swallowed_are_given_anew_behind_it(allowance: Allowance) -> None:
    """Else all of them would go out in one moment when it ends."""
    for number in range(6):
        allowance.ask_to_write(f"t{number}", 0.0, PACE)
    allowance.pause(60, "a limit")
    waits = sorted(allowance.ask_to_write(f"t{number}", 0.0, PACE).seconds for number in range(1, 6))
    assert waits == [pytest.approx(60 + at, abs=0.1) for at in range(5)]


def created(allowance: Allowance, count: int, pace: Pace) -> None:
    """So many comments go out."""
    for number in range(count):
        while (wait := allowance.ask_to_write(f"c{number}", 0.0, pace, creates=True)).seconds > 0:
            time.sleep(wait.seconds)


def test_only_so_many_things_are_created_in_a_minute_and_what_notifies_nobody_may_still_go(
    allowance: Allowance,
) -> None:
    few = Pace(900, 0.001, 0.002, 3, 500)
    created(allowance, 3, few)
    wait = allowance.ask_to_write("c3", 0.0, few, creates=True)
    assert (wait.why, 59 < wait.seconds <= 60) == ("content", True)
    time.sleep(0.002)
    assert allowance.ask_to_write("status", 0.0, few).seconds == 0


def test_what_matters_may_still_be_created_when_comments_may_not(allowance: Allowance) -> None:
    created(allowance, 4, Pace(900, 0.001, 0.001, 80, 5))
    comment = allowance.ask_to_write("comment", 0.0, Pace(900, 0.001, 0.001, 80, 4), creates=True)
    assert 3500 < comment.seconds <= 3600
    time.sleep(0.002)
    answer = allowance.ask_to_write("answer", 0.0, Pace(900, 0.001, 0.001, 80, 5), creates=True)
    assert answer.seconds == 0


def test_comments_stand_three_times_as_far_apart_and_hold_up_nobody_else(allowance: Allowance) -> None:
    began = time.monotonic()
    assert allowance.ask_to_write("c0", 0.0, PACE, creates=True).seconds == 0
    waits = [allowance.ask_to_write(f"c{number}", 0.0, PACE, creates=True).seconds for number in (1, 2)]
    waits += [allowance.ask_to_write(f"s{number}", 0.0, PACE).seconds for number in (1, 2, 3)]
    assert waits == [pytest.approx(at, abs=0.05 + time.monotonic() - began) for at in (3, 6, 1, 2, 3)]


def test_a_comment_whose_turn_has_come_goes_before_what_came_later(allowance: Allowance) -> None:
    close = Pace(900, 0.1, 0.3, 80, 500)
    created(allowance, 1, close)
    allowance.ask_to_write("second", 0.0, close, creates=True)
    time.sleep(0.31)
    assert allowance.ask_to_write("status", 0.0, close).seconds > 0
    assert allowance.ask_to_write("second", 0.0, close, creates=True).seconds == 0


def test_one_that_nobody_asks_for_any_more_holds_nobody_up_for_long(allowance: Allowance) -> None:
    close = Pace(900, 0.05, 0.15, 80, 500)
    created(allowance, 1, close)
    allowance.ask_to_write("gone", 0.0, close, creates=True)
    time.sleep(0.32)
    assert allowance.ask_to_write("status", 0.0, close).seconds == 0


def test_a_minute_has_so_many_points_and_a_write_costs_five_of_them(allowance: Allowance) -> None:
    few = Pace(12, 0.001, 0.001, 80, 500)
    assert [allowance.ask(0.0, few).seconds for _ in range(3)] == [0, 0, 0]
    assert allowance.ask_to_write("t", 0.0, few).seconds == 0
    time.sleep(0.002)
    wait = allowance.ask_to_write("u", 0.0, few)
    assert (wait.why, 55 < wait.seconds <= 70) == ("points", True)
    assert [allowance.ask(0.0, few).why for _ in range(5)] == ["", "", "", "", "points"]


@pytest.mark.parametrize(("reserve", "waits"), [(0.0, False), (0.05, False), (0.2, True)])
def test_what_is_left_of_the_hour_is_kept_for_what_matters_more(
    allowance: Allowance, reserve: float, waits: bool
) -> None:
    allowance.saw(remaining=900, limit=5000, reset_in=100)
    wait = allowance.ask(reserve, PACE)
    assert (wait.seconds > 90) is waits
    assert wait.why == ("reserve" if waits else "")


def test_the_hour_begins_anew(allowance: Allowance) -> None:
    allowance.saw(remaining=0, limit=5000, reset_in=0.05)
    assert allowance.ask(0.0, PACE).seconds > 0
    time.sleep(0.08)
    assert allowance.ask(0.0, PACE).seconds == 0


@pytest.mark.slow
def test_two_processes_write_in_one_line(redis_url: str, redis: Redis) -> None:
    name = uuid.uuid4().hex
    command = [sys.executable, "-c", WRITER, redis_url, name]
    root = Path(__file__).parents[2]
    writers = [subprocess.Popen([*command, who], cwd=root) for who in ("a", "b")]
    assert [writer.wait(30) for writer in writers] == [0, 0]
    sent = sorted(int(at) for at in redis.lrange(f"{name}:sent", 0, -1))
    redis.delete(f"{name}:sent")
    assert len(sent) == 8
    assert min(later - earlier for earlier, later in pairwise(sent)) >= 190, sent  # each notes it a moment later
