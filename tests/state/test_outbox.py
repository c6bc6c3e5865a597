"""The outbox: each effect is one performer's at a time, is done, postponed, replaced or given up, never lost."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from bot.core.model.effects import Banner, Effect, Look, Notify, SetStatus, Trigger
from bot.core.model.events import TakenOut, TimePassed
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job, Lane, Track
from bot.core.model.stage_messages import WrittenNotice
from bot.store.codec import load_event
from bot.store.outbox import DEAD_KEPT, Claim, Outbox
from bot.store.store import Outdated
from tests.state.conftest import NOTHING, StoredPipeline
from tests.texts import lock_for, retried

JOB = Job("cdp", "shop/pre-production")


def status(text: str) -> SetStatus:
    return SetStatus("shop/s1", "a" * 40, "build", "pending", Verbatim(text), "S1.1")


def look(number: int) -> Look:
    return Look(JOB, number)


def trigger(attempt: int = 1) -> Trigger:
    return Trigger("S1.1", "build", Track.REAL, attempt, JOB, "S1", "shop/s1", "a" * 40, Lane.MAIN, "S1-1")


def claim(pipeline: StoredPipeline, family: str = "jenkins", limit: int = 9) -> Claim:
    found, _ = pipeline.outbox.claim(family, limit=limit)
    assert found is not None, "nothing to claim"
    return found


def nothing_due(pipeline: StoredPipeline, family: str = "jenkins") -> bool:
    return pipeline.outbox.claim(family, limit=9) == (None, False)


@pytest.fixture
def short_hold(pipeline: StoredPipeline) -> None:
    pipeline.outbox = Outbox(pipeline.redis, pipeline.keys, claim_ms=30)


def wait_for_the_hold_to_end() -> None:
    time.sleep(0.05)


# -- claiming --------------------------------------------------------------------------------------------------


def test_an_effect_is_claimed_by_one_performer(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    assert claim(pipeline).effect == look(1)
    assert nothing_due(pipeline)


def commit_wishing_for(
    pipeline: StoredPipeline, *effects: Effect
) -> tuple[int, tuple[Claim | None, bool], Claim | None]:
    """Commit these effects and wish for one of Jenkins: how many deliveries come next, and what was claimed; and what
    another performer gets that comes right after."""
    entries = pipeline.store.begin("me")[:1]
    wanted = pipeline.outbox.claim_request("jenkins", limit=1)
    following, answer = pipeline.store.commit_and_claim("me", entries, replace(NOTHING, effects=list(effects)), wanted)
    return len(following), pipeline.outbox.claimed("jenkins", answer, 0.0), pipeline.outbox.claim("jenkins", limit=9)[0]


def test_a_commit_claims_what_is_wished_for_in_the_same_step(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    following, (mine, more), others = commit_wishing_for(pipeline, look(1), look(2))
    assert mine is not None
    assert others is not None
    assert [mine.effect, others.effect] == [look(1), look(2)]
    assert (following, more) == (0, True)
    pipeline.outbox.finish(mine)
    assert pipeline.outbox.size() == 1


def test_a_commit_that_deliveries_follow_claims_nothing(pipeline: StoredPipeline) -> None:
    pipeline.accept()
    pipeline.accept()
    following, mine, others = commit_wishing_for(pipeline, look(1))
    assert (following, mine) == (1, (None, False))
    assert others is not None
    assert others.effect == look(1)


def test_a_commit_claims_nothing_beyond_the_limit(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    assert claim(pipeline).effect == look(1)
    pipeline.accept()
    _, mine, _ = commit_wishing_for(pipeline, look(2))
    assert mine == (None, False)


def test_a_refused_commit_claims_nothing(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.accept()
    late = pipeline.another()
    entries = late.begin("late")
    pipeline.redis.delete(pipeline.keys.lease)
    pipeline.turn()
    with pytest.raises(Outdated):
        late.commit_and_claim("late", entries, NOTHING, pipeline.outbox.claim_request("jenkins", limit=9))
    assert claim(pipeline).tries == 0


def test_many_performers_at_once_get_different_effects(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=tuple(look(n) for n in range(40)))
    got: list[Effect] = []

    def perform() -> None:
        while (found := pipeline.outbox.claim("jenkins", limit=99)[0]) is not None:
            got.append(found.effect)

    threads = [threading.Thread(target=perform) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(e.slot for e in got) == sorted(look(n).slot for n in range(40))


def test_never_more_of_a_family_are_under_way_than_its_limit(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=tuple(look(n) for n in range(5)))
    first, _ = pipeline.outbox.claim("jenkins", limit=2)
    second, _ = pipeline.outbox.claim("jenkins", limit=2)
    assert first is not None
    assert second is not None
    assert pipeline.outbox.claim("jenkins", limit=2)[0] is None
    pipeline.outbox.finish(first)
    assert pipeline.outbox.claim("jenkins", limit=2)[0] is not None


def test_a_family_that_hangs_does_not_hold_up_another(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1), status("a"), Notify("locked", "s", WrittenNotice("s", "t"), "k")))
    claim(pipeline, "jenkins", limit=1)
    assert claim(pipeline, "github", limit=1).effect == status("a")
    assert isinstance(claim(pipeline, "people", limit=1).effect, Notify)


def test_who_claims_is_told_whether_more_is_due(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1), look(2)))
    assert pipeline.outbox.claim("jenkins", limit=9)[1] is True
    assert pipeline.outbox.claim("jenkins", limit=9)[1] is False


def test_a_banner_waits_a_moment_behind_builds(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(Banner(JOB, "pre-production", (lock_for("it failed", "S1.1", 1.0),)), look(1)))
    time.sleep(0.005)
    assert [claim(pipeline).effect.kind for _ in range(2)] == ["look", "banner"]


@pytest.mark.usefixtures("short_hold")
def test_a_claim_that_was_held_too_long_goes_to_another_who_knows_it_was_tried(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    assert claim(pipeline).tries == 0
    wait_for_the_hold_to_end()
    assert claim(pipeline).tries == 1


# -- renewing --------------------------------------------------------------------------------------------------


def test_a_hold_can_be_renewed_and_then_lasts_longer(pipeline: StoredPipeline) -> None:
    pipeline.outbox = Outbox(pipeline.redis, pipeline.keys, claim_ms=100)
    pipeline.turn(effects=(look(1),))
    mine = claim(pipeline)
    time.sleep(0.06)
    renewed = pipeline.outbox.renew(mine)
    assert renewed is not None
    assert renewed.claimed_until > mine.claimed_until
    time.sleep(0.06)
    assert nothing_due(pipeline)


@pytest.mark.usefixtures("short_hold")
def test_a_hold_that_went_to_another_cannot_be_renewed(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    mine = claim(pipeline)
    wait_for_the_hold_to_end()
    theirs = claim(pipeline)
    assert pipeline.outbox.renew(mine) is None
    assert pipeline.outbox.renew(theirs) is not None


@pytest.mark.usefixtures("short_hold")
def test_a_hold_that_ended_cannot_be_renewed_once_somebody_looked(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1), look(2)))
    mine = claim(pipeline)
    wait_for_the_hold_to_end()
    claim(pipeline)
    claim(pipeline)
    assert pipeline.outbox.renew(mine) is None


def test_what_is_done_or_replaced_cannot_be_renewed(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1), status("old")))
    done, old = claim(pipeline), claim(pipeline, "github")
    pipeline.outbox.finish(done)
    pipeline.turn(effects=(status("new"),))
    assert pipeline.outbox.renew(done) is None
    assert pipeline.outbox.renew(old) is None


# -- one slot --------------------------------------------------------------------------------------------------


def test_a_newer_effect_replaces_one_that_has_not_gone_out(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(status("old"),))
    pipeline.turn(effects=(status("new"),))
    assert claim(pipeline, "github").effect == status("new")
    assert nothing_due(pipeline, "github")


def test_a_newer_effect_waits_until_the_older_in_its_slot_is_out_of_hands_and_is_due_at_once_then(
    pipeline: StoredPipeline,
) -> None:
    """Else the older one, still on its way, could arrive after it: a banner that stays, a status that is wrong."""
    pipeline.turn(effects=(status("old"),))
    old = claim(pipeline, "github")
    pipeline.turn(effects=(status("new"),))
    assert pipeline.outbox.claim("github", limit=9)[0] is None
    pipeline.outbox.finish(old)
    assert claim(pipeline, "github").effect == status("new")


@pytest.mark.usefixtures("short_hold")
def test_a_newer_effect_goes_out_even_if_the_performer_of_the_older_is_gone(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(status("old"),))
    claim(pipeline, "github")
    pipeline.turn(effects=(status("new"),))
    wait_for_the_hold_to_end()
    assert claim(pipeline, "github").effect == status("new")


def test_effects_in_hands_do_not_hide_others_that_are_due(pipeline: StoredPipeline) -> None:
    held = tuple(SetStatus("shop/s1", "a" * 40, f"s{n}", "pending", Verbatim("old"), "S1.1") for n in range(3))
    pipeline.turn(effects=held)
    for _ in held:
        claim(pipeline, "github")
    newer = tuple(SetStatus("shop/s1", "a" * 40, f"s{n}", "success", Verbatim("new"), "S1.1") for n in range(3))
    pipeline.turn(effects=newer)
    pipeline.turn(effects=(status("another"),))
    assert claim(pipeline, "github").effect == status("another")


def test_postponing_or_giving_up_the_older_lets_the_newer_go_at_once(pipeline: StoredPipeline) -> None:
    for number, end in enumerate((pipeline.outbox.postpone, lambda c, _: pipeline.outbox.give_up(c, "no", 1.0))):
        pipeline.turn(effects=(status(f"old {number}"),))
        old = claim(pipeline, "github")
        pipeline.turn(effects=(status(f"new {number}"),))
        end(old, 60)
        new = claim(pipeline, "github")
        assert (new.effect, new.tries) == (status(f"new {number}"), 0)
        pipeline.outbox.finish(new)
    assert pipeline.outbox.dead_letters() == []


# -- the ends --------------------------------------------------------------------------------------------------


def test_what_is_done_is_gone_and_its_event_is_in_the_inbox(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    assert pipeline.outbox.finish(claim(pipeline), TimePassed()) is True
    assert pipeline.outbox.size() == 0
    assert nothing_due(pipeline)
    (entry,) = pipeline.waiting()
    assert entry.body == b'{"kind":"time-passed"}'
    assert pipeline.inbox.tick(TimePassed()) == 1


def test_finishing_without_an_event_asks_for_no_turn(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    assert pipeline.outbox.finish(claim(pipeline)) is False
    assert pipeline.waiting() == []


def test_finishing_wakes_up_only_if_no_wake_up_is_pending(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.accept()
    assert pipeline.outbox.finish(claim(pipeline), TimePassed()) is False
    assert len(pipeline.waiting()) == 2


def test_what_is_postponed_is_due_later_and_counts_its_tries(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.outbox.postpone(claim(pipeline), 0.05)
    assert nothing_due(pipeline)
    time.sleep(0.07)
    again = claim(pipeline)
    assert (again.effect, again.tries) == (look(1), 1)


def test_what_was_given_up_waits_for_a_person_with_the_reason(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.outbox.postpone(claim(pipeline), 0)
    pipeline.outbox.give_up(claim(pipeline), "Jenkins answers 403", 99.0)
    (letter,) = pipeline.outbox.dead_letters()
    assert (letter.effect, letter.error, letter.at, letter.tries) == (look(1), "Jenkins answers 403", 99.0, 2)
    assert nothing_due(pipeline)
    assert pipeline.outbox.size() == 0


def test_a_dead_letter_that_is_revived_is_due_at_once_as_if_new(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.outbox.give_up(claim(pipeline), "no", 1.0)
    assert pipeline.outbox.take_out(retried(look(1).slot)) is True
    assert pipeline.outbox.dead_letters() == []
    again = claim(pipeline)
    assert (again.effect, again.tries) == (look(1), 0)
    assert pipeline.outbox.take_out(retried(look(1).slot)) is None


@pytest.mark.parametrize("again", [True, False])
def test_whoever_takes_a_dead_letter_out_is_on_record_in_the_same_step(pipeline: StoredPipeline, again: bool) -> None:
    pipeline.turn(effects=(look(1),))
    pipeline.outbox.give_up(claim(pipeline), "no", 1.0)
    asked = TakenOut("dead-letter", look(1).slot, again, "ann", "mended")
    assert pipeline.outbox.take_out(replace(asked, name="look/none")) is None
    assert pipeline.outbox.take_out(asked) is True
    assert pipeline.outbox.take_out(asked) is None, "somebody else was faster"
    assert [load_event(each.body) for each in pipeline.waiting()] == [asked]
    assert pipeline.outbox.has(look(1).slot) is again


def test_a_newer_effect_wins_over_a_dead_letter_that_is_revived(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(status("old"),))
    pipeline.outbox.give_up(claim(pipeline, "github"), "no", 1.0)
    pipeline.turn(effects=(status("new"),))
    pipeline.outbox.take_out(retried(status("old").slot))
    assert claim(pipeline, "github").effect == status("new")


def test_dead_letters_are_listed_newest_first_and_are_bounded(pipeline: StoredPipeline) -> None:
    with pipeline.redis.pipeline(transaction=False) as pipe:
        pipeline.turn(effects=tuple(look(n) for n in range(3)))
        first = claim(pipeline)
        pipeline.outbox.give_up(first, "first", 0.5)
        text = pipeline.redis.hget(pipeline.keys.dead_letters, first.effect.slot)
        for number in range(DEAD_KEPT):
            pipe.hset(pipeline.keys.dead_letters, f"look/x/{number}", text)
        pipe.execute()
    pipeline.outbox.give_up(claim(pipeline), "second", 2.0)
    pipeline.outbox.give_up(claim(pipeline), "third", 3.0)
    assert [letter.error for letter in pipeline.outbox.dead_letters(limit=2)] == ["third", "second"]
    assert pipeline.redis.hlen(pipeline.keys.dead_letters) <= DEAD_KEPT


def test_only_the_dead_letters_that_are_asked_for_are_decoded(pipeline: StoredPipeline) -> None:
    """An older one that this version cannot read any more hides no newer one."""
    pipeline.turn(effects=(look(1),))
    pipeline.outbox.give_up(claim(pipeline), "no", 2.0)
    unreadable = json.dumps({"effect": {"kind": "gone"}, "error": "old", "at": 1.0, "tries": 1, "revision": "1"})
    pipeline.redis.hset(pipeline.keys.dead_letters, "gone/1", unreadable)
    assert [letter.error for letter in pipeline.outbox.dead_letters(limit=1)] == ["no"]


# -- taking back -----------------------------------------------------------------------------------------------


def test_an_effect_that_nobody_has_begun_can_be_taken_back(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(trigger(),))
    assert pipeline.outbox.unsend("jenkins", trigger().slot) == "taken-back"
    assert nothing_due(pipeline)
    assert pipeline.outbox.unsend("jenkins", trigger().slot) == "absent"


def test_an_effect_that_is_under_way_cannot_be_taken_back(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(trigger(),))
    claim(pipeline)
    assert pipeline.outbox.unsend("jenkins", trigger().slot) == "begun"


@pytest.mark.usefixtures("short_hold")
def test_an_effect_whose_performer_died_cannot_be_taken_back_for_it_may_have_gone_out(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(trigger(),))
    claim(pipeline)
    wait_for_the_hold_to_end()
    assert pipeline.outbox.unsend("jenkins", trigger().slot) == "begun"


def test_an_effect_that_was_tried_before_cannot_be_taken_back(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(trigger(),))
    pipeline.outbox.postpone(claim(pipeline), 60)
    assert pipeline.outbox.unsend("jenkins", trigger().slot) == "begun"


def test_the_sweeper_sees_what_is_due_but_not_what_is_in_hands(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(look(1), look(2)))
    claim(pipeline)
    time.sleep(0.003)
    assert pipeline.outbox.due("jenkins") == 1
    assert pipeline.outbox.due("github") == 0


def test_who_finds_that_a_newer_effect_has_taken_its_slot_leaves_it_to_others_at_once(pipeline: StoredPipeline) -> None:
    pipeline.turn(effects=(status("old"),))
    old = claim(pipeline, "github")
    pipeline.turn(effects=(status("new"),))
    assert pipeline.outbox.claim("github", limit=9)[0] is None, "the older one may still be on its way"
    assert pipeline.outbox.renew(old) is None
    newer = claim(pipeline, "github").effect
    assert isinstance(newer, SetStatus)
    assert newer.description == Verbatim("new")


def test_what_was_given_up_is_forgotten_when_something_newer_takes_its_slot(pipeline: StoredPipeline) -> None:
    """Else another try would put the old state over the new one."""
    pipeline.turn(effects=(status("pending"),))
    given = claim(pipeline, "github")
    pipeline.outbox.give_up(given, "503", 1.0)
    assert len(pipeline.outbox.dead_letters()) == 1
    pipeline.turn(effects=(status("success"),))
    assert pipeline.outbox.dead_letters() == []
    assert pipeline.outbox.take_out(retried(given.effect.slot)) is None
