"""What Jenkins' callbacks mean: a hint to look at one build, or nothing."""

import pytest

from bot.core.events import BuildHinted
from bot.core.pipeline import Outcome
from bot.translate import jenkins


def callback(**build: object) -> dict[str, object]:
    return {"name": "deploy", "url": "job/team/job/deploy/", "build": {"number": 7, "phase": "STARTED", **build}}


def test_the_full_name_is_read_from_the_path_for_the_plugin_sends_only_the_short_one() -> None:
    assert jenkins.events("cdp", callback()) == [BuildHinted("cdp", "team/deploy", 7)]


def test_a_branch_job_has_its_name_as_jenkins_keeps_it() -> None:
    assert jenkins.job_of({"url": "job/mb/job/feature%252Fx/"}) == "mb/feature%2Fx"


def test_a_context_path_does_not_matter() -> None:
    assert jenkins.job_of({"url": "https://ci.example/jenkins/job/a/job/b/"}) == "a/b"


def test_our_own_curl_names_the_job_in_full_and_the_build_as_text() -> None:
    assert jenkins.events("cdp", {"job": "team/deploy", "build": "12"}) == [BuildHinted("cdp", "team/deploy", 12)]


@pytest.mark.parametrize("phase", ["STARTED", "COMPLETED", "FINALIZED"])
def test_every_phase_but_queued_is_a_hint(phase: str) -> None:
    assert jenkins.events("cdp", callback(phase=phase))
    assert jenkins.events("cdp", callback(phase="QUEUED")) == []


@pytest.mark.parametrize(
    "payload",
    [{}, {"build": None}, {"url": "job/x/", "build": {"number": -1}}, {"url": 3, "build": {"number": 1}}, {"job": "x"}],
)
def test_a_callback_without_job_or_build_means_nothing(payload: dict[str, object]) -> None:
    assert jenkins.events("cdp", payload) == []


def test_a_huge_build_number_as_text_is_none() -> None:
    assert jenkins.build_of({"build": "9" * 5000}) is None


def test_an_unknown_result_counts_as_a_failure() -> None:
    assert jenkins.outcome("EXPLODED") is Outcome.FAILURE
    assert jenkins.outcome("SUCCESS") is Outcome.SUCCESS
    assert jenkins.outcome(None) is None
