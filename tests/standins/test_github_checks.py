"""Check runs at the stand-in: who may write them, what fits into them, and what people press."""

from __future__ import annotations

import pytest

from tests.github.app import Site, installation_token, keys

REPO = "acme/shop"
PATH = f"/repos/{REPO}"
BUTTON = {"label": "Retry", "description": "Build it once more", "identifier": "retry"}
NOTE = {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}


@pytest.fixture
def world(github, receiver):
    hook = {"url": f"{receiver.url}/app", "secret": "s", "events": ["check_run", "check_suite"]}
    own = {"url": f"{receiver.url}/repo", "events": ["check_run", "check_suite"]}
    app = {"public_key": keys()[1], "hook": hook, "install": ["acme"]}
    return github(repos=[{"full_name": REPO, "hook": own}], app=app)


@pytest.fixture
def site(world):
    return Site(world.url, installation_token(world.url, next(iter(world.world.apps.installations))))


@pytest.fixture
def create(world, site):
    """Creates a check run on the head; returns its JSON."""

    def made(**changes):
        return site.ok("POST", f"{PATH}/check-runs", {"name": "n", "head_sha": world.control.head(REPO)} | changes)

    return made


def events(receiver, path):
    return [
        (request.headers["x-github-event"], request.json()["action"])
        for request in receiver.got
        if request.raw_path == path
    ]


def test_only_an_app_writes_check_runs(world):
    body = {"name": "n", "head_sha": world.control.head(REPO)}
    refused = Site(world.url, "t")("POST", f"{PATH}/check-runs", body)
    assert (refused.status_code, refused.json()["message"]) == (403, "You must authenticate via a GitHub App.")


def test_a_conclusion_completes_a_run_and_a_new_status_takes_it_away(site, create):
    run = create(conclusion="success")
    assert (run["status"], run["conclusion"], run["completed_at"] is not None) == ("completed", "success", True)
    again = site.ok("PATCH", f"{PATH}/check-runs/{run['id']}", {"status": "in_progress"})
    assert (again["status"], again["conclusion"], again["completed_at"]) == ("in_progress", None, None)


OUTPUT = {"title": "t", "summary": "s"}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "completed"},
        {"status": "waiting"},
        {"conclusion": "stale"},
        {"name": ""},
        {"head_sha": "0" * 40},
        {"details_url": "javascript:alert(1)"},
        {"started_at": "yesterday"},
        {"output": {"title": "t"}},
        {"output": OUTPUT | {"summary": "x" * 65536}},
        {"output": OUTPUT | {"text": "x" * 65536}},
        {"output": OUTPUT | {"annotations": [NOTE] * 51}},
        {"output": OUTPUT | {"annotations": [NOTE | {"annotation_level": "loud"}]}},
        {"actions": [BUTTON] * 4},
        {"actions": [BUTTON | {"label": "x" * 21}]},
        {"actions": [BUTTON | {"identifier": "x" * 21}]},
        {"actions": [BUTTON | {"description": "x" * 41}]},
    ],
    ids=str,
)
def test_what_does_not_fit_is_422(world, site, changes):
    body = {"name": "n", "head_sha": world.control.head(REPO)} | changes
    assert site("POST", f"{PATH}/check-runs", body).status_code == 422
    assert world.control.check_runs(REPO) == []


def test_what_just_fits_is_taken(create):
    button = {"label": "x" * 20, "identifier": "x" * 20, "description": "x" * 40}
    output = OUTPUT | {"summary": "x" * 65535, "text": "x" * 65535, "annotations": [NOTE] * 50}
    assert create(output=output, actions=[button] * 3)["output"]["annotations_count"] == 50


def test_annotations_are_added_and_read_in_pages(site, create):
    run = create(output=OUTPUT | {"annotations": [NOTE] * 50})
    site.ok("PATCH", f"{PATH}/check-runs/{run['id']}", {"output": OUTPUT | {"annotations": [NOTE] * 2}})
    rows = site("GET", f"{PATH}/check-runs/{run['id']}/annotations?per_page=50")
    assert (len(rows.json()), 'rel="next"' in rows.headers["Link"]) == (50, True)


def test_a_commit_shows_the_newest_run_of_each_name(world, site, create):
    create(name="a")
    newest = create(name="a")
    other = create(name="b")
    path = f"{PATH}/commits/{world.control.head(REPO)}/check-runs"
    assert [run["id"] for run in site.ok("GET", path)["check_runs"]] == [other["id"], newest["id"]]
    assert site.ok("GET", f"{path}?filter=all")["total_count"] == 3
    assert [run["id"] for run in site.ok("GET", f"{path}?check_name=a")["check_runs"]] == [newest["id"]]


def test_a_run_names_the_pull_requests_of_its_repository_and_none_of_a_fork(world, create):
    numbers = {"own": world.control.open_pull(REPO), "fork": world.control.open_pull(REPO, fork="eve")}
    heads = {which: world.control.pull(REPO, number)["head"]["sha"] for which, number in numbers.items()}
    shown = {which: [one["number"] for one in create(head_sha=sha)["pull_requests"]] for which, sha in heads.items()}
    assert shown == {"own": [numbers["own"]], "fork": []}


def test_a_button_that_is_pressed_is_told_to_the_app_and_to_nobody_else(world, receiver, create):
    run = create(actions=[BUTTON], external_id="S1.1")
    world.control.press_button(REPO, run["id"], "retry", user="ann")
    world.control.rerequest_check(REPO, run["id"])
    with pytest.raises(LookupError, match="has no button 'other'; there are: \\['retry'\\]"):
        world.control.press_button(REPO, run["id"], "other")
    world.control.wait_idle()
    told = [event for event in events(receiver, "/app") if event[0] == "check_run"]
    assert told == [("check_run", "created"), ("check_run", "requested_action"), ("check_run", "rerequested")]
    assert events(receiver, "/repo") == [("check_run", "created")]
    pressed = next(one for one in receiver.bodies if one["action"] == "requested_action")
    assert pressed["requested_action"] == {"identifier": "retry"}
    assert (pressed["sender"]["login"], pressed["check_run"]["external_id"]) == ("ann", "S1.1")
    assert world.control.check_runs(REPO)[0]["status"] == "queued"


def test_a_push_asks_the_app_for_a_suite_which_ends_with_its_last_run(world, receiver, site):
    sha = world.control.push(REPO)
    runs = [site.ok("POST", f"{PATH}/check-runs", {"name": name, "head_sha": sha}) for name in "ab"]
    for run, conclusion in zip(runs, ("success", "failure"), strict=True):
        site.ok("PATCH", f"{PATH}/check-runs/{run['id']}", {"conclusion": conclusion})
    world.control.wait_idle()
    suites = [one["check_suite"] for one in receiver.bodies if "check_suite" in one]
    assert events(receiver, "/repo").count(("check_suite", "completed")) == 1
    assert [event for event in events(receiver, "/app") if event[0] == "check_suite"] == [
        ("check_suite", "requested"),
        ("check_suite", "completed"),
    ]
    assert (suites[0]["head_sha"], suites[-1]["conclusion"]) == (sha, "failure")


@pytest.mark.slow
def test_a_suite_keeps_a_thousand_runs_of_one_name(world, create):
    for _ in range(1002):
        create(name="same")
    assert len(world.control.check_runs(REPO)) == 1000
