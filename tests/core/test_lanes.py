"""The fast lane as a table: situation -> decision -> because. Row ids are the rules of docs/fast-lane.md."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bot.core.model.effects import Notify, Trigger, Withdraw
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import FastLaneStart, Mode, Outcome
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

# -- situations ------------------------------------------------------------------------------------------------


def broken(**how: Any) -> Town:
    """S1a has locked pre-production; S2a and S1b wait before it."""
    town = Town(shop(**how))
    for service, letter in ("S1", "a"), ("S2", "a"), ("S1", "b"):
        town.merge_up_to(service, letter, before="pre-production")
    town.fail_build("S1a")
    return town


def fixing(jobs: int, **how: Any) -> Town:
    """The same, and the fix S1e has passed so many jobs: 1 build, 2 fast acceptance, 3 fast pre-production, 4 real."""
    town = broken(**how)
    town.merge("S1", "e")
    for _ in range(jobs):
        town.pass_build("S1e")
    return town


def two_fixes(jobs: int) -> Town:
    """S1e as in `fixing`, and the newer fix S1f has passed its build."""
    town = fixing(jobs)
    town.merge("S1", "f")
    town.pass_build("S1f")
    return town


def doing(town: Town, *verbs: Callable[[Town], Any]) -> Town:
    """A situation, and what then happens."""
    for verb in verbs:
        verb(town)
    return town


def locked_by(*services: str) -> Town:
    """Each service has a failed run in pre-production."""
    town = Town(shop(pre_production=len(services)))
    for service in services:
        town.merge_up_to(service, "a", before="pre-production")
    for service in services:
        town.fail_build(f"{service}a")
    return town


def moved_on(start: FastLaneStart) -> Town:
    """S1a fails in pre-production while S1b is in acceptance."""
    town = Town(shop(start=start))
    town.merge_up_to("S1", "a", before="pre-production")
    town.merge_up_to("S1", "b", before="acceptance")
    town.fail_build("S1a")
    return town


def rolling_out() -> Town:
    """S1x is in production when S1a fails in pre-production."""
    town = Town()
    town.merge_up_to("S1", "x", before="production")
    town.start_build("S1x")
    town.break_stage("S1", "a")
    return town


def with_a_gap() -> Town:
    """S1a has locked pre-production, S1b waits before it; the push of S1b's successor was lost, the fix S1f came.

    GitHub has not answered yet whether S1f contains S1b.
    """
    town = broken()
    town.push("S1", "lost")
    town.merge("S1", "f")
    slow = town.github.questions.pop()
    town.pass_build("S1f", "S1f", "S1f")
    town.answer_questions()
    town.pass_build("S1f")
    town.github.questions.append(slow)
    return town


def overtaken_in_acceptance() -> Town:
    """S1b was faster in acceptance than S1a, and is in pre-production."""
    town = Town()
    town.merge_up_to("S1", "a", before="acceptance")
    town.merge_up_to("S1", "b", before="acceptance")
    town.pass_build("S1b")
    return town


# -- the table -------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One line of the table."""

    rule: str
    situation: Callable[[], Town]
    see: Callable[[Town], Any]
    decision: Any
    because: str


def row(rule: str, situation: Callable[[], Town], see: Callable[[Town], Any], decision: Any, because: str) -> Any:
    return pytest.param(Row(rule, situation, see, decision, because), id=f"{rule}: {because}")


on_lane = Town.on_fast_lane

F1 = [
    row("F1", lambda: doing(Town(), lambda t: t.merge("S1", "a")), on_lane, [], "without a lock the lane is closed"),
    row("F1", lambda: fixing(0), on_lane, ["S1e"], "the service holds a lock"),
    row("F1", lambda: doing(broken(), lambda t: t.merge("S2", "b")), on_lane, [], "the lock is another service's"),
    row(
        "F1",
        lambda: doing(Town(), lambda t: t.lock("pre-production"), lambda t: t.merge("S1", "a")),
        on_lane,
        [],
        "a manual lock opens it to nobody",
    ),
    row(
        "F1",
        lambda: doing(broken(), lambda t: t.merge("S2", "b"), lambda t: t.fast_lane("S2", "pre-production")),
        on_lane,
        ["S2b"],
        "an operator opened it for a named stage, for the head of main",
    ),
    row(
        "F1",
        lambda: doing(broken(), lambda t: t.fast_lane("S2", "pre-production"), lambda t: t.merge("S2", "c")),
        on_lane,
        ["S2a"],
        "an operator admits one head, once",
    ),
    row(
        "F1",
        lambda: doing(broken(), lambda t: t.fast_lane("S2")),
        Town.refused,
        "the fast lane is closed to S2, which holds no lock: name the stage to open for it",
        "closed is closed, unless a stage is named",
    ),
    row(
        "F1",
        lambda: doing(broken(), lambda t: t.fast_lane("S2", "pre-prod")),
        Town.refused,
        "shop has no stage 'pre-prod'; it has build, acceptance, pre-production, production",
        "there is no such stage",
    ),
    row(
        "F1",
        lambda: doing(broken(), lambda t: t.fast_lane("S3", "pre-production")),
        Town.refused,
        "no commit on main of S3 is known",
        "there is nothing to admit",
    ),
    row(
        "F1",
        lambda: doing(fixing(0), lambda t: t.fast_lane("S1")),
        Town.refused,
        "S1e, the head of S1, is on the fast lane already",
        "asking twice does not cost the place",
    ),
]
F2 = [
    row("F2", lambda: fixing(0), lambda t: t.at("S1e"), "build", "the next merge is the fix"),
    row("F2", lambda: moved_on(FastLaneStart.ON_FIX), on_lane, [], "on-fix waits for a merge"),
    row("F2", lambda: moved_on(FastLaneStart.ON_FAILURE), on_lane, ["S1b"], "on-failure: main has moved since"),
    row(
        "F2",
        lambda: doing(Town(shop(start=FastLaneStart.ON_FAILURE)), lambda t: t.break_stage("S1", "a")),
        on_lane,
        [],
        "on-failure: main has not moved since",
    ),
    row(
        "F2",
        lambda: doing(moved_on(FastLaneStart.MANUAL), lambda t: t.merge("S1", "c")),
        on_lane,
        [],
        "manual: a merge starts nothing fast",
    ),
    row(
        "F2",
        lambda: doing(moved_on(FastLaneStart.MANUAL), lambda t: t.fast_lane("S1")),
        on_lane,
        ["S1b"],
        "manual: a person asked",
    ),
    row(
        "F2",
        lambda: doing(moved_on(FastLaneStart.MANUAL), lambda t: t.fail_build("S1b"), lambda t: t.fast_lane("S1")),
        Town.refused,
        "S1b, the head of S1, has failed already: merge a fix, or retry it",
        "a head that has failed starts nothing",
    ),
    row(
        "F2",
        lambda: doing(
            Town(shop(start=FastLaneStart.ON_FAILURE)),
            lambda t: t.merge("S1", "a"),
            lambda t: [t.pass_build("S1a") for _ in range(4)],
            lambda t: t.merge_up_to("S1", "b", "pre-production"),
            lambda t: t.start_build("S1b"),
            lambda t: t.force_push("S1", "a", onto=None),
            lambda t: t.fail_build("S1b"),
        ),
        lambda t: (t.on_fast_lane(), t.locks()),
        (["S1a"], ["S1b"]),
        "a head that came back is the fix, and its passing from before the failure opens nothing",
    ),
]
F3 = [
    row("F3", lambda: fixing(1), lambda t: t.at("S1e"), "fast acceptance", "the build is the same for all"),
    row("F3", lambda: fixing(2), lambda t: t.at("S1e"), "fast pre-production", "its own acceptance is passed"),
    row("F3", lambda: fixing(3), lambda t: t.at("S1e"), "pre-production", "nothing is skipped"),
    row("F3", lambda: fixing(4), lambda t: t.at("S1e"), "production", "it ends in the real stages"),
    row("F3", lambda: fixing(1, fast=False), lambda t: t.at("S1e"), "acceptance", "no job of its own: the real one"),
    row(
        "F3",
        lambda: doing(moved_on(FastLaneStart.ON_FAILURE), lambda t: t.pass_build("S1b")),
        lambda t: t.at("S1b"),
        "fast pre-production",
        "the real acceptance it had passed counts for the fast one",
    ),
    row(
        "F3",
        lambda: doing(
            Town(shop(pre_production=2, start=FastLaneStart.ON_FAILURE)),
            lambda t: [t.merge_up_to("S1", letter, "pre-production") for letter in "ab"],
            lambda t: t.fail_build("S1a"),
            lambda t: t.confirm_withdrawal("S1b"),
        ),
        lambda t: t.at("S1b"),
        "fast pre-production",
        "promoted as it was called back: it takes the fast jobs that it has not passed",
    ),
]
F4 = [
    row("F4", lambda: fixing(3), lambda t: t.runs_in("pre-production"), ["S1e"], "it waits in no main-lane queue"),
    row("F4", lambda: fixing(4), lambda t: t.runs_in("production"), ["S1e"], "nor before production"),
    row(
        "F4",
        lambda: doing(
            locked_by("S1", "S2"),
            lambda t: t.merge("S1", "e"),
            lambda t: t.pass_build("S1e"),
            lambda t: t.merge("S2", "e"),
            lambda t: t.pass_build("S2e"),
        ),
        lambda t: (t.runs_in("fast acceptance"), t.queue("fast acceptance"), t.says("S2e")),
        (["S1e"], ["S2e"], "fast acceptance is full (1 of 1): S1 S1e"),
        "only a slot of the lane is waited for",
    ),
    row(
        "F4",
        lambda: doing(
            locked_by("S1", "S2"),
            lambda t: t.merge("S1", "e"),
            lambda t: t.pass_build("S1e"),
            lambda t: t.merge("S2", "e"),
            lambda t: t.pass_build("S2e"),
            lambda t: t.pass_build("S1e"),
        ),
        lambda t: (t.runs_in("fast acceptance"), t.runs_in("fast pre-production")),
        (["S2e"], ["S1e"]),
        "a slot is free when its build ends",
    ),
]
F5 = [
    row(
        "F5", lambda: fixing(3), lambda t: (t.runs_in("pre-production"), t.locks()), (["S1e"], ["S1a"]), "it is let in"
    ),
    row(
        "F5",
        lambda: doing(fixing(2), lambda t: t.lock("pre-production"), lambda t: t.pass_build("S1e")),
        lambda t: (t.runs_in("pre-production"), t.says("S1e")[:42]),
        ([], "pre-production is locked, for fixes too: S"),
        "a manual lock forbids it",
    ),
    row(
        "F5",
        lambda: doing(fixing(2), lambda t: t.lock("pre-production", let_fixes_in=True), lambda t: t.pass_build("S1e")),
        lambda t: t.runs_in("pre-production"),
        ["S1e"],
        "a manual lock that lets fixes in",
    ),
    row(
        "F5",
        lambda: doing(
            broken(),
            lambda t: t.fast_lane("S2", "production"),
            lambda t: t.pass_build("S2a"),
            lambda t: t.at("S2a"),
        ),
        lambda t: (t.queue("pre-production"), t.runs_in("pre-production")),
        (["S1b", "S2a"], []),
        "its service holds none of the locks",
    ),
    row(
        "F5",
        lambda: doing(broken(), lambda t: t.fast_lane("S2", "pre-production"), lambda t: t.pass_build("S2a")),
        lambda t: t.runs_in("pre-production"),
        ["S2a"],
        "an operator opened this stage for it",
    ),
]
F6 = [
    row(
        "F6",
        lambda: doing(fixing(0), lambda t: t.merge("S1", "f")),
        on_lane,
        ["S1e", "S1f"],
        "its build has not passed",
    ),
    row(
        "F6",
        lambda: doing(fixing(0), lambda t: t.merge("S1", "f"), lambda t: t.fail_build("S1f")),
        lambda t: (t.left("S1e"), t.at("S1e")),
        (None, "build"),
        "a fix that does not compile kills no good one",
    ),
    row(
        "F6",
        lambda: doing(two_fixes(0), lambda t: t.confirm_withdrawal("S1e")),
        lambda t: (t.left("S1e"), t.at("S1f")),
        (("superseded", "S1f"), "fast acceptance"),
        "built, and the older's first fast job has not started",
    ),
    row(
        "F6",
        lambda: two_fixes(1),
        lambda t: (t.runs_in("fast acceptance"), t.says("S1f")),
        (["S1e"], "waits behind the older fix S1 S1e, which is already on its way"),
        "the older has started: the newest waits behind it",
    ),
    row(
        "F6",
        lambda: doing(two_fixes(1), lambda t: t.merge("S1", "g"), lambda t: t.pass_build("S1g")),
        lambda t: (t.left("S1f"), t.queue("fast acceptance")),
        (("superseded", "S1g"), ["S1g"]),
        "any between are superseded by the newest",
    ),
    row(
        "F6",
        lambda: doing(
            locked_by("S1", "S2"),
            lambda t: t.merge("S1", "e"),
            lambda t: t.pass_build("S1e"),
            lambda t: t.pass_build("S1e"),
            lambda t: t.merge("S1", "f"),
            lambda t: t.pass_build("S1f"),
            lambda t: t.merge("S2", "e"),
            lambda t: t.pass_build("S2e"),
        ),
        lambda t: (t.queue("fast acceptance"), t.runs_in("fast acceptance")),
        (["S1f"], ["S2e"]),
        "who waits behind its own fix holds up nobody else's",
    ),
]
F7 = [
    row(
        "F7",
        lambda: doing(fixing(2), lambda t: t.quiet(), lambda t: t.fail_build("S1e")),
        lambda t: (t.locks(), t.on_fast_lane(), [mail.topic for mail in t.did(Notify)]),
        (["S1a"], ["S1e"], ["fix-failed"]),
        "lock and lane stay, people are told",
    ),
    row(
        "F7",
        lambda: doing(two_fixes(1), lambda t: t.fail_build("S1e")),
        lambda t: t.runs_in("fast acceptance"),
        ["S1f"],
        "the waiting newer fix goes on at once",
    ),
    row(
        "F7",
        lambda: doing(fixing(1), lambda t: t.fail_build("S1e"), lambda t: t.merge("S1", "f")),
        lambda t: (t.on_fast_lane(), t.at("S1f")),
        (["S1e", "S1f"], "build"),
        "the next merge starts another",
    ),
    row(
        "F7",
        lambda: doing(fixing(1), lambda t: t.fail_build("S1e"), lambda t: t.retry("S1e")),
        lambda t: t.runs_in("fast acceptance"),
        ["S1e"],
        "a failed fix can be retried without a commit",
    ),
    row(
        "F7",
        lambda: doing(fixing(3), lambda t: t.fail_build("S1e")),
        lambda t: t.locks(),
        ["S1a", "S1e"],
        "failing in the real stage, it holds a lock of its own",
    ),
    row(
        "F7",
        lambda: doing(
            fixing(3), lambda t: t.fail_build("S1e"), lambda t: t.merge("S1", "f"), lambda t: t.pass_fix("S1f")
        ),
        lambda t: (t.locks(), t.left("S1e"), t.left("S1a")),
        ([], ("superseded", "S1f"), ("superseded", "S1f")),
        "the fix of the fix opens both locks",
    ),
]
F8 = [
    row("F8", lambda: fixing(3), lambda t: t.left("S1b"), None, "not before it has passed the stage that locks"),
    row("F8", lambda: fixing(4), lambda t: t.left("S1b"), ("superseded", "S1e"), "contained: dropped from the queue"),
    row(
        "F8",
        lambda: doing(fixing(3), lambda t: t.merge("S1", "later"), lambda t: t.pass_build("S1e")),
        lambda t: t.left("S1later"),
        None,
        "a later commit is not contained",
    ),
    row(
        "F8",
        lambda: doing(rolling_out(), lambda t: t.merge("S1", "e"), lambda t: t.pass_fix("S1e")),
        lambda t: (str(t.status("S1x")), t.did(Withdraw)),
        ("running", []),
        "rolling out beyond: half a roll-out is worse than an old one",
    ),
    row(
        "F8",
        with_a_gap,
        lambda t: (t.left("S1b"), t.locks(), sorted(q.base for q in t.github.questions)),
        (None, [], ["S1b"]),
        "the chain has a gap: kept, and GitHub is asked",
    ),
    row(
        "F8",
        lambda: doing(with_a_gap(), lambda t: t.answer_questions()),
        lambda t: (t.left("S1b"), t.locks()),
        (("superseded", "S1f"), []),
        "GitHub has given the proof",
    ),
    row(
        "F8",
        lambda: doing(
            fixing(3),
            lambda t: t.merge_up_to("S1", "g", "acceptance"),
            lambda t: t.start_build("S1e"),
        ),
        lambda t: t.on_fast_lane(),
        ["S1e", "S1g"],
        "a merge between roll-out and unlock is a fix like any other",
    ),
]
F9 = [
    row(
        "F9",
        lambda: fixing(4),
        lambda t: (t.locks(), t.runs_in("pre-production")),
        ([], ["S2a"]),
        "the next enters at once",
    ),
    row(
        "F9",
        lambda: doing(fixing(3), lambda t: t.lock("pre-production", let_fixes_in=True), lambda t: t.pass_build("S1e")),
        lambda t: (t.locks(), t.queue("pre-production")),
        (["ann"], ["S2a"]),
        "another lock keeps the stage closed",
    ),
    row(
        "F9",
        lambda: doing(broken(), lambda t: t.unlock("pre-production")),
        lambda t: (t.left("S1a"), t.runs_in("pre-production")),
        (("failed", None), ["S2a"]),
        "unlocked by a person: the holder ends, the next enters",
    ),
]
F10 = [
    row(
        "F10",
        lambda: doing(
            broken(),
            lambda t: t.merge_up_to("S3", "a", "acceptance"),
            lambda t: t.merge("S1", "e"),
            lambda t: t.pass_fix("S1e"),
        ),
        lambda t: (t.at("S3a"), t.run("S3a").attempt.number, t.did(Withdraw, of="S3a")),
        ("acceptance", 2, []),
        "builds of others go on",
    ),
    row("F10", lambda: fixing(3), lambda t: t.queue("pre-production"), ["S1b", "S2a"], "places of others stay"),
]
F11 = [
    row(
        "F11",
        lambda: doing(overtaken_in_acceptance(), lambda t: t.pass_build("S1b"), lambda t: t.pass_build("S1a")),
        lambda t: t.left("S1a"),
        ("superseded", "S1b"),
        "a run that contains it has passed",
    ),
    row(
        "F11",
        lambda: doing(overtaken_in_acceptance(), lambda t: t.pass_build("S1a")),
        lambda t: (t.left("S1a"), t.queue("pre-production")),
        (None, ["S1a"]),
        "the door is closed: nobody is looked at yet",
    ),
    row(
        "F11",
        lambda: doing(
            overtaken_in_acceptance(),
            lambda t: t.fail_build("S1b"),
            lambda t: t.unlock("pre-production"),
            lambda t: t.pass_build("S1a"),
        ),
        lambda t: (t.left("S1a"), t.runs_in("pre-production")),
        (("superseded", None), []),
        "the run that contains it has been there, though it failed",
    ),
    row(
        "F11",
        lambda: doing(
            Town(),
            lambda t: t.merge_up_to("S1", "a", "acceptance"),
            lambda t: t.push("S1", "lost"),
            lambda t: t.merge_up_to("S1", "c", "acceptance"),
            lambda t: t.pass_build("S1c"),
            lambda t: t.pass_build("S1c"),
            lambda t: t.pass_build("S1a"),
            lambda t: t.merge_up_to("S2", "a", "pre-production"),
        ),
        lambda t: (t.says("S1a"), t.runs_in("pre-production")),
        ("Interlock is asking GitHub whether S1c, already further, contains it", ["S2a"]),
        "not known: it waits, other services pass it",
    ),
]
F12 = [
    row(
        "F12",
        lambda: doing(two_fixes(1), lambda t: t.retry("S1a"), lambda t: t.pass_build("S1a")),
        lambda t: (t.on_fast_lane(), t.at("S1f")),
        ([], "acceptance"),
        "the last lock is open: not yet in a real stage, they join the main lane",
    ),
    row(
        "F12",
        lambda: doing(fixing(2), lambda t: t.unlock("pre-production"), lambda t: t.pass_build("S1e")),
        lambda t: (t.queue("pre-production"), t.on_fast_lane()),
        (["S1e", "S1b"], []),
        "fast jobs passed count; it joins the tail of the real queue",
    ),
    row("F12", lambda: fixing(4), on_lane, ["S1e"], "the run that opened the lock stays fast to production"),
    row(
        "F12",
        lambda: doing(
            Town(shop(production_locks=True)),
            lambda t: t.break_stage("S1", "a"),
            lambda t: t.unlock("pre-production"),
            lambda t: t.break_stage("S2", "a", "production"),
            lambda t: t.break_stage("S1", "b"),
            lambda t: t.merge("S1", "e"),
            lambda t: t.pass_fix("S1e"),
        ),
        lambda t: (t.on_fast_lane(), t.queue("production"), t.runs_in("production")),
        (["S1e"], ["S1e"], []),
        "but it passes nobody else's lock",
    ),
    row(
        "F12",
        lambda: doing(fixing(1), lambda t: t.unlock("pre-production"), lambda t: t.refuse_trigger("S1e")),
        lambda t: (t.at("S1e"), t.queue("fast acceptance")),
        ("acceptance", []),
        "whose fast job did not start takes the real stage",
    ),
    row(
        "F12",
        lambda: doing(fixing(1), lambda t: t.fail_build("S1e"), lambda t: t.unlock("pre-production")),
        lambda t: (t.left("S1e"), t.locks()),
        (("failed", None), []),
        "a failed fix waits for its retry only as long as the lane is open",
    ),
]
TABLE = F1 + F2 + F3 + F4 + F5 + F6 + F7 + F8 + F9 + F10 + F11 + F12


@pytest.mark.parametrize("line", TABLE)
def test_the_fast_lane(line: Row) -> None:
    assert line.see(line.situation()) == line.decision


def test_every_rule_has_its_rows() -> None:
    assert {param.values[0].rule for param in TABLE} == {f"F{number}" for number in range(1, 13)}


def test_the_fast_lane_triggers_nothing_while_paused() -> None:
    town = fixing(0)
    town.mode(Mode.PAUSE)
    town.quiet()
    town.end_build("S1e", Outcome.SUCCESS)
    assert not town.did(Trigger)
    assert town.says("S1e") == "the pipeline is paused by ann: because"


def test_a_head_that_a_person_sends_on_the_fast_lane_anew_says_who_asked_and_why() -> None:
    town = Town(shop())
    town.merge("S1", "a")
    town.cancel("S1a")
    town.end_build("S1a", Outcome.ABORTED)
    town.quiet()
    town.fast_lane("S1", "pre-production")
    assert [text_of(fact.why) for fact in town.facts if fact.kind is FactKind.RUN_QUEUED] == [
        "S1 S1a starts on the fast lane: ann: urgent"
    ]
