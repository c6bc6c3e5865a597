"""What is where: per service and stage what passed last and what is newer; and what changed before a lock."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from bot.core.model.events import LockAsked, Merged
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.reporting import versions
from tests.web.story import Story, sha

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">'


def text(html: str) -> str:
    """What a reader reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def broken(story: Story) -> Run:
    """S1a is in production. S2a and S3a came to pre-production after it; then S1b failed there; S1c is in the queue."""
    story.start()
    story.pass_stages(story.merge("S1", "a", "Round prices"), 4)
    story.pass_stages(story.merge("S2", "a", "Faster search"), 3)
    story.pass_stages(story.merge("S3", "a", HOSTILE), 3)
    failing = story.merge("S1", "b", "Discounts")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    story.pass_stages(story.merge("S1", "c"), 1)
    return failing


def cell(found: dict, service: str, stage: str) -> dict:
    row = next(row for row in found["services"] if row["service"] == service)
    return next(each for each in row["stages"] if each["stage"] == stage)


def asked(client: FlaskClient, story: Story, **query: str) -> dict:
    answer = client.get(f"/api/v1/pipelines/{story.shape.name}/where", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_each_stage_has_the_commit_that_passed_last_and_what_is_newer(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    found = asked(client, story)
    assert [stage["name"] for stage in found["stages"] if stage["locked"]] == ["pre-production"]
    production = cell(found, "S1", "production")
    assert (production["passed"]["sha"], production["passed"]["run"]) == (sha("S1a"), "S1.1")
    assert [run["run"] for run in production["newer"]] == ["S1.3", "S1.2"]
    assert production["compare"] == (
        f"https://github.com/{story.shape.services[0].repository}/compare/{sha('S1a')}...{sha('S1c')}"
    )
    there = cell(found, "S1", "pre-production")
    assert (there["passed"]["sha"], there["broken"]["sha"]) == (sha("S1a"), sha("S1b"))
    acceptance = cell(found, "S1", "acceptance")
    assert (acceptance["passed"]["sha"], [run["run"] for run in acceptance["newer"]]) == (sha("S1b"), ["S1.3"])
    build = cell(found, "S1", "build")
    assert (build["passed"]["sha"], build["newer"], build["compare"]) == (sha("S1c"), [], None)
    assert cell(found, "S2", "production")["passed"] is None


def test_a_lock_tells_what_changed_in_its_stage_since_its_service_last_passed(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    (lock,) = asked(client, story)["locks"]
    assert (lock["stage"], lock["service"], lock["baseline"]["sha"]) == ("pre-production", "S1", sha("S1a"))
    rows = [(row["service"], row["sha"], row["passed"]) for row in lock["changes"]]
    assert rows == [("S1", sha("S1b"), False), ("S3", sha("S3a"), True), ("S2", sha("S2a"), True)]
    assert lock["changes"][0]["compare"].endswith(f"/compare/{sha('S1a')}...{sha('S1b')}")
    assert (lock["changes"][2]["title"], lock["changes"][2]["author"]) == ("Faster search", "kim")


def test_a_version_that_has_replaced_another_is_told_with_the_difference(client: FlaskClient, story: Story) -> None:
    story.start()
    story.pass_stages(story.merge("S2", "a"), 4)
    story.pass_stages(story.merge("S2", "b"), 3)
    story.tell(LockAsked("pre-production", "sam", "the tests fail"))
    (lock,) = asked(client, story)["locks"]
    row, older = lock["changes"]
    assert row["compare"].endswith(f"/compare/{sha('S2a')}...{sha('S2b')}")
    assert (older["short"], older["compare"]) == (sha("S2a")[:7], None)


@pytest.fixture
def thrice(story: Story) -> None:
    """S1a passed pre-production; then S2 came there three times, S3 once, and S1b failed."""
    story.start()
    story.pass_stages(story.merge("S2", "z"), 3)
    story.pass_stages(story.merge("S1", "a"), 3)
    for letter in "abc":
        story.pass_stages(story.merge("S2", letter, f"Search {letter}"), 4)
        if letter == "b":
            story.pass_stages(story.merge("S3", "a"), 3)
    failing = story.merge("S1", "b")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE)


def test_every_version_that_came_since_the_last_pass_is_told_the_newest_first(
    client: FlaskClient, story: Story, thrice: None
) -> None:
    (lock,) = asked(client, story)["locks"]
    rows = [(row["service"], row["short"], row["passed"], row["title"]) for row in lock["changes"]]
    assert rows == [
        ("S1", sha("S1b")[:7], False, "Change b of S1"),
        ("S2", sha("S2c")[:7], True, "Search c"),
        ("S3", sha("S3a")[:7], True, "Change a of S3"),
        ("S2", sha("S2b")[:7], True, "Search b"),
        ("S2", sha("S2a")[:7], True, "Search a"),
    ]
    assert (lock["count"], lock["known_since"]) == (5, lock["baseline"]["since"])
    assert lock["changes"][3]["compare"].endswith(f"/compare/{sha('S2a')}...{sha('S2b')}")
    assert "Changed there 3 services since S1 last passed" in text(client.get(f"/p/{story.shape.name}").text)
    words = text(client.get(f"/p/{story.shape.name}/where").text)
    order = [words.index(f"S2 {sha(f'S2{letter}')[:7]} passed") for letter in "cba"]
    assert order == sorted(order)
    assert "only the latest version" not in words


def test_of_what_a_trimmed_log_has_lost_the_latest_version_is_told(
    client: FlaskClient, story: Story, thrice: None
) -> None:
    failed = next(
        identity
        for identity, recorded in story.context.records.facts().facts
        if recorded.fact.kind is FactKind.BUILD_FAILED
    )
    story.redis.xtrim(story.keys.facts, minid=failed, approximate=False)
    (lock,) = asked(client, story)["locks"]
    rows = [row["short"] for row in lock["changes"]]
    assert rows == [sha(name)[:7] for name in ("S1b", "S2c", "S3a")]
    assert lock["known_since"] > lock["baseline"]["since"]
    assert "only the latest version of each service is listed" in text(client.get(f"/p/{story.shape.name}/where").text)


def test_what_came_before_the_last_pass_is_not_blamed(client: FlaskClient, story: Story) -> None:
    story.start()
    story.pass_stages(story.merge("S2", "a"), 3)
    story.pass_stages(story.merge("S1", "a"), 3)
    failing = story.merge("S1", "b")
    story.pass_stages(failing, 2)
    story.pass_stages(story.board.runs["S1.1"], 1)
    story.build(failing, Outcome.FAILURE)
    (lock,) = asked(client, story)["locks"]
    assert [row["service"] for row in lock["changes"]] == ["S1"]


def test_a_manual_lock_lists_what_came_there_last(client: FlaskClient, story: Story, broken: Run) -> None:
    story.tell(LockAsked("production", "sam", "the fair"))
    manual = asked(client, story)["locks"][1]
    assert (manual["automatic"], manual["baseline"]) == (False, None)
    assert [row["run"] for row in manual["changes"]] == ["S1.1"]


def test_one_service_and_one_page_of_services(client: FlaskClient, story: Story, broken: Run) -> None:
    assert [row["service"] for row in asked(client, story, service="S2")["services"]] == ["S2"]
    first = asked(client, story, limit="2")
    rest = asked(client, story, limit="2", offset=str(first["next"]))
    assert [row["service"] for row in (*first["services"], *rest["services"])] == ["S1", "S2", "S3"]
    assert rest["next"] is None
    address = f"/api/v1/pipelines/{story.shape.name}/where"
    assert client.get(f"{address}?service=S9").status_code == 404
    assert client.get(f"{address}?limit=0").status_code == 400


def test_the_newest_runs_of_many_are_named_and_the_rest_is_counted(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else None) for n in range(30)))
    found = cell(asked(client, story), "S2", "build")
    assert (len(found["newer"]), found["newer_count"], found["newer"][0]["sha"]) == (versions.NEWER, 30, sha("m29"))


def test_the_page_says_it_in_words_and_strangers_text_stays_text(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    page = client.get(f"/p/{story.shape.name}/where").text
    words = text(page)
    assert f"Service build acceptance pre-production , locked production S1 main {sha('S1c')[:7]}" in words
    assert "what changed there since S1 last passed" in words
    assert re.search(rf"S1 {sha('S1b')[:7]} failed .* S1\.2 “Discounts” #\d+ by kim · the difference", words)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_page_of_one_service_is_filtered_and_an_unknown_one_is_refused(
    client: FlaskClient, story: Story, broken: Run
) -> None:
    page = client.get(f"/p/{story.shape.name}/where?service=S2").text
    assert 'id="s-S2"' in page
    assert 'id="s-S1"' not in page
    assert client.get(f"/p/{story.shape.name}/where?service=nobody").status_code == 404
