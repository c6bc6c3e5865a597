"""The outbox: each effect is one performer's at a time, is done, postponed, replaced or given up, never lost."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from bot.core.model.effects import Banner, Effect, LockShown, Look, Notify, SetStatus, Trigger
from bot.core.model.events import TimePassed
from bot.core.model.pipeline import Job, Lane, Track
from bot.store import outbox as outbox_module
from bot.store.outbox import DEAD_KEPT, Claim
from bot.store.store import Outdated
from tests.state.conftest import NOTHING, PipelineContext

JOB = Job("cdp", "shop/pre-production")


def status(text: str) -> SetStatus:
    return SetStatus("shop/s1", "a" * 40, "build", "pending", text, "S1.1")


def look(number: int) -> Look:
    return Look(JOB, number)


def trigger(attempt: int = 1) -> Trigger:
    return Trigger("S1.1", "build", Track.REAL, attempt, JOB, "S1", "shop/s1", "a" * 40, Lane.MAIN, "S1-1")


def claim(line: PipelineContext, family: str = "jenkins", limit: int = 9) -> Claim:
    found, _ = line.outbox.claim(family, limit=limit)
    assert found is not None, "nothing to claim"
    return found


def nothing_due(line: PipelineContext, family: str = "jenkins") -> bool:
    return line.outbox.claim(family, limit=9) == (None, False)


@pytest.fixture
def short_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "HOLD_MS", 30)


def wait_for_the_hold_to_end() -> None:
    time.sleep(0.05)


# -- claiming --------------------------------------------------------------------------------------------------


def test_an_effect_is_claimed_by_one_performer(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    assert claim(line).effect == look(1)
    assert nothing_due(line)


def commit_wishing_for(line: PipelineContext, *effects: Effect) -> tuple[int, tuple[Claim | None, bool], Claim | None]:
    """Commit these effects and wish for one of Jenkins: how many deliveries come next, and what was claimed; and what
    another performer gets that comes right after."""
    entries = line.store.begin("me")[:1]
    wanted = line.outbox.wanted("jenkins", limit=1)
    following, answer = line.store.commit_and_claim("me", entries, replace(NOTHING, effects=list(effects)), wanted)
    return len(following), line.outbox.claimed("jenkins", answer, 0.0), line.outbox.claim("jenkins", limit=9)[0]


def test_a_commit_claims_what_is_wished_for_in_the_same_step(line: PipelineContext) -> None:
    line.accept()
    following, (mine, more), others = commit_wishing_for(line, look(1), look(2))
    assert mine is not None
    assert others is not None
    assert [mine.effect, others.effect] == [look(1), look(2)]
    assert (following, more) == (0, True)
    line.outbox.finish(mine)
    assert line.outbox.size() == 1


def test_a_commit_that_deliveries_follow_claims_nothing(line: PipelineContext) -> None:
    line.accept()
    line.accept()
    following, mine, others = commit_wishing_for(line, look(1))
    assert (following, mine) == (1, (None, False))
    assert others is not None
    assert others.effect == look(1)


def test_a_commit_claims_nothing_beyond_the_limit(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    assert claim(line).effect == look(1)
    line.accept()
    _, mine, _ = commit_wishing_for(line, look(2))
    assert mine == (None, False)


def test_a_refused_commit_claims_nothing(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    line.accept()
    late = line.another()
    entries = late.begin("late")
    line.redis.delete(line.keys.lease)
    line.turn()
    with pytest.raises(Outdated):
        late.commit_and_claim("late", entries, NOTHING, line.outbox.wanted("jenkins", limit=9))
    assert claim(line).tries == 0


def test_many_performers_at_once_get_different_effects(line: PipelineContext) -> None:
    line.turn(effects=tuple(look(n) for n in range(40)))
    got: list[Effect] = []

    def perform() -> None:
        while (found := line.outbox.claim("jenkins", limit=99)[0]) is not None:
            got.append(found.effect)

    threads = [threading.Thread(target=perform) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(e.slot for e in got) == sorted(look(n).slot for n in range(40))


def test_never_more_of_a_family_are_under_way_than_its_limit(line: PipelineContext) -> None:
    line.turn(effects=tuple(look(n) for n in range(5)))
    first, _ = line.outbox.claim("jenkins", limit=2)
    second, _ = line.outbox.claim("jenkins", limit=2)
    assert first is not None
    assert second is not None
    assert line.outbox.claim("jenkins", limit=2)[0] is None
    line.outbox.finish(first)
    assert line.outbox.claim("jenkins", limit=2)[0] is not None


def test_a_family_that_hangs_does_not_hold_up_another(line: PipelineContext) -> None:
    line.turn(effects=(look(1), status("a"), Notify("locked", "s", "s", "t", "k")))
    claim(line, "jenkins", limit=1)
    assert claim(line, "github", limit=1).effect == status("a")
    assert isinstance(claim(line, "people", limit=1).effect, Notify)


def test_who_claims_is_told_whether_more_is_due(line: PipelineContext) -> None:
    line.turn(effects=(look(1), look(2)))
    assert line.outbox.claim("jenkins", limit=9)[1] is True
    assert line.outbox.claim("jenkins", limit=9)[1] is False


def test_a_banner_waits_a_moment_behind_builds(line: PipelineContext) -> None:
    line.turn(effects=(Banner(JOB, "pre-production", (LockShown("it failed", "S1.1", 1.0),)), look(1)))
    time.sleep(0.005)
    assert [claim(line).effect.kind for _ in range(2)] == ["look", "banner"]


@pytest.mark.usefixtures("short_hold")
def test_a_claim_that_was_held_too_long_goes_to_another_who_knows_it_was_tried(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    assert claim(line).tries == 0
    wait_for_the_hold_to_end()
    assert claim(line).tries == 1


# -- renewing --------------------------------------------------------------------------------------------------


def test_a_hold_can_be_renewed_and_then_lasts_longer(line: PipelineContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "HOLD_MS", 100)
    line.turn(effects=(look(1),))
    mine = claim(line)
    time.sleep(0.06)
    renewed = line.outbox.renew(mine)
    assert renewed is not None
    assert renewed.held_until > mine.held_until
    time.sleep(0.06)
    assert nothing_due(line)


@pytest.mark.usefixtures("short_hold")
def test_a_hold_that_went_to_another_cannot_be_renewed(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    mine = claim(line)
    wait_for_the_hold_to_end()
    theirs = claim(line)
    assert line.outbox.renew(mine) is None
    assert line.outbox.renew(theirs) is not None


@pytest.mark.usefixtures("short_hold")
def test_a_hold_that_ended_cannot_be_renewed_once_somebody_looked(line: PipelineContext) -> None:
    line.turn(effects=(look(1), look(2)))
    mine = claim(line)
    wait_for_the_hold_to_end()
    claim(line)
    claim(line)
    assert line.outbox.renew(mine) is None


def test_what_is_done_or_replaced_cannot_be_renewed(line: PipelineContext) -> None:
    line.turn(effects=(look(1), status("old")))
    done, old = claim(line), claim(line, "github")
    line.outbox.finish(done)
    line.turn(effects=(status("new"),))
    assert line.outbox.renew(done) is None
    assert line.outbox.renew(old) is None


# -- one slot --------------------------------------------------------------------------------------------------


def test_a_newer_effect_replaces_one_that_has_not_gone_out(line: PipelineContext) -> None:
    line.turn(effects=(status("old"),))
    line.turn(effects=(status("new"),))
    assert claim(line, "github").effect == status("new")
    assert nothing_due(line, "github")


def test_a_newer_effect_survives_the_end_of_the_older_and_is_due_at_once(line: PipelineContext) -> None:
    line.turn(effects=(status("old"),))
    old = claim(line, "github")
    line.turn(effects=(status("new"),))
    line.outbox.finish(old)
    assert claim(line, "github").effect == status("new")


def test_a_newer_effect_waits_until_the_older_in_its_slot_is_out_of_hands(line: PipelineContext) -> None:
    """Else the older one, still on its way, could arrive after it: a banner that stays, a status that is wrong."""
    line.turn(effects=(status("old"),))
    old = claim(line, "github")
    line.turn(effects=(status("new"),))
    assert line.outbox.claim("github", limit=9)[0] is None
    line.outbox.finish(old)
    assert claim(line, "github").effect == status("new")


@pytest.mark.usefixtures("short_hold")
def test_a_newer_effect_goes_out_even_if_the_performer_of_the_older_is_gone(line: PipelineContext) -> None:
    line.turn(effects=(status("old"),))
    claim(line, "github")
    line.turn(effects=(status("new"),))
    wait_for_the_hold_to_end()
    assert claim(line, "github").effect == status("new")


def test_effects_in_hands_do_not_hide_others_that_are_due(line: PipelineContext) -> None:
    held = tuple(SetStatus("shop/s1", "a" * 40, f"s{n}", "pending", "old", "S1.1") for n in range(3))
    line.turn(effects=held)
    for _ in held:
        claim(line, "github")
    newer = tuple(SetStatus("shop/s1", "a" * 40, f"s{n}", "success", "new", "S1.1") for n in range(3))
    line.turn(effects=newer)
    line.turn(effects=(status("another"),))
    assert claim(line, "github").effect == status("another")


def test_postponing_or_giving_up_the_older_lets_the_newer_go_at_once(line: PipelineContext) -> None:
    for number, end in enumerate((line.outbox.postpone, lambda c, _: line.outbox.give_up(c, "no", 1.0))):
        line.turn(effects=(status(f"old {number}"),))
        old = claim(line, "github")
        line.turn(effects=(status(f"new {number}"),))
        end(old, 60)
        new = claim(line, "github")
        assert (new.effect, new.tries) == (status(f"new {number}"), 0)
        line.outbox.finish(new)
    assert line.outbox.dead_letters() == []


# -- the ends --------------------------------------------------------------------------------------------------


def test_what_is_done_is_gone_and_its_event_is_in_the_inbox(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    assert line.outbox.finish(claim(line), TimePassed()) is True
    assert line.outbox.size() == 0
    assert nothing_due(line)
    (entry,) = line.waiting()
    assert entry.body == b'{"kind":"time-passed"}'
    assert line.inbox.tick(TimePassed()) == 1


def test_finishing_without_an_event_asks_for_no_turn(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    assert line.outbox.finish(claim(line)) is False
    assert line.waiting() == []


def test_finishing_pokes_only_if_no_poke_is_pending(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    line.accept()
    assert line.outbox.finish(claim(line), TimePassed()) is False
    assert len(line.waiting()) == 2


def test_what_is_postponed_is_due_later_and_counts_its_tries(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    line.outbox.postpone(claim(line), 0.05)
    assert nothing_due(line)
    time.sleep(0.07)
    again = claim(line)
    assert (again.effect, again.tries) == (look(1), 1)


def test_what_was_given_up_waits_for_a_person_with_the_reason(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    line.outbox.postpone(claim(line), 0)
    line.outbox.give_up(claim(line), "Jenkins answers 403", 99.0)
    (letter,) = line.outbox.dead_letters()
    assert (letter.effect, letter.error, letter.at, letter.tries) == (look(1), "Jenkins answers 403", 99.0, 2)
    assert nothing_due(line)
    assert line.outbox.size() == 0


def test_a_dead_letter_that_is_revived_is_due_at_once_as_if_new(line: PipelineContext) -> None:
    line.turn(effects=(look(1),))
    line.outbox.give_up(claim(line), "no", 1.0)
    assert line.outbox.revive(look(1).slot) is True
    assert line.outbox.dead_letters() == []
    again = claim(line)
    assert (again.effect, again.tries) == (look(1), 0)
    assert line.outbox.revive(look(1).slot) is False


def test_a_newer_effect_wins_over_a_dead_letter_that_is_revived(line: PipelineContext) -> None:
    line.turn(effects=(status("old"),))
    line.outbox.give_up(claim(line, "github"), "no", 1.0)
    line.turn(effects=(status("new"),))
    line.outbox.revive(status("old").slot)
    assert claim(line, "github").effect == status("new")


def test_dead_letters_are_listed_newest_first_and_are_bounded(line: PipelineContext) -> None:
    with line.redis.pipeline(transaction=False) as pipe:
        line.turn(effects=tuple(look(n) for n in range(3)))
        first = claim(line)
        line.outbox.give_up(first, "first", 0.5)
        text = line.redis.hget(line.keys.dead, first.effect.slot)
        for number in range(DEAD_KEPT):
            pipe.hset(line.keys.dead, f"look/x/{number}", text)
        pipe.execute()
    line.outbox.give_up(claim(line), "second", 2.0)
    line.outbox.give_up(claim(line), "third", 3.0)
    assert [letter.error for letter in line.outbox.dead_letters(limit=2)] == ["third", "second"]
    assert line.redis.hlen(line.keys.dead) <= DEAD_KEPT


# -- taking back -----------------------------------------------------------------------------------------------


def test_an_effect_that_nobody_has_begun_can_be_taken_back(line: PipelineContext) -> None:
    line.turn(effects=(trigger(),))
    assert line.outbox.unsend("jenkins", trigger().slot) == "taken-back"
    assert nothing_due(line)
    assert line.outbox.unsend("jenkins", trigger().slot) == "absent"


def test_an_effect_that_is_under_way_cannot_be_taken_back(line: PipelineContext) -> None:
    line.turn(effects=(trigger(),))
    claim(line)
    assert line.outbox.unsend("jenkins", trigger().slot) == "begun"


@pytest.mark.usefixtures("short_hold")
def test_an_effect_whose_performer_died_cannot_be_taken_back_for_it_may_have_gone_out(line: PipelineContext) -> None:
    line.turn(effects=(trigger(),))
    claim(line)
    wait_for_the_hold_to_end()
    assert line.outbox.unsend("jenkins", trigger().slot) == "begun"


def test_an_effect_that_was_tried_before_cannot_be_taken_back(line: PipelineContext) -> None:
    line.turn(effects=(trigger(),))
    line.outbox.postpone(claim(line), 60)
    assert line.outbox.unsend("jenkins", trigger().slot) == "begun"


def test_the_sweeper_sees_what_is_due_but_not_what_is_in_hands(line: PipelineContext) -> None:
    line.turn(effects=(look(1), look(2)))
    claim(line)
    time.sleep(0.003)
    assert line.outbox.due("jenkins") == 1
    assert line.outbox.due("github") == 0


def test_who_finds_that_a_newer_effect_has_taken_its_slot_leaves_it_to_others_at_once(line: PipelineContext) -> None:
    line.turn(effects=(status("old"),))
    old = claim(line, "github")
    line.turn(effects=(status("new"),))
    assert line.outbox.claim("github", limit=9)[0] is None, "the older one may still be on its way"
    assert line.outbox.renew(old) is None
    newer = claim(line, "github").effect
    assert isinstance(newer, SetStatus)
    assert newer.description == "new"


def test_what_was_given_up_is_forgotten_when_something_newer_takes_its_slot(line: PipelineContext) -> None:
    """Else another try would put the old state over the new one."""
    line.turn(effects=(status("pending"),))
    given = claim(line, "github")
    line.outbox.give_up(given, "503", 1.0)
    assert len(line.outbox.dead_letters()) == 1
    line.turn(effects=(status("success"),))
    assert line.outbox.dead_letters() == []
    assert not line.outbox.revive(given.effect.slot)
