"""The comment on a pull request: the place of its run and its story, not rewritten when other runs move."""

from __future__ import annotations

import re

import pytest

from bot.core.model.effects import Comment, FindPull, SetStatus
from bot.core.model.events import BuildSeen, PullFound
from bot.core.model.messages import StepPassed, WaitsFor
from bot.core.model.pipeline import FastLaneStart, Mode, Outcome, Step
from bot.core.model.run import STORY
from bot.reporting import markdown
from bot.reporting.run_report import FAST_LANE, RETRY
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import text_of

PRE = "pre-production"


def said(town: Town, pull: int = 7) -> str:
    """Return the current text of the comment on a pull request."""
    return [each.text for each in town.comments if each.pull == pull][-1]


def told(town: Town, pull: int = 7) -> int:
    return len([each for each in town.did(Comment) if each.pull == pull])


def test_each_stage_is_told_from_the_merge_to_production() -> None:
    town = Town()
    town.pull("S1", "a")
    heads = [said(town).split("\n")[0]]
    while "S1a" in town.live():
        town.pass_build("S1a")
        heads.append(said(town).split("\n")[0])
    assert heads == [
        "**S1 S1a is in build.**",
        "**S1 S1a is in acceptance.**",
        "**S1 S1a is in pre-production.**",
        "**S1 S1a is in production.**",
        "**S1 S1a is in production** since 1970-01-01 00:16 UTC.",
    ]
    assert "build ✓ → acceptance ✓ → pre-production ✓ → production ✓" in said(town)
    assert re.findall(r"UTC: (.*)", said(town)) == [
        "queues for build",
        "passed build",
        "passed acceptance",
        "passed pre-production",
        "passed production",
    ]


def test_all_that_is_told_of_a_pull_request_goes_into_one_comment() -> None:
    town = Town()
    town.pull("S1", "a")
    for _ in range(3):
        town.pass_build("S1a")
    assert {each.slot for each in town.did(Comment)} == {"comment/shop/S1/7"}


def test_a_run_that_waits_is_told_so_and_not_again_because_others_move() -> None:
    town = Town()
    town.merge_up_to("S1", "a", PRE)
    town.pull("S2", "a")
    town.pass_build("S2a")
    town.pass_build("S2a")
    assert "**S2 S2a waits for pre-production.**" in said(town)
    assert "is full" not in said(town), "that would not be true for long"
    town.quiet()
    town.merge("S3", "a")
    town.pass_build("S3a")
    town.pass_build("S3a")
    town.lock(PRE)
    town.unlock(PRE)
    town.start_build("S1a")
    assert town.did(Comment) == []
    town.pass_build("S1a")
    assert [each.pull for each in town.did(Comment)] == [7], "its own turn has come"


def test_a_run_that_joins_a_locked_queue_is_told_nothing_that_is_not_true_once_that_has_opened() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.pull("S2", "a")
    town.pass_build("S2a")
    town.pass_build("S2a")
    assert "**S2 S2a waits for pre-production.** The page below shows the present reason" in said(town)
    assert "locked" not in said(town)
    assert all("locked" not in text_of(each.description) for each in town.did(SetStatus) if each.run == "S2.1")


def test_a_broken_run_says_which_tests_and_what_to_do() -> None:
    town = Town()
    town.pull("S1", "a")
    town.pass_build("S1a")
    town.pass_build("S1a")
    town.fail_build("S1a", tests=("Cart.pays", "Login.works"))
    text = said(town)
    assert "**S1 S1a has failed in pre-production.**" in text
    assert "- `Cart.pays`\n- `Login.works`" in text
    assert "merge the fix, it takes the fast lane past everyone" in text
    assert "**pre-production** ✗" in text
    assert town.did(Comment)[-1].debounce == 0, "a failure is told at once"


def test_with_a_manual_fast_lane_the_fix_has_to_be_sent() -> None:
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.pull("S1", "a")
    town.pass_build("S1a")
    town.pass_build("S1a")
    town.fail_build("S1a")
    assert "merge the fix, then ask for the fast lane" in said(town)


def test_a_run_that_the_fix_contains_is_told_who_carries_it_on() -> None:
    town = Town()
    town.pull("S1", "a")
    town.pass_build("S1a")
    town.pass_build("S1a")
    town.fail_build("S1a")
    town.merge("S1", "e")
    town.pass_fix("S1e")
    assert "**S1 S1a has been superseded in pre-production**: contained in S1e, superseded by S1.2." in said(town)
    assert "Nothing to do: S1.2 carries it on." in said(town)


def test_a_run_that_is_taken_out_or_dropped_is_told_so() -> None:
    town = Town()
    town.pull("S1", "a")
    town.cancel("S1a")
    town.abort_build("S1a")
    assert "cancelled by ann: not wanted" in said(town)
    town.merge("S2", "base")
    town.pull("S2", "a", number=8)
    town.force_push("S2", "b", onto="S2base")
    town.answer_questions()
    town.abort_build("S2a")
    assert "a force-push dropped S2a from main" in said(town, 8)
    assert "merge it again" in said(town, 8)


def test_a_pull_request_that_is_heard_of_later_is_told_everything() -> None:
    town = Town()
    town.merge("S1", "a")
    town.pass_build("S1a")
    assert town.did(Comment) == []
    town.pull("S1", "a")
    assert "passed build" in said(town)


def test_a_run_that_ends_before_its_pull_request_is_known_is_told_there_once_it_is() -> None:
    town = Town()
    town.merge("S1", "a")
    town.fail_build("S1a")
    asked = town.did(FindPull)[-1]
    assert asked.slot == town.did(FindPull)[0].slot, "it takes the place of the question that rests since the push"
    assert 0 < asked.debounce < 60
    assert town.did(Comment) == []
    town.send(PullFound("S1", "S1a", 7, "a change", "ann", asked.run, began=asked.began))
    assert "**S1 S1a has failed in build**" in said(town)
    assert "Merge a fix" in said(town)


@pytest.mark.parametrize(("after", "asked"), [(59.0, True), (59.5, True), (60.0, False)])
def test_github_is_asked_once_whether_the_run_ends_before_or_after_its_minute_is_over(
    after: float, *, asked: bool
) -> None:
    town = Town()
    town.merge("S1", "a")
    town.start_build("S1a")
    town.quiet()
    town.now = town.run("S1a").created + after - 1
    town.fail_build("S1a")
    assert [search.debounce for search in town.did(FindPull)] == ([60.0 - after] if asked else [])


def test_what_happened_to_a_run_last_is_kept_with_it_in_the_history() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "production")
    town.start_build("S1a")
    decision = town.send(town.jenkins.end(town.attempt("S1a"), Outcome.SUCCESS))
    (ended,) = decision.ended
    assert ended.run.story[-1].what == StepPassed(Step("production"))


def test_a_fix_shows_which_jobs_it_has_passed_and_that_the_stage_itself_comes_after_its_fast_job() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.pull("S1", "e")
    for _ in range(3):
        town.pass_build("S1e")
    way = "build ✓ → fast acceptance ✓ → fast pre-production ✓ → **pre-production** → production"
    assert way in said(town).replace("\\", "")


def test_one_that_was_promoted_shows_that_the_stage_which_it_had_passed_counts() -> None:
    town = Town(shop(start=FastLaneStart.ON_FAILURE, pre_production=2))
    town.merge_up_to("S1", "a", PRE)
    town.pull("S1", "b")
    town.pass_build("S1b", "S1b")
    town.fail_build("S1a")
    town.confirm_withdrawal("S1b")
    assert "build ✓ → fast acceptance ✓ → **fast pre-production** → pre-production" in said(town).replace("\\", "")


def test_nobody_is_asked_twice_for_the_pull_request_of_a_run_that_took_longer() -> None:
    town = Town()
    town.merge("S1", "a")
    town.start_build("S1a")
    town.tick(60)
    town.fail_build("S1a")
    assert len(town.did(FindPull)) == 1


def test_a_build_that_jenkins_refuses_again_and_again_is_told_once() -> None:
    town = Town()
    town.pull("S1", "a")
    town.refuse_trigger("S1a")
    assert "UTC: Jenkins did not take the build for build: the job is disabled" in said(town)
    before = told(town)
    for _ in range(3):
        town.tick(300)
        town.refuse_trigger("S1a")
    assert told(town) == before
    town.tick(300)
    town.accept_trigger("S1a")
    assert "**S1 S1a is in build.**" in said(town)


def test_the_story_is_bounded() -> None:
    town = Town()
    town.pull("S1", "a")
    town.pass_build("S1a")
    town.pass_build("S1a")
    for _ in range(30):
        town.fail_build("S1a")
        town.retry("S1a")
    assert len(town.run("S1a").story) == STORY
    assert "(the last 15 events)" in said(town)
    assert len(said(town)) < 3_000


# -- strangers' words ------------------------------------------------------------------------------------------

HOSTILE = (
    "@shop/everybody",
    "@kim",
    "#123",
    "shop/s2#4",
    "GH-7",
    "<!-- interlock shop -->",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![](https://evil.example/x.png)",
    "https://evil.example",
    "www.evil.example",
    "`` ` ```",
    "**bold** _it_ ~no~ | a | b |",
    "```\nfenced",
    "line\r\nbreak\u2028next\u202egnol",
    "</details>",
    "\\`x\\`",
    "&lt;b&gt;",
)


def visible(markdown_text: str) -> str:
    """The text without what is in code spans."""
    return re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown_text)


@pytest.mark.parametrize("words", HOSTILE)
def test_what_strangers_write_formats_nothing_and_calls_nobody(words: str) -> None:
    town = Town()
    town.pull("S1", "a")
    town.pass_build("S1a")
    town.pass_build("S1a")
    asked = town.attempt("S1a")
    town.start_build("S1a")
    seen = asked.seen(Outcome.FAILURE, (words, f"Test.{words}"))
    town.send(BuildSeen(**{**{n: getattr(seen, n) for n in seen.__dataclass_fields__}, "failed_step": words}))
    town.retry("S1a")
    text = said(town)
    rest = visible(text)
    assert "<" not in rest.replace("&lt;", "")
    assert not re.search(r"(?<!\\)[\[\]`|]", rest), rest
    assert not re.search(r"@(?!\u200b)|#(?!\u200b)|://|www\.(?!\u200b)|GH-(?!\u200b)", rest), rest
    assert "<!--" not in text
    assert "\u202e" not in text
    assert len(rest.split("\n")) < 20


def test_a_code_span_cannot_be_ended_from_within() -> None:
    assert markdown.code("a``b`c") == "```a``b`c```"
    assert markdown.code("`x`") == "`` `x` ``"
    assert markdown.code("") == ""


# -- statuses and check runs -----------------------------------------------------------------------------------


def stages(town: Town) -> list[tuple[str, str, str]]:
    return [(each.context, each.state, text_of(each.description)) for each in town.did(SetStatus)]


def written(town: Town) -> list[tuple[str, str, str]]:
    """What goes out at GitHub if the run waits nowhere: `workers/performer.py` and `bot/github/statuses.py` do this."""
    told: dict[str, tuple[str, str, str]] = {}
    out = []
    for each in town.did(SetStatus):
        text = (each.context, each.state, text_of(each.description))
        if each.debounce < 60 and (not each.corrects or each.slot in told) and told.get(each.slot) != text:
            told[each.slot] = text
            out.append(text)
    return out


def test_a_run_that_waits_nowhere_has_one_status_for_each_stage_and_one_that_it_is_on_its_way() -> None:
    town = Town()
    town.merge("S1", "a")
    for _ in range(4):
        town.pass_build("S1a")
    assert written(town) == [
        ("production", "pending", "on its way to production"),
        ("build", "success", "passed build"),
        ("acceptance", "success", "passed acceptance"),
        (PRE, "success", f"passed {PRE}"),
        ("production", "success", "passed production"),
    ]


def test_a_run_that_ends_on_its_way_says_so_in_its_stage_and_in_the_last() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.quiet()
    town.fail_build("S1a")
    assert [(stage, state) for stage, state, _ in stages(town)][-2:] == [
        ("production", "failure"),
        ("acceptance", "failure"),
    ]


def test_one_that_a_person_takes_out_leaves_no_status_that_is_not_over() -> None:
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.quiet()
    town.cancel("S1a")
    town.abort_build("S1a")
    in_last, in_stage = town.did(SetStatus)[-2:]
    assert (in_last.context, in_last.state, in_last.corrects) == ("production", "error", False)
    assert (in_stage.context, in_stage.state, in_stage.corrects) == ("acceptance", "error", True)


def test_the_status_of_a_failed_run_that_is_retried_says_that_it_waits() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.mode(Mode.PAUSE)
    town.quiet()
    town.retry("S1a")
    assert stages(town) == [(PRE, "pending", f"waits for {PRE}")]


def test_that_a_run_waits_is_not_written_where_it_enters_at_once() -> None:
    town = Town()
    town.merge("S1", "a")
    waits, enters = town.did(SetStatus, of="S1a", context="build")[:2]
    assert waits.slot == enters.slot  # the later one takes the place of the earlier, which has rested meanwhile
    assert waits.debounce == 60
    assert (enters.corrects, enters.debounce) == (True, 5)  # so nothing goes out


def test_status_and_check_run_of_a_stage_that_is_closed_say_that_the_run_waits_and_not_why() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.quiet()
    town.merge_up_to("S2", "a", PRE)
    told = town.did(SetStatus, of="S2a", context=PRE)[-1]
    assert (told.state, told.description) == ("pending", WaitsFor(Step(PRE)))
    assert town.summary("S2a").startswith(f"**S2 S2a waits for {PRE}.** The page below shows the present reason")


def test_the_run_that_locks_a_stage_asks_for_action_and_has_buttons() -> None:
    town = Town()
    town.break_stage("S1", "a")
    broken = town.did(SetStatus, of="S1a", state="failure")[-1]
    assert (broken.conclusion, town.buttons("S1a")) == ("action_required", (RETRY,))
    assert "**S1 S1a has failed in pre-production.**" in town.summary("S1a")
    town = Town(shop(start=FastLaneStart.MANUAL))
    town.merge_up_to("S1", "a", PRE)
    town.merge("S1", "b")
    town.fail_build("S1a")
    assert town.buttons("S1a") == (RETRY, FAST_LANE)
    town.unlock(PRE)
    over = town.did(SetStatus, of="S1a", state="failure")[-1]
    assert (over.conclusion, town.buttons("S1a")) == ("", ()), "nothing is left to press"


@pytest.mark.parametrize(("how", "conclusion"), [("cancel", "cancelled"), ("force", "neutral")])
def test_a_run_that_is_taken_out_ends_its_check_run_without_blame(how: str, conclusion: str) -> None:
    town = Town()
    town.merge("S1", "base")
    town.merge("S1", "a")
    if how == "cancel":
        town.cancel("S1a")
    else:
        town.force_push("S1", "b", onto="S1base")
        town.answer_questions()
    town.abort_build("S1a")
    last = town.did(SetStatus, of="S1a")[-1]
    assert (last.state, last.conclusion) == ("error", conclusion)
