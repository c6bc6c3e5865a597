"""A job asks before it rolls out whether it is still waited for: 200, or 409 with a sentence; nothing is changed."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from bot.core.model.pipeline import Outcome
from bot.core.model.run import Run
from tests.web.story import Story


@pytest.fixture
def run(story: Story) -> Run:
    """A run whose build in pre-production was asked for."""
    story.start()
    merged = story.merge("S1", "a", title="A <secret> title")
    story.passes(merged, 2)
    return story.board.runs[merged.key]


def address(story: Story, run: Run, attempt: int | str, stage: str = "pre-production") -> str:
    return f"/api/v1/pipelines/{story.shape.name}/attempts/{run.key}/{stage}/{attempt}"


def test_the_present_attempt_is_answered_200_without_any_token(client: FlaskClient, story: Story, run: Run) -> None:
    answer = client.get(address(story, run, run.attempt), query_string={"version": run.version, "build": "12"})
    assert (answer.status_code, answer.json, answer.headers["Cache-Control"]) == (200, {"current": True}, "no-store")


def test_any_other_is_409_with_a_sentence_that_names_no_person_and_no_title(
    client: FlaskClient, story: Story, run: Run
) -> None:
    for where in (
        address(story, run, run.attempt + 1),
        address(story, run, run.attempt, "production"),
        address(story, run, run.attempt) + "?version=S1-19690101000000",
    ):
        answer = client.get(where)
        assert (answer.status_code, answer.json["current"]) == (409, False)
        assert answer.json["detail"].startswith("nobody waits for this build any more: ")
        assert not any(word in answer.get_data(as_text=True) for word in ("secret", "kim"))
    story.build(run, Outcome.FAILURE)
    assert client.get(address(story, run, run.attempt)).status_code == 409


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
    client.get(address(story, run, run.attempt))
    assert (story.store.copy.version, story.waiting()) == before
    assert client.post(address(story, run, run.attempt)).status_code == 405
