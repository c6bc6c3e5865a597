"""Finding runs, services and decisions: the lists, the box that finds, and what strangers may type into it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from bot.core.model.events import (
    BuildSeen,
    CancelAsked,
    LockAsked,
    Merged,
    ModeAsked,
    PullMoved,
    TriggerAccepted,
    UnlockAsked,
)
from bot.core.model.pipeline import Mode, Outcome
from bot.store.records import EndedRunIndex
from bot.web.app import create_app
from bot.web.run_list import RunFilter, matcher, services_like
from config.configuration import Configuration
from config.settings import Settings
from tests.web.story import Story, pipeline, sha

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(1)">"\' {{7*7}}'


def text(html: str) -> str:
    """What a reader reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def base(story: Story) -> str:
    """S1.1 is delivered, S1.2 failed in build, S1.3 waits for pre-production behind S2.1, which has locked it."""
    story.start()
    story.pass_stages(story.merge("S1", "a", "Round prices"), 4)
    story.build(story.merge("S1", "b", "Discounts"), Outcome.FAILURE)
    failing = story.merge("S2", "a", "Faster search")
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE)
    story.pass_stages(story.merge("S1", "c", HOSTILE), 2)
    return story.shape.name


def runs(client: FlaskClient, name: str, **query: str) -> list[str]:
    answer = client.get(f"/api/v1/pipelines/{name}/runs", query_string=query)
    assert answer.status_code == 200, answer.text
    return [run["run"] for run in answer.json["runs"]]


def test_all_runs_are_listed_the_live_ones_first(client: FlaskClient, base: str) -> None:
    assert runs(client, base) == ["S1.3", "S2.1", "S1.2", "S1.1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "live"}, ["S1.3", "S2.1"]),
        ({"state": "ended"}, ["S1.2", "S1.1"]),
        ({"state": "failed"}, ["S2.1", "S1.2"]),
        ({"state": "delivered"}, ["S1.1"]),
        ({"service": "s2"}, ["S2.1"]),
        ({"stage": "build"}, ["S1.2"]),
        ({"author": "KIM", "state": "waiting"}, ["S1.3"]),
        ({"q": "search faster"}, ["S2.1"]),
        ({"q": "S1.2"}, ["S1.2"]),
        ({"q": sha("S1a")[:6]}, ["S1.1"]),
        ({"q": "#40", "service": "S1"}, ["S1.1"]),
        ({"q": "nothing of the kind"}, []),
        ({"lane": "fast"}, []),
    ],
)
def test_runs_are_found_by_what_people_know(
    client: FlaskClient, base: str, query: dict[str, str], found: list[str]
) -> None:
    assert runs(client, base, **query) == found


def test_a_queue_is_listed_in_the_order_in_which_its_runs_enter(client: FlaskClient, story: Story) -> None:
    story.start()
    story.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    story.tell(*(Merged("S2", sha(f"m{n}"), sha(f"m{n - 1}") if n else None) for n in range(5)))
    query = {"stage": "build", "state": "waiting"}
    assert runs(client, story.shape.name, **query) == [f"S2.{n}" for n in range(1, 6)]


def test_pages_follow_each_other_across_live_and_ended(client: FlaskClient, base: str) -> None:
    first = client.get(f"/api/v1/pipelines/{base}/runs?limit=3").json
    assert (first["total"], first["live"], first["ended"], first["next"]) == (4, 2, 2, 3)
    assert runs(client, base, limit="3", offset="3") == ["S1.1"]


@pytest.mark.parametrize("query", ["state=happy", "limit=201", "offset=-1", f"q={'x' * 201}"])
def test_what_makes_no_sense_is_refused(client: FlaskClient, base: str, query: str) -> None:
    assert client.get(f"/api/v1/pipelines/{base}/runs?{query}").status_code == 400
    assert client.get(f"/p/{base}/runs?{query.replace('limit', 'offset=x&limit')}").status_code == 400


def test_the_index_of_ended_runs_follows_the_store(story: Story, base: str) -> None:
    index = EndedRunIndex(story.redis, story.keys)
    assert [row.run for row in index.rows()] == ["S1.2", "S1.1"]
    story.tell(CancelAsked("S1.3", "alex", "not wanted"))
    assert [row.run for row in index.rows()] == ["S1.3", "S1.2", "S1.1"]
    story.redis.zrem(story.keys.ended_order, "S1.1")  # as the history forgets the oldest
    assert [row.run for row in index.rows()] == ["S1.3", "S1.2"]
    story.redis.zrem(story.keys.ended_order, "S1.3")  # as a store that has gone back
    assert [row.run for row in index.rows()] == ["S1.2"]
    story.redis.delete(story.keys.ended_order)
    assert list(index.rows()) == []


def test_the_page_of_runs_filters_by_a_plain_form(client: FlaskClient, base: str) -> None:
    page = client.get(f"/p/{base}/runs?state=live&service=S1").text
    assert 'id="r-S1.3"' in page
    assert 'id="r-S2.1"' not in page
    assert "<script>alert" not in page
    assert "{{7*7}}" in page
    assert "1 on the way, 0 ended; 1 to 1 are shown" in text(page)


@pytest.mark.parametrize(
    ("question", "address"),
    [
        ("S1", "/p/{}/services/S1"),
        ("s2", "/p/{}/services/S2"),
        ("s1.2", "/p/{}/runs/S1.2"),
        (sha("S1a")[:7], "/p/{}/runs/S1.1"),
        ("faster", "/p/{}/runs/S2.1"),
    ],
)
def test_what_can_be_one_thing_only_is_shown_at_once(
    client: FlaskClient, base: str, question: str, address: str
) -> None:
    answer = client.get("/find", query_string={"q": question})
    assert (answer.status_code, answer.headers["Location"]) == (302, address.format(base))


def test_what_may_be_several_things_is_listed(client: FlaskClient, base: str) -> None:
    page = client.get("/find?q=kim").text
    assert all(f'id="r-{run}"' in page for run in ("S1.1", "S1.2", "S1.3", "S2.1"))
    found = client.get("/api/v1/find?q=kim").json["pipelines"]
    assert [(one["pipeline"], one["total"]) for one in found] == [(base, 4)]


@pytest.mark.parametrize("question", [HOSTILE, "%00", "☃", "../../etc", "x" * 200])
def test_whatever_is_typed_is_text(client: FlaskClient, base: str, question: str) -> None:
    answer = client.get("/find", query_string={"q": question}, follow_redirects=True)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_too_long_a_question_is_refused(client: FlaskClient, base: str) -> None:
    assert client.get("/find", query_string={"q": "x" * 201}).status_code == 400
    assert client.get("/api/v1/find").status_code == 400


def test_a_pull_request_that_is_being_verified_is_found(client: FlaskClient, base: str, story: Story) -> None:
    story.tell(PullMoved("S1", 4712, sha("S1p"), at=1.0))
    for question in ("#4712", sha("S1p")[:8]):
        page = client.get("/find", query_string={"q": question}).text
        assert f"Pull request #4712 of S1 is being verified: S1.pr4712-1 {sha('S1p')[:7]}" in text(page)
        assert f'href="https://github.com/shop/s1-{base}/pull/4712"' in page
    story.tell(TriggerAccepted("S1.pr4712-1", 1, 7))
    story.tell(BuildSeen("build", "shop/verify", 4, Outcome.FAILURE, "S1.pr4712-1", 1))
    for question in ("#4712", "S1.pr4712-1"):
        page = client.get("/find", query_string={"q": question}).text
        assert f"Pull request #4712 of S1 was verified: S1.pr4712-1 {sha('S1p')[:7]} failed" in text(page)
    assert "Nothing matches" in client.get("/find?q=4713").text


def test_every_pipeline_is_looked_through(settings: Settings, story: Story, base: str) -> None:
    other = Story(story.redis, pipeline(f"{base}-other"))
    other.start()
    other.merge("S1", "x", "Faster still")
    both = create_app(settings, Configuration((story.shape, other.shape), {}), lambda _: None).test_client()
    found = both.get("/api/v1/find?q=faster").json["pipelines"]
    assert [(one["pipeline"], [run["run"] for run in one["runs"]]) for one in found] == [
        (base, ["S2.1"]),
        (other.shape.name, ["S1.1"]),
    ]


def test_a_service_has_a_page_with_everything_about_it(client: FlaskClient, base: str) -> None:
    words = text(client.get(f"/p/{base}/services/S1").text)
    assert "From merge to delivery:" in words
    assert "(over the last 1 delivery)" in words
    assert "On the way 1" in words
    assert "Ended 2" in words
    locked = text(client.get(f"/p/{base}/services/S2").text)
    assert "pre-production is locked" in locked
    assert "Nothing of it has been delivered yet." in locked
    found = client.get(f"/api/v1/pipelines/{base}/services/S1").json
    assert (found["lead_time"]["deliveries"], found["live"]["total"], found["ended"]["total"]) == (1, 1, 2)
    assert client.get(f"/p/{base}/services/S9").status_code == 404


def test_the_log_is_filtered_by_who_what_and_where(client: FlaskClient, base: str, story: Story) -> None:
    story.tell(LockAsked("production", "sam", HOSTILE), UnlockAsked("production", "kim", "over"))
    address = f"/api/v1/pipelines/{base}/facts"

    def kinds(query: str) -> list[str]:
        return [fact["kind"] for fact in client.get(f"{address}?{query}").json["facts"]]

    assert kinds("by=anybody") == ["stage-unlocked", "stage-locked"]
    assert kinds("by=SAM") == ["stage-locked"]
    assert kinds("kind=stage-locked") == ["stage-locked", "stage-locked"]
    assert set(kinds("run=S1.2")) >= {"run-queued", "build-failed"}
    assert kinds("stage=production&by=kim") == ["stage-unlocked"]
    assert client.get(f"{address}?kind=nonsense").status_code == 400
    page = client.get(f"/p/{base}/log?by=sam").text
    assert "<script>alert" not in page
    assert "stage locked sam" in text(page)


def test_a_page_of_the_filtered_log_goes_on_where_it_ended(client: FlaskClient, base: str, story: Story) -> None:
    story.tell(*(LockAsked("production", f"person{n}", "why") for n in range(5)))
    address, seen, before = f"/api/v1/pipelines/{base}/facts?by=anybody&limit=2", [], ""
    while before is not None:
        page = client.get(f"{address}{before and '&before=' + before}").json
        seen += [fact["by"] for fact in page["facts"]]
        before = page["next"]
    assert seen == [f"person{n}" for n in reversed(range(5))]


def test_only_what_was_decided_later_is_told(client: FlaskClient, base: str, story: Story) -> None:
    address = f"/api/v1/pipelines/{base}/facts"
    newest = client.get(f"{address}?limit=1").json["facts"][0]["id"]
    assert client.get(f"{address}?after={newest}").json == {"facts": [], "next": None}
    story.tell(LockAsked("production", "sam", "why"), UnlockAsked("production", "kim", "over"))
    later = client.get(f"{address}?after={newest}").json["facts"]
    assert [fact["by"] for fact in later if fact["by"]] == ["kim", "sam"]
    assert [fact["by"] for fact in client.get(f"{address}?by=sam&after={newest}").json["facts"]] == ["sam"]
    assert client.get(f"{address}?after=x").status_code == 400


def test_every_page_can_find_and_has_the_way_to_the_others(client: FlaskClient, base: str) -> None:
    for address in ("", "/where", "/runs", "/log", "/services/S1"):
        page = client.get(f"/p/{base}{address}").text
        assert 'role="search"' in page
        assert 'id="find"' in page
        assert page.count('aria-current="page"') == 1, address
    assert 'id="find"' in client.get("/find").text


def test_a_service_is_found_by_the_beginning_of_its_name() -> None:
    names = ("search", "basket", "product-search", "research")
    assert services_like(names, "sea") == ["search", "product-search", "research"]
    assert services_like(names, "SEARCH") == ["search"]


def test_a_filter_without_anything_fits_everything() -> None:
    assert matcher(RunFilter())(None)  # type: ignore[arg-type]  # nothing of it is looked at


def test_the_overview_has_the_locked_pipelines_first_with_why_and_since_when(
    settings: Settings, story: Story, base: str
) -> None:
    quiet = Story(story.redis, pipeline(f"a-{base}"))
    quiet.start()
    paused = Story(story.redis, pipeline(f"z-{base}"))
    paused.start()
    paused.tell(ModeAsked(Mode.PAUSE, "alex", "no"))
    all_of_them = Configuration((quiet.shape, paused.shape, story.shape), {})
    both = create_app(settings, all_of_them, lambda _: None).test_client()
    rows = both.get("/api/v1/pipelines").json["pipelines"]
    assert [row["name"] for row in rows] == [base, f"z-{base}", f"a-{base}"]
    (lock,) = rows[0]["locks"]
    assert (lock["stage"], lock["service"], lock["fix"], rows[0]["waiting"]) == ("pre-production", "S2", None, 1)
    page = both.get("/").text
    assert re.findall(r'<li id="p-([^"]*)"', page) == [base, f"z-{base}", f"a-{base}"]
    assert f"<title>Locked: {base}" in page
    assert "no fix is on its way" in text(page)
    story.merge("S2", "e")
    assert "; the fix S2.2 is on its way" in text(both.get("/").text)
