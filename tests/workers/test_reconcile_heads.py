"""Polling GitHub finds lost pushes: once, cheaply, and without trusting lagging replicas."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from bot.core.model.events import Configured, ContainmentKnown, HeadSeen, Merged
from bot.core.model.pipeline import Service
from bot.runtime import PipelineContext, Runtime
from bot.store.codec import load_event
from bot.store.github import Repositories
from bot.store.records import Repairs
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers import beginning, reconcile, tasks

REPO = "shop/s1"


def heads(shop: Workshop) -> int:
    found = reconcile.heads(shop.runtime, shop.context)
    shop.work()
    return found


def asked(shop: Workshop) -> dict[str, int]:
    return dict(shop.github.control.requests())


@pytest.fixture
def fresh(workshop: Open) -> Workshop:
    """Configured, with no head known yet."""
    opened = workshop()
    opened.tell(Configured(opened.pipeline))
    return opened


def test_the_first_look_takes_the_baseline_and_starts_nothing(fresh: Workshop) -> None:
    assert heads(fresh) == 3
    assert len(fresh.facts("baseline-taken")) == 3
    assert (fresh.live(), fresh.builds()) == ([], [])
    assert heads(fresh) == 0


def test_the_baseline_is_taken_even_if_the_configuration_still_waits_for_its_turn(workshop: Open) -> None:
    shop = workshop()
    beginning.configure_boards(shop.runtime)
    assert reconcile.heads(shop.runtime, shop.context) == 3
    shop.work()
    assert len(shop.facts("baseline-taken")) == 3


def test_a_push_that_was_missed_is_found_and_starts_a_run(fresh: Workshop) -> None:
    heads(fresh)
    new = fresh.github.control.push(REPO)
    assert heads(fresh) == 1
    (run,) = fresh.board.runs.values()
    assert run.position.sha == new
    assert len(fresh.builds("build")) == 1
    assert heads(fresh) == 0


def test_a_push_that_is_found_and_then_delivered_starts_one_run(fresh: Workshop) -> None:
    before = fresh.github.control.head(REPO)
    heads(fresh)
    new = fresh.github.control.push(REPO)
    heads(fresh)
    fresh.tell(Merged("S1", new, before, push_id="late"))
    assert len(fresh.board.runs) == 1
    assert len(fresh.builds("build")) == 1


def test_one_repository_that_does_not_answer_hides_no_other(fresh: Workshop) -> None:
    heads(fresh)
    fresh.github.control.rename("shop/s1", "gone")
    fresh.github.control.fault("status", route="GET /repos/.*", count=1, status=404)
    fresh.github.control.push("shop/s3")
    assert heads(fresh) == 1


def test_a_github_that_is_away_is_asked_again_later(fresh: Workshop) -> None:
    fresh.github.stop()
    assert heads(fresh) == 0
    fresh.github.start()
    assert heads(fresh) == 3


def test_a_limit_of_github_is_not_slept_through_and_stops_all_questions(fresh: Workshop) -> None:
    fresh.github.control.fault("status", route="GET ", status=429, headers={"Retry-After": "60"})
    assert [heads(fresh) for _ in range(3)] == [0, 0, 0]
    assert sum(asked(fresh).values()) == 1


def test_a_github_that_does_not_answer_is_left_alone_for_the_rest_of_the_round(workshop: Open) -> None:
    services = tuple(Service(f"S{number}", f"shop/s{number}") for number in range(9))
    shop = workshop(services=services)
    shop.github.control.fault("drop_request", route="GET ")
    assert heads(shop) == 0
    assert sum(asked(shop).values()) == 2 * reconcile.AWAY  # each is repeated once


def test_as_long_as_main_stands_still_one_free_request_is_made_for_each_service(fresh: Workshop) -> None:
    heads(fresh)
    fresh.github.control.reset_counters()
    assert heads(fresh) == 0
    assert asked(fresh) == {"GET /repos/*/*/git/ref/*": 3}
    assert fresh.github.control.reply_statuses() == {"304": 3}


def test_a_board_that_lost_its_head_gets_it_though_github_says_nothing_new(fresh: Workshop) -> None:
    reconcile.heads(fresh.runtime, fresh.context)
    fresh.context.redis.delete(fresh.context.keys.inbox)  # what was heard is gone before it was taken
    fresh.tell(Configured(replace(fresh.pipeline, retry_most=99.0)))
    assert heads(fresh) == 3


def test_a_service_of_which_we_were_just_told_is_not_asked_about(fresh: Workshop) -> None:
    before = fresh.github.control.head(REPO)
    heads(fresh)
    fresh.tell(Merged("S1", fresh.github.control.push(REPO), before, push_id="told"))
    fresh.github.control.reset_counters()
    assert heads(fresh) == 0
    assert asked(fresh) == {"GET /repos/*/*/git/ref/*": 2}


@pytest.fixture
def impatient(fresh: Workshop) -> Workshop:
    """Ask about everybody, however lately we were told."""
    polling = replace(fresh.configuration.polling, heads=-60.0)
    fresh.reload(replace(fresh.configuration, polling=polling))
    heads(fresh)
    return fresh


def repairs(shop: Workshop) -> dict[str, int]:
    return Repairs(shop.context.redis, shop.context.keys).all()


def test_what_was_repaired_is_counted(impatient: Workshop) -> None:
    assert repairs(impatient) == {}
    impatient.github.control.push(REPO)
    impatient.github.control.push("shop/s2")
    heads(impatient)
    assert repairs(impatient) == {"push": 2}


def test_an_answer_that_lags_behind_is_not_believed(impatient: Workshop) -> None:
    old = impatient.github.control.head(REPO)
    new = impatient.github.control.push(REPO)
    impatient.tell(Merged("S1", new, old, push_id="1"))
    ref = json.dumps({"ref": "refs/heads/main", "object": {"sha": old}})
    impatient.github.control.fault("status", route="GET .*git/ref", count=1, status=200, body=ref)
    assert [heads(impatient) for _ in range(3)] == [0, 0, 0]
    assert repairs(impatient) == {}


def test_what_github_said_before_a_push_was_taken_is_not_told(
    impatient: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, ask = impatient.github.control.head(REPO), reconcile._ask

    def while_a_push_comes(runtime: Runtime, context: PipelineContext, service: Service) -> reconcile.KnownHead:
        look = ask(runtime, context, service)
        if service.name == "S1":
            impatient.tell(Merged("S1", "b" * 40, old, push_id="1"))
        return look

    monkeypatch.setattr(reconcile, "_ask", while_a_push_comes)
    assert reconcile.heads(impatient.runtime, impatient.context) == 0
    assert impatient.heard() == []


def test_a_branch_that_was_set_back_to_a_known_commit_is_told_once_it_is_certain(impatient: Workshop) -> None:
    old = impatient.github.control.head(REPO)
    new = impatient.github.control.push(REPO)
    impatient.tell(Merged("S1", new, old, push_id="1"))
    impatient.github.world.repos[REPO].branches["main"] = old  # a force-push whose webhook is lost
    assert [reconcile.heads(impatient.runtime, impatient.context) for _ in range(4)] == [0, 1, 0, 0]
    assert impatient.heard() == [HeadSeen("S1", old, moves=2)]
    assert repairs(impatient) == {"rewound": 1}


def test_a_head_of_ours_that_lacks_what_was_on_main_is_told_again_for_the_board_waits_for_it(
    impatient: Workshop,
) -> None:
    one = impatient.github.control.push(REPO)
    impatient.tell(Merged("S1", one, push_id="1"))
    two = impatient.github.control.push(REPO)
    impatient.tell(Merged("S1", two, "f" * 40, push_id="2"))  # onto a commit that nobody told of
    impatient.tell(ContainmentKnown("S1", one, two, contains=False))
    assert [heads(impatient) for _ in range(3)] == [1, 0, 0]
    assert repairs(impatient) == {"rewound": 1}


def test_a_force_push_that_began_elsewhere_than_we_think_has_main_asked_for_at_once(
    impatient: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only GitHub knows which of two moves of main was the last: the task asks it, and not at the next poll."""
    shop = impatient
    heads(shop)
    begun = shop.github.control.push(REPO)
    heads(shop)
    shop.github.control.push(REPO)
    heads(shop)
    asked_for: list[tuple[object, ...]] = []
    sent = SimpleNamespace(apply_async=lambda arguments=(), **_: asked_for.append(arguments))
    monkeypatch.setattr(tasks, "reconcile_heads", sent)
    shop.context.inbox.add(Merged("S1", "f" * 40, before=begun, forced=True, push_id="late"), "late")
    shop.work()
    assert len(shop.facts("force-push-unplaced")) == 1
    tasks.ask_at_once(shop.context)
    assert asked_for == [(True, shop.pipeline.name)]
    tasks.ask_at_once(shop.context)
    assert len(asked_for) == 1


@pytest.mark.parametrize(("asked_for", "polled"), [("shop", ["shop"]), ("", ["shop", "stall"]), ("gone", [])])
def test_a_poll_is_about_one_pipeline_or_about_all(impatient: Workshop, asked_for: str, polled: list[str]) -> None:
    """Twenty boards that begin ask about their own services: not each of them about all."""
    both = replace(impatient.runtime, pipelines=dict.fromkeys(("shop", "stall"), impatient.context))
    assert [name for name, _ in tasks.to_poll(both, asked_for)] == polled


def test_a_renamed_repository_is_followed_and_told_once(impatient: Workshop) -> None:
    impatient.github.control.rename(REPO, "s1-new")
    new = impatient.github.control.push("shop/s1-new")
    with capture_logs() as logs:
        assert [heads(impatient) for _ in range(3)] == [1, 0, 0]
    assert impatient.run_of(new).service == "S1"
    told = [(row["log_level"], row["present"]) for row in logs if row["event"] == "repository-renamed"]
    assert told == [("error", "shop/s1-new")]
    known = Repositories(impatient.context.redis).get(REPO)
    assert known is not None
    assert known.present == "shop/s1-new"
    impatient.github.control.reset_counters()
    heads(impatient)
    assert "301" not in impatient.github.control.reply_statuses()


def test_a_branch_with_a_slash_or_a_hash_is_asked_for_whole(workshop: Open) -> None:
    shop = workshop(services=(Service("S1", REPO, "release/#1"),))
    repo = shop.github.world.repos[REPO]
    repo.branches["release/#1"] = repo.head
    shop.tell(Configured(shop.pipeline))
    assert heads(shop) == 1


def test_what_reconciling_says_are_plain_events_in_the_inbox(fresh: Workshop) -> None:
    reconcile.heads(fresh.runtime, fresh.context)
    rows = fresh.context.redis.xrevrange(fresh.context.keys.inbox, count=3)
    assert {type(load_event(fields[b"b"])) for _, fields in rows} == {HeadSeen}
