"""What machines ask: a job whether it is still waited for, the doctor when Jenkins called last."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from bot.web.api_machines import CallbackMemory
from tests.web.story import Story


@pytest.fixture
def run(story: Story) -> Run:
    """A run whose build in pre-production was asked for."""
    story.start()
    merged = story.merge("S1", "a", title="A <secret> title")
    story.pass_stages(merged, 2)
    return story.board.runs[merged.key]


def address(story: Story, run: Run, attempt: int | str, stage: str = "pre-production") -> str:
    return f"/api/v1/pipelines/{story.shape.name}/attempts/{run.key}/{stage}/{attempt}"


def test_the_present_attempt_is_answered_200_without_any_token(client: FlaskClient, story: Story, run: Run) -> None:
    answer = client.get(address(story, run, run.attempt.number), query_string={"version": run.version})
    assert (answer.status_code, answer.json, answer.headers["Cache-Control"]) == (200, {"current": True}, "no-store")


def test_of_two_builds_of_an_attempt_only_the_one_that_jenkins_showed_first_may_go_on(
    client: FlaskClient, story: Story, run: Run
) -> None:
    """After a crash Jenkins builds again what it had just started: both ask before either is known."""
    where = address(story, run, run.attempt.number)
    for build in (11, 12):
        answer = client.get(where, query_string={"version": run.version, "build": build})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Jenkins is being asked" in answer.json["detail"]
    first = (story.build(run, None) or run).attempt.build or 0
    known, again = (client.get(where, query_string={"build": build}) for build in (first, first + 1))
    assert (known.status_code, again.status_code) == (200, 409)
    assert again.json["detail"].endswith(f"build #{first} belongs to attempt {run.attempt.number}")


def test_a_build_that_is_not_known_is_looked_at_once_a_second_at_most(
    client: FlaskClient, story: Story, run: Run
) -> None:
    """Anybody may say that there is a build."""
    before = story.waiting()
    for build in range(1, 30):
        client.get(address(story, run, run.attempt.number), query_string={"build": build})
    assert 1 <= story.waiting() - before <= 3


def test_any_other_is_409_with_a_sentence_that_names_no_person_and_no_title(
    client: FlaskClient, story: Story, run: Run
) -> None:
    for where in (
        address(story, run, run.attempt.number + 1),
        address(story, run, run.attempt.number, "production"),
        address(story, run, run.attempt.number) + "?version=S1-19690101000000",
    ):
        answer = client.get(where)
        assert (answer.status_code, answer.json["current"]) == (409, False)
        assert answer.json["detail"].startswith("no run waits for this build any more: ")
        assert not any(word in answer.get_data(as_text=True) for word in ("secret", "kim"))
    story.build(run, Outcome.FAILURE)
    assert client.get(address(story, run, run.attempt.number)).status_code == 409


@pytest.mark.parametrize("attempt", ["x", "-1", "1.5", "9" * 12, "%D9%A3"])
def test_an_attempt_that_is_no_number_is_400(client: FlaskClient, story: Story, run: Run, attempt: str) -> None:
    assert client.get(address(story, run, attempt)).status_code == 400


def test_a_build_that_is_no_number_is_400_and_an_unknown_pipeline_404(
    client: FlaskClient, story: Story, run: Run
) -> None:
    assert client.get(address(story, run, 1) + "?build=latest").status_code == 400
    assert client.get("/api/v1/pipelines/nobody/attempts/S1.1/build/1").status_code == 404


def test_asking_changes_nothing(client: FlaskClient, story: Story, run: Run) -> None:
    before = (story.store.copy.version, story.waiting())
    client.get(address(story, run, run.attempt.number))
    assert (story.store.copy.version, story.waiting()) == before
    assert client.post(address(story, run, run.attempt.number)).status_code == 405


# -- when Jenkins called last


def test_the_last_callback_of_each_job_is_told_with_since_when_all_is_known(client: FlaskClient, story: Story) -> None:
    assert client.get("/api/v1/callbacks").json == {"since": None, "callbacks": []}
    story.inbox.accept("github", "push", "1", b"{}")
    for number in (1, 2):
        body = {"url": "job/shop/job/build/", "build": {"number": number, "phase": "STARTED"}, "name": "build"}
        story.inbox.accept("jenkins", "build", f"{number}", json.dumps(body).encode())
    client.application.extensions["interlock-callbacks"] = CallbackMemory()
    told = client.get("/api/v1/callbacks").json
    [row] = told["callbacks"]
    assert (row["controller"], row["job"]) == ("build", "shop/build")
    assert told["since"] <= row["at"]


def test_however_often_it_is_asked_the_inbox_is_read_once_in_a_while(client: FlaskClient, story: Story) -> None:
    before = client.get("/api/v1/callbacks").json
    story.inbox.accept("jenkins", "build", "1", b'{"job": "shop/build", "build": "7"}')
    assert client.get("/api/v1/callbacks").json == before
