"""The evidence of a run, as data and as a page: true to what was decided, live or ended, for pull requests as well."""

from __future__ import annotations

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bot.core.model.events import BuildSeen, PullClosed, PullMoved, RetryAsked, TriggerAccepted, TriggerRefused
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.statistics.waiting import account_of
from bot.web import rule_pages
from bot.web.live import PAUSE
from bot.web.run_page import PAUSE_FOR_EACH, WIDTH, RunFeeds, bar
from tests.web.asked import Api
from tests.web.story import Story, sha


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a has failed twice in pre-production; S2a waits before it; S1b, the fix, has been built."""
    story.start()
    run = story.merge("S1", "a", "Round prices")
    story.pass_stages(run, 2)
    story.pass_stages(story.merge("S2", "a", "Faster search"), 2)
    story.build(run, Outcome.FAILURE, ("CheckoutTest",))
    story.tell(RetryAsked(run.key, "alex", "the database was away"))
    story.build(run, Outcome.FAILURE, ("CheckoutTest", "RoundingTest"))
    story.pass_stages(story.merge("S1", "b", "Fix the rounding"))
    return run


def evidence(client: FlaskClient, story: Story, run: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/pipelines/{story.shape.name}/runs/{run}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def page(client: FlaskClient, story: Story, run: str) -> str:
    answer = client.get(f"/p/{story.shape.name}/runs/{run}")
    assert answer.status_code == 200, answer.text
    return answer.text


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


# -- attempts and decisions ----------------------------------------------------------------------------------------


def test_every_attempt_has_its_build_its_log_and_what_broke(client: FlaskClient, story: Story, broken: Run) -> None:
    found = evidence(client, story, "S1.1")["attempts"]
    assert [(each["number"], each["stage"], each["outcome"], each["tests"]) for each in found] == [
        (1, "build", "passed", []),
        (2, "acceptance", "passed", []),
        (3, "pre-production", "failure", ["CheckoutTest"]),
        (4, "pre-production", "failure", ["CheckoutTest", "RoundingTest"]),
    ]
    for each in found:
        controller = "build" if each["stage"] == "build" else "cdp"
        job = f"https://{controller}.example.com/job/shop/job/{each['stage']}/{each['build']}/"
        assert (each["build_link"], each["log_link"]) == (job, f"{job}console")
        assert each["asked"] <= each["started"] <= each["ended"] <= time.time()
    html = page(client, story, "S1.1")
    for each in found:
        assert f'href="{each["log_link"]}"' in html
    assert "attempt 4" in text(html)


def test_an_attempt_that_jenkins_refused_was_no_build(client: FlaskClient, story: Story, broken: Run) -> None:
    fix = story.board.runs["S1.2"]
    story.tell(TriggerRefused(fix.key, fix.attempt.number, "the job is disabled"))
    *_, last = evidence(client, story, fix.key)["attempts"]
    assert (last["outcome"], last["failed"], last["build"], last["log_link"]) == ("refused", False, None, None)
    assert "Jenkins did not take the build" in last["why"]
    tile = evidence(client, story, fix.key)["tile"]
    assert (tile["why"], tile["rule"]) == ("backoff", "L6")


def test_every_decision_leads_to_the_rule_that_it_follows(client: FlaskClient, story: Story, broken: Run) -> None:
    story.pass_stages(story.board.runs["S1.2"], 3)
    facts = evidence(client, story, "S1.1")["facts"]
    assert [(each["kind"], each["rule"]) for each in facts if each["rule"]] == [
        ("stage-locked", "L1"),
        ("run-retried", "L4"),
        ("run-admitted", "L4"),
        ("stage-locked", "L1"),
        ("run-superseded", "F8"),
        ("stage-unlocked", "F9"),
    ]
    html = page(client, story, "S1.1")
    for rule in {each["rule_link"] for each in facts if each["rule"]}:
        assert f'href="{rule}"' in html
        path, _, anchor = rule.partition("#")
        assert f'<li id="{anchor}">' in client.get(path).text


def test_where_it_waits_leads_to_the_rule_too(client: FlaskClient, story: Story, broken: Run) -> None:
    assert evidence(client, story, "S2.1")["tile"]["rule"] == "L3"
    assert 'href="/docs/locks#L3"' in page(client, story, "S2.1")
    assert evidence(client, story, "S1.1")["tile"]["rule"] == "L1"


# -- waiting -------------------------------------------------------------------------------------------------------


def test_waiting_is_split_as_the_statistics_split_it(client: FlaskClient, story: Story, broken: Run) -> None:
    waits = evidence(client, story, "S2.1")["waits"]
    account = account_of(story.context.statistics.current(), waits["until"], "S2.1")
    assert account is not None
    assert {each["cause"]: each["seconds"] for each in waits["causes"] if each["seconds"]} == pytest.approx(
        {str(cause): seconds for cause, seconds in account.waits.items()}
    )
    assert waits["waited"] + waits["built"] == pytest.approx(waits["until"] - waits["began"])
    lock = next(each["seconds"] for each in waits["causes"] if each["cause"] == "lock")
    assert lock > 0


def test_the_account_of_a_run_stays_when_it_has_ended(client: FlaskClient, story: Story, broken: Run) -> None:
    story.pass_stages(story.board.runs["S1.2"], 4)
    first, later = (evidence(client, story, "S1.2") for _ in range(2))
    assert first["state"] == "ended"
    assert first["waits"] == later["waits"]  # it does not grow any more
    assert first["waits"]["until"] == pytest.approx(first["ended"]["at"], abs=0.5)
    story.redis.delete(story.keys.statistics, story.keys.facts)
    forgetful = Story(story.redis, story.shape).context.statistics.current()
    assert account_of(forgetful, 0.0, "S1.2") is None


def test_the_bar_is_as_wide_as_the_time(client: FlaskClient) -> None:
    causes = [{"cause": "capacity", "seconds": 30.0}, {"cause": "lock", "seconds": 60.0}]
    pieces = bar({"causes": causes, "built": 30.0})
    assert [(each["kind"], each["x"], each["width"]) for each in pieces] == [
        ("capacity", 0, WIDTH // 4),
        ("lock", WIDTH // 4, WIDTH // 2),
        ("built", WIDTH * 3 // 4, WIDTH // 4),
    ]
    assert bar(None) == bar({"causes": causes[:0], "built": 0.0}) == []


# -- what it carries, what replaced what ---------------------------------------------------------------------------


def test_a_fix_carries_the_merges_that_it_contains_and_both_sides_lead_to_each_other(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    assert [each["run"] for each in evidence(client, story, "S1.2")["carries"]["merges"]] == ["S1.2", "S1.1"]
    story.pass_stages(story.board.runs["S1.2"], 3)
    fix, failed = evidence(client, story, "S1.2"), evidence(client, story, "S1.1")
    assert ([each["run"] for each in fix["supersedes"]], failed["superseded_by"]) == (["S1.1"], "S1.2")
    assert f'href="/p/{story.shape.name}/runs/S1.1"' in page(client, story, "S1.2")
    assert f'href="/p/{story.shape.name}/runs/S1.2"' in page(client, story, "S1.1")
    own, other = fix["carries"]["merges"]
    assert (own["title"], own["pulls"], other["state"]) == ("Fix the rounding", [41], "superseded")
    assert other["pull_links"] == [{"pull": 40, "link": f"https://github.com/shop/s1-{story.shape.name}/pull/40"}]


def test_what_was_delivered_before_is_not_carried_again(client: FlaskClient, story: Story) -> None:
    story.start()
    story.pass_stages(story.merge("S1", "a"), 4)
    story.build(story.merge("S1", "b"), Outcome.FAILURE)  # fails in build: its commit is on main all the same
    story.merge("S1", "c")
    carried = evidence(client, story, "S1.3")["carries"]
    assert ([each["run"] for each in carried["merges"]], carried["since"]["run"]) == (["S1.3", "S1.2"], "S1.1")
    assert carried["compare"].endswith(f"/compare/{sha('S1a')}...{sha('S1c')}")


# -- pull requests -------------------------------------------------------------------------------------------------


def verified(story: Story, result: Outcome | None) -> None:
    """The head of pull request 12 is built."""
    story.tell(PullMoved("S1", 12, sha("S1p"), at=1.0), TriggerAccepted("S1.pr12-1", 1, 7))
    story.tell(BuildSeen("build", "shop/verify", 4, None, "S1.pr12-1", 1))
    if result is not None:
        story.tell(BuildSeen("build", "shop/verify", 4, result, "S1.pr12-1", 1, ("LintTest",)))


def test_the_documentation_shows_its_pictures_light_and_dark(client: FlaskClient) -> None:
    shown = client.get("/docs/page").text
    pictures = set(re.findall(r'"(pictures/[\w-]+\.webp)"', shown))
    assert len(pictures) == 10
    assert 'alt="All pipelines, the locked one first"' in shown
    for name in pictures:
        answer = client.get(f"/docs/{name}")
        assert (answer.status_code, answer.content_type) == (200, "image/webp")
    assert client.get("/docs/pictures/none.webp").status_code == 404
    assert client.get("/docs/pictures/..%2fpage.md").status_code == 404


def test_every_page_leads_to_the_documentation(client: FlaskClient, story: Story) -> None:
    story.start()
    for path in (f"/p/{story.shape.name}", "/find", "/docs/page"):
        assert 'href="/docs">Docs</a>' in client.get(path).text


def test_the_build_of_a_pull_request_has_evidence_while_it_runs_and_afterwards(
    client: FlaskClient, api: Api, story: Story
) -> None:
    story.start()
    verified(story, None)
    found = evidence(client, story, "S1.pr12-1")
    assert (found["state"], found["verification"]["status"]) == ("live", "running")
    assert "build #4 runs in verify" in found["verification"]["reason"]
    told = client.get(f"/api/v1/pipelines/{story.shape.name}/why", query_string={"q": "#12"}).json
    assert told is not None
    assert [each["run"] for each in told["verifications"]] == ["S1.pr12-1"]
    story.tell(BuildSeen("build", "shop/verify", 4, Outcome.FAILURE, "S1.pr12-1", 1, ("LintTest",)))
    found = evidence(client, story, "S1.pr12-1")
    assert (found["state"], found["verification"]["status"]) == ("ended", "failed")
    (attempt,) = found["attempts"]
    assert (attempt["outcome"], attempt["tests"], attempt["build"]) == ("failure", ["LintTest"], 4)
    told = client.get(f"/api/v1/pipelines/{story.shape.name}/why", query_string={"q": "#12"}).json
    assert told is not None
    assert [(each["run"], each["status"]) for each in told["verifications"]] == [("S1.pr12-1", "failed")]
    html = page(client, story, "S1.pr12-1")
    assert 'href="https://build.example.com/job/shop/job/verify/4/console"' in html
    assert f'href="https://github.com/shop/s1-{story.shape.name}/pull/12"' in html


def test_a_newer_push_stops_the_build_and_the_two_lead_to_each_other(client: FlaskClient, story: Story) -> None:
    story.start()
    verified(story, None)
    story.tell(PullMoved("S1", 12, sha("S1q"), before=sha("S1p"), at=2.0))
    story.tell(BuildSeen("build", "shop/verify", 4, Outcome.ABORTED, "S1.pr12-1", 1))
    found = evidence(client, story, "S1.pr12-1")
    assert (found["verification"]["status"], found["attempts"][0]["outcome"]) == ("stopped", "stopped")
    assert found["verification"]["others"] == ["S1.pr12-2"]
    assert "superseded by a newer push" in found["verification"]["reason"]
    story.tell(PullClosed("S1", 12, sha("S1q"), at=3.0))
    assert evidence(client, story, "S1.pr12-2")["state"] in ("live", "ended")


# -- the page --------------------------------------------------------------------------------------------------


def test_what_nobody_knows_is_not_found_and_no_stream_begins(client: FlaskClient, story: Story, broken: Run) -> None:
    for path in ("/runs/S1.9", "/runs/S1.9/live", "/runs/S1.pr12-9", "/runs/nobody.pr1-1/live"):
        assert client.get(f"/p/{story.shape.name}{path}").status_code == 404
    assert client.get("/docs/nothing").status_code == 404
    for topic in ("page", "statistics", "performance"):  # with pictures and comments, which only GitHub shows
        shown = client.get(f"/docs/{topic}").text
        assert "&lt;picture" not in shown and "&lt;!--" not in shown
    assert client.get("/docs/..%2fREADME").status_code == 404


def test_a_run_that_the_history_half_forgot_says_so(client: FlaskClient, story: Story, broken: Run) -> None:
    story.pass_stages(story.board.runs["S1.2"], 4)
    story.redis.delete(story.keys.stories, story.keys.statistics, story.keys.facts)
    words = text(page(client, story, "S1.2"))
    assert "What happened to it is too long ago" in words
    assert "What was built is too long ago" in words


def test_a_stream_of_a_run_sends_the_evidence_and_whoever_looks_at_it_shares_it(
    app: Flask, client: FlaskClient, story: Story, broken: Run
) -> None:
    answer = client.get(f"/p/{story.shape.name}/runs/S1.1/live")
    pieces = iter(answer.response)
    shown = b""
    while b"event: board" not in shown:
        shown += next(pieces)  # type: ignore[arg-type]
    assert b"failed in pre-production" in shown
    assert b'id="board-root"' in shown
    answer.close()
    feeds = app.extensions["interlock-run-feeds"]
    assert feeds.get((story.shape.name, "S1.1"), pytest.fail) is feeds.get((story.shape.name, "S1.1"), pytest.fail)


def test_feeds_that_nobody_listens_to_are_bounded() -> None:
    class Quiet:
        idle = True

    feeds, made = RunFeeds(idle=3), []

    def make() -> Any:
        made.append(Quiet())
        return made[-1]

    for number in range(10):
        feeds.get(("shop", f"S1.{number}"), make)
    feeds.get(("shop", "S1.8"), make)
    assert len(made) == 10
    feeds.get(("shop", "S1.1"), make)
    assert len(made) == 11
    made[-1].idle = False  # somebody listens to S1.1
    for number in range(10):
        feeds.get(("shop", f"S2.{number}"), make)
    assert feeds.get(("shop", "S1.1"), make) is made[10]


def test_the_more_runs_are_looked_at_the_rarer_each_is_drawn() -> None:
    class Watched:
        idle = False

    feeds = RunFeeds()
    assert feeds.pause() == PAUSE
    for number in range(25):
        feeds.get(("shop", f"S1.{number}"), Watched)  # type: ignore[arg-type]
    assert feeds.pause() == pytest.approx(25 * PAUSE_FOR_EACH)


def test_a_page_of_the_documentation_is_text_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("# A\n\n![The board](pictures/a.png) <b>x</b> [js](javascript:alert(1))\n")
    monkeypatch.setattr(rule_pages, "FOLDER", tmp_path)
    title, html = rule_pages.rendered.__wrapped__("a")
    assert (title, html.startswith('<h1 id="a">A</h1>')) == ("A", True)
    assert "(The board) &lt;b&gt;x&lt;/b&gt;" in html
    assert "<img" not in html
    assert "href" not in html


def test_the_documentation_is_served_with_links_that_stay_here(client: FlaskClient) -> None:
    shown = client.get("/docs/fast-lane").text
    assert 'href="locks"' in shown
    assert '<li id="F8">' in shown
    assert "style=" not in shown
    assert client.get("/docs").text.count('href="/docs/') > 15
